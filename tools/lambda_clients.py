"""Installs AWS's clients of the Lambda Runtime API into .clients, for the tests of functions in other languages.

Python's client is among the packages for development. Run: python tools/lambda_clients.py [LANGUAGE ...]
`--missing` prints the missing packages of Debian and Ubuntu that the clients need.

A complete folder of `.clients` contains a file `installed`, so a second run does nothing while the sources are the
same. The tool keeps compiled code, which takes a minute, in ~/.cache/evtool-clients. The package managers have caches.
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
# Lines of the log that a failed installation shows.
LOG_LINES = 20
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "evtool-clients")

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>function</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
# The SDK's other HTTP clients are large, and the tests do not use them.
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
    """The folder of a client, and the log of its installation."""

    folder: Path
    log: Path

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> None:
        """Runs a command; raises CalledProcessError, or FileNotFoundError if there is no such program."""
        with self.log.open("a") as log:
            print("$", *command, file=log, flush=True)
            environment = os.environ | variables
            subprocess.run(
                command, cwd=cwd or self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True
            )


class Client(NamedTuple):
    """A client: its packages with versions, the function that installs it, and the programs that this needs.

    `programs` maps each program to its package in Debian and Ubuntu.
    """

    packages: tuple[str, ...]
    install: Callable[[Installation, tuple[str, ...]], None]
    programs: Mapping[str, str]

    @property
    def missing(self) -> dict[str, str]:
        """The programs that are not on PATH, with their packages."""
        return {program: package for program, package in self.programs.items() if not shutil.which(program)}


def install_node(here: Installation, packages: tuple[str, ...]) -> None:
    """Installs the Node.js client. It compiles C++ for a minute, so the result is cached for each version."""
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
            variables = {"MAKEFLAGS": f"-j{os.cpu_count()}"}
            # With the headers of the installed Node.js npm does not download them.
            if (prefix / "include/node/node.h").exists():
                variables["npm_config_nodedir"] = str(prefix)
            options = ["--no-audit", "--no-fund", "--foreground-scripts"]
            here.run("npm", "install", *options, *packages, cwd=folder, **variables)
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
    """Compiles the Rust client, without optimization, which takes a minute."""
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
    """Installs AWS's runtime interface emulator, another server of the Runtime API. A Python package contains it."""
    here.run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", "sam", *packages)
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    shutil.copy(here.folder / f"sam/samcli/local/rapid/aws-lambda-rie-{machine}", here.folder / "aws-lambda-rie")
    (here.folder / "aws-lambda-rie").chmod(0o755)
    shutil.rmtree(here.folder / "sam")


# The programs that build native code, with their packages in Debian and Ubuntu.
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
        {"node": "nodejs", "npm": "npm"} | BUILD_TOOLS,
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
    """Returns a hash of everything that determines the installation of a language's client."""
    parts = [Path(__file__).read_bytes(), " ".join(CLIENT_OF[language].packages).encode()]
    for file in sorted((FUNCTIONS / language).rglob("*")):
        if file.is_file():
            parts.append(file.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def install(language: str) -> str:
    """Installs the client of a language, unless it is installed. Returns a message if this fails, else ""."""
    client = CLIENT_OF[language]
    folder = CLIENTS / language
    mark = folder / "installed"
    key = find_key(language)
    started = time.monotonic()
    if mark.exists() and mark.read_text() == key:
        return ""
    missing = client.missing
    if missing:
        line = f"apt install {' '.join(dict.fromkeys(missing.values()))}"
        return f"{language}: not on PATH: {', '.join(missing)}; on Debian and Ubuntu run: {line}"
    print(f"{language}: installing {' '.join(client.packages)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = CLIENTS / f"{language}.log"
    log.write_text("")
    try:
        client.install(Installation(folder, log), client.packages)
    except subprocess.CalledProcessError as error:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"{language}: {error}"] + lines + [f"the whole log: {log}"])
    mark.write_text(key)
    print(f"{language}: installed in {time.monotonic() - started:.0f} s", flush=True)
    return ""


def main(arguments: list[str]) -> int:
    """Installs the clients of these languages, or of all, at the same time. Returns the exit code."""
    if arguments == ["--missing"]:
        missing: set[str] = set()
        for client in CLIENT_OF.values():
            missing.update(client.missing.values())
        print(*sorted(missing))
        return 0
    unknown = [language for language in arguments if language not in CLIENT_OF]
    if unknown:
        print(f"no client for {', '.join(unknown)}; the clients are: {', '.join(CLIENT_OF)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(len(CLIENT_OF)) as pool:
        failures = list(filter(None, pool.map(install, arguments or CLIENT_OF)))
    if not failures:
        return 0
    print("\n".join(failures), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
