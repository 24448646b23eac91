"""Writes the names of the events of AWS services. `evtool check` compares the names in patterns with them.

Usage: python tools/aws_events.py aws-cdk-aws-service-spec-VERSION.tgz
`npm pack @aws-cdk/aws-service-spec` creates the package. This tool takes only names from it, since its field types and
its required fields contradict real events.
"""

import gzip
import json
import sys
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "evtool" / "checks" / "patterns" / "aws_events.json"


def read_member(package: tarfile.TarFile, name: str) -> bytes:
    """Returns the bytes of a file in the package."""
    file = package.extractfile(f"package/{name}")
    assert file is not None, name
    return file.read()


def main(archive: str) -> None:
    """Reads the package and writes the names, sorted."""
    with tarfile.open(archive) as package:
        manifest: dict[str, Any] = json.loads(read_member(package, "package.json"))
        database: dict[str, Any] = json.loads(gzip.decompress(read_member(package, "db.json.gz")))
    types: defaultdict[str, set[str]] = defaultdict(set)
    for event in database["schema"]["event"]["entities"]:
        types[event["source"]].add(event["detailType"])
    content = {
        "package": f"{manifest['name']} {manifest['version']}",
        "license": manifest["license"],
        "events": {source: sorted(names) for source, names in sorted(types.items())},
    }
    TARGET.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
