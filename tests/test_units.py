"""Lengths of time, moments and amounts of bytes, as people write them."""

import pytest

from evtool.units import format_size, parse_duration, parse_size, parse_time

NOW = 1_795_428_000_000  # 2026-11-23T10:00:00Z


@pytest.mark.parametrize(
    ("text", "length"), [("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
)
def test_a_length_has_a_unit(text: str, length: float) -> None:
    """Milliseconds, seconds, minutes, hours and days are understood."""
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["10", "s", "-1s", "1 s", "10s\n", "1e3s", "10S", "", 10, None, "9" * 400 + "s", "3651d"]
)
def test_what_is_no_length_is_told(text: object) -> None:
    """Everything else is refused with a sentence, never with another error."""
    with pytest.raises(ValueError, match="a length of time is"):
        parse_duration(text)


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
    assert parse_time(text, NOW) == ms


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "10", "12:00"])
def test_what_is_no_moment_is_told(text: str) -> None:
    """Everything else is refused with what would be understood."""
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("512B", 512),
        ("4KB", 4000),
        ("4KiB", 4096),
        ("1.5MiB", 1_572_864),
        ("2GB", 2 * 10**9),
        ("1TiB", 2**40),
    ],
)
def test_a_size_has_a_unit(text: str, count: int) -> None:
    """Bytes, and their thousands and 1024s, are understood."""
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["10", "MB", "-1MB", "1 MB", "1MB\n", "1e3MB", "1mb", "1M", "", 10, None, "9" * 400 + "TB", "1025TiB"]
)
def test_what_is_no_size_is_told(text: object) -> None:
    """Everything else is refused with a sentence, never with another error."""
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (7, "7B"), (1536, "1536B"), (2048, "2KiB"), (3 * 10**8, "300MB"), (2**31, "2GiB")]
)
def test_a_size_is_shown_as_it_was_written(count: int, text: str) -> None:
    """In the largest unit that gives a whole number, so that nothing is lost."""
    assert format_size(count) == text
    assert parse_size(text) == count
