"""`evtool init`: it creates a working project, and overwrites nothing."""

import json
import os
from pathlib import Path

import pytest
import yaml

from evtool.commands.registry import COMMANDS
from tests.conftest import Evtool

FILES = {
    "routes.yaml",
    "handlers/orders.py",
    "samples/order-created.json",
    "scenarios/orders.yaml",
    "schemas/order.confirmed.json",
    "schemas/order.created.json",
    ".github/workflows/events.yml",
    ".pre-commit-config.yaml",
    ".evtool/.gitignore",
}
TEMPLATE = """Resources:
  OrderRule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [shop.orders]}
      Targets: [{Id: mail, Arn: "arn:aws:sqs:eu-central-1:123456789012:mail"}]
"""


def list_files(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_init_creates_a_working_project(evtool: Evtool, tmp_path: Path) -> None:
    """Its sample is valid, and publishing it calls both handlers."""
    ran = evtool("init", "my-shop")
    folder = tmp_path / "my-shop"

    assert (ran.code, ran.err) == (0, "")
    assert list_files(folder) == FILES
    assert ran.out.endswith("next: cd my-shop && evtool validate && evtool check && evtool test\n")
    assert evtool("validate", cwd=folder).out == "checked 1 event in 1 file: all valid\n"
    summary = evtool("publish", "order-created", "-o", "json", cwd=folder).json["summary"]
    assert (summary["events"], summary["done"], summary["dead"]) == (2, 2, 0)
    assert json.loads((folder / "samples/order-created.json").read_text())["source"] == "my-shop.orders"
    assert list_files(folder / ".evtool") >= {".gitignore", "store.db"}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["check", "--strict"], ["test", "--coverage", "--fail-under", "100"]])
def test_check_and_test_pass_in_a_new_project(evtool: Evtool, tmp_path: Path, arguments: list[str]) -> None:
    """Without a warning; the scenarios cover all routes."""
    if arguments[0] not in COMMANDS:
        pytest.skip(f"there is no command {arguments[0]}")
    evtool("init")
    ran = evtool(*arguments)

    assert (ran.code, ran.err) == (0, "")


def test_the_next_commands_can_be_pasted(evtool: Evtool, tmp_path: Path) -> None:
    """A folder with a space or a quote is quoted for the shell."""
    assert "next: cd 'my shop' && evtool validate" in evtool("init", "my shop").out


def test_init_with_quiet_prints_nothing(evtool: Evtool, tmp_path: Path) -> None:
    """-q prints only problems."""
    assert evtool("init", "-q").out == ""


def test_json_lists_the_written_files(evtool: Evtool, tmp_path: Path) -> None:
    """A script learns what was written."""
    document = evtool("init", "-o", "json").json

    assert {entry["file"] for entry in document["files"]} == FILES
    assert document["summary"] == {"files": len(FILES)}


@pytest.mark.parametrize("file", sorted(FILES))
def test_init_overwrites_nothing(evtool: Evtool, tmp_path: Path, file: str) -> None:
    """If one file exists, nothing is written, also if it is a link that leads nowhere."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).symlink_to("nowhere")
    ran = evtool("init")

    assert (ran.code, ran.out) == (2, "")
    assert f"there is already {file};" in ran.err
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == [tmp_path / file]


def test_a_second_init_lists_the_existing_files(evtool: Evtool, tmp_path: Path) -> None:
    """A project is never written again."""
    evtool("init", "shop")
    before = {file: (tmp_path / "shop" / file).read_bytes() for file in FILES}
    ran = evtool("init", "shop")

    assert ran.code == 2
    assert all(f"shop/{file}" in ran.err for file in FILES)
    assert before == {file: (tmp_path / "shop" / file).read_bytes() for file in FILES}


@pytest.mark.parametrize("name", ["Große Bestellung", 'a"""b\\', "--", "${x} $y", "a\nb: c", "-dash", "日本"])
def test_any_folder_name_gives_a_valid_project(evtool: Evtool, tmp_path: Path, name: str) -> None:
    """The name becomes a source and parts of comments."""
    folder = tmp_path / name
    folder.mkdir()
    assert evtool("init", cwd=folder).code == 0
    assert evtool("validate", cwd=folder).code == 0
    assert evtool("publish", "order-created", "-o", "json", cwd=folder).json["summary"]["done"] == 2
    workflow = yaml.safe_load((folder / ".github/workflows/events.yml").read_text())
    assert workflow["jobs"]["events"]["steps"][-1]["run"].endswith('"markdown=$GITHUB_STEP_SUMMARY"')


def test_init_starts_with_the_rules_of_a_template(evtool: Evtool, tmp_path: Path) -> None:
    """routes.yaml names the template, relative to the new folder; the workflow checks it."""
    (tmp_path / "my template.yaml").write_text(TEMPLATE)
    ran = evtool("init", "project", "--routes", "my template.yaml")

    assert (ran.code, ran.err) == (0, "")
    assert yaml.safe_load((tmp_path / "project/routes.yaml").read_text()) == {
        "version": 1,
        "rules": ["../my template.yaml"],
    }
    assert ran.out.endswith("next: cd project && evtool check\n")
    assert "evtool test" not in (tmp_path / "project/.github/workflows/events.yml").read_text()


def test_a_template_that_does_not_exist_writes_nothing(evtool: Evtool, tmp_path: Path) -> None:
    """The error names it."""
    ran = evtool("init", "project", "--routes", "nowhere.yaml")

    assert (ran.code, ran.out) == (2, "")
    assert "there is no file nowhere.yaml" in ran.err
    assert not (tmp_path / "project").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(evtool: Evtool, tmp_path: Path) -> None:
    """The message names the file and the reason."""
    (tmp_path / "closed").mkdir(mode=0o500)
    ran = evtool("init", "closed/project")

    assert ran.code == 2
    assert "cannot write closed/project/routes.yaml" in ran.err


def test_a_file_in_the_place_of_the_folder_is_an_error(evtool: Evtool, tmp_path: Path) -> None:
    """Exit code 2 without a traceback."""
    (tmp_path / "project").write_text("")
    ran = evtool("init", "project")

    assert (ran.code, ran.out) == (2, "")
    assert "cannot write project/" in ran.err
