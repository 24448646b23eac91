"""The SQL conditions by which `doctor` skips rows: none of them skips a damaged row."""

import random
from pathlib import Path

import pytest

from evtool.store.plain_rows import PLAIN_ATTEMPT, PLAIN_DELIVERY
from evtool.store.rows import Attempt, Delivery
from evtool.store.store import ATTEMPT, DELIVERY, Store

VALUES = ["1", "0", "-1", "2", "1000", "1 << 60", "NULL", "''", "'x'", "'ä'", "1.5", "x'00'", "CAST(x'410041' AS TEXT)"]
TEXTS = [*VALUES, "'done'", "'ready'", "'waiting'", "'leased'", "'dead'"]
DONE = {
    Delivery: ["1", "1", "'r'", "'h'", "''", "'done'", "1", "0", "1000", "NULL", "NULL", "3", "NULL", "NULL"],
    Attempt: ["1", "1000", "3", "'done'", "NULL", "NULL", "NULL"],
}


@pytest.mark.parametrize(
    ("kind", "columns", "condition"), [(Delivery, DELIVERY, PLAIN_DELIVERY), (Attempt, ATTEMPT, PLAIN_ATTEMPT)]
)
def test_nothing_damaged_is_skipped(
    tmp_path: Path, kind: type[Delivery | Attempt], columns: str, condition: str
) -> None:
    """Rows with up to three random values: the skipped rows have no damage."""
    chance = random.Random(1)
    skipped = 0
    with Store(tmp_path / "store.db") as store:
        for _ in range(3000):
            values = list(DONE[kind])
            for _ in range(chance.randrange(4)):
                values[chance.randrange(len(values))] = chance.choice(TEXTS)
            row = ", ".join(f"{value} AS {name}" for value, name in zip(values, columns.split(", "), strict=True))
            rows = store.execute(f"SELECT * FROM (SELECT {row}) WHERE ({condition}) IS 1")
            skipped += len(rows)
            assert [kind(*row).damage() for row in rows] == [None] * len(rows), values
    assert 300 < skipped < 2700


@pytest.mark.parametrize("text", ["x'eb41'", "x'410041'", "x'4100ff'", "x'ff'"])
def test_text_that_is_not_utf_8_is_not_skipped(tmp_path: Path, text: str) -> None:
    """The invalid byte may be at any position of any text column."""
    for column in (2, 3, 4):
        values = [f"CAST({text} AS TEXT)" if n == column else value for n, value in enumerate(DONE[Delivery])]
        row = ", ".join(f"{value} AS {name}" for value, name in zip(values, DELIVERY.split(", "), strict=True))
        with Store(tmp_path / "store.db") as store:
            assert store.execute(f"SELECT 1 FROM (SELECT {row}) WHERE ({PLAIN_DELIVERY}) IS 1") == []
