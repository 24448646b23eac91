"""Writes YAML that means the same to YAML 1.1, as CloudFormation reads it, and to YAML 1.2, as evtool reads it."""

from typing import Any

import yaml

from evtool.readers.yaml_text import parse_plain_scalar


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes what YAML 1.1 would take for something else than a string."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Writes a value out wherever it occurs: routes.yaml has no aliases."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Indents the items of lists, too."""
        super().increase_indent(flow, indentless=False)


def _represent_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        style = "|"
    elif _is_plain(text):
        style = None
    else:
        style = "'"
    if not text.replace("\n", "").isprintable():
        style = '"'  # some line breaks and control characters can only be written as escapes
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _is_plain(text: str) -> bool:
    """Returns whether the text without quotes is this string in YAML 1.2.

    Numbers such as 1e3 are strings in YAML 1.1 only.
    """
    try:
        return parse_plain_scalar(text) is text
    except ValueError:
        return False


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    """Writes a list of plain values on one line."""
    is_short = all(isinstance(item, str | int | float | None) for item in items) and len(str(items)) <= 80
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_short)


_Dumper.add_representer(str, _represent_string)
_Dumper.add_representer(list, _represent_list)


def dump_yaml(value: Any) -> str:
    """Returns the YAML of a JSON value, with keys in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
