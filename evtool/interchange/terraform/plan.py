"""Terraform plans and states: the output of `terraform show -json`, and state files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evtool.interchange.base import Form, Path, Rule, Source, as_list, as_mapping
from evtool.interchange.terraform.rules import KNOWN_AFTER_APPLY, Resource, join_rules


def recognizes(value: Any) -> bool:
    """Returns whether a document is a plan or a state."""
    return isinstance(value, Mapping) and "terraform_version" in value


def read_rules(source: Source) -> Iterator[Rule]:
    """Returns the rules of a plan or state, with those of its modules."""
    value = source.document.value
    if "resources" in value:
        return join_rules(_list_state_file(value))
    top = "values"
    if "planned_values" in value:
        top = "planned_values"
    root = as_mapping(as_mapping(value.get(top)).get("root_module"))
    unknown: dict[Any, Mapping[str, Any]] = {}
    for item in as_list(value.get("resource_changes")):
        change = as_mapping(item)
        unknown[change.get("address")] = as_mapping(as_mapping(change.get("change")).get("after_unknown"))
    configuration = as_mapping(as_mapping(value.get("configuration")).get("root_module"))
    return join_rules(_list_module(root, (top, "root_module"), unknown, configuration))


def _list_module(
    module: Mapping[str, Any], path: Path, unknown: Mapping[Any, Mapping[str, Any]], configuration: Mapping[str, Any]
) -> Iterator[Resource]:
    """Yields the resources of a module and of the modules in it."""
    for number, resource in enumerate(as_list(module.get("resources"))):
        if as_mapping(resource).get("mode") == "managed":
            yield _read_resource(
                resource, path + ("resources", number), str(module.get("address", "")), unknown, configuration
            )
    for number, child in enumerate(as_list(module.get("child_modules"))):
        call = re.sub(r"\[[^\]]*\]$", "", str(as_mapping(child).get("address"))).rpartition("module.")[2]
        called = as_mapping(as_mapping(as_mapping(configuration.get("module_calls")).get(call)).get("module"))
        yield from _list_module(as_mapping(child), path + ("child_modules", number), unknown, called)


def _read_resource(
    resource: Mapping[str, Any],
    path: Path,
    module: str,
    unknown: Mapping[Any, Mapping[str, Any]],
    configuration: Mapping[str, Any],
) -> Resource:
    attributes = dict(as_mapping(resource.get("values")))
    after_unknown = unknown.get(resource.get("address"), {})
    for name in ("event_pattern", "schedule_expression", "event_bus_name"):
        if after_unknown.get(name) is True:
            attributes[name] = KNOWN_AFTER_APPLY
    return Resource(
        str(resource.get("type")),
        str(resource.get("name")),
        attributes,
        path,
        path + ("values",),
        re.sub(r"\[[^\]]*\]", "", module),
        resource.get("index"),
        _find_references(configuration, resource),
    )


def _find_references(configuration: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Returns the expressions of a resource in the configuration of its module, by attribute."""
    for entry in as_list(configuration.get("resources")):
        if (entry.get("type"), entry.get("name")) == (resource.get("type"), resource.get("name")):
            expressions = as_mapping(entry.get("expressions"))
            return {name: as_list(as_mapping(item).get("references")) for name, item in expressions.items()}
    return {}


def _list_state_file(value: Mapping[str, Any]) -> Iterator[Resource]:
    """Yields the resources of a state file, as a backend stores it."""
    for number, resource in enumerate(as_list(value.get("resources"))):
        entry = as_mapping(resource)
        for position, instance in enumerate(as_list(entry.get("instances"))):
            path: Path = ("resources", number, "instances", position)
            kind = "data"
            if entry.get("mode") == "managed":
                kind = str(entry.get("type"))
            yield Resource(
                kind,
                str(entry.get("name")),
                as_mapping(as_mapping(instance).get("attributes")),
                path,
                path + ("attributes",),
                re.sub(r"\[[^\]]*\]", "", str(entry.get("module", ""))),
                as_mapping(instance).get("index_key"),
            )


FORM = Form("the output of `terraform show -json`", recognizes, read_rules)
