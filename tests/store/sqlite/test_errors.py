"""Errors of the store's file: exit code 4, one line with the remedy, and no damage after the repair."""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from evtool.cli import error_handler
from evtool.cli.session import Session
from evtool.commands.events import events as list_events
from evtool.errors import StoreError
from evtool.store.sqlite import database
from evtool.store.sqlite.database import Database
from tests.conftest import ROOT, Evtool, Ran

pytestmark = pytest.mark.slow

EVENT = b'{"id": "%b", "source": "s", "detail-type": "t", "detail": {}}\n'
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24  # linux/capability.h, linux/prctl.h


def drop_permission_override() -> None:
    """Removes the capabilities with which root ignores permissions, so that the tests mean the same for all users."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(
    folder: Path,
    *words: str,
    before: Callable[[], None] = drop_permission_override,
    prefix: tuple[str, ...] = (),
    stdin: bytes = b"",
) -> Ran:
    """Runs evtool in a folder, in a process that calls `before` first."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "evtool", *words],
        cwd=folder,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=60,
        preexec_fn=before,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def publish(
    folder: Path,
    name: bytes,
    before: Callable[[], None] = drop_permission_override,
    store: str | Path = "kept/store.db",
) -> Ran:
    """Publishes an event with an id."""
    return run(folder, "publish", "-", "--store", str(store), stdin=EVENT % name, before=before)


def ids(folder: Path) -> list[str]:
    """Returns the ids of the events that evtool lists."""
    ran = run(folder, "events", "--store", "kept/store.db", "-o", "json")
    assert ran.code == 0, ran.err
    return [event["id"] for event in ran.json["events"]]


@pytest.fixture
def project(evtool: Evtool, tmp_path: Path) -> Path:
    """Creates a folder whose store has one event."""
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    assert evtool("publish", "-", "--store", "kept/store.db", stdin=EVENT % b"first").code == 0
    return tmp_path


def refused(ran: Ran, *said: str) -> None:
    """Asserts exit code 4, empty standard output, and one line on standard error with these parts."""
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1), ran.err
    assert all(part in ran.err for part in said), ran.err


@pytest.mark.parametrize(
    ("path", "mode", "said"),
    [
        ("kept/store.db", 0o400, "the file is read-only for you"),
        ("kept/store.db", 0o000, "the file is read-only for you, or closed"),
        ("kept", 0o500, "kept is read-only for you"),
        ("kept", 0o000, "read-only for you"),
    ],
)
def test_a_file_or_folder_without_permission_is_reported(project: Path, path: str, mode: int, said: str) -> None:
    """The message names chmod. With the permission the next command works, and nothing is lost."""
    usual = (project / path).stat().st_mode
    (project / path).chmod(mode)
    try:
        refused(publish(project, b"second"), said, "chmod", "--store")
    finally:
        (project / path).chmod(usual)

    assert publish(project, b"second").code == 0
    assert ids(project) == ["first", "second"]


def mounting(folder: Path, script: str) -> tuple[str, ...]:
    """Returns the start of a command line that mounts file systems first. Skips the test if mounting is not allowed."""
    prefix = ("unshare", "-rm", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*prefix, "mount -t tmpfs t kept"], cwd=folder).returncode:
        pytest.skip("no file system can be mounted here")
    return (*prefix, script, "sh")


def test_a_read_only_file_system_is_reported(project: Path) -> None:
    """Readers and writers report the remedy."""
    script = 'mount --bind kept kept && mount -o remount,ro,bind kept && exec "$0" "$@"'
    mounting = ("unshare", "-rm", "sh", "-c", script)
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounting, "true"], cwd=project, capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")
    for words in (["publish", "-"], ["events"], ["doctor"]):
        ran = run(
            project, *words, "--store", "kept/store.db", prefix=mounting, stdin=EVENT % b"second", before=os.getpid
        )
        refused(ran, "its file system is read-only; mount it for writing")

    assert ids(project) == ["first"]


def limit_file_size() -> None:
    """Limits all files to 4,096 bytes, which has the effect of a full disk without root."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_limit_on_file_size_is_reported(project: Path) -> None:
    """SQLite reports it as a disk error, so the message names the limit. No stored event is lost."""
    refused(
        publish(project, b"second", before=limit_file_size),
        "no file may grow beyond 4,096 bytes here (ulimit -f)",
        "are safe",
    )

    assert publish(project, b"second").code == 0
    assert ids(project) == ["first", "second"]


def test_a_full_disk_is_reported(project: Path) -> None:
    """When there is space again, the same command succeeds."""
    script = (
        "mount -t tmpfs -o size=8m t kept && cp copy.db kept/store.db && cat /dev/zero 2>&- > kept/filler;"
        ' "$@"; echo $? >&2; rm kept/filler; "$@" >&2'
    )
    shutil.copy(project / "kept/store.db", project / "copy.db")
    arguments = ["publish", "many.jsonl", "--store", "kept/store.db", "-q", "-o", "jsonl"]
    (project / "many.jsonl").write_bytes(b"".join(EVENT % b"%d" % number for number in range(200)))
    mounting = ("unshare", "-rm", "sh", "-c", script, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounting, "true"], cwd=project, capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")
    ran = run(project, *arguments, prefix=mounting, before=os.getpid)

    first, code, *again = ran.err.splitlines()
    assert "the disk is full; make room" in first or "disk reports an error" in first, ran.err
    assert code == "4"
    assert [json.loads(line).get("id") for line in again] == [*map(str, range(200)), None]


def test_a_full_disk_of_a_backup_names_the_copy(project: Path) -> None:
    """No partial copy is left."""
    (project / "copies").mkdir()
    script = 'mount -t tmpfs -o size=16k t copies && "$@"; echo $? >&2; ls -A copies >&2'
    mounting = ("unshare", "-rm", "sh", "-c", script, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounting, "true"], cwd=project, capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")
    ran = run(project, "backup", "copies/copy.db", "--store", "kept/store.db", "-q", prefix=mounting, before=os.getpid)

    told, *rest = ran.err.splitlines()
    assert told.startswith("evtool: copies/copy.db: the disk is full; make room"), ran.err
    assert rest == ["4"]


def damage(file: Path, at: int, what: bytes) -> None:
    """Overwrites a part of a file."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(what)


def truncate(file: Path) -> None:
    """Cuts a file in the middle."""
    os.truncate(file, file.stat().st_size // 2 + 100)


def foreign(file: Path) -> None:
    """Replaces the store by the database of another program."""
    file.unlink()
    connection = apsw.Connection(str(file))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def folder_instead(file: Path) -> None:
    """Replaces the store by a folder."""
    file.unlink()
    file.mkdir()


def file_above(file: Path) -> None:
    """Replaces the folder of the store by a file."""
    shutil.rmtree(file.parent)
    file.parent.write_text("not a folder")


def dangling(file: Path) -> None:
    """Replaces the store by a symbolic link to a file that does not exist."""
    file.unlink()
    file.symlink_to("gone.db")


def pipe_instead(file: Path) -> None:
    """Replaces the store by a named pipe. Opening a pipe would wait for another process."""
    file.unlink()
    os.mkfifo(file)


def device_instead(file: Path) -> None:
    """Replaces the store by a link to a device."""
    file.unlink()
    file.symlink_to(os.devnull)


def labelled(file: Path) -> None:
    """Replaces the store by an empty database with the application id of another program."""
    file.unlink()
    connection = apsw.Connection(str(file))
    connection.pragma("application_id", 42)
    connection.close()


def second_name(file: Path) -> None:
    """Gives the file a second name."""
    os.link(file, file.with_name("other.db"))


def cut_off(file: Path) -> None:
    """Empties the store and keeps its WAL."""
    file.write_bytes(b"")
    file.with_name("store.db-wal").write_bytes(b"what was committed last")


def lost(file: Path) -> None:
    """Deletes the store and keeps its WAL."""
    file.unlink()
    file.with_name("store.db-wal").write_bytes(b"what was committed last")


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (lambda file: damage(file, 0, b"garbage!" * 4), "its beginning is damaged"),
    (lambda file: damage(file, 4096, b"\xff" * (file.stat().st_size - 4096)), "the store is damaged"),
    (truncate, "the store is damaged"),
    (foreign, "this is not a store of evtool; name another file"),
    (folder_instead, "this is a folder; --store names a file"),
    (file_above, "kept is a file, not a folder; name another place"),
    (dangling, "this is a symbolic link to gone.db, which does not exist"),
    (pipe_instead, "this is a pipe, a socket or a device, not a file"),
    (device_instead, "this is a pipe, a socket or a device, not a file"),
    (labelled, "this is not a store of evtool; name another file"),
    (second_name, "this file has 2 names (hard links)"),
    (cut_off, "the file is empty"),
    (lost, "the file is missing, but its store.db-wal exists"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_every_command_refuses_a_foreign_or_damaged_store(
    evtool: Evtool, project: Path, fault: Callable[[Path], None], said: str
) -> None:
    """The file does not change. A restored copy works."""
    file = project / "kept/store.db"
    good = file.read_bytes()
    fault(file)
    before = file.read_bytes() if file.is_file() else None
    for command in (
        ["publish", "-"],
        ["events"],
        ["dlq", "list"],
        ["deliver"],
        ["explain", "x"],
        ["doctor"],
        ["backup", "b"],
    ):
        if command[0] in ("doctor", "backup") and "the store is damaged" in said:
            continue  # They check a store that can be opened.
        refused(evtool(*command, "--store", "kept/store.db", stdin=EVENT % b"second"), said)
    assert (file.read_bytes() if file.is_file() else None) == before
    if said == "the store is damaged":  # doctor can open it.
        assert run(project, "doctor", "--store", "kept/store.db").code in (1, 4)

    if file.parent.is_file():
        file.parent.unlink()
    shutil.rmtree(file.parent, ignore_errors=True)
    file.parent.mkdir()
    file.write_bytes(good)
    assert publish(project, b"second").code == 0
    assert ids(project) == ["first", "second"]


def test_a_locked_store_is_reported_after_the_timeout(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the time and names another process. Without the lock the next command succeeds."""
    file = project / "kept/store.db"
    holder = apsw.Connection(str(file))
    holder.execute("BEGIN EXCLUSIVE")
    with Database(file, busy_timeout=0.05) as waiting:
        assert waiting.execute("SELECT id FROM event") == [("first",)]  # reading needs no lock
        with (
            pytest.raises(StoreError, match=r"has kept the store locked for 0\.05 s; try again"),
            waiting.transaction(),
        ):
            pass
    holder.execute("ROLLBACK")
    holder.pragma("journal_mode", "delete")  # in which a writer keeps readers out, too
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked for 0 s"):
        Database(file, busy_timeout=0.0)
    defaults = {"writing": True, "busy_timeout": 0.05, "durable": True}
    monkeypatch.setattr(database.Database.__init__, "__kwdefaults__", defaults)

    assert error_handler.run_command(lambda: list_events(Session(store=str(file)))) == 4
    assert "another process has kept the store locked for 0.05 s" in capsys.readouterr().err
    holder.execute("ROLLBACK")
    holder.close()
    assert publish(project, b"second").code == 0


def test_a_conflict_shows_both_hashes_and_overwrites_nothing(evtool: Evtool, project: Path) -> None:
    """The same source and id with other content is EV010."""
    other = EVENT.replace(b"{}", b'{"other": 1}') % b"first"
    told = run(project, "events", "first", "--store", "kept/store.db", "-o", "json").json
    ran = evtool("publish", "-", "--store", "kept/store.db", "-o", "json", stdin=other)

    [finding] = ran.json["findings"]
    assert (ran.code, finding["code"]) == (1, "EV010")
    assert told["sha256"][:16] in finding["message"]
    assert finding["message"].count("…") == 2
    assert run(project, "events", "first", "--store", "kept/store.db", "-o", "json").json == told


def test_the_same_event_in_other_bytes_is_not_given_a_new_id(evtool: Evtool, project: Path) -> None:
    """Other white space or another order is still the same event: with a new id it would fire twice."""
    other = b'{"detail": {}, "source":"s", "detail-type": "t",   "id": "first"}'
    ran = evtool("publish", "-", "--store", "kept/store.db", "-o", "json", stdin=other)

    [finding] = ran.json["findings"]
    assert (ran.code, finding["code"], finding["suggestion"]) == (1, "EV010", "nothing was overwritten")
    assert "this event is stored in other bytes, with the same meaning" in finding["message"]


def test_a_watch_ends_when_its_store_is_removed(project: Path) -> None:
    """Otherwise it would run with a file that no other process can open."""
    watch = subprocess.Popen(
        [sys.executable, "-m", "evtool", "deliver", "--watch", "--store", "kept/store.db", "-o", "jsonl=told.jsonl"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (project / "kept/store.db-wal").exists():
            assert watch.poll() is None
        shutil.rmtree(project / "kept")
        assert "removed or replaced while it was in use" in watch.communicate(timeout=30)[1]
        assert watch.returncode == 4
    finally:
        watch.kill()


def test_a_wal_without_its_store_is_refused(project: Path) -> None:
    """The WAL may contain the last commits. A new store would destroy it."""
    file = project / "kept/store.db"
    with Database(file) as used:
        with used.transaction():
            used.execute("UPDATE event SET stored_at = stored_at + 1")
        file.rename(file.with_name("elsewhere.db"))
        refused(publish(project, b"second"), "the file is missing, but its store.db-wal exists")
        file.with_name("elsewhere.db").rename(file)
    assert publish(project, b"second").code == 0
    assert ids(project) == ["first", "second"]


def test_a_second_hard_link_of_a_store_is_refused(project: Path) -> None:
    """A symbolic link works."""
    file, other, link = (project / "kept" / name for name in ("store.db", "other.db", "link.db"))
    with Database(file) as used:
        with used.transaction():
            used.execute("UPDATE event SET stored_at = stored_at + 1")
        link.symlink_to(file)
        assert publish(project, b"second", store=link).code == 0
        os.link(file, other)
        refused(publish(project, b"third", store=other), "2 names (hard links)", "remove the others")
        other.unlink()
    assert publish(project, b"third").code == 0
    assert ids(project) == ["first", "second", "third"]


def test_an_empty_wal_without_its_store_is_ignored(project: Path) -> None:
    """A reader leaves an empty WAL, and it contains no commits."""
    assert run(project, "doctor", "--store", "kept/store.db").code == 0
    assert (project / "kept/store.db-wal").stat().st_size == 0
    (project / "kept/store.db").unlink()
    assert run(project, "events", "--store", "kept/store.db").code == 2
    assert publish(project, b"anew").code == 0
    assert ids(project) == ["anew"]


def test_an_empty_file_becomes_a_store_only_when_an_event_is_published(project: Path) -> None:
    """All other commands refuse it and do not change it."""
    file = project / "kept/store.db"
    file.write_bytes(b"")
    for words in (
        ["events"],
        ["dlq", "list"],
        ["dlq", "purge", "--all"],
        ["doctor"],
        ["backup", "copy.db"],
        ["replay"],
    ):
        refused(run(project, *words, "--store", "kept/store.db"), "the file is empty", "restore a backup")
        assert file.stat().st_size == 0
    assert publish(project, b"first").code == 0
    assert ids(project) == ["first"]


def test_file_names_may_have_any_bytes(tmp_path: Path) -> None:
    """Names of the folder, the store and the copy that are not UTF-8 or have special characters of URIs."""
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/a \xff?b=c#d%41"))
    folder.mkdir()
    (folder / "routes.yaml").write_text("version: 1\nstore: sto%20re.db\n")
    for words in (["publish", "-"], ["backup", os.fsdecode(b"co\xffpy.db")], ["doctor"], ["events"]):
        assert run(folder, *words, stdin=EVENT % b"first").code == 0
    told = run(folder, "events", "--store", os.fsdecode(b"co\xffpy.db"), "-o", "json")
    assert [event["id"] for event in told.json["events"]] == ["first"]
    assert {"sto%20re.db", "routes.yaml", os.fsdecode(b"co\xffpy.db")} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["/", ".", "..", "kept", "kept/store.db/x"])
def test_a_path_that_cannot_be_a_store_is_refused(project: Path, name: str) -> None:
    """The error is one line that names the path."""
    for words in (["publish", "-"], ["events"], ["doctor"]):
        ran = run(project, *words, "--store", name, stdin=EVENT % b"second")
        refused(ran, name.strip("."))


def test_a_store_path_with_a_nul_is_refused(project: Path) -> None:
    """YAML can express NUL, file names cannot."""
    (project / "routes.yaml").write_text('version: 1\nstore: "a\\0b"\n')
    for words in (["publish", "-"], ["events"], ["explain", "x"]):
        refused(run(project, *words, stdin=EVENT % b"second"), "this is not a valid file name")
