"""The writer thread: acknowledged events are committed, and concurrent requests share a commit but no failures."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evtool.errors import StoreError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.server.writer import Writer
from evtool.store.store import Store
from tests.support.server import RunningServer, make_project, run_server

GOOD = {"Source": "shop", "DetailType": "order.created", "Detail": "{}"}


def insert(name: str) -> Callable[[Store], str]:
    """Work that stores an event."""
    raw = build_envelope(b"{}", type="t", source="s", id=name, time="2026-11-30T10:00:00Z")
    return lambda store: store.insert(parse_event(raw), [], now=0).status


def list_ids(file: Path) -> list[str]:
    """The ids of the events that another connection sees."""
    with Store(file, writing=False) as store:
        return [event.id for event in store.read_events()]


class CountingStore(Store):
    """Counts its commits."""

    commits = 0

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        is_outer = not self.connection.in_transaction
        with super().transaction(kind):
            yield
        self.commits += is_outer


def run_jobs(file: Path, *jobs: Callable[[Store], Any]) -> tuple[list[Any], int]:
    """The results of jobs that wait at the same time, exceptions among them, and how many commits they took."""
    stores: list[CountingStore] = []
    started, release = threading.Event(), threading.Event()

    def block(_store: Store) -> None:
        started.set()
        release.wait()

    def open_store() -> Store:
        stores.append(CountingStore(file))
        return stores[0]

    async def run() -> list[Any]:
        first = asyncio.ensure_future(writer.run(block))
        await asyncio.to_thread(started.wait)
        waiting = [asyncio.ensure_future(writer.run(job)) for job in jobs]
        await asyncio.sleep(0)
        release.set()
        await first
        return await asyncio.gather(*waiting, return_exceptions=True)

    with Writer(open_store) as writer:
        results = asyncio.run(run())
    return results, stores[0].commits - 1


def test_waiting_requests_share_a_commit(tmp_path: Path) -> None:
    """Requests that come while others are committed are committed together."""
    results, commits = run_jobs(tmp_path / "store.db", *(insert(str(number)) for number in range(100)))

    assert (results, commits) == (["stored"] * 100, 1)
    assert len(list_ids(tmp_path / "store.db")) == 100


def test_failed_work_is_undone_alone(tmp_path: Path) -> None:
    """Work that raises leaves nothing, and the rest of its commit is stored."""

    def fail(store: Store) -> None:
        insert("undone")(store)
        raise ValueError("no")

    (first, failure, last), commits = run_jobs(tmp_path / "store.db", insert("a"), fail, insert("b"))

    assert (first, str(failure), last, commits) == ("stored", "no", "stored", 1)
    assert list_ids(tmp_path / "store.db") == ["a", "b"]


def test_a_failed_commit_fails_all_its_requests(tmp_path: Path) -> None:
    """No request is acknowledged. Later requests succeed again."""

    def break_store(_store: Store) -> None:
        raise StoreError("the disk is full")

    results, _ = run_jobs(tmp_path / "store.db", insert("a"), break_store, insert("b"))

    assert [str(result) for result in results] == ["the disk is full"] * 3
    assert list_ids(tmp_path / "store.db") == []
    assert run_jobs(tmp_path / "store.db", insert("a")) == (["stored"], 1)


def test_store_that_cannot_be_opened(tmp_path: Path) -> None:
    """The server does not start without its store."""
    (tmp_path / "store.db").write_text("this is not a database, and longer than a header of one" * 10)

    with pytest.raises(StoreError, match=r"store\.db"), Writer(lambda: Store(tmp_path / "store.db")):
        pass


def test_pending_jobs_are_written_at_the_end(tmp_path: Path) -> None:
    """What was handed over when the server ends is stored."""

    async def run() -> None:
        with Writer(lambda: Store(tmp_path / "store.db")) as writer:
            waiting = [asyncio.ensure_future(writer.run(insert(str(number)))) for number in range(1200)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) == ["stored"] * 1200

    asyncio.run(run())


def test_store_that_fails_is_503(tmp_path: Path, loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs repeat a request with this status. Then the server works again."""
    with run_server(make_project(tmp_path)) as server:
        check = Store.check_file_identity

        def fail(_self: Store) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(Store, "check_file_identity", fail)
        for reply in (
            server.call("PutEvents", {"Entries": [GOOD]}),
            server.send("POST", "/events", {"Entries": [GOOD]}),
        ):
            assert (reply.status, reply.json["__type"]) == (503, "ServiceUnavailable")
        health = server.send("GET", "/healthz")
        assert (health.status, health.json) == (503, {"status": "failing", "reason": "the disk is full"})
        monkeypatch.setattr(Store, "check_file_identity", check)
        assert server.call("PutEvents", {"Entries": [GOOD]}).status == 200
        assert server.send("GET", "/healthz").status == 200
        assert len(server.read_events()) == 1
        assert server.read_log() == ["events were refused, since they could not be stored: the disk is full"] * 2


def test_bug_is_500_in_json(tmp_path: Path, loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends one request, in JSON without details; the log has the traceback."""
    with run_server(make_project(tmp_path)) as server:

        def fail(_self: RunningServer, *_: object, **__: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(Store, "insert", fail)
        reply = server.call("PutEvents", {"Entries": [GOOD]})

        assert (reply.status, reply.json["__type"]) == (500, "InternalFailure")
        assert b"secret" not in reply.body
        assert "ZeroDivisionError: secret" in "".join(server.read_log())
        assert server.send("GET", "/healthz").status == 200
