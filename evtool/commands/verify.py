"""The command `evtool verify`: compares evtool with the services that it stands for."""

from evtool.commands.verify_aws import verify_aws

SUBCOMMANDS = {"aws": verify_aws}
