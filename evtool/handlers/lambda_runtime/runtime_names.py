"""Parses the names of Lambda runtimes: evtool's own such as `python`, and those of AWS such as `python3.13`."""

import re
from typing import NamedTuple

FAMILIES = ("python", "node", "ruby", "java", "go", "rust", "provided")

# Functions of these have a `handler`. In the others, the program itself contains the function.
WITH_HANDLER = ("python", "node", "ruby", "java")

# The names of AWS. The named group that matches is the family, and the group after it is the version.
_AWS_NAME = re.compile(
    r"(?P<python>python)(3\.\d+)|(?P<node>nodejs)(\d+)\.x|(?P<ruby>ruby)(\d\.\d)"
    r"|(?P<java>java)(\d+)(?:\.al2)?|(?P<go>go)1\.x|(?P<provided>provided)(?:\.al\d+)?"
)


class RuntimeName(NamedTuple):
    """A runtime: its family, and the version in AWS's name for it; "" if the name has none."""

    family: str
    version: str = ""


def parse_runtime(name: str) -> RuntimeName | None:
    """Returns the runtime with a name such as `python` or `nodejs22.x`, None if the name is not known."""
    if name in FAMILIES:
        return RuntimeName(name)
    match = _AWS_NAME.fullmatch(name)
    if match is None:
        return None
    family = version = ""
    for group, text in match.groupdict().items():
        if text:
            family = group
    for text in match.groups():
        if text and text[0].isdigit():
            version = text
    return RuntimeName(family, version)
