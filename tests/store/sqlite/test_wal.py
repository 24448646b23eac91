"""Preallocation of the write-ahead log: it makes commits cheaper and never damages the log."""

import shutil
from pathlib import Path

import pytest

from evtool.store.sqlite import wal
from evtool.store.sqlite.wal import preallocate
from evtool.store.store import Store
from tests.store.test_store import event


def size(file: Path) -> int:
    """Returns the length of a store's WAL in bytes."""
    return file.with_name(f"{file.name}-wal").stat().st_size


def test_small_commits_do_not_extend_the_wal(tmp_path: Path) -> None:
    """From the second commit on its length is constant. A copy has all commits."""
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


def test_preallocation_continues_before_the_space_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WAL ends with free pages after each of 60 commits."""
    monkeypatch.setattr(wal, "PREALLOCATED_BYTES", 1 << 16)
    with Store(tmp_path / "store.db") as store:
        for number in range(60):
            store.insert(event(number), [], now=0)
            assert store.file.with_name("store.db-wal").read_bytes().endswith(bytes(4 * 4096))


def test_large_commits_get_no_preallocation(tmp_path: Path) -> None:
    """Their own data is most of their cost, so the WAL ends with the last commit."""
    Store(tmp_path / "store.db").close()
    with Store(tmp_path / "store.db") as store:
        for start in (0, 500):
            with store.transaction():
                for number in range(start, start + 500):
                    store.insert(event(number), [], now=0)
        log = store.file.with_name("store.db-wal").read_bytes()
    assert (len(log) - 32) % (4096 + wal.FRAME_HEADER_BYTES) == 0
    assert log.count(bytes(4096)) == 0


def test_preallocate_appends_zeros_to_an_existing_file(tmp_path: Path) -> None:
    """A file that is long enough does not change. A missing file is not created."""
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


def test_a_checkpoint_limits_the_length_of_the_wal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `CHECKPOINT_PAGES` pages the WAL is written into the store, and starts again at its beginning."""
    monkeypatch.setattr(wal, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(wal, "PREALLOCATED_BYTES", 4096)
    with Store(tmp_path / "store.db") as store:
        for number in range(200):
            store.insert(event(number), [], now=0)
        assert size(store.file) < 120 * 4200
        assert store.file.stat().st_size > 15 * 4096
