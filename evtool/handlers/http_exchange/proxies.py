"""Finds the proxy that the environment names for a URL, for handlers with `proxy: environment`."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from evtool.handlers.http_exchange.urls import Url


class Proxy(NamedTuple):
    """The address of a proxy, and the headers with its credentials."""

    host: str
    port: int
    headers: Mapping[str, str]


class ProxyUrlError(ValueError):
    """The environment names a proxy that cannot be used. The message contains no part of its URL."""


def find_proxy(url: Url) -> Proxy | None:
    """Returns the proxy in `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`; None if `NO_PROXY` names the host.

    Raises ProxyUrlError.
    """
    # Imported late, since few handlers use a proxy.
    from urllib import request  # noqa: PLC0415

    from urllib3.util import make_headers  # noqa: PLC0415
    from urllib3.util import parse_url as parse  # noqa: PLC0415

    proxies = request.getproxies_environment()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or request.proxy_bypass_environment(f"{url.host}:{url.port}", proxies):  # type: ignore[attr-defined]
        return None
    # Many environments have HOST:PORT without a scheme.
    if "://" not in text:
        text = f"http://{text}"
    try:
        proxy = parse(text)
    except ValueError:
        proxy = None
    if proxy is None or proxy.scheme != "http" or not proxy.host:
        raise ProxyUrlError(
            f"the proxy in the environment cannot be used for {url.scheme}: write it as http://HOST:PORT"
        )
    if proxy.auth:
        headers = make_headers(proxy_basic_auth=unquote(proxy.auth))
    else:
        headers = {}
    return Proxy(proxy.host, proxy.port or 80, headers)
