"""Conditions in SQL that hold only for deliveries and attempts with which nothing is wrong, as most are.

`doctor` looks at the other rows one by one.
"""

from evtool.store.rows import VALID_TIMES

_TIMES = f"BETWEEN {VALID_TIMES.start} AND {VALID_TIMES.stop - 1}"
_ARE_ASCII = " AND ".join(  # so that they are UTF-8, too; GLOB sees nothing behind a NUL
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
