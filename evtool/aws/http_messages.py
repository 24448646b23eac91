"""HTTP requests and responses as values."""

from collections.abc import Mapping
from typing import NamedTuple

# The limit in bytes for a body that is kept: the longest response of a Lambda function.
MAX_BODY_BYTES = (6 << 20) + 100


class Request(NamedTuple):
    """A request with its whole body. Names of headers are in lower case; trailers are among them."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    is_too_large: bool = False  # the body is not whole: it had more than MAX_BODY_BYTES


class Response(NamedTuple):
    """A response; its length is added to the headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
