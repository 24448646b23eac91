"""The output of `aws events list-rules` and `describe-rule`, with that of `list-targets-by-rule`."""

from collections.abc import Iterator, Mapping
from typing import Any

from evtool.errors import ConfigError
from evtool.events.buses import DEFAULT_BUS
from evtool.findings.finding import Finding
from evtool.interchange.base import (
    Form,
    Path,
    Rule,
    Source,
    Target,
    as_list,
    as_mapping,
    as_text,
    build_constant,
    read_retry,
    read_state,
)
from evtool.interchange.names import bus_of_arn, name_of_arn
from evtool.readers.files import SourceText
from evtool.readers.locations import locate

_INCOMPLETE = "is not complete: it ends with a NextToken"
Entry = tuple[Mapping[str, Any], Path]  # a rule or a target, and where the source has it


def recognizes(value: Any) -> bool:
    """Returns whether a document, or the first of several, is such output."""
    if isinstance(value, list):
        return bool(value) and recognizes(value[0])
    if not isinstance(value, Mapping):
        return False
    is_rule = isinstance(value.get("Name"), str) and bool(value.keys() & {"EventPattern", "ScheduleExpression"})
    return is_rule or isinstance(value.get("Rules"), list) or isinstance(value.get("Targets"), list)


def read_rules(source: Source) -> Iterator[Rule]:
    """Yields the rules of all documents of a file. Raises ConfigError if it is not clear which rule has which targets.

    `list-targets-by-rule` does not name its rule. Targets belong to the rule that a key `Rule` beside them names, to
    the `describe-rule` before them, or to the rules in their order, if there is one output for each.
    """
    rules: list[Entry] = []
    # The targets by the number of the rule.
    targets: dict[int, list[Entry]] = {}
    unassigned: list[tuple[list[Entry], Path, Any]] = []
    follows_rule = False
    for document, path in _list_documents(source.document.value, ()):
        entries = list(_list_rules(document, path))
        own_targets = _list_targets(document, path)
        if "Targets" in document and (follows_rule or "Name" in document):
            targets[len(rules) + len(entries) - 1] = own_targets
        elif "Targets" in document:
            unassigned.append((own_targets, path, document.get("Rule")))
        rules += entries
        follows_rule = "Name" in document and "Targets" not in document
        if document.get("NextToken"):
            yield Rule("the list", path + ("NextToken",), note=_INCOMPLETE, is_gap=True)
    targets |= _assign_targets(source, rules, unassigned)
    for number, (entry, path) in enumerate(rules):
        if number not in targets:
            targets[number] = _list_targets(entry, path)
        yield _build_rule(entry, path, targets[number])


def _list_targets(document: Mapping[str, Any], path: Path) -> list[Entry]:
    """Lists the targets of a document, which may be a rule."""
    targets: list[Entry] = []
    for number, item in enumerate(as_list(document.get("Targets"))):
        targets.append((as_mapping(item), path + ("Targets", number)))
    return targets


def _list_documents(value: Any, path: Path) -> Iterator[Entry]:
    for index, entry in enumerate(as_list(value)):
        yield from _list_documents(entry, path + (index,))
    if isinstance(value, Mapping):
        yield value, path


def _list_rules(document: Mapping[str, Any], path: Path) -> Iterator[Entry]:
    """Yields the rules of a document: a list of rules, or one rule."""
    if isinstance(document.get("Name"), str):
        yield document, path
    for index, entry in enumerate(as_list(document.get("Rules"))):
        yield as_mapping(entry), path + ("Rules", index)


def _assign_targets(
    source: Source, rules: list[Entry], outputs: list[tuple[list[Entry], Path, Any]]
) -> dict[int, list[Entry]]:
    """Returns the targets of rules, by the number of the rule, from outputs that may name their rule."""
    numbers = {str(entry.get("Name")): number for number, (entry, _) in enumerate(rules)}
    named = {numbers[str(name)]: targets for targets, _, name in outputs if str(name) in numbers}
    unnamed = [(targets, path) for targets, path, name in outputs if name is None]
    if not unnamed:
        return named
    if len(unnamed) == len(rules):
        return {number: targets for number, (targets, _) in enumerate(unnamed)}
    line, column = source.document.position_of(unnamed[0][1])
    finding = Finding(
        "EV023",
        "it is not clear which rule has these targets: `list-targets-by-rule` does not name its rule",
        suggestion='write {"Rule": NAME, "Targets": [...]}, or give one output for each rule, in their order',
        **locate(SourceText(source.file, 1, 1, source.text), line, column, 1),
    )
    raise ConfigError(f"{source.file} cannot be used", [finding])


def _build_rule(entry: Mapping[str, Any], path: Path, targets: list[Entry]) -> Rule:
    name = str(entry.get("Name"))
    pattern, bus = entry.get("EventPattern"), entry.get("EventBusName", DEFAULT_BUS)
    if not isinstance(bus, str):
        bus = DEFAULT_BUS
    note = None
    if entry.get("ManagedBy"):
        note = f"is managed by {entry['ManagedBy']}, and left out"
    elif pattern is None and entry.get("ScheduleExpression"):
        note = f"runs on a schedule, not for events: {entry['ScheduleExpression']}"
    return Rule(
        name,
        path,
        pattern,
        [read_target(target, target_path) for target, target_path in targets],
        bus_of_arn(bus),
        as_text(entry.get("Description")) or "",
        read_state(entry.get("State")),
        note,
        {"pattern": path + ("EventPattern",), "bus": path + ("EventBusName",)},
    )


def read_target(target: Mapping[str, Any], path: Path) -> Target:
    """Returns a target in the form of EventBridge's API, which a source has at a path."""
    arn, target_id, input_path = str(target.get("Arn")), target.get("Id"), target.get("InputPath")
    constant = target.get("Input")
    transformer = as_mapping(target.get("InputTransformer"))
    transformed: dict[str, Any] | None = None
    if isinstance(constant, str):
        transformed = build_constant(constant)
    elif isinstance(input_path, str):
        transformed = {"path": input_path}
    elif isinstance(transformer.get("InputTemplate"), str):
        transformed = {
            "paths": dict(as_mapping(transformer.get("InputPathsMap"))),
            "template": transformer["InputTemplate"],
        }
    name, policy = name_of_arn(arn, as_text(target_id)), as_mapping(target.get("RetryPolicy"))
    retry = read_retry(policy.get("MaximumRetryAttempts"), policy.get("MaximumEventAgeInSeconds"))
    return Target(name, arn, path, transformed, path, retry=retry)


FORM = Form("the output of `aws events list-rules` or `describe-rule`", recognizes, read_rules)
