"""Standard Webhooks: signs requests, and verifies them where they are received (https://www.standardwebhooks.com)."""

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
TOLERANCE = 300.0  # seconds that a request may be old or early

_VERSION = "v1"  # HMAC-SHA256


class WebhookError(ValueError):
    """A request that was not signed with the secret, or not recently. The message says why, without the secret."""


def verify(
    body: bytes | str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> str:
    """Verifies the signature of a received request, and returns its `webhook-id`.

    `body` is the body as it was received, before any parsing. `headers` are a mapping or pairs, with names in any case.
    `secret` has the form `whsec_...`; of several, one must fit, so that a secret can be replaced. `tolerance` is in
    seconds, `now` in seconds since 1970, by default the current time.

    Raises WebhookError unless a signature is valid, and a plain ValueError if a secret cannot be used.
    """
    if not secret:
        raise ValueError("there is no secret: it is empty or None")
    keys = [decode_secret(one) for one in ([secret] if isinstance(secret, str) else secret)]
    webhook_id, timestamp, signatures = _read_headers(headers)
    age = (time.time() if now is None else now) - int(timestamp)
    if abs(age) > tolerance:
        when = "in the future"
        if age > 0:
            when = "too old"
        raise WebhookError(f"{TIMESTAMP_HEADER} is {when}: {abs(age):.0f} seconds; {tolerance:.0f} are allowed")
    if isinstance(body, str):
        content = _encode(body)
    else:
        content = body
    expected = [_sign(content, webhook_id, timestamp, key) for key in keys]
    received = [_encode(signature) for signature in signatures.split(" ")]
    # every pair is compared, so that the time says nothing about which one fits
    if not any([hmac.compare_digest(ours, theirs) for ours in expected for theirs in received]):  # noqa: C419
        raise WebhookError(f"no signature in {SIGNATURE_HEADER} fits: another secret, or another body")
    return webhook_id


def sign(body: bytes, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str:
    """The value of `webhook-signature`: a signature for each secret. Raises ValueError if a secret cannot be used."""
    keys = [decode_secret(secret) for secret in secrets]
    return " ".join(_sign(body, webhook_id, str(timestamp), key).decode() for key in keys)


def decode_secret(secret: str) -> bytes:
    """The key in a secret. Raises ValueError, whose message does not contain the secret."""
    encoded = ""
    if isinstance(secret, str):
        encoded = secret.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not secret.strip().startswith(SECRET_PREFIX):
        raise ValueError(f"a secret is a string: {SECRET_PREFIX} followed by Base64 text") from None
    return key


def _read_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[str, str, str]:
    """The id, the timestamp and the signatures. Raises WebhookError."""
    if isinstance(headers, Mapping) or hasattr(headers, "items"):
        pairs = headers.items()
    else:
        pairs = headers
    values = {name.lower(): value for name, value in pairs if name.lower() in HEADERS}
    for name in HEADERS:
        if not values.get(name):
            raise WebhookError(f"the header {name} is missing")
    webhook_id, timestamp, signatures = (values[name] for name in HEADERS)
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise WebhookError(f"{TIMESTAMP_HEADER} is not a number of seconds since 1970")
    return webhook_id, timestamp, signatures


def _sign(body: bytes, webhook_id: str, timestamp: str, key: bytes) -> bytes:
    content = b".".join([_encode(webhook_id), timestamp.encode(), body])
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"{_VERSION},".encode() + base64.b64encode(digest)


def _encode(text: str) -> bytes:
    """The bytes of a text. A server may decode a header that is not UTF-8 to what UTF-8 cannot write."""
    return text.encode(errors="surrogatepass")
