"""What an example of a finding is, and the events and schema that several examples share."""

from typing import NamedTuple

# the schema of the detail in the examples of type order.created
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
    """What gives a finding, and what does not.

    `of` says what both are: an `event`, two `events` that are published one after the other, a `pattern`, a
    `routes.yaml`, a `schema`; a `project` for `evtool check`, which is a routes.yaml or several files, each
    below a line `-- NAME --`; or `words` where an example would be too long or is no text.
    """

    of: str
    bad: str
    good: str


def build_order(detail: str, **envelope: str) -> str:
    """An event of type order.created."""
    fields = {"detail-type": "order.created", "source": "shop", **envelope}
    return "{" + "".join(f'"{name}": "{value}", ' for name, value in fields.items()) + f'"detail": {detail}}}'


VALID_ORDER = build_order('{"id": "o-1"}')
