"""Durations, times and sizes as users write them."""

import pytest

from evtool.units import format_size, parse_duration, parse_size, parse_time

NOW = 1_795_428_000_000  # 2026-11-23T10:00:00Z


@pytest.mark.parametrize(
    ("text", "length"), [("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
)
def test_a_duration_has_a_unit(text: str, length: float) -> None:
    """Milliseconds, seconds, minutes, hours and days."""
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["10", "s", "-1s", "1 s", "10s\n", "1e3s", "10S", "", 10, None, "9" * 400 + "s", "3651d"]
)
def test_an_invalid_duration_is_refused(text: object) -> None:
    """The error is always a ValueError that describes a duration."""
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
def test_a_time_is_absolute_or_a_duration_before_now(text: str, ms: int) -> None:
    """A time without an offset is UTC."""
    assert parse_time(text, NOW) == ms


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "10", "12:00"])
def test_an_invalid_time_is_refused(text: str) -> None:
    """The error shows the accepted forms."""
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
    """Bytes, and their multiples of 1,000 and 1,024."""
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["10", "MB", "-1MB", "1 MB", "1MB\n", "1e3MB", "1mb", "1M", "", 10, None, "9" * 400 + "TB", "1025TiB"]
)
def test_an_invalid_size_is_refused(text: object) -> None:
    """The error is always a ValueError that describes a size."""
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (7, "7B"), (1536, "1536B"), (2048, "2KiB"), (3 * 10**8, "300MB"), (2**31, "2GiB")]
)
def test_a_size_is_shown_in_its_largest_exact_unit(count: int, text: str) -> None:
    """The text parses to the same size."""
    assert format_size(count) == text
    assert parse_size(text) == count
