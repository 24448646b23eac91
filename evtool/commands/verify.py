"""The command `evtool verify`: compares evtool's matching with that of AWS."""

from evtool.commands.verify_aws import verify_aws

SUBCOMMANDS = {"aws": verify_aws}
