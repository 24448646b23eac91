"""The settings of a bus: its URL as given on the command line, or those of a name in `buses` of routes.yaml."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from evtool.buses.urls import BusUrl, parse_bus_url
from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean
from evtool.handlers.processes.programs import UnsetVariableError, expand_variables
from evtool.routes.models import parse_tiers
from evtool.routes.project import Project

# Seconds until a failed delivery is tried again, the shortest first.
Tiers = tuple[float, ...]


class BusSettings(NamedTuple):
    """A bus as it is configured. `password` is never printed or stored."""

    url: BusUrl
    # The name in routes.yaml.
    name: str | None = None
    password: str | None = None
    # None: not configured. (): no retry topics.
    retry: Tiers | None = None

    @property
    def display_name(self) -> str:
        """The bus as messages name it."""
        return self.name or str(self.url)


def read_settings(bus: str, project: Project | None) -> BusSettings:
    """Returns the settings of a bus with a URL, or with a name in routes.yaml. Raises UsageError."""
    if ":" in bus:
        url = parse_bus_url(bus)
        return BusSettings(url, retry=_read_url_tiers(url))
    if not bus:
        raise UsageError("the name or URL of the bus is empty; is a variable of the shell not set?")
    buses = list_buses(project)
    if bus not in buses:
        where = "routes.yaml, which has no `buses`"
        if project and buses:
            where = f"`buses` of {project.display_name}"
        hint = did_you_mean(bus, buses) or "a URL such as kafka://localhost:9092/orders works without a name"
        raise UsageError(f"there is no bus {bus} in {where}; {hint}")
    return _read_entry(bus, buses[bus])


def list_buses(project: Project | None) -> Mapping[str, Any]:
    """Returns the entries of `buses` in routes.yaml, by name."""
    value = None
    if project:
        value = project.document.value.get("buses")
    if isinstance(value, Mapping):
        return value
    return {}


def _read_entry(name: str, entry: object) -> BusSettings:
    """Returns the settings of an entry of `buses`."""
    if isinstance(entry, Mapping):
        fields: Mapping[str, Any] = entry
    else:
        fields = {"url": entry}
    text, password = fields.get("url"), fields.get("password")
    if not isinstance(text, str) or not isinstance(password, str | None):
        raise UsageError(f"buses.{name} needs a url such as kafka://localhost:9092/orders")
    try:
        url = parse_bus_url(expand_variables(text))
        if password is not None:
            password = expand_variables(password)
        retry = None
        if "retry" in fields:
            retry = parse_tiers(fields["retry"])
    except UnsetVariableError as error:
        raise UsageError(f"buses.{name}: {error}") from None
    except ValueError as error:
        raise UsageError(f"buses.{name}.retry: {error}") from None
    except UsageError as error:
        raise UsageError(f"buses.{name}: {error}") from None
    url_tiers = _read_url_tiers(url)
    if url_tiers is not None:
        retry = url_tiers
    return BusSettings(url, name, password, retry)


def _read_url_tiers(url: BusUrl) -> Tiers | None:
    """Returns the tiers of `?retry=` in the URL, which count more than those of routes.yaml."""
    try:
        retry = url.parameters.get("retry")
        if retry is None:
            return None
        if retry == "none":
            return parse_tiers(retry)
        return parse_tiers(retry.split(","))
    except ValueError as error:
        raise UsageError(f"retry in the URL of the bus: {error}") from None
