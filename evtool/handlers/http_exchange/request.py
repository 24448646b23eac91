"""Builds the request of a delivery: values of `${NAME}`, the body in the requested form, the signature."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from evtool import webhooks
from evtool.events.members import is_cloudevent
from evtool.handlers.base import Call
from evtool.handlers.http_exchange.urls import Url, parse_url
from evtool.handlers.processes.programs import VARIABLE, UnsetVariableError, expand_variables

JSON = "application/json"
DATA_KEYS = ("data", "data_base64")
CLOUDEVENT = "application/cloudevents+json"


class SetupError(Exception):
    """The handler cannot be loaded: a variable is not set, or its value cannot be used.

    The message contains names, never values. `code` is that of the finding.
    """

    def __init__(self, message: str, code: str = "EV501"):
        super().__init__(message)
        self.code = code


class Settings(NamedTuple):
    """The settings of an http handler with all variables expanded."""

    url: Url
    headers: Mapping[str, str]
    secrets: Sequence[str]

    # Whether the URL contains the value of a variable.
    is_url_secret: bool


def expand_settings(url: str, headers: Mapping[str, str], secrets: Sequence[str]) -> Settings:
    """Replaces each `${NAME}` in the settings of a handler. Raises SetupError."""
    shown = name_url(url)
    try:
        parts = parse_url(_expand(url).strip())
    except ValueError as error:
        raise SetupError(f"the URL {shown} {error}") from None
    expanded = {name: _expand(value).strip() for name, value in headers.items()}
    for name, value in expanded.items():
        if not re.fullmatch(r"[\t\x20-\x7e]*", value):
            raise SetupError(f"the header {name} contains a character that HTTP does not allow")
    keys = [_expand(secret).strip() for secret in secrets]
    for secret, key in zip(secrets, keys, strict=True):
        try:
            webhooks.decode_secret(key)
        except ValueError as error:
            subject = "`secret`"
            variables = ", ".join(match[0] for match in VARIABLE.finditer(secret))
            if variables:
                subject += f" in {variables}"
            raise SetupError(f"{subject} is not valid: {error}") from None
    return Settings(parts, expanded, keys, bool(VARIABLE.search(url)))


def name_url(url: str) -> str:
    """Returns the name of a URL in messages: as routes.yaml has it, and without its path, which may contain a token."""
    match = re.match(r"(https?://)?[^/?#]*", url)
    if match and match[0]:
        return match[0].rpartition("@")[2]
    return url


def _expand(text: str) -> str:
    try:
        return expand_variables(text)
    except UnsetVariableError as error:
        raise SetupError(str(error), "EV503") from None


# --- the body ------------------------------------------------------------------------------------------------------


def build_body(call: Call, form: str) -> tuple[bytes, dict[str, str]]:
    """Returns the body of a request and the headers that describe it. `form` is the option `body` of the handler."""
    if form == "event":
        return call.raw, {"Content-Type": JSON}
    document = json.loads(call.raw)
    attributes, data = _read_cloudevent(call, document)
    if form == "cloudevents":
        event = {name: value for name, value in attributes.items() if value is not None} | data
        return json.dumps(event, ensure_ascii=False).encode(), {"Content-Type": CLOUDEVENT}
    return _build_binary(attributes, data)


def _is_whole(call: Call, document: Mapping[str, Any]) -> bool:
    """Whether the document is the event itself, and not a text that `input` of the route made from it."""
    return document.get("id") == call.event_id and call.event_type in (
        document.get("detail-type"),
        document.get("type"),
    )


def _read_cloudevent(call: Call, document: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the attributes of a CloudEvent, and its `data` or `data_base64`."""
    required = {"specversion": "1.0", "id": call.event_id, "source": call.event_source, "type": call.event_type}
    if not isinstance(document, dict) or not _is_whole(call, document):
        return required | {"datacontenttype": JSON}, {"data": document}
    if is_cloudevent(document):
        return _split_cloudevent(document)
    optional = {"time": document.get("time"), "replayname": document.get("replay-name"), "datacontenttype": JSON}
    return required | optional, {"data": document["detail"]}


def _split_cloudevent(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    attributes, data = {}, {}
    for key, value in document.items():
        if key not in DATA_KEYS:
            attributes[key] = value
        elif value is not None:
            data[key] = value
    return attributes, data


def _build_binary(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Builds a CloudEvent in binary mode: the attributes are headers, the body is the data."""
    # Imported late, since few handlers use this form.
    from evtool.events.cloudevents import declares_json, decode_base64  # noqa: PLC0415

    content_type = attributes.get("datacontenttype") or JSON
    headers = {"Content-Type": str(content_type)}
    for name, value in attributes.items():
        if name != "datacontenttype" and value is not None:
            if isinstance(value, str):
                text = value
            else:
                text = json.dumps(value)
            headers[f"ce-{name}"] = quote(text, safe="!#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    if "data_base64" in data:
        return decode_base64(data["data_base64"]), headers
    value = data.get("data")
    if isinstance(value, str) and not declares_json(attributes):
        return value.encode(), headers
    if "data" not in data:
        return b"", headers
    return json.dumps(value, ensure_ascii=False).encode(), headers


# --- the headers ---------------------------------------------------------------------------------------------------


def build_headers(
    settings: Settings, body_headers: Mapping[str, str], body: bytes, webhook_id: str, now: int
) -> dict[str, str]:
    """Builds all headers of a request. `now` is in seconds since 1970."""
    headers = {"User-Agent": "evtool", "Accept": JSON} | dict(body_headers)
    # Names of headers have no case: `accept` in routes.yaml replaces `Accept`.
    configured = {name.lower() for name in settings.headers}
    for name in list(headers):
        if name.lower() in configured:
            del headers[name]
    headers |= settings.headers
    headers |= {webhooks.ID_HEADER: webhook_id, webhooks.TIMESTAMP_HEADER: str(now)}
    if settings.secrets:
        headers[webhooks.SIGNATURE_HEADER] = webhooks.sign(body, webhook_id, now, settings.secrets)
    return headers
