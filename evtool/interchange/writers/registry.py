"""The forms of export, by the name that `-o` takes."""

from evtool.interchange.writers import cloudformation, eventbridge, terraform
from evtool.interchange.writers.base import Writer

WRITERS: dict[str, Writer] = {
    "cloudformation": cloudformation.CLOUDFORMATION,
    "sam": cloudformation.SAM,
    "terraform": terraform.WRITER,
    "eventbridge": eventbridge.WRITER,
}
