"""The engines of event patterns that evtool is compared with: how each is built, started and asked."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Engine(NamedTuple):
    """An engine: the folder of its program, how to build and run it there, and the tools for that.

    `install` is the line that gets these tools on Debian. `source` is built again when it has changed.
    """

    name: str
    folder: Path
    run: tuple[str, ...]
    build: tuple[str, ...] = ()
    source: str = ""
    tools: tuple[str, ...] = ()
    install: str = ""


RULER = Engine(
    "event-ruler",
    HERE / "ruler",
    ("java", "-cp", "target/classes:target/lib/*", "RulerEngine"),
    ("mvn", "-q", "-B", "process-classes"),
    "src/main/java/RulerEngine.java",
    ("java", "mvn"),
    "apt-get install openjdk-17-jdk-headless maven",
)
QUAMINA = Engine(
    "quamina",
    HERE / "quamina",
    ("target/quamina",),
    ("go", "build", "-mod=mod", "-o", "target/quamina", "."),
    "main.go",
    ("go",),
    "apt-get install golang",
)
EMULATORS = HERE / "emulators"
IN_ITS_OWN = (
    f"{sys.executable} -m venv --clear target/venv && target/venv/bin/python -m pip install -q -r requirements.txt"
)
LOCALSTACK, MOTO = (
    Engine(
        name,
        EMULATORS,
        ("target/venv/bin/python", "emulators.py", name.lower()),
        ("sh", "-c", f"mkdir -p target && {IN_ITS_OWN}"),
        "requirements.txt",
    )
    for name in ("LocalStack", "moto")
)
EVTOOL = Engine("evtool", HERE, (sys.executable, "ours.py"))


class UnavailableError(Exception):
    """An engine cannot be run here; says why, and what to do."""


class Running:
    """An engine in a process of its own, which answers one request at a time. Close it after use."""

    def __init__(self, engine: Engine, *options: str):
        self.name = engine.name
        run = (*engine.run, *options)
        process = subprocess.Popen(run, cwd=engine.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        assert process.stdout
        self._process, self._requests, self._answers = process, process.stdin, process.stdout

    def ask(self, what: str, given: Any) -> dict[str, Any]:
        """The answer to a request. Raises UnavailableError when the engine has ended."""
        self._requests.write(json.dumps({what: given}) + "\n")
        self._requests.flush()
        line = self._answers.readline()
        if not line:
            raise UnavailableError(f"{self.name} ended with exit code {self._process.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._requests.close()
        self._process.wait()
        self._answers.close()


def _built(engine: Engine) -> None:
    """Builds an engine's program, unless that was done since it has changed. Raises UnavailableError."""
    missing = [tool for tool in engine.tools if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(f"{engine.name} is skipped: there is no {' and no '.join(missing)}; {engine.install}")
    if not engine.build:
        return
    stamp = engine.folder / "target/built"
    if stamp.exists() and stamp.stat().st_mtime >= (engine.folder / engine.source).stat().st_mtime:
        return
    done = subprocess.run(engine.build, cwd=engine.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise UnavailableError(f"{engine.name} is skipped: {' '.join(engine.build)} failed in {engine.folder}\n{said}")
    stamp.touch()


def start(engine: Engine, *options: str) -> Running:
    """Builds and starts an engine. Raises UnavailableError."""
    _built(engine)
    return Running(engine, *options)


def start_all(engines: Sequence[Engine]) -> list[Running]:
    """The engines that can be run here; of the others it is told why not."""
    running = []
    for engine in engines:
        try:
            running.append(start(engine))
        except UnavailableError as error:
            print(error, file=sys.stderr)
    return running
