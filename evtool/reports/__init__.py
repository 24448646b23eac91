"""The forms in which results are told."""

from evtool.report import Open
from evtool.reports.github import Github
from evtool.reports.json import Json
from evtool.reports.jsonl import JsonLines
from evtool.reports.junit import Junit
from evtool.reports.text import Text

KINDS: dict[str, Open] = {"text": Text, "json": Json, "jsonl": JsonLines, "github": Github, "junit": Junit}
FINDINGS_ONLY = ("github", "junit")  # what only commands with findings can be told in
