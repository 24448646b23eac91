"""The project of a store: events of one project are not delivered by the routes of another one."""

import subprocess
from pathlib import Path

import apsw
import pytest

from tests.conftest import Evtool

ROUTES = """
version: 1
handlers:
  told: {command: [sh, -c, "cat >> called.txt"]}
routes:
  all: {pattern: {source: [s]}, to: [told]}
"""
EVENT = b'{"id": "%b", "source": "s", "detail-type": "t", "detail": {}}'


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """The folder of a project."""
    return project(tmp_path / "one")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The folder of another project, with the same names."""
    return project(tmp_path / "two")


def project(folder: Path) -> Path:
    """Makes a project."""
    folder.mkdir()
    (folder / "routes.yaml").write_text(ROUTES)
    return folder


def publish(evtool: Evtool, folder: Path, name: bytes, *words: str | Path) -> int:
    """Publishes an event without delivering it."""
    return evtool("publish", "-", "--no-deliver", *words, stdin=EVENT % name, cwd=folder).code


# --- whose store it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["publish", "-"], ["publish", "-", "--no-deliver"], ["deliver"], ["replay", "--deliver"]]
)
@pytest.mark.parametrize("by", ["--store", "EVTOOL_STORE"])
def test_a_store_of_another_project_is_refused(evtool: Evtool, one: Path, two: Path, words: list[str], by: str) -> None:
    """Exit code 2 with both projects and what to do, before anything is stored or delivered."""
    store = one / ".evtool/store.db"
    assert publish(evtool, one, b"first") == 0
    more, env = (["--store", store], {}) if by == "--store" else ([], {by: str(store)})
    ran = evtool(*words, *more, stdin=EVENT % b"second", cwd=two, env=env)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    step = "leave out --store" if by == "--store" else "unset EVTOOL_STORE"
    assert f"this store was made for {one}/routes.yaml; {two}/routes.yaml would deliver its events" in ran.err
    assert f"{step} or name another store. To take the store over, write `store: {store}` into routes.yaml" in ran.err
    assert not (two / "called.txt").exists()
    assert [event["id"] for event in evtool("events", "-o", "json", cwd=one).json["events"]] == ["first"]


def test_commands_that_deliver_nothing_accept_the_store_of_another_project(
    evtool: Evtool, one: Path, two: Path
) -> None:
    """Commands that deliver nothing work with the store of any project."""
    publish(evtool, one, b"first")
    for words in (["events"], ["dlq", "list"], ["replay"], ["explain", "first"], ["doctor"], ["backup", "copy.db"]):
        assert evtool(*words, "--store", one / ".evtool/store.db", cwd=two).code == 0


def test_the_key_store_of_routes_yaml_takes_over_a_store(evtool: Evtool, one: Path, two: Path) -> None:
    """Afterwards the first project is refused."""
    store = one / "shared.db"
    publish(evtool, one, b"first", "--store", store)
    (two / "routes.yaml").write_text(f"{ROUTES}store: {store}\n")
    assert evtool("deliver", cwd=two).code == 0
    assert (two / "called.txt").exists()
    assert f"made for {two}/routes.yaml" in evtool("deliver", "--store", store, cwd=one).err


def test_a_project_can_be_moved_or_copied_with_its_store(evtool: Evtool, one: Path, tmp_path: Path) -> None:
    """Also if --store names it, the first project still exists, or a symbolic link leads to it."""
    publish(evtool, one, b"first")
    subprocess.run(["cp", "-r", one, tmp_path / "copy"], check=True)
    (tmp_path / "link").symlink_to(one)
    for folder in (tmp_path / "copy", tmp_path / "link", one.rename(tmp_path / "moved")):
        for words in ([], ["--store", folder / ".evtool/store.db"]):
            if folder.exists():
                ran = evtool("deliver", *words, cwd=folder)
                assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "copy/called.txt").exists()


def test_a_store_of_a_project_that_does_not_exist_is_taken_over(evtool: Evtool, one: Path, tmp_path: Path) -> None:
    """A note says so once."""
    store = tmp_path / "store.db"
    publish(evtool, one, b"first", "--store", store)
    moved = one.rename(tmp_path / "moved")
    ran = evtool("deliver", "--store", store, cwd=moved)
    assert (ran.code, ran.err) == (
        0,
        f"the store was made for {one}/routes.yaml, which does not exist; it now belongs to {moved}/routes.yaml\n",
    )
    assert evtool("deliver", "--store", store, cwd=moved).err == ""


def test_other_routes_of_the_same_folder_share_a_store(evtool: Evtool, one: Path) -> None:
    """A project is a folder."""
    publish(evtool, one, b"first")
    (one / "other.yaml").write_text(ROUTES)
    assert evtool("deliver", "--routes", "other.yaml", "--store", ".evtool/store.db", cwd=one).code == 0


def test_a_store_without_a_project_accepts_every_project(evtool: Evtool, one: Path, two: Path, tmp_path: Path) -> None:
    """Stores of earlier versions record no project."""
    store = tmp_path / "store.db"
    publish(evtool, one, b"first", "--store", store)
    connection = apsw.Connection(str(store))
    connection.execute("DROP TABLE project; ALTER TABLE event DROP COLUMN bus; PRAGMA user_version = 1")
    connection.close()
    for folder in (one, two, one):
        ran = evtool("deliver", "--store", store, cwd=folder)
        assert (ran.code, ran.err) == (0, "")
    assert evtool("doctor", "--store", store).code == 0


# --- its folder ------------------------------------------------------------------------------------------------------


def test_the_default_folder_of_the_store_has_a_gitignore(evtool: Evtool, one: Path) -> None:
    """If evtool creates the folder."""
    publish(evtool, one, b"first")
    assert (one / ".evtool/.gitignore").read_text().splitlines()[-1] == "*"
    if subprocess.run(["git", "init", "-q"], cwd=one, capture_output=True).returncode == 0:
        shown = subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=one, capture_output=True, text=True)
        assert ".evtool" not in shown.stdout


def test_other_folders_get_no_gitignore(evtool: Evtool, one: Path, two: Path) -> None:
    """Neither an existing folder nor one with another name."""
    (one / ".evtool").mkdir()
    publish(evtool, one, b"first")
    publish(evtool, two, b"first", "--store", "data/deep/store.db")
    assert list(one.rglob(".gitignore")) == list(two.rglob(".gitignore")) == []
