"""The client of an http handler: expands its settings, sends an event, and returns the outcome."""

import ssl
import time
from functools import partial
from pathlib import Path

from evtool.events.emitted_ids import Cause, derive_delivery_id
from evtool.handlers.base import Call, Failed, Outcome, Unavailable
from evtool.handlers.http_exchange import exchange
from evtool.handlers.http_exchange.connection import NO_CONNECTION, ForbiddenAddressError, UnreachableError
from evtool.handlers.http_exchange.exchange import ExchangeError, Target
from evtool.handlers.http_exchange.options import HttpOptions
from evtool.handlers.http_exchange.outcomes import outcome_of
from evtool.handlers.http_exchange.proxies import ProxyUrlError, find_proxy
from evtool.handlers.http_exchange.redaction import redact
from evtool.handlers.http_exchange.request import (
    Settings,
    SetupError,
    build_body,
    build_headers,
    expand_settings,
    name_url,
)
from evtool.handlers.http_exchange.time_limit import TimeLimitError
from evtool.handlers.http_exchange.urls import NEVER_CALLED, is_link_local
from evtool.paths import display_path

# Seconds to open a connection for `handlers --connect`, which sends no request.
CONNECT_LIMIT = 10.0


class Client:
    """Opens a connection for each call. It reads the certificates once, since that takes longer than a request."""

    def __init__(self, name: str, options: HttpOptions, folder: Path):
        self._name = name
        self._options = options
        self._folder = folder
        self._shown_url = name_url(options.http)
        self._tls: ssl.SSLContext | None = None

    def send(self, call: Call) -> Outcome:
        """Sends an event, and returns the outcome of the attempt."""
        options = self._options
        try:
            settings, target = self._prepare()
            body, body_headers = build_body(call, options.body)
            webhook_id = derive_delivery_id(
                Cause(call.event_source, call.event_id, call.route, self._name, call.replay)
            )
            headers = build_headers(settings, body_headers, body, webhook_id, int(time.time()))
            response = exchange.post(target, headers, body, options.timeout)
        except (SetupError, ForbiddenAddressError, UnreachableError) as error:
            return self._describe_unavailable(error)
        except TimeLimitError:
            return Failed(f"took longer than {options.timeout:g}s (timeout)", "timeout")
        except ExchangeError as error:
            return Failed(str(error), code=error.code)
        return outcome_of(response, options, partial(redact, settings=settings))

    def check(self) -> Unavailable | None:
        """Returns why the handler cannot be loaded, or None."""
        try:
            self._prepare()
        except SetupError as error:
            return self._describe_unavailable(error)
        return None

    def connect(self) -> Unavailable | None:
        """Opens a connection and closes it. Returns why this is not possible, or None."""
        try:
            exchange.connect(self._prepare()[1], min(self._options.timeout, CONNECT_LIMIT))
        except (SetupError, ForbiddenAddressError, UnreachableError) as error:
            return self._describe_unavailable(error)
        except (TimeLimitError, ExchangeError) as error:
            return Unavailable(f"{self._shown_url}: {error or NO_CONNECTION}")
        return None

    def _describe_unavailable(self, error: SetupError | ForbiddenAddressError | UnreachableError) -> Unavailable:
        if isinstance(error, SetupError):
            return Unavailable(str(error), error.code)
        if isinstance(error, ForbiddenAddressError):
            return Unavailable(f"{self._shown_url} {error}", "EV501")
        return Unavailable(f"{self._shown_url} cannot be reached: {error}")

    def _prepare(self) -> tuple[Settings, Target]:
        """Returns the settings with all variables expanded, and where requests go. Raises SetupError."""
        options = self._options
        settings = expand_settings(options.http, options.headers, options.secrets)
        if is_link_local(settings.url.host):
            raise SetupError(f"{self._shown_url} {NEVER_CALLED}")
        if self._tls is None and (settings.url.scheme == "https" or options.ca):
            self._tls = self._load_authorities()
        try:
            proxy = None
            if options.proxy:
                proxy = find_proxy(settings.url)
        except ProxyUrlError as error:
            raise SetupError(str(error)) from None
        return settings, Target(settings.url, self._tls, proxy)

    def _load_authorities(self) -> ssl.SSLContext:
        """Loads the certificates of the system, and those in `ca`. Raises SetupError."""
        context = ssl.create_default_context()
        if self._options.ca is None:
            return context
        file = self._folder / self._options.ca
        shown_file = display_path(file)
        try:
            context.load_verify_locations(file)
        except ssl.SSLError:
            raise SetupError(f"`ca`: {shown_file} contains no certificate in PEM form") from None
        except OSError as error:
            raise SetupError(f"`ca`: {shown_file} cannot be read: {error.strerror}") from None
        return context
