"""The form that takes the token of the server and sets the cookie of the page."""

import hmac
from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from evtool.server.context import Context
from evtool.server.http.guards import COOKIE, compute_session
from evtool.server.page.rendering import HEADERS, render


def show_login(context: Context) -> Response:
    """Returns the form; without a token there is nothing to ask for."""
    if context.settings.token:
        return render("login.html", problem=None)
    return RedirectResponse("/", 303, HEADERS)


def log_in(context: Context, form: Mapping[str, str], *, is_secure: bool) -> Response:
    """Sets the cookie if the token is right."""
    token = context.settings.token
    if token is None:
        return RedirectResponse("/", 303, HEADERS)
    if not hmac.compare_digest(form.get("token", "").strip().encode(), token.encode()):
        return render("login.html", 401, problem="This is not the token of this server.")
    response = RedirectResponse("/", 303, HEADERS)
    response.set_cookie(COOKIE, compute_session(token), path="/", httponly=True, samesite="strict", secure=is_secure)
    return response


def log_out() -> Response:
    """Removes the cookie."""
    response = RedirectResponse("/login", 303, HEADERS)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response
