"""Lengths of time and moments, as people write them."""

import pytest

from evtool.units import moment, seconds

NOW = 1_795_428_000_000  # 2026-11-23T10:00:00Z


@pytest.mark.parametrize(
    ("text", "length"), [("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
)
def test_a_length_has_a_unit(text: str, length: float) -> None:
    """Milliseconds, seconds, minutes, hours and days are understood."""
    assert seconds(text) == length


@pytest.mark.parametrize(
    "text", ["10", "s", "-1s", "1 s", "10s\n", "1e3s", "10S", "", 10, None, "9" * 400 + "s", "3651d"]
)
def test_what_is_no_length_is_told(text: object) -> None:
    """Everything else is refused with a sentence, never with another error."""
    with pytest.raises(ValueError, match="a length of time is"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-23T10:00:00Z", NOW),
        ("2026-11-23T10:00Z", NOW),
        ("2026-11-23T12:00:00+02:00", NOW),
        ("2026-11-23 10:00", NOW),
        ("2026-11-23", NOW - 36_000_000),
        ("2h", NOW - 7_200_000),
        ("1.5s", NOW - 1_500),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, ms: int) -> None:
    """A time without an offset is UTC; a length of time counts back from now."""
    assert moment(text, NOW) == ms


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "10", "12:00"])
def test_what_is_no_moment_is_told(text: str) -> None:
    """Everything else is refused with what would be understood."""
    with pytest.raises(ValueError, match="is no time"):
        moment(text, NOW)
