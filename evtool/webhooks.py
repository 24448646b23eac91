"""Standard Webhooks: signs requests, and verifies received requests (https://www.standardwebhooks.com).

The signature covers the id, the time and the body, so that a stranger can neither change nor repeat a request later.
Example of a request:

    webhook-id: dlv_2Kc                        the delivery: all attempts have the same id
    webhook-timestamp: 1735689600              seconds since 1970
    webhook-signature: v1,K5oZfzN95Z9UVu=      Base64 of HMAC-SHA256(key, "dlv_2Kc.1735689600." + body)

While a secret is replaced, the header has several signatures, separated by spaces. One of them has to fit.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping, Sequence

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
HEADERS = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
SECRET_PREFIX = "whsec_"  # noqa: S105  (the prefix of every secret)

# Seconds that the time of a request may differ from the clock of the receiver.
TOLERANCE = 300.0

# The version of signatures with HMAC-SHA256.
_VERSION = "v1"


class WebhookError(ValueError):
    """The request was not signed with the secret, or is too old. The message does not contain the secret."""


def verify(
    body: bytes | str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> str:
    """Verifies the signature of a received request, and returns its `webhook-id`.

    `body` is the received body, before any parsing. `headers` is a mapping or pairs, with names in any case. `secret`
    has the form `whsec_...`, or is a list of which one secret has to fit, so that a secret can be replaced.
    `tolerance` is in seconds, `now` in seconds since 1970, by default the current time.

    Raises WebhookError unless a signature is valid, and a plain ValueError if a secret cannot be used.
    """
    if not secret:
        raise ValueError("the secret is empty or None")
    secrets = secret
    if isinstance(secret, str):
        secrets = [secret]
    keys = list(map(decode_secret, secrets))
    webhook_id, timestamp, signatures = _read_headers(headers)
    if now is None:
        now = time.time()
    age = now - int(timestamp)
    if abs(age) > tolerance:
        when = "in the future"
        if age > 0:
            when = "too old"
        raise WebhookError(f"{TIMESTAMP_HEADER} is {when}: {abs(age):.0f} seconds; {tolerance:.0f} are allowed")
    if isinstance(body, str):
        body = _encode(body)
    expected = [_sign(body, webhook_id, timestamp, key) for key in keys]
    if not _has_match(expected, list(map(_encode, signatures.split(" ")))):
        raise WebhookError(f"no signature in {SIGNATURE_HEADER} fits: another secret, or another body")
    return webhook_id


def _has_match(expected: Sequence[bytes], received: Sequence[bytes]) -> bool:
    """Compares every pair, so that the time which this takes does not show which pair fits."""
    is_match = False
    for ours in expected:
        for theirs in received:
            if hmac.compare_digest(ours, theirs):
                is_match = True
    return is_match


def sign(body: bytes, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str:
    """Returns the value of `webhook-signature`: a signature for each secret. Raises ValueError for a wrong secret."""
    # All secrets are checked before the first one is used.
    keys = list(map(decode_secret, secrets))
    return " ".join(_sign(body, webhook_id, str(timestamp), key).decode() for key in keys)


def decode_secret(secret: str) -> bytes:
    """Returns the key in a secret. Raises ValueError; the message does not contain the secret."""
    encoded = ""
    if isinstance(secret, str):
        encoded = secret.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    # Some services show secrets without the padding of Base64.
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not secret.strip().startswith(SECRET_PREFIX):
        raise ValueError(f"a secret is a string: {SECRET_PREFIX} followed by Base64 text") from None
    return key


def _read_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[str, str, str]:
    """Returns the id, the timestamp and the signatures. Raises WebhookError."""
    # The headers of some frameworks have `items`, but are not a Mapping.
    if isinstance(headers, Mapping) or hasattr(headers, "items"):
        pairs = headers.items()
    else:
        pairs = headers
    values = {name.lower(): value for name, value in pairs}
    for name in HEADERS:
        if not values.get(name):
            raise WebhookError(f"the header {name} is missing")
    webhook_id, timestamp, signatures = map(values.__getitem__, HEADERS)
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise WebhookError(f"{TIMESTAMP_HEADER} is not a number of seconds since 1970")
    return webhook_id, timestamp, signatures


def _sign(body: bytes, webhook_id: str, timestamp: str, key: bytes) -> bytes:
    content = b".".join([_encode(webhook_id), timestamp.encode(), body])
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"{_VERSION},".encode() + base64.b64encode(digest)


def _encode(text: str) -> bytes:
    # A server may decode a header that is not UTF-8 to lone surrogates, for which plain UTF-8 would raise an error.
    return text.encode(errors="surrogatepass")
