"""The write-ahead log: laid out before it is written, without harm to what others write into it."""

import shutil
from pathlib import Path

import pytest

from evtool.store.sqlite import wal
from evtool.store.sqlite.wal import preallocate
from evtool.store.store import Store
from tests.store.test_store import event


def size(file: Path) -> int:
    """Bytes of the WAL of a store."""
    return file.with_name(f"{file.name}-wal").stat().st_size


def test_commits_write_where_the_file_is_already(tmp_path: Path) -> None:
    """From the second one on, small commits do not make the WAL longer; a copy of it is read to its last commit."""
    with Store(tmp_path / "store.db") as store:
        made = store.file.stat().st_size
        store.insert(event(0), [], now=0)
        laid_out = size(store.file)
        assert wal.PREALLOCATED_BYTES < laid_out < 1 << 20
        for number in range(1, 10):
            store.insert(event(number), [], now=0)
        assert (size(store.file), store.file.stat().st_size) == (laid_out, made)
        for end in ("", "-wal"):
            shutil.copy(f"{store.file}{end}", f"{tmp_path}/copy.db{end}")

    with Store(tmp_path / "copy.db") as copy:
        assert [found.id for found in copy.read_events()] == list(map(str, range(10)))


def test_there_is_always_room_for_the_next_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there were: before the room is used up, more is laid out."""
    monkeypatch.setattr(wal, "PREALLOCATED_BYTES", 1 << 16)
    with Store(tmp_path / "store.db") as store:
        for number in range(60):
            store.insert(event(number), [], now=0)
            assert store.file.with_name("store.db-wal").read_bytes().endswith(bytes(4 * 4096))


def test_nothing_is_laid_out_for_large_commits(tmp_path: Path) -> None:
    """They are few, and what they write is most of what they cost: the log ends with what was committed last."""
    Store(tmp_path / "store.db").close()
    with Store(tmp_path / "store.db") as store:
        for start in (0, 500):
            with store.transaction():
                for number in range(start, start + 500):
                    store.insert(event(number), [], now=0)
        log = store.file.with_name("store.db-wal").read_bytes()
    assert (len(log) - 32) % (4096 + wal.FRAME_HEADER_BYTES) == 0
    assert log.count(bytes(4096)) == 0


def test_what_is_laid_out_is_put_behind_what_is_there(tmp_path: Path) -> None:
    """A file that is long enough stays as it is; another gets zeros at its end; one that is not there is not made."""
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100)

    opened = len(list(Path("/proc/self/fd").iterdir()))
    assert preallocate(str(log), 100) == 100
    assert log.read_bytes() == b"x" * 100
    assert preallocate(str(log), 101) == 100 + wal.PREALLOCATED_BYTES
    assert log.read_bytes() == b"x" * 100 + bytes(wal.PREALLOCATED_BYTES)
    assert preallocate(str(tmp_path / "none"), 1) == 0
    assert not (tmp_path / "none").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_the_log_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has so many pages, they go into the file itself, and the next ones are written over them."""
    monkeypatch.setattr(wal, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(wal, "PREALLOCATED_BYTES", 4096)
    with Store(tmp_path / "store.db") as store:
        for number in range(200):
            store.insert(event(number), [], now=0)
        assert size(store.file) < 120 * 4200
        assert store.file.stat().st_size > 15 * 4096
