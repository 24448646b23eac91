"""A bad and a good example for the code of each finding."""

from evtool.findings.example import VALID_ORDER, Example, build_order
from evtool.findings.project_examples import PROJECT_EXAMPLES

HANDLER = "handlers: {mail: {command: [sh, mail.sh]}}"


def _build_routes(route: str) -> str:
    return f"version: 1\n{HANDLER}\nroutes:\n  {route}\n"


EXAMPLES = {
    "EV001": Example("words", "`evtool validate nowhere.json`", "`evtool validate samples/events`"),
    "EV002": Example("event", build_order('{"id": "o-1",}'), VALID_ORDER),
    "EV003": Example("event", build_order('{"id": "o-1", "id": "o-2"}'), VALID_ORDER),
    "EV004": Example("words", "a file that was saved as ISO 8859-1", "the same file, saved as UTF-8"),
    "EV005": Example("event", build_order('{"id": "o-1", "total": 1e999}'), build_order('{"id": "o-1", "total": 1e9}')),
    "EV006": Example("event", build_order('{"id": "o-\\ud83d"}'), build_order('{"id": "o-\\ud83d\\ude00"}')),
    "EV007": Example("words", "201 arrays in each other", "200 arrays in each other"),
    "EV008": Example(
        "words", "an event of more bytes than --max-bytes allows", "a link to the large part instead of it"
    ),
    "EV009": Example("event", '{"id": "o-1"}', VALID_ORDER),
    "EV010": Example(
        "events",
        build_order('{"id": "o-1"}', id="1") + "\n" + build_order('{"id": "o-2"}', id="1"),
        build_order('{"id": "o-1"}', id="1") + "\n" + build_order('{"id": "o-2"}', id="2"),
    ),
    "EV020": Example("routes.yaml", "version: 1\nroutes: {", "version: 1\nroutes: {}\n"),
    "EV021": Example(
        "routes.yaml",
        _build_routes("all: {patern: {source: [shop]}, pattern: {source: [shop]}, to: [mail]}"),
        _build_routes("all: {pattern: {source: [shop]}, to: [mail]}"),
    ),
    "EV022": Example(
        "routes.yaml",
        _build_routes("all: {pattern: {source: [shop]}}"),
        _build_routes("all: {pattern: {source: [shop]}, to: [mail]}"),
    ),
    "EV023": Example(
        "words", "an `AWS::Events::Rule` with a `ScheduleExpression` (a note)", "one with an `EventPattern`"
    ),
    "EV024": Example(
        "words",
        "a rule of a template with `State: !Ref RuleState` (a note)",
        "one with `State: ENABLED`",
    ),
    "EV025": Example("words", 'a `.tf` file with `name = "orders`', 'the same with `name = "orders"`'),
    "EV026": Example(
        "words",
        "`evtool export` of a route without `event-bus`, which takes events of every bus",
        "a route with `event-bus: orders`",
    ),
    "EV030": Example("words", "a store of which a page was overwritten", "a copy made by `evtool backup`"),
    "EV031": Example("words", "an event that was changed with another program", "a new event that corrects the first"),
    "EV032": Example(
        "words", "a type that was changed in the table, not in the event", "a new event of the right type"
    ),
    "EV033": Example("words", "an event that was deleted with another program", "`evtool events prune`"),
    "EV034": Example("words", "a delivery that was deleted with another program", "`evtool dlq purge`"),
    "EV035": Example("words", "a store with permissions 0644", "a store with permissions 0600"),
    "EV036": Example("words", "a store on a network share", "a store on a disk of this machine"),
    "EV101": Example("event", VALID_ORDER.replace("created", "payed"), VALID_ORDER),
    "EV102": Example("event", build_order("{}"), VALID_ORDER),
    "EV103": Example(
        "event", build_order('{"id": "o-1", "curency": "EUR"}'), build_order('{"id": "o-1", "currency": "EUR"}')
    ),
    "EV104": Example("event", build_order('{"id": "o-1", "total": "12"}'), build_order('{"id": "o-1", "total": 12}')),
    "EV105": Example(
        "event", build_order('{"id": "o-1", "currency": "eur"}'), build_order('{"id": "o-1", "currency": "EUR"}')
    ),
    "EV106": Example("event", build_order('{"id": "o-1", "total": -1}'), build_order('{"id": "o-1", "total": 0}')),
    "EV107": Example("event", build_order('{"id": "1"}'), VALID_ORDER),
    "EV108": Example(
        "event", build_order('{"id": "o-1"}', time="today"), build_order('{"id": "o-1"}', time="2026-11-23T10:00:00Z")
    ),
    "EV109": Example(
        "event", build_order('{"id": "o-1", "tags": ["a", "a"]}'), build_order('{"id": "o-1", "tags": ["a", "b"]}')
    ),
    "EV201": Example("pattern", '{"source": "shop"}', '{"source": ["shop"]}'),
    "EV202": Example("pattern", '{"source": [{"Prefix": "shop"}]}', '{"source": [{"prefix": "shop"}]}'),
    "EV203": Example(
        "pattern", '{"detail": {"total": [{"numeric": [">", "5"]}]}}', '{"detail": {"total": [{"numeric": [">", 5]}]}}'
    ),
    "EV204": Example("pattern", '{"source": [{"wildcard": "*a*a*a*a*a*a*"}]}', '{"source": [{"wildcard": "*a*"}]}'),
    "EV205": Example(
        "pattern", '{"detail": {"ip": [{"cidr": "0.0.0.0/0"}]}}', '{"detail": {"ip": [{"cidr": "10.0.0.0/8"}]}}'
    ),
    "EV206": Example(
        "pattern", '{"source": {"anything-but": ["shop.cart"]}}', '{"source": [{"anything-but": ["shop.cart"]}]}'
    ),
    "EV403": Example(
        "routes.yaml",
        _build_routes("all: {pattern: {source: [shop]}, to: [mial]}"),
        _build_routes("all: {pattern: {source: [shop]}, to: [mail]}"),
    ),
    "EV501": Example(
        "words", "`python: handlers.py:chrage`, though the function is called `charge`", "`python: handlers.py:charge`"
    ),
    "EV502": Example(
        "words", "`command: [./pick.rb]`, whose first line names a Ruby that is not installed", "that Ruby installed"
    ),
    "EV503": Example(
        "words", "`interpreter: ${VENV}/bin/python` without a variable `VENV`", "`VENV=.venv evtool publish ...`"
    ),
    "EV505": Example(
        "words",
        "a handler with `emits: [payment.authorized]` that emits `payment.declined` in a scenario",
        "`emits: [payment.authorized, payment.declined]`",
    ),
    "EV506": Example(
        "words", "a package whose entry point has the name `command`, a kind of evtool", "the name `remote-command`"
    ),
    "EV601": Example("schema", '{"type": "object"', '{"type": "object"}'),
    "EV602": Example("schema", '{"type": "objekt"}', '{"type": "object"}'),
    "EV603": Example("schema", '{"$ref": "nowhere.json"}', '{"$ref": "#/$defs/order", "$defs": {"order": {}}}'),
    "EV604": Example("schema", '{"type": "object", "proprties": {}}', '{"type": "object", "properties": {}}'),
    "EV608": Example("words", "`t.json` and `t.schema.json` in one schema folder", "one of them"),
    "EV701": Example(
        "words", "`sample: order-craeted` in a scenario, for the sample `order-created`", "`sample: order-created`"
    ),
    "EV702": Example(
        "words",
        "`expect: {routes: [pay], not: {routes: [pay]}}` in a scenario",
        "`expect: {routes: [pay], not: {routes: [refund]}}`",
    ),
    **PROJECT_EXAMPLES,
}
