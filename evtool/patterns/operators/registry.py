"""The operators of event patterns by name. Each is a function that checks its argument and returns a test.

The meanings and the error messages are those of Amazon EventBridge and of its rule engine, event-ruler:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
Operators on strings hold for no number, boolean or null. `anything-but` holds for every value that it does not exclude.
"""

from collections.abc import Callable
from typing import Any

from evtool.patterns.operators.anything_but import anything_but
from evtool.patterns.operators.arguments import Test
from evtool.patterns.operators.cidr import cidr
from evtool.patterns.operators.equality import exactly
from evtool.patterns.operators.existence import exists
from evtool.patterns.operators.numeric import numeric
from evtool.patterns.operators.strings import equals_ignore_case, prefix, suffix
from evtool.patterns.operators.wildcard import wildcard

OPERATORS: dict[str, Callable[[Any], Test]] = {
    "anything-but": anything_but,
    "cidr": cidr,
    "equals-ignore-case": equals_ignore_case,
    "exactly": exactly,
    "exists": exists,
    "numeric": numeric,
    "prefix": prefix,
    "suffix": suffix,
    "wildcard": wildcard,
}
