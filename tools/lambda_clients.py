"""Installs AWS's clients of the Lambda Runtime API into .clients, for the tests of functions in other languages.

Python's client is among the packages for development. Run: python tools/lambda_clients.py [LANGUAGE ...]
`--missing` prints the packages of Debian and Ubuntu that they need and that are not installed.

A folder of `.clients` that is complete has a file `installed`; while nothing changes, it is not installed again. What
takes a minute to compile is kept in ~/.cache/evtool-clients; npm, Go, Cargo, Maven and pip have caches of their own.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / ".clients"
FUNCTIONS = ROOT / "tests/handlers/lambda_functions"
LOG_LINES = 20  # of a failed installation that are shown
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "evtool-clients")

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>function</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
# the SDK's other HTTP clients are large and not used
DEPENDENCY = """
    <dependency>
      <groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
      <exclusions>
        <exclusion><groupId>software.amazon.awssdk</groupId><artifactId>netty-nio-client</artifactId></exclusion>
        <exclusion><groupId>software.amazon.awssdk</groupId><artifactId>apache-client</artifactId></exclusion>
        <exclusion><groupId>software.amazon.awssdk</groupId><artifactId>apache5-client</artifactId></exclusion>
      </exclusions>
    </dependency>"""


class Installation(NamedTuple):
    """Where a client is being installed, and what is written about it."""

    folder: Path
    log: Path

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> None:
        """Runs a command; raises CalledProcessError, or FileNotFoundError if there is no such program."""
        with self.log.open("a") as log:
            print("$", *command, file=log, flush=True)
            environment = {**os.environ, **variables}
            subprocess.run(
                command, cwd=cwd or self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True
            )


class Client(NamedTuple):
    """A client: what is installed, by its names and versions, and how."""

    packages: tuple[str, ...]
    install: Callable[[Installation, tuple[str, ...]], None]
    programs: Mapping[str, str]  # that it needs, and the packages of Debian and Ubuntu that have them

    @property
    def missing(self) -> dict[str, str]:
        """The programs that are not on PATH, with their packages."""
        return {program: package for program, package in self.programs.items() if not shutil.which(program)}


def install_node(here: Installation, packages: tuple[str, ...]) -> None:
    """Compiles C++ for a minute, unless this version has been compiled on this machine."""
    node = Path(shutil.which("node") or "node").resolve()
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    cached = CACHE / f"node-{version}-{platform.machine()}-{key}"
    if not cached.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            folder = Path(name, "function")
            folder.mkdir()
            (folder / "package.json").write_text('{"name": "function", "version": "1.0.0", "private": true}\n')
            prefix = node.parent.parent
            headers = {"npm_config_nodedir": str(prefix)} if (prefix / "include/node/node.h").exists() else {}
            options = ["--no-audit", "--no-fund", "--foreground-scripts"]
            here.run("npm", "install", *options, *packages, cwd=folder, MAKEFLAGS=f"-j{os.cpu_count()}", **headers)
            if not cached.exists():
                folder.rename(cached)
    shutil.copytree(cached, here.folder, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(FUNCTIONS / "node", here.folder, dirs_exist_ok=True)


def install_go(here: Installation, packages: tuple[str, ...]) -> None:
    shutil.copytree(FUNCTIONS / "go", here.folder, dirs_exist_ok=True)
    here.run("go", "mod", "init", "function")
    here.run("go", "get", *packages)
    for package in (".", "./score"):
        here.run("go", "build", "-o", f"{package}/bootstrap", package, CGO_ENABLED="0")


def install_rust(here: Installation, packages: tuple[str, ...]) -> None:
    """Compiles for a minute, without optimization."""
    here.run("cargo", "init", "--bin", "--name", "bootstrap", "--vcs", "none")
    here.run("cargo", "add", "--quiet", *packages)
    shutil.copy(FUNCTIONS / "rust/main.rs", here.folder / "src/main.rs")
    (here.folder / "src/bin").mkdir()
    shutil.copy(FUNCTIONS / "rust/score.rs", here.folder / "src/bin/score.rs")
    target = CACHE / "rust"
    here.run("cargo", "build", "--quiet", "--target-dir", str(target), CARGO_PROFILE_DEV_DEBUG="0")
    shutil.copy(target / "debug/bootstrap", here.folder / "bootstrap")
    (here.folder / "score").mkdir()
    shutil.copy(target / "debug/score", here.folder / "score/bootstrap")


def install_java(here: Installation, packages: tuple[str, ...]) -> None:
    dependencies = (DEPENDENCY.format(*package.split(":")) for package in packages)
    (here.folder / "pom.xml").write_text(POM.format("".join(dependencies)))
    options = ["-DincludeScope=runtime", "-DoutputDirectory=lib"]
    here.run("mvn", "--batch-mode", "-q", "dependency:copy-dependencies", *options)
    sources = map(str, (FUNCTIONS / "java").rglob("*.java"))
    here.run("javac", "-cp", "lib/*", "-d", str(here.folder), *sources)


def install_emulator(here: Installation, packages: tuple[str, ...]) -> None:
    """AWS's runtime interface emulator, another server of the Runtime API: a program inside a package."""
    here.run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", "sam", *packages)
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    shutil.copy(here.folder / f"sam/samcli/local/rapid/aws-lambda-rie-{machine}", here.folder / "aws-lambda-rie")
    (here.folder / "aws-lambda-rie").chmod(0o755)
    shutil.rmtree(here.folder / "sam")


# programs, and the packages of Debian and Ubuntu that have them
BUILD_TOOLS = {
    "g++": "g++",
    "cmake": "cmake",
    "autoreconf": "autoconf",
    "automake": "automake",
    "libtoolize": "libtool",
}
CLIENT_OF = {
    "node": Client(
        ("aws-lambda-ric@4.0.2", "@aws-sdk/client-eventbridge@3.1169.0"),
        install_node,
        {"node": "nodejs", "npm": "npm", **BUILD_TOOLS},
    ),
    "rust": Client(("lambda_runtime@1.5.0", "serde_json@1", "tokio@1"), install_rust, {"cargo": "cargo", "cc": "gcc"}),
    "go": Client(
        (
            "github.com/aws/aws-lambda-go@v1.55.1",
            "github.com/aws/aws-sdk-go-v2/config@v1.33.18",
            "github.com/aws/aws-sdk-go-v2/service/eventbridge@v1.55.11",
        ),
        install_go,
        {"go": "golang-go"},
    ),
    "java": Client(
        (
            "com.amazonaws:aws-lambda-java-runtime-interface-client:2.10.1",
            "software.amazon.awssdk:eventbridge:2.57.8",
            "software.amazon.awssdk:url-connection-client:2.57.8",
        ),
        install_java,
        {"mvn": "maven", "javac": "default-jdk-headless"},
    ),
    "emulator": Client(("aws-sam-cli==1.170.0",), install_emulator, {}),
}


def find_key(language: str) -> str:
    """A text that changes with whatever is installed for a language."""
    files = sorted(file for file in (FUNCTIONS / language).rglob("*") if file.is_file())
    parts = [" ".join(CLIENT_OF[language].packages).encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join([Path(__file__).read_bytes(), *parts])).hexdigest()


def install(language: str) -> str:
    """Installs the client of a language, unless that is done. What to tell if it failed; empty otherwise."""
    client, folder = CLIENT_OF[language], CLIENTS / language
    mark, key, started = folder / "installed", find_key(language), time.monotonic()
    if mark.exists() and mark.read_text() == key:
        return ""
    if missing := client.missing:
        line = f"apt install {' '.join(dict.fromkeys(missing.values()))}"
        return f"{language}: there is no {', '.join(missing)} on PATH; install it, on Debian and Ubuntu: {line}"
    print(f"{language}: installing {' '.join(client.packages)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = CLIENTS / f"{language}.log"
    log.write_text("")
    try:
        client.install(Installation(folder, log), client.packages)
    except subprocess.CalledProcessError as error:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"{language}: {error}", *lines, f"all of it: {log}"])
    mark.write_text(key)
    print(f"{language}: installed in {time.monotonic() - started:.0f} s", flush=True)
    return ""


def main(arguments: list[str]) -> int:
    """Installs the clients of these languages, or of all, at the same time. The exit code."""
    if arguments == ["--missing"]:
        print(*sorted({package for client in CLIENT_OF.values() for package in client.missing.values()}))
        return 0
    if unknown := [language for language in arguments if language not in CLIENT_OF]:
        print(f"there is no client for {', '.join(unknown)}; known are {', '.join(CLIENT_OF)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(len(CLIENT_OF)) as pool:
        failures = [*filter(None, pool.map(install, arguments or CLIENT_OF))]
    print("\n".join(failures), file=sys.stderr, end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
