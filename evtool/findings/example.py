"""The type of an example of a finding, and the event and schema that several examples share."""

from typing import NamedTuple

# The schema of the detail of all events of type order.created in the examples. docs/findings.md prints it once.
SCHEMA = """{
  "type": "object",
  "additionalProperties": false,
  "required": ["id"],
  "properties": {
    "id": {"type": "string", "pattern": "^o-"},
    "total": {"type": "number", "minimum": 0},
    "currency": {"enum": ["EUR", "USD"]},
    "tags": {"type": "array", "uniqueItems": true}
  }
}"""


class Example(NamedTuple):
    """An input that causes a finding, and a similar input that does not.

    `of` is the kind of both inputs:

    - `event`, or `events` for two events that are published one after the other
    - `pattern`, `routes.yaml` or `schema`
    - `project` for `evtool check`: a routes.yaml, or several files, each after a line `-- NAME --`
    - `words`: a description, where the input is too long to print or is not text
    """

    of: str
    bad: str
    good: str


def build_order(detail: str, **envelope: str) -> str:
    """Returns the JSON text of an event of type order.created."""
    # The text is built by hand: some examples need a detail that is not well-formed JSON.
    fields = {"detail-type": "order.created", "source": "shop"} | envelope
    members = [f'"{name}": "{value}"' for name, value in fields.items()]
    members.append(f'"detail": {detail}')
    return "{" + ", ".join(members) + "}"


VALID_ORDER = build_order('{"id": "o-1"}')
