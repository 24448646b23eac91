"""Locations of values in the file, by JSON Pointer, also with empty names."""

import pytest

from evtool.readers.field_paths import format_path, split_assignment, split_pointer
from evtool.readers.files import SourceText
from evtool.readers.locations import NOWHERE, SourceMap, location_of, pointer_of

TEXT = b"""{"a": {"": {"": 1,
  "b": 2}},
 "": [3,
  {"": 4}]}"""


@pytest.mark.parametrize(
    ("steps", "pointer", "line", "column"),
    [
        ((), "", 1, 1),
        (("a",), "/a", 1, 7),
        (("a", ""), "/a/", 1, 12),
        (("a", "", ""), "/a//", 1, 17),
        (("a", "", "b"), "/a//b", 2, 8),
        (("",), "/", 3, 6),
        (("", 0), "//0", 3, 7),
        (("", 1, ""), "//1/", 4, 8),
        (("a", "", "missing"), "/a//missing", 1, 12),
        (("a", "b"), "/a/b", 1, 7),
    ],
)
def test_empty_names_are_steps(steps: tuple[str | int, ...], pointer: str, line: int, column: int) -> None:
    """The pointer of an empty name ends with a slash. A missing value has the location of the value around it."""
    location = location_of(SourceMap(SourceText("e.json", 1, 1, TEXT)), pointer)

    assert pointer_of(steps) == pointer
    assert split_pointer(pointer) == tuple(map(str, steps))
    assert (location["pointer"], location["line"], location["column"]) == (pointer, line, column)
    if steps:
        assert split_assignment(f"{format_path(steps)}=5") == (steps, "5")
        assert split_assignment(f"{pointer}=5") == (split_pointer(pointer), "5")


def test_a_value_outside_the_text_is_at_its_beginning() -> None:
    """Also if the text has an empty name."""
    source_map = SourceMap(SourceText("e.json", 1, 1, TEXT), (("/detail", ""), ("", NOWHERE)))

    assert [location_of(source_map, pointer)["line"] for pointer in ("", "/time", "/detail/")] == [1, 1, 3]
