"""The contract of a rule source: a form of files that contain rules, and what it says about each rule."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.patterns.unknown import Unknown
from evtool.routes.project_file import LocatedDocument

# EventBridge allows this many characters in the template of an input.
MAX_TEMPLATE = 8192
# EventBridge's own limits for a target without a retry policy: retries, and the age of an event in seconds.
DEFAULT_RETRIES, DEFAULT_AGE = 185, 86_400
# The address of the placeholder that an imported route delivers to if its rule has no targets.
NO_TARGET = "no target is known"
# The key of Metadata with the name of the route. A logical id cannot have all characters of a name.
ROUTE_METADATA = "EvtoolRoute"
# The same of a SAM function, whose rules are its events: the names of the routes by the names of the events.
EVENT_ROUTES_METADATA = "EvtoolRoutes"
# The keys and indices that lead to a value in the source.
Path = tuple[str | int, ...]


class Function(NamedTuple):
    """A Lambda function whose code may be in a folder: the options of a `lambda` handler in the form of routes.yaml.

    The folder counts from the source. `name` is the logical id, `notes` say what of the function is not known here.
    `problem` says why the function cannot run on this machine, if it cannot; it has no options then.
    """

    name: str
    options: dict[str, Any]
    notes: Sequence[str] = ()
    problem: str = ""


class Target(NamedTuple):
    """A resource that a rule delivers to.

    `name` is a logical id or the name of a function, `address` its ARN or the expression of the source for it. `input`
    replaces the event, in the form of routes.yaml.
    """

    name: str
    address: str
    path: Path
    input: dict[str, Any] | None = None
    input_path: Path = ()
    function: Function | None = None
    retry: dict[str, Any] | None = None  # in the form of routes.yaml


class Rule(NamedTuple):
    """A rule of a source. `pattern`, `bus` and `state` may be or contain an Unknown.

    With a `note` it is not a route: it runs on a schedule, or AWS manages it. The note on a gap, which may hide rules
    that count, is shown without -v, too. `paths` leads to the `pattern`, the `bus` and the `state` in the source.
    """

    name: str
    path: Path
    pattern: Any = None
    targets: Sequence[Target] = ()
    bus: Any = None
    description: str = ""
    state: Any = "enabled"
    note: str | None = None
    paths: dict[str, Path] = {}  # noqa: RUF012  (never changed)
    is_gap: bool = False


class Source(NamedTuple):
    """A file with rules: how messages name it, its text, and its content with positions."""

    file: str
    text: bytes
    document: LocatedDocument


class Form(NamedTuple):
    """A form of rule sources.

    `title` completes "a file is ...". `recognizes(value)` says whether content has this form. `read_rules(source)`
    lists its rules; it raises ConfigError for what cannot be a source of this form.
    """

    title: str
    recognizes: Callable[[Any], bool]
    read_rules: Callable[[Source], Iterator[Rule]]


def read_state(value: Any) -> Any:
    """Returns the state of a route, from `ENABLED`, `DISABLED`, True, False, None or an Unknown."""
    if isinstance(value, Unknown):
        return value
    if value in ("DISABLED", False):
        return "disabled"
    return "enabled"


def read_retry(attempts: Any, age: Any) -> dict[str, Any] | None:
    """Returns the retry policy of a target in the form of routes.yaml, from its retries and its age in seconds.

    None if it has the defaults, which are the same in routes.yaml, or if it is not known.
    """
    retry: dict[str, Any] = {}
    if isinstance(attempts, int) and not isinstance(attempts, bool) and 0 <= attempts < DEFAULT_RETRIES:
        retry["max_attempts"] = attempts + 1
    if isinstance(age, int) and not isinstance(age, bool) and 0 < age < DEFAULT_AGE:
        retry["max_age"] = f"{age}s"
    return retry or None


def build_constant(text: str) -> dict[str, Any] | None:
    """Returns the input that is always this JSON text, in the form of routes.yaml; None if that form cannot have it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    if "<" in text or len(text) > MAX_TEMPLATE:
        return None
    return {"template": text}


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Returns the value, if it is a mapping, else an empty one."""
    if isinstance(value, Mapping):
        return value
    return {}


def as_text(value: Any) -> str | None:
    """Returns the value, if it is a string."""
    if isinstance(value, str):
        return value
    return None


def read_transformer(paths: Any, template: Any) -> dict[str, Any] | None:
    """Returns the input that an input transformer makes, in the form of routes.yaml.

    None if a part of it is not known.
    """
    if not isinstance(template, str) or not isinstance(paths, Mapping):
        return None
    if all(isinstance(path, str) for path in paths.values()):
        return {"paths": dict(paths), "template": template}
    return None


def as_list(value: Any) -> list[Any]:
    """Returns the value, if it is a list, else an empty one."""
    if isinstance(value, list):
        return value
    return []


def get_block(value: Any) -> Mapping[str, Any]:
    """Returns the first block of a value: Terraform has one block as a mapping, or as a list of one mapping."""
    if isinstance(value, list) and value:
        return as_mapping(value[0])
    return as_mapping(value)


def as_item(value: Any, step: str | int) -> Any:
    """Returns the item of a mapping or list; None if it has none."""
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None
