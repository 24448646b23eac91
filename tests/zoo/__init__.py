"""The zoo: handlers that do what no handler should, each a file in `animals` that says what has to come of it.

A file begins with a sentence. Then comes, as YAML behind `#`, what is expected of it as each kind of handler, and the
`options` that it runs under:

- `outcome`: of the attempt; `error`: a part of what is told then
- `answer`: the handler's own outcome, where evtool finds fault only with what it emitted
- `next`: the outcome of the next event for the same handler, which asks for nothing bad; `done` unless said
- `log`: what is in the log of the next call, if not only what that prints
- `loop`: whether what it emits is given up as a loop
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HERE = Path(__file__).parent
WILD, TAME = "be wild", "be tame"


class Animal(NamedTuple):
    """An animal as a handler of one kind, its options, and what is expected of it."""

    file: Path
    kind: str
    options: dict[str, Any]
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        """What the animal is called: `loops-python`."""
        return f"{self.file.stem}-{self.kind}"


def animals() -> list[Animal]:
    """All animals, as each kind of handler that they can be."""
    found = []
    for file in sorted((HERE / "animals").iterdir()):
        if file.suffix in (".py", ".sh"):
            header = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
            told = yaml.safe_load("\n".join(line[2:] for line in header[1:]))
            options = told.pop("options", {})
            found += [Animal(file, kind, options, {"next": "done", **expected}) for kind, expected in told.items()]
    return found


def cage(animal: Animal, folder: Path) -> None:
    """Makes a project of an animal: its handler `animal`, a handler `visitor` that comes after, and events for them."""
    shutil.copytree(HERE / "cage", folder, dirs_exist_ok=True)
    shutil.copy(animal.file, folder / f"animal{animal.file.suffix}")
    how = {
        ("python", ".py"): {"python": "handler:handle"},
        ("command", ".py"): {"command": [sys.executable, "command.py"]},
        ("command", ".sh"): {"command": ["sh", "command.sh"]},
    }
    routes = {
        "version": 1,
        "schemas": "schemas",
        "handlers": {
            "animal": {"timeout": "20s", **how[animal.kind, animal.file.suffix], **animal.options},
            "visitor": {"python": "visitor:visit"},
        },
        "routes": {
            name: {"pattern": {"detail-type": [f"zoo.{name}"]}, "to": [name], "retry": {"first_delay": "1h"}}
            for name in ("animal", "visitor")
        },
    }
    (folder / "routes.yaml").write_text(json.dumps(routes), encoding="utf-8")
    events = [event("wild", "animal", WILD), event("visit", "visitor", TAME), event("tame", "animal", TAME)]
    (folder / "events.jsonl").write_bytes(b"".join(each + b"\n" for each in events))


def event(name: str, whom: str, do: str) -> bytes:
    """An event that asks a handler of the cage for something."""
    told = {"id": name, "source": "zoo", "detail-type": f"zoo.{whom}", "detail": {"do": do}}
    return json.dumps(told).encode()
