"""The names of Lambda runtimes: evtool's own, and those of AWS such as `python3.13`."""

import re
from typing import NamedTuple

FAMILIES = ("python", "node", "ruby", "java", "go", "rust", "provided")
WITH_HANDLER = ("python", "node", "ruby", "java")  # a function of these has a `handler`

# AWS's names of runtimes, and the family that each belongs to
_AWS_NAME = re.compile(
    r"(?P<python>python)(3\.\d+)|(?P<node>nodejs)(\d+)\.x|(?P<ruby>ruby)(\d\.\d)"
    r"|(?P<java>java)(\d+)(?:\.al2)?|(?P<go>go)1\.x|(?P<provided>provided)(?:\.al\d+)?"
)


class RuntimeName(NamedTuple):
    """A runtime: its family, and the version that AWS's name for it has; empty if there is none."""

    family: str
    version: str = ""


def parse_runtime(name: str) -> RuntimeName | None:
    """The runtime with a name such as `python` or `nodejs22.x`; None if there is none."""
    if name in FAMILIES:
        return RuntimeName(name)
    match = _AWS_NAME.fullmatch(name)
    if match is None:
        return None
    family = next(group for group, text in match.groupdict().items() if text)
    version = next((text for text in match.groups() if text and text[0].isdigit()), "")
    return RuntimeName(family, version)
