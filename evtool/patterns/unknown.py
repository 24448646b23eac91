"""The value that a pattern has where its source leaves something open: `!Ref Bus`, a variable of Terraform."""

from typing import NamedTuple


class Unknown(NamedTuple):
    """A value that is not known before deployment. It may stand anywhere in a pattern, also for the whole of it.

    `source` is how the source writes it, for messages: `!Ref OrderBus`, `${var.source}`.
    """

    source: str
