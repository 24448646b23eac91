"""The options of an http handler in routes.yaml."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from evtool.handlers.base import HandlerOptions
from evtool.handlers.http_exchange.urls import HEADER_NAME, find_header_problem, find_url_problem


def _check_url(text: str) -> str:
    problem = find_url_problem(text)
    if problem:
        hint = "for example https://example.com/hooks, or ${NAME} from the environment"
        raise PydanticCustomError("path", "{said}", {"said": f"the URL {problem}", "hint": hint})
    return text


def _check_header(name: str) -> str:
    problem = find_header_problem(name)
    if problem:
        raise PydanticCustomError("path name", "{said}", {"said": problem})
    return name


Url = Annotated[
    str,
    AfterValidator(_check_url),
    Field(min_length=1, description="the URL that gets the events; `${NAME}` comes from the environment"),
]
Secret = Annotated[str, Field(min_length=1)]


def _tag_secrets(value: object) -> str:
    if isinstance(value, list):
        return "several"
    return "one"


# With tags, pydantic reports the problems of the form that was used, and not those of both forms.
Secrets = Annotated[
    Annotated[Secret, Tag("one")] | Annotated[list[Secret], Field(min_length=1), Tag("several")],
    Discriminator(_tag_secrets),
]
HeaderName = Annotated[str, AfterValidator(_check_header), Field(json_schema_extra={"pattern": HEADER_NAME})]


class HttpOptions(HandlerOptions):
    """The options of an http handler in routes.yaml."""

    http: Url
    secret: Annotated[
        Secrets,
        Field(default_factory=list, description="signs the requests: `whsec_...`, several while one is replaced"),
    ]
    headers: Annotated[
        dict[HeaderName, str],
        Field(
            default_factory=dict,
            description="further headers of the requests",
            json_schema_extra={"additionalProperties": False},
        ),
    ]
    body: Annotated[
        Literal["event", "cloudevents", "cloudevents-binary"],
        Field(description="the event as it is, or as a CloudEvent in structured or binary mode"),
    ] = "event"
    ca: Annotated[
        str | None, Field(min_length=1, description="a PEM file of authorities to trust, in addition to the system's")
    ] = None
    proxy: Annotated[
        Literal["environment"] | None, Field(description="use the proxy that HTTPS_PROXY or HTTP_PROXY names")
    ] = None

    @property
    def secrets(self) -> list[str]:
        """The secrets in the form in which routes.yaml has them, in order."""
        if isinstance(self.secret, str):
            return [self.secret]
        return self.secret
