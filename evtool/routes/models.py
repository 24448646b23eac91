"""Pydantic models of routes.yaml."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    InstanceOf,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema, core_schema

from evtool.events.input_transformer import Input
from evtool.events.payload_identity import POINTER_PATTERN
from evtool.handlers.base import HandlerOptions
from evtool.handlers.plugins.kinds import PluginOptions, find_kind, read_plugin_options
from evtool.handlers.registry import KINDS
from evtool.patterns.unknown import Unknown, find_unknown
from evtool.routes import project as project_file
from evtool.units import DURATION_PATTERN, Duration, duration_field, parse_duration


class Retry(BaseModel):
    """The retry policy of a route. The limits are EventBridge's: 185 attempts, 24 hours, whichever comes first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    max_attempts: Annotated[int, Field(ge=1, le=10_000, description="attempts before a delivery is given up")] = 185
    max_age: Duration = duration_field("24h", "age at which a delivery is given up")
    first_delay: Duration = duration_field("1s", "pause after the first failure; it doubles from then on")
    max_delay: Duration = duration_field("15m", "the longest pause; by default at least first_delay")

    @model_validator(mode="after")
    def _raise_implicit_max_delay(self) -> "Retry":
        if "max_delay" in self.model_fields_set or self.first_delay <= self.max_delay:
            return self
        return self.model_copy(update={"max_delay": self.first_delay})


def _tag_kind(value: Any) -> str | None:
    """Returns the tag of a handler's kind, which one of its keys names."""
    kind = find_kind(value)
    if kind in KINDS:
        return f"kind {kind}"
    return kind and "plugin"


class _HandlerByKind:
    """Lets pydantic choose a handler's model by the key that names its kind."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {}
        for name, kind in KINDS.items():
            choices[f"kind {name}"] = handler.generate_schema(kind.options)
        choices["plugin"] = core_schema.no_info_wrap_validator_function(
            read_plugin_options, handler.generate_schema(PluginOptions)
        )
        return core_schema.tagged_union_schema(choices, discriminator=_tag_kind)


# Unions have explicit tags, so that pydantic reports only the errors of the alternative that the user meant.
def _tag_list(value: Any) -> str:
    if isinstance(value, list):
        return "several"
    return "one"


def _tag_schema_entry(value: Any) -> str:
    if isinstance(value, dict):
        return "files"
    return "folder"


def _tag_pattern(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, Unknown):
        return "unknown"
    return "mapping"


# EventBridge has the same rule for the names of rules.
Name = Annotated[str, Field(pattern=r"^[.\-_A-Za-z0-9]{1,64}$")]
Paths = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[str], Field(min_length=1), Tag("several")],
    Discriminator(_tag_list),
]
SchemaFiles = Annotated[dict[str, str], Field(min_length=1, description="TYPE or SOURCE@TYPE: FILE or FILE#/POINTER")]
SchemaEntry = Annotated[
    Annotated[str, Tag("folder")] | Annotated[SchemaFiles, Tag("files")],
    Discriminator(_tag_schema_entry),
]
SchemaPlaces = Annotated[
    Annotated[SchemaEntry, Tag("one")] | Annotated[list[SchemaEntry], Field(min_length=1), Tag("several")],
    Discriminator(_tag_list),
]
Pointer = Annotated[str, Field(pattern=POINTER_PATTERN, description="a JSON Pointer such as /id")]
PatternSource = Annotated[
    Annotated[dict[str, Any], Tag("mapping")]
    | Annotated[str, Tag("text")]
    | Annotated[SkipJsonSchema[InstanceOf[Unknown]], Tag("unknown")],
    Discriminator(_tag_pattern),
]
# A URL, or a variable that contains one.
BUS_URL = r"^(\$\{|[A-Za-z][A-Za-z0-9+.\-]*:)"


def parse_tiers(value: object) -> tuple[float, ...]:
    """Parses the pauses of retry topics, a list of durations or `none`, to seconds. Raises ValueError."""
    if value == "none":
        return ()
    if not isinstance(value, list) or not value:
        raise ValueError("should be a list of pauses such as [5s, 1m], or none")
    tiers = tuple(parse_duration(entry) for entry in value)
    if not all(tiers) or list(tiers) != sorted(set(tiers)):
        raise ValueError("each pause should be longer than the one before, and the first longer than 0s")
    return tiers


def _check_bus_url(value: str) -> str:
    if not re.match(BUS_URL, value):
        raise ValueError("should be a URL such as kafka://localhost:9092/orders")
    return value


_TIERS_SCHEMA = {
    "anyOf": [
        {"const": "none"},
        {"type": "array", "items": {"type": "string", "pattern": DURATION_PATTERN}, "minItems": 1},
    ]
}
BusUrl = Annotated[str, AfterValidator(_check_bus_url), WithJsonSchema({"type": "string", "pattern": BUS_URL})]
RetryTiers = Annotated[tuple[float, ...], BeforeValidator(parse_tiers), WithJsonSchema(_TIERS_SCHEMA)]
# EventBridge has the same rule for the names of event buses.
BUS_NAME = r"^[/.\-_A-Za-z0-9]{1,256}$"
# Without this the exported JSON Schema would allow names that do not match the pattern.
NAMES_ONLY = {"additionalProperties": False}


class RouteModel(BaseModel):
    """A route: a named pattern and the handlers it goes to."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Route")

    description: str = ""
    pattern: Annotated[PatternSource, Field(description="an EventBridge event pattern, or its JSON as a string")]
    event_bus: Annotated[
        str, Field(alias="event-bus", pattern=BUS_NAME, description="it takes only events of this event bus")
    ] = ""
    # A rule of a template may have no target. So problems.py checks that the list is not empty.
    to: Annotated[list[str], Field(json_schema_extra={"minItems": 1}, description="names of handlers")]
    retry: Retry = Retry()
    input: Annotated[Input | None, Field(description="what the handlers get instead of the event")] = None
    state: Literal["enabled", "disabled"] = "enabled"

    @model_validator(mode="before")
    @classmethod
    def _take_defaults_for_unknown_values(cls, route: Any) -> Any:
        """Removes the keys with unknown values, except the pattern. A route without a bus takes events of every bus."""
        if not isinstance(route, Mapping):
            return route
        return {key: value for key, value in route.items() if key == "pattern" or find_unknown(value) is None}


class IntakeModel(BaseModel):
    """Payloads without an envelope, such as webhooks: their source, and where they have their type and id."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Intake")

    source: Annotated[str, Field(min_length=1, description="the source of the events")]
    type_at: Annotated[Pointer | None, Field(alias="type-at", description="where a payload has its type")] = None
    id_at: Annotated[Pointer | None, Field(alias="id-at", description="where a payload has its id")] = None


class BusModel(BaseModel):
    """A bus by name, for `--bus NAME`, `pull` and `push`. A bus is used only if the command line names it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Bus")

    url: Annotated[BusUrl, Field(description="its URL, such as kafka://localhost:9092/orders")]
    password: Annotated[
        str | None, Field(min_length=1, description="the password or connection string, as ${NAME}")
    ] = None
    retry: Annotated[RetryTiers | None, Field(description="the pauses of the retry topics, or none")] = None


CodePrefix = Annotated[str, Field(pattern=r"^EV\d{0,3}$", description="a code such as EV305, or the start of one")]
Severity = Literal["error", "warning", "note"]


class CheckModel(BaseModel):
    """The findings that `evtool check` reports."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Check")

    select: Annotated[list[CodePrefix], Field(default_factory=list, description="only findings with these codes")]
    ignore: Annotated[
        list[Annotated[str, Field(pattern=r"^EV\d{0,3}(:[.\-_A-Za-z0-9]{1,64})?$")]],
        Field(default_factory=list, description="no findings with these codes; EV305:ROUTE only those of a route"),
    ]
    severity: Annotated[
        dict[CodePrefix, Severity],
        Field(default_factory=dict, description="the severity of a code", json_schema_extra=NAMES_ONLY),
    ]


class RoutesModel(BaseModel):
    """routes.yaml: the project file of evtool."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="routes.yaml")

    version: Literal[1]
    schemas: Annotated[
        SchemaPlaces | None, Field(description="folder(s) of JSON Schemas, or a mapping of types to files")
    ] = None
    samples: Annotated[Paths | None, Field(description="sample events: files or folders")] = None
    scenarios: Annotated[str, Field(min_length=1, description="folder of the scenarios")] = project_file.SCENARIOS
    store: Annotated[str, Field(description="the store's file")] = project_file.STORE_FILE
    interpreter: Annotated[
        str | None,
        Field(min_length=1, pattern=r"^[^\x00]*$", description="the Python that runs python handlers"),
    ] = None
    handlers: Annotated[
        dict[Name, Annotated[HandlerOptions, _HandlerByKind()]],
        Field(default_factory=dict, json_schema_extra=NAMES_ONLY),
    ]
    intake: Annotated[
        dict[Name, IntakeModel],
        Field(default_factory=dict, description="payloads without an envelope", json_schema_extra=NAMES_ONLY),
    ]
    buses: Annotated[
        dict[Name, BusModel],
        Field(default_factory=dict, description="buses by name, for --bus NAME", json_schema_extra=NAMES_ONLY),
    ]
    check: Annotated[CheckModel | None, Field(description="what `evtool check` reports")] = None
    routes: Annotated[dict[Name, RouteModel], Field(default_factory=dict, json_schema_extra=NAMES_ONLY)]
    rules: Annotated[
        Paths | None, Field(description="files with more rules: templates, serverless.yml, Terraform, AWS CLI output")
    ] = None
