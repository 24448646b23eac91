"""The names of rules, targets and buses: what ARNs contain, and what routes.yaml allows."""

import re
from collections.abc import Container

_GENERATED_ID = re.compile(r"terraform-\d+|\d+|Id[0-9a-f-]{8,}")  # of a target, by a program
MAX_LENGTH = 64  # of the name of a route or handler


def bus_of_arn(text: str) -> str:
    """Returns the name of an event bus, given as a name or as an ARN."""
    if text.startswith("arn:"):
        return text.rpartition("/")[2]
    return text


def name_of_arn(address: str, target_id: str | None) -> str:
    """Returns the name of a target: that of a Lambda function, else its Id, else the last part of its ARN.

    An Id that a program has generated does not count.
    """
    match = re.match(r"arn:[^:]*:lambda:[^:]*:[^:]*:function:([^:]+)", address)
    if match:
        return match[1]
    parts = [part for part in re.split(r"[:/]", address) if part not in ("", "*")]
    is_generated = target_id is None or _GENERATED_ID.fullmatch(target_id) is not None
    if is_generated and parts:
        return parts[-1]
    return target_id or "target"


def make_name(text: str, taken: Container[str]) -> str:
    """Returns a name that routes.yaml allows, as near as possible to a text, and not one of those that are taken."""
    name = re.sub(r"[^.\-_A-Za-z0-9]+", "-", text).strip("-")[:MAX_LENGTH] or "rule"
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name[: MAX_LENGTH - len(str(number)) - 1]}-{number}"
    return candidate


def make_label(name: str) -> str:
    """Makes a label for a resource of Terraform, which has letters, digits, `-` and `_`, from a name."""
    label = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    if re.match(r"[A-Za-z_]", label):
        return label
    return f"_{label}"
