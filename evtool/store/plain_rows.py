"""Recognizes undamaged rows quickly, for `doctor`: it checks one by one only the rows that are not recognized."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from evtool.events.timestamps import to_milliseconds
from evtool.schemas.fast_path import FastPath
from evtool.schemas.validation import Rules
from evtool.store.rows import VALID_TIMES, compute_event_key

# The conditions below hold only for undamaged deliveries and attempts.
_TIMES = f"BETWEEN {VALID_TIMES.start} AND {VALID_TIMES.stop - 1}"
# ASCII is also valid UTF-8. GLOB stops at a NUL, so the lengths are compared, too.
_ARE_ASCII = " AND ".join(
    f"{column} NOT GLOB '*[^ -~]*' AND length({column}) = octet_length({column})"
    for column in ("route", "handler", "replay")
)
PLAIN_DELIVERY = (
    "typeof(seq) || typeof(event) || typeof(attempts) || typeof(forgiven) || typeof(created) ="
    " 'integerintegerintegerintegerinteger' AND typeof(route) || typeof(handler) || typeof(replay) = 'texttexttext'"
    f" AND route <> '' AND handler <> '' AND {_ARE_ASCII}"
    f" AND forgiven BETWEEN 0 AND attempts AND created {_TIMES} AND typeof(duration_ms) IN ('integer', 'null')"
    " AND error IS NULL AND owner IS NULL AND condition IS NULL"
    f" AND (state = 'done' AND due IS NULL OR state = 'ready' AND typeof(due) = 'integer' AND due {_TIMES})"
)
PLAIN_ATTEMPT = (
    f"typeof(number) || typeof(started) = 'integerinteger' AND number > 0 AND started {_TIMES} AND outcome = 'done'"
    " AND typeof(duration_ms) IN ('integer', 'null') AND error IS NULL AND output IS NULL AND code IS NULL"
)

# The key of an event if the table of keys has it for this event.
LISTED_KEY = "(SELECT key FROM event_key WHERE merged IN (0, 1) AND event_key.key = event.key AND event = event.seq)"
# The columns of an event that can be checked without its bytes. The others are compared with the bytes.
_PLAIN_COLUMNS = (
    "typeof(raw) || typeof(stored_at) || typeof(depth) = 'blobintegerinteger'"
    f" AND stored_at {_TIMES} AND (time IS NULL OR typeof(time) = 'integer' AND time {_TIMES})"
    " AND typeof(root) IN ('integer', 'null') AND typeof(cause) IN ('integer', 'null')"
    " AND typeof(replay) IN ('text', 'null') AND typeof(bus) IN ('text', 'null')"
)
# It selects replay and bus, since reading them raises an error if they are not UTF-8.
PLAIN_EVENTS = (
    f"SELECT {_PLAIN_COLUMNS}, {LISTED_KEY}, sha256, raw, id, type, source, time, replay, bus"
    " FROM event WHERE seq > ? AND seq <= ?"
)
_ANY_EVENT = FastPath(Rules(None).find_check)


def are_plain_events(rows: Sequence[Sequence[Any]]) -> bool:
    """Whether the events of PLAIN_EVENTS are undamaged: their hashes, their columns, and the members in their bytes.

    Returns False if that is not proven.
    """
    if not all(row[0] == 1 for row in rows):
        return False
    events = _ANY_EVENT.decode_events([row[3] for row in rows])
    for event, (_, key, digest, raw, id_, type_, source, time, _, _) in zip(events, rows, strict=True):
        if event is None or (event.id, event.type, event.source) != (id_, type_, source):
            return False
        if sha256(raw).digest() != digest or compute_event_key(id_, source) != key:
            return False
        event_time = None
        if event.time:
            event_time = to_milliseconds(event.time)
        if event_time != time:
            return False
    return True
