"""Removes the secrets of a request from its response: a server may send them back, in many forms.

Example: the token `ab/cd ef` of a header is hidden in all of these responses:

    no user for ab/cd ef            unchanged
    no page /hooks/ab%2Fcd%20ef     quoted in a URL
    {"token": "ab\\/cd ef"}         escaped in JSON
"""

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

from evtool.handlers.http_exchange.request import Settings

HIDDEN = "***"

# Characters of the shortest value that is hidden. A shorter one is a part of many words, and is not secret.
MIN_LENGTH = 4

# The same for a part of a URL, which is often a word such as `hooks`.
MIN_PART_LENGTH = 8


def redact(text: str, settings: Settings) -> str:
    """Hides the values of headers, the secrets and a secret URL in a text."""
    return redact_values(text, _list_values(settings))


def redact_values(text: str, values: Iterable[str]) -> str:
    """Hides these values in a text, also where they are escaped or quoted."""
    forms: set[str] = set()
    for value in values:
        forms.update(_list_forms(value))
    forms = {form for form in forms if len(form) >= MIN_LENGTH}
    if not forms:
        return text
    # A longer form first: it may contain a shorter one.
    return re.sub("|".join(map(re.escape, sorted(forms, key=len, reverse=True))), HIDDEN, text, flags=re.IGNORECASE)


def _list_values(settings: Settings) -> Iterable[str]:
    if settings.is_url_secret:
        url = settings.url
        yield from (f"{url.origin}{url.target}", url.origin, f"{url.host}:{url.port}", url.host, url.target.lstrip("/"))
        for part in re.split(r"[/?&=;]", url.target):
            if len(part) >= MIN_PART_LENGTH:
                yield part
    for value in settings.headers.values():
        yield value
        # The first word may be a scheme such as `Bearer`, which is not secret.
        yield from value.split()[1:]
    for secret in settings.secrets:
        yield from (secret, secret.partition("_")[2])


def _list_forms(value: str) -> Iterable[str]:
    yield value
    yield unquote(value)
    yield from (quote(value), quote(value, safe=""), quote_plus(value), html.escape(value))
    escaped = json.dumps(value)[1:-1]
    yield from (escaped, escaped.replace("/", "\\/"))
