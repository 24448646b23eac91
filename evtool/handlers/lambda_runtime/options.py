"""The options of a `lambda` handler in routes.yaml."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import ProcessOptions
from evtool.handlers.lambda_runtime.runtime_names import FAMILIES, WITH_HANDLER, RuntimeName, parse_runtime
from evtool.units import TimeLimit, duration_field

NO_NUL = r"^[^\x00]*$"


def _check_runtime(name: str) -> str:
    if parse_runtime(name) is None:
        families = ", ".join(FAMILIES)
        hint = did_you_mean(name, FAMILIES) or f"write {families}, or name a command: start: [dotnet, ...]"
        raise PydanticCustomError("path", "{said}", {"said": f"the runtime {name} does not exist", "hint": hint})
    return name


class LambdaOptions(ProcessOptions):
    """The options of a `lambda` handler in routes.yaml."""

    folder: Annotated[
        str, Field(alias="lambda", min_length=1, pattern=NO_NUL, description="the folder of a function for AWS Lambda")
    ]
    runtime: Annotated[
        Annotated[str, AfterValidator(_check_runtime)] | None,
        Field(description=f"{', '.join(FAMILIES)}, or AWS's name, such as python3.13; by default provided"),
    ] = None
    handler: Annotated[
        str | None, Field(min_length=1, pattern=NO_NUL, description="the function, as AWS names it: app.handler")
    ] = None
    start: Annotated[
        list[Annotated[str, Field(pattern=NO_NUL)]] | None,
        Field(min_length=1, description="the command that starts the runtime, in place of that of `runtime`"),
    ] = None
    environment: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Annotated[str, Field(pattern=NO_NUL)]],
        Field(default_factory=dict, description="variables of the function"),
    ]
    credentials: Annotated[
        Literal["dummy", "inherit"], Field(description="inherit: the function gets your credentials of AWS")
    ] = "dummy"
    interpreter: Annotated[
        str | None, Field(min_length=1, pattern=NO_NUL, description="the Python that runs a Python function")
    ] = None
    init_timeout: TimeLimit = duration_field("10s", "time limit of loading the function")
    memory_size: Annotated[
        int, Field(ge=128, le=10_240, description="memory in MB that the function's context shows")
    ] = 128
    emit_limit: Annotated[int, Field(ge=0, le=10_000, description="the most events that one attempt may emit")] = 1000

    @model_validator(mode="after")
    def _require_handler(self) -> Self:
        family = self.runtime_name.family
        if family in WITH_HANDLER and not self.handler and not self.start:
            raise ValueError(f"`handler` is missing: a function of the runtime {self.runtime} has one")
        return self

    @property
    def longest_call(self) -> float:
        """The most seconds that a call may take."""
        # Twice the time to load: first evtool waits for a process that hangs, then it loads a new one.
        return self.timeout + 2 * self.init_timeout

    @property
    def runtime_name(self) -> RuntimeName:
        """The runtime; by default `provided`, with a program `bootstrap` in the folder."""
        return parse_runtime(self.runtime or "provided") or RuntimeName("provided")
