"""The command `evtool serve`: takes events over HTTP from AWS's SDKs, CloudEvents SDKs and others."""

from typing import Annotated

from evtool.cli.options import NoSchema, Option
from evtool.cli.session import Session
from evtool.delivery.loop import MAX_HANDLERS
from evtool.errors import UsageError

DEFAULT_ADDRESS = "127.0.0.1:4010"
PACKAGES = ("starlette", "uvicorn", "anyio", "cbor2", "jinja2", "markupsafe")


def serve(
    session: Session,
    *,
    listen: Annotated[
        str, Option("--listen", f"the address to listen on (default {DEFAULT_ADDRESS})", "HOST:PORT")
    ] = DEFAULT_ADDRESS,
    deliver: Annotated[bool, Option("--deliver", "call the handlers, as `evtool deliver --watch` does")] = False,
    validate: Annotated[bool, Option("--validate", "PutEvents refuses entries that do not fit their schemas")] = False,
    no_schema: NoSchema = "error",
    token_file: Annotated[
        str | None, Option("--token-file", "a file with the token that requests must have", "FILE")
    ] = None,
    workers: Annotated[
        int, Option("--workers", "maximum number of handlers that run at the same time", "N", least=1)
    ] = MAX_HANDLERS,
) -> int:
    """Accept events over HTTP, and store each one before the response.

    It answers PutEvents and TestEventPattern of AWS's SDKs as EventBridge does. It accepts CloudEvents at / and
    /events, and all other forms that `evtool publish` reads at /events. It runs until a signal ends it. An address
    that other computers can reach needs --token-file.

    Example: evtool serve --deliver
    """
    if session.output and not deliver:
        raise UsageError("-o reports deliveries, which only --deliver makes")
    try:
        from evtool.commands import serve_endpoint  # noqa: PLC0415  (its packages are an extra)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        install = "pip install 'evtool-workbench[serve]'"
        raise UsageError(f"evtool serve needs the package {error.name}, which is not installed: `{install}`") from None
    options = serve_endpoint.EndpointOptions(listen, deliver, validate, no_schema, token_file, workers)
    return serve_endpoint.run_endpoint(session, options)
