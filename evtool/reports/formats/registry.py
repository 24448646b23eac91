"""The table of report formats: the values of -o and what builds each report."""

from evtool.reports.base import Open
from evtool.reports.formats.github import Github
from evtool.reports.formats.json import Json
from evtool.reports.formats.jsonl import JsonLines
from evtool.reports.formats.junit import Junit
from evtool.reports.formats.text import Text

KINDS: dict[str, Open] = {"text": Text, "json": Json, "jsonl": JsonLines, "github": Github, "junit": Junit}
FOR_CI = ("github", "junit")  # only for commands that report findings or failures:
CHECKING_COMMANDS = ("validate", "publish", "deliver", "replay", "doctor")
