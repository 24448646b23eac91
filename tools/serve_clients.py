"""Installs real clients of `evtool serve` into .clients, for its tests: the AWS CLI, and SDKs for JavaScript and Go.

boto3 and the CloudEvents SDK for Python are among the packages for development. Run: python tools/serve_clients.py
[CLIENT ...]
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / ".clients"
SOURCES = ROOT / "tests/server/clients"
AWS_CLI = "awscli==1.46.3"
NODE = ("@aws-sdk/client-eventbridge@3.1169.0", "cloudevents@10.0.0")
GO = (
    "github.com/aws/aws-sdk-go-v2/config@v1.33.18",
    "github.com/aws/aws-sdk-go-v2/service/eventbridge@v1.55.11",
    "github.com/cloudevents/sdk-go/v2@v2.16.2",
)


def run(folder: Path, *command: str | Path) -> None:
    """Runs a command and shows it. Raises CalledProcessError."""
    print("$", *command, flush=True)
    subprocess.run(command, cwd=folder, check=True)


def install_aws_cli(folder: Path) -> None:
    """Installs the AWS CLI into a new environment, since it needs another botocore than boto3."""
    run(folder, sys.executable, "-m", "venv", folder / "venv")
    run(folder, folder / "venv/bin/python", "-m", "pip", "install", "-q", AWS_CLI)


def install_javascript(folder: Path) -> None:
    """Installs the packages. The tests put their script next to them, where Node looks for packages."""
    (folder / "package.json").write_text('{"name": "client", "version": "1.0.0", "private": true}\n')
    run(folder, "npm", "install", "--no-audit", "--no-fund", *NODE)


def install_go(folder: Path) -> None:
    """Compiles the client."""
    shutil.copy(SOURCES / "client.go", folder / "main.go")
    if not (folder / "go.mod").exists():
        run(folder, "go", "mod", "init", "client")
    run(folder, "go", "get", *GO)
    run(folder, "go", "build", "-o", "client", ".")


INSTALLERS = {"aws-cli": install_aws_cli, "javascript": install_javascript, "go-sdk": install_go}

if __name__ == "__main__":
    for name in sys.argv[1:] or INSTALLERS:
        target = CLIENTS / name
        target.mkdir(parents=True, exist_ok=True)
        INSTALLERS[name](target)
