"""The command `evtool verify`: compares the matching of evtool with that of AWS."""

from evtool.commands.verify_aws import verify_aws

SUBCOMMANDS = {"aws": verify_aws}
