"""The command `evtool schema`: compares schema versions, and infers schemas from events."""

from evtool.commands.schema_diff import schema_diff
from evtool.commands.schema_infer import schema_infer

SUBCOMMANDS = {"diff": schema_diff, "infer": schema_infer}
