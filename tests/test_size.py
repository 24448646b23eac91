"""Amounts of bytes, as people write them."""

import pytest

from evtool.size import shown, size


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
    assert size(text) == count


@pytest.mark.parametrize(
    "text", ["10", "MB", "-1MB", "1 MB", "1MB\n", "1e3MB", "1mb", "1M", "", 10, None, "9" * 400 + "TB", "1025TiB"]
)
def test_what_is_no_size_is_told(text: object) -> None:
    """Everything else is refused with a sentence, never with another error."""
    with pytest.raises(ValueError, match="a size is"):
        size(text)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (7, "7B"), (1536, "1536B"), (2048, "2KiB"), (3 * 10**8, "300MB"), (2**31, "2GiB")]
)
def test_a_size_is_shown_as_it_was_written(count: int, text: str) -> None:
    """In the largest unit that gives a whole number, so that nothing is lost."""
    assert shown(count) == text
    assert size(text) == count
