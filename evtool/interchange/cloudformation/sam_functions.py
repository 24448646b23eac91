"""The functions of a SAM template as options of `lambda` handlers, and where their code is."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evtool.errors import ConfigError
from evtool.handlers.lambda_runtime.runtime_names import WITH_HANDLER, parse_runtime
from evtool.interchange.base import Function, as_mapping
from evtool.interchange.cloudformation.intrinsics import Resolver
from evtool.interchange.texts.template_yaml import TemplateReader
from evtool.patterns.unknown import Unknown
from evtool.readers.yaml_text import load_yaml

# `sam build` writes the built functions, and a template that names them, into this folder.
BUILD = Path(".aws-sam/build")
# AWS's timeout in seconds for a function whose template names none.
TIMEOUT = 3
# The memory that AWS allows, in MB.
MEMORY_SIZES = range(128, 10_241)


def read_sam_function(
    name: str, properties: Mapping[str, Any], defaults: Mapping[str, Any], resolver: Resolver
) -> Function:
    """Returns the function with these properties; `defaults` are those of `Globals`."""
    values = _resolve_values(dict(defaults) | dict(properties), resolver)
    runtime, handler, folder = values.get("Runtime"), values.get("Handler"), values.get("CodeUri", ".")
    problem = _find_problem(values)
    if problem:
        return Function(name, {}, problem=problem)
    options: dict[str, Any] = {"lambda": folder, "runtime": runtime, "timeout": f"{_read_seconds(values)}s"}
    if isinstance(handler, str):
        options["handler"] = handler
    memory = values.get("MemorySize")
    if isinstance(memory, int) and memory in MEMORY_SIZES:
        options["memory_size"] = memory
    # SAM adds the variables of a function to those of Globals, where it replaces all other properties.
    variables = _resolve_values(_get_variables(defaults) | _get_variables(properties), resolver)
    known = dict(_list_known(variables))
    if known:
        options["environment"] = known
    missing = sorted(variables.keys() - known.keys())
    notes = [f"the variable {key} of {name} is left out: its value is not known" for key in missing]
    return Function(name, options, notes)


def _resolve_values(values: Mapping[str, Any], resolver: Resolver) -> dict[str, Any]:
    # Value by value: a variable that is called `Ref` must not make the whole mapping a function.
    return {key: resolver.resolve(value) for key, value in values.items()}


def _get_variables(properties: Mapping[str, Any]) -> dict[str, Any]:
    return dict(as_mapping(as_mapping(properties.get("Environment")).get("Variables")))


def _find_problem(values: Mapping[str, Any]) -> str:
    """Returns why a function with these properties cannot run from a folder; empty if it can."""
    runtime, handler, folder = values.get("Runtime"), values.get("Handler"), values.get("CodeUri", ".")
    if values.get("PackageType") == "Image":
        return "its code is a container image"
    if "InlineCode" in values:
        return "its code is inline: move it to a file, and name the folder in CodeUri"
    if not isinstance(folder, str) or folder.startswith("s3://"):
        return "its CodeUri is not a folder of this machine"
    if not isinstance(runtime, str):
        return "its Runtime is missing, or known only after deployment"
    parsed = parse_runtime(runtime)
    if parsed is None:
        return f"evtool does not know how to start {runtime}: add a `lambda` handler with `start` to routes.yaml"
    if not isinstance(handler, str) and parsed.family in WITH_HANDLER:
        return "its Handler is missing, or known only after deployment"
    return ""


def _read_seconds(values: Mapping[str, Any]) -> int | float:
    timeout = values.get("Timeout")
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout > 0:
        return timeout
    return TIMEOUT


def _list_known(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the variables whose values are known, as strings.

    `${NAME}` would be read from the environment of evtool.
    """
    for key, value in variables.items():
        if isinstance(value, bool):
            yield key, str(value).lower()
        elif isinstance(value, str | int | float) and not isinstance(value, Unknown) and "${" not in str(value):
            yield key, str(value)


def find_code(template: Path, function: Function) -> Path | None:
    """Returns the folder of a function's code, if there is one: the built one, else that of the template."""
    folder = template.parent
    for root, code in ((folder / BUILD, _find_built(template, function)), (folder, function.options["lambda"])):
        if code is not None and (root / code).is_dir():
            return (root / code).absolute()
    return None


def _find_built(template: Path, function: Function) -> str | None:
    """Returns the folder that the template written by `sam build` names for a function."""
    file = template.parent / BUILD / "template.yaml"
    try:
        value = load_yaml(file.read_bytes(), str(file), TemplateReader).value
    except (OSError, ConfigError):
        return None
    resource = as_mapping(as_mapping(as_mapping(value).get("Resources")).get(function.name))
    code = as_mapping(resource.get("Properties")).get("CodeUri")
    if isinstance(code, str):
        return code
    return None
