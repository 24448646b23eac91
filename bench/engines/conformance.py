"""Puts the vectors of `tests/vectors` to other engines, and keeps in `docs/conformance.json` which they have wrong.

`make docs` makes a table of it. An engine that cannot be run here keeps what was found before.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peers import LOCALSTACK, MOTO, RULER, Running, start_all

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "docs/conformance.json"


def vectors() -> Iterator[dict[str, Any]]:
    """All recorded cases."""
    for file in sorted((ROOT / "tests/vectors").glob("*.jsonl")):
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def answer(engine: Running, row: dict[str, Any]) -> object:
    """What an engine answers to a case, in the terms of the vectors; each rule is judged alone."""
    patterns = [json.dumps(rule["pattern"]) for rule in row["rules"]] if "rules" in row else [row["pattern_text"]]
    verdicts = engine.ask("judge", [[pattern, row["event_text"]] for pattern in patterns])["verdicts"]
    if "rules" in row:
        return sorted(rule["name"] for rule, verdict in zip(row["rules"], verdicts, strict=True) if verdict is True)
    return "invalid" if str(verdicts[0]).startswith("refused") else verdicts[0]


def main() -> int:
    """Writes the file and says how many cases each engine has wrong."""
    rows = list(vectors())
    known = json.loads(FILE.read_text(encoding="utf-8"))["engines"] if FILE.exists() else {}
    for engine in start_all([RULER, LOCALSTACK, MOTO]):
        wrong = [row["id"] for row in rows if answer(engine, row) != row["expected"]]
        known[engine.name] = {
            "version": engine.ask("about", given=True)["version"],
            "date": datetime.now(UTC).date().isoformat(),
            "cases": len(rows),
            "wrong": wrong,
        }
        engine.close()
        print(f"{engine.name}: {len(rows) - len(wrong)} of {len(rows)} right")
    FILE.write_text(json.dumps({"engines": known}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
