"""Installs AWS's clients of the Lambda Runtime API into .clients, for the tests of functions in other languages.

Python's client is among the packages for development. Run: python tools/lambda_clients.py [LANGUAGE ...]
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / ".clients"
FUNCTIONS = ROOT / "tests/handlers/lambda_functions"
NODE = ("aws-lambda-ric@4.0.2", "@aws-sdk/client-eventbridge@3.1169.0")
GO = "github.com/aws/aws-lambda-go/lambda@v1.55.1"
EMULATOR = "aws-sam-cli==1.170.0"
RUST = ("lambda_runtime@1.5.0", "serde_json@1", "tokio@1")
JAVA = "com.amazonaws:aws-lambda-java-runtime-interface-client:2.10.1"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>function</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
  </dependency></dependencies>
</project>
"""


def run(folder: Path, *command: str) -> None:
    print("$", *command, flush=True)  # noqa: T201
    subprocess.run(command, cwd=folder, check=True)


def install_node(folder: Path) -> None:
    """Compiles C++ for minutes; needs cmake, g++, make, autoconf, automake, libtool and the headers of Node.js."""
    (folder / "package.json").write_text('{"name": "function", "version": "1.0.0", "private": true}\n')
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--foreground-scripts", *NODE)


def install_go(folder: Path) -> None:
    shutil.copytree(FUNCTIONS / "go", folder, dirs_exist_ok=True)
    if not (folder / "go.mod").exists():
        run(folder, "go", "mod", "init", "function")
    run(folder, "go", "get", GO)
    run(folder, "go", "build", "-o", "bootstrap", ".")


def install_rust(folder: Path) -> None:
    """Compiles for minutes."""
    if not (folder / "Cargo.toml").exists():
        run(folder, "cargo", "init", "--bin", "--name", "bootstrap", "--vcs", "none")
    run(folder, "cargo", "add", "-q", *RUST)
    shutil.copy(FUNCTIONS / "rust/main.rs", folder / "src/main.rs")
    run(folder, "cargo", "build", "-q", "--release")
    shutil.copy(folder / "target/release/bootstrap", folder / "bootstrap")


def install_java(folder: Path) -> None:
    (folder / "pom.xml").write_text(POM.format(*JAVA.split(":")))
    run(folder, "mvn", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib")
    run(folder, "javac", "-d", str(folder), str(FUNCTIONS / "java/Order.java"))


def install_emulator(folder: Path) -> None:
    """AWS's runtime interface emulator, another server of the Runtime API: a program inside a package."""
    run(folder, sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "sam"), EMULATOR)
    shutil.copy(folder / "sam/samcli/local/rapid/aws-lambda-rie-x86_64", folder / "aws-lambda-rie")
    (folder / "aws-lambda-rie").chmod(0o755)
    shutil.rmtree(folder / "sam")


INSTALLERS = {
    "node": install_node,
    "go": install_go,
    "rust": install_rust,
    "java": install_java,
    "emulator": install_emulator,
}

if __name__ == "__main__":
    for language in sys.argv[1:] or INSTALLERS:
        folder = CLIENTS / language
        folder.mkdir(parents=True, exist_ok=True)
        INSTALLERS[language](folder)
