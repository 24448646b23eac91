"""Refuses requests before anything of them is used: foreign hosts and origins, missing tokens, too long headers."""

import hashlib
import hmac
import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from evtool.server.context import Settings
from evtool.server.http.errors import HttpError, build_error_response, prefers_html

# The limit in bytes for the names and values of all headers, and the path.
MAX_HEADER_BYTES = 64 << 10
# These paths need no token.
OPEN_PATHS = ("/healthz", "/login")
# The files of the page contain nothing of the project.
OPEN_FOLDER = "/assets/"
# The page sets this cookie when a user has typed in the token.
COOKIE = "evtool-session"
LOCAL_NAMES = {"localhost", "host.docker.internal"}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guards:
    """The app behind the checks that every request has to pass."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        headers = Headers(scope=scope)
        error = check_header_size(scope) or check_host(headers, self._settings) or check_origin(headers, scope)
        error = error or check_token(headers, scope, self._settings)
        if error is None:
            await self._app(scope, receive, send)
        elif error.status == 401 and scope["method"] == "GET" and prefers_html(headers):
            await RedirectResponse("/login", 303)(scope, receive, send)
        else:
            await build_error_response(error)(scope, receive, send)


def compute_session(token: str) -> str:
    """Computes the value of the cookie of a user who knows the token. The token cannot be computed from it."""
    return hmac.new(token.encode(), b"evtool serve", hashlib.sha256).hexdigest()


def check_header_size(scope: Scope) -> HttpError | None:
    """Returns the error if the headers are too long."""
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size + len(scope["raw_path"]) + len(scope["query_string"]) > MAX_HEADER_BYTES:
        message = f"the headers have more than {MAX_HEADER_BYTES:,} bytes"
        return HttpError(431, message, headers={"Connection": "close"})
    return None


def check_host(headers: Headers, settings: Settings) -> HttpError | None:
    """Returns the error if a browser was led here by the name of another computer.

    Addresses and names of this computer cannot belong to an attacker. With a token any name may be used, since a
    browser that is led here has no cookie for that name.
    """
    hosts = headers.getlist("host")
    name = ""
    if len(hosts) == 1:
        name = split_host(hosts[0])
    if name and (settings.token or is_local_name(name) or name in settings.host_names):
        return None
    hint = "use 127.0.0.1 or localhost, or start evtool serve with --token-file to allow every name"
    return HttpError(403, f"the Host header names {name or 'nothing'}, which is not this computer; {hint}")


@lru_cache(maxsize=100)
def split_host(host: str) -> str:
    """Returns the name or address in a Host header, without the port; empty if it is not one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=100)
def is_local_name(name: str) -> bool:
    """Returns whether a name in a URL always means this computer, or is an address."""
    if name in LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_origin(headers: Headers, scope: Scope) -> HttpError | None:
    """Returns the error if a page of another site has the browser make this request."""
    origin = headers.get("origin")
    is_foreign = origin is not None and origin.partition("://")[2] != headers.get("host")
    if scope["method"] not in SAFE_METHODS:
        is_foreign = is_foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if is_foreign:
        return HttpError(403, f"a page of another site ({origin or 'unknown'}) may not use this endpoint")
    return None


def check_token(headers: Headers, scope: Scope, settings: Settings) -> HttpError | None:
    """Returns the error if the token of the server is not in the request: as Bearer, access key id, or cookie."""
    token, path = settings.token, scope["path"]
    if token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
        return None
    given = find_token(headers.get("authorization", ""))
    if given is not None and hmac.compare_digest(given.encode(), token.encode()):
        return None
    cookie = find_cookie(headers.get("cookie", ""))
    if cookie is not None and hmac.compare_digest(cookie.encode(), compute_session(token).encode()):
        return None
    code = "UnrecognizedClientException"
    if given is None:
        code = "MissingAuthenticationTokenException"
    problem = "another token was sent"
    if given is None:
        problem = "no token was sent"
    message = (
        f"{problem}: evtool serve was started with --token-file; send `Authorization: Bearer TOKEN`, or with an SDK of"
        " AWS the token as access key id"
    )
    return HttpError(401, message, code=code, headers={"WWW-Authenticate": "Bearer"})


def find_token(authorization: str) -> str | None:
    """Returns the token in an Authorization header: that of Bearer, or the access key id of a signature of AWS."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.startswith("AWS4-"):
        credential = value.partition("Credential=")[2]
        return credential.partition(",")[0].partition("/")[0].strip() or None
    return None


def find_cookie(cookies: str) -> str | None:
    """Returns the value of the page's cookie."""
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None
