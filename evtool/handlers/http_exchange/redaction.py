"""Removes from a response whatever the request kept secret: a server may send back what it got."""

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

from evtool.handlers.http_exchange.request import Settings

HIDDEN = "***"
MIN_LENGTH = 4  # characters of a value that is hidden: a shorter one is not secret, and would hide other text
MIN_PART_LENGTH = 8  # the same for a part of a URL


def redact(text: str, settings: Settings) -> str:
    """The text without the values of headers, the secrets and the URL, in the forms in which servers echo them."""
    return redact_values(text, _list_values(settings))


def redact_values(text: str, values: Iterable[str]) -> str:
    """The text without these values, also where they are escaped or quoted."""
    forms = {form for value in values for form in _list_forms(value) if len(form) >= MIN_LENGTH}
    if not forms:
        return text
    # a longer form first: it may contain a shorter one
    return re.sub("|".join(map(re.escape, sorted(forms, key=len, reverse=True))), HIDDEN, text, flags=re.IGNORECASE)


def _list_values(settings: Settings) -> Iterable[str]:
    if settings.is_url_secret:
        url = settings.url
        yield from (f"{url.origin}{url.target}", url.origin, f"{url.host}:{url.port}", url.host, url.target.lstrip("/"))
        yield from (part for part in re.split(r"[/?&=;]", url.target) if len(part) >= MIN_PART_LENGTH)
    for value in settings.headers.values():
        yield value
        yield from value.split()[1:]  # the first word may be a scheme such as `Bearer`
    for secret in settings.secrets:
        yield from (secret, secret.partition("_")[2])


def _list_forms(value: str) -> Iterable[str]:
    yield value
    yield unquote(value)
    yield from (quote(value), quote(value, safe=""), quote_plus(value), html.escape(value))
    escaped = json.dumps(value)[1:-1]
    yield from (escaped, escaped.replace("/", "\\/"))
