"""The forms of rule sources, by the name that `--routes-format` takes. The first that recognizes a file reads it."""

from evtool.interchange import eventbridge_rules, serverless
from evtool.interchange.base import Form
from evtool.interchange.cloudformation import template
from evtool.interchange.terraform import configuration, plan

FORMS: dict[str, Form] = {
    "cloudformation": template.FORM,
    "serverless": serverless.FORM,
    "terraform-plan": plan.FORM,
    "terraform": configuration.FORM,
    "eventbridge": eventbridge_rules.FORM,
}
