"""The JSON Schema of routes.yaml, for editors, takes the keys of kinds that it does not know."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import ROOT

VALIDATOR = Draft202012Validator(json.loads((ROOT / "evtool/routes.schema.json").read_text()))


@pytest.mark.parametrize(
    ("options", "is_valid"),
    [
        ({"queue": "orders"}, True),
        ({"queue": {"name": "orders"}, "timeout": "5s", "concurrency": 2}, True),
        ({"queue": "orders", "timeout": 5}, False),
        ({"timeout": "5s"}, False),
        ({}, False),
        ({"command": ["cat"]}, True),
        ({"command": ["cat"], "queue": "orders"}, False),
        ({"command": ["cat"], "python": "a:b"}, False),
    ],
)
def test_handlers_in_editors(options: dict[str, Any], is_valid: bool) -> None:
    """A kind of a plugin has any key, and the common keys are checked; evtool's own kinds are checked whole."""
    assert VALIDATOR.is_valid({"version": 1, "handlers": {"log": options}, "routes": {}}) == is_valid
