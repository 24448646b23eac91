"""Pydantic models of scenario files. Their JSON Schema is what editors use to complete and check these files."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

GIVEN_KEYS = ("sample", "file", "event", "generate")
# The key of `mock` for every handler that has no own key.
ALL = "*"
NonEmpty = Annotated[str, Field(min_length=1)]
Patterns = Annotated[list[dict[str, Any]], Field(min_length=1, description="EventBridge event patterns")]
Names = Annotated[list[NonEmpty], Field(min_length=1)]
State = Literal["done", "dead", "ready", "waiting"]


def _tag_mocks(value: Any) -> str:
    if isinstance(value, str):
        return "all"
    return "by handler"


def _tag_handlers(value: Any) -> str:
    if isinstance(value, list):
        return "names"
    return "counts"


def _make_error(kind: str, problem: str) -> PydanticCustomError:
    # The message of such an error is a template: a brace in the sentence itself would be taken for a placeholder.
    return PydanticCustomError(kind, "{problem}", {"problem": problem})


def list_keys(model: type[BaseModel]) -> list[str]:
    """Lists the keys that a part of a scenario may have, in their YAML form."""
    return [field.alias or name for name, field in model.model_fields.items()]


class _Part(BaseModel):
    """A part of a scenario: unknown keys and values of other types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GivenModel(_Part):
    """A given event: of a sample, a file, written here, or generated from the schema of a type."""

    model_config = ConfigDict(
        title="Given event", json_schema_extra={"oneOf": [{"required": [key]} for key in GIVEN_KEYS]}
    )

    sample: Annotated[NonEmpty, Field(description="the name of a sample")] = ""
    file: Annotated[NonEmpty, Field(description="a file with events, relative to the scenario's file")] = ""
    event: Annotated[
        dict[str, Any], Field(default_factory=dict, min_length=1, description="an event, in any form that is published")
    ]
    generate: Annotated[NonEmpty, Field(description="a type: an event is generated from its schema")] = ""
    set: Annotated[
        dict[str, Any],
        Field(default_factory=dict, min_length=1, description="fields to change: detail.total: 5"),
    ]

    @model_validator(mode="after")
    def _check_one_origin(self) -> "GivenModel":
        named = [key for key in GIVEN_KEYS if key in self.model_fields_set]
        if len(named) == 1:
            return self
        if named:
            problem = f"has {' and '.join(named)}; choose one"
        else:
            problem = f"needs one of {', '.join(GIVEN_KEYS)}"
        raise _make_error("given", problem)


class MockModel(_Part):
    """What a handler does instead of its work. Without any key it is done."""

    model_config = ConfigDict(title="Mock")

    emit: Annotated[
        list[dict[str, Any]], Field(default_factory=list, min_length=1, description="events that it emits when done")
    ]
    fail: Annotated[NonEmpty, Field(description="it fails with this error")] = ""
    unavailable: Annotated[NonEmpty, Field(description="it is not available, for this reason")] = ""
    times: Annotated[int, Field(ge=1, description="only this number of calls; then it is done")] = 0

    @model_validator(mode="after")
    def _check_combination(self) -> "MockModel":
        is_failing = bool(self.fail or self.unavailable)
        if self.fail and self.unavailable:
            raise _make_error("mock", "has fail and unavailable; choose one")
        if self.times and not is_failing:
            raise _make_error("mock", "has times, which goes with fail or unavailable")
        if self.emit and is_failing and not self.times:
            raise _make_error("mock", "emits nothing, since it is never done: add times")
        return self


class _Effects(_Part):
    @model_validator(mode="after")
    def _check_not_empty(self) -> "_Effects":
        if not self.model_fields_set:
            raise _make_error("effects", f"is empty; it may have {', '.join(list_keys(type(self)))}")
        return self


class ForbiddenModel(_Effects):
    """What must not result."""

    model_config = ConfigDict(title="Forbidden effects", json_schema_extra={"minProperties": 1})

    routes: Annotated[Names, Field(default_factory=list, description="no event matches these routes")]
    handlers: Annotated[Names, Field(default_factory=list, description="no attempt calls these handlers")]
    emits: Annotated[Patterns, Field(default_factory=list, description="no emitted event matches these patterns")]


class ExpectModel(_Effects):
    """What must result, along the whole chain."""

    model_config = ConfigDict(title="Expected effects", json_schema_extra={"minProperties": 1})

    routes: Annotated[Names, Field(default_factory=list, description="exactly these routes match an event")]
    handlers: Annotated[
        Annotated[Names, Tag("names")]
        | Annotated[dict[str, Annotated[int, Field(ge=0)]], Field(min_length=1), Tag("counts")],
        Discriminator(_tag_handlers),
        Field(default_factory=list, description="attempts by handler; as a list: each at least once"),
    ]
    emits: Annotated[Patterns, Field(default_factory=list, description="an emitted event matches each pattern")]
    states: Annotated[
        dict[str, State], Field(default_factory=dict, min_length=1, description="final state of all its deliveries")
    ]
    forbidden: Annotated[ForbiddenModel | None, Field(alias="not")] = None

    @property
    def handler_counts(self) -> dict[str, int | None]:
        """The expected attempts by handler; None means at least one."""
        if isinstance(self.handlers, dict):
            return dict(self.handlers)
        return dict.fromkeys(self.handlers)


class ScenarioModel(_Part):
    """Given events, and their required and forbidden effects."""

    model_config = ConfigDict(title="Scenario")

    description: str = ""
    given: Annotated[list[GivenModel], Field(min_length=1, description="events that are published, in this order")]
    mock: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[dict[str, MockModel], Field(min_length=1), Tag("by handler")],
        Discriminator(_tag_mocks),
        Field(default_factory=dict, description='mocks by handler ("*": every other one), or all; others are called'),
    ]
    expect: ExpectModel

    def find_mock(self, handler: str) -> MockModel | None:
        """Returns the mock of a handler; None if the scenario calls the real handler."""
        if isinstance(self.mock, str):
            return MockModel.model_validate({})
        return self.mock.get(handler) or self.mock.get(ALL)


class ScenariosModel(_Part):
    """A file of scenarios."""

    model_config = ConfigDict(title="Scenarios of evtool")

    version: Literal[1]
    scenarios: Annotated[dict[NonEmpty, ScenarioModel], Field(min_length=1)]
