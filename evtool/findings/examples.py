"""Examples of findings: for each code an input that causes it, and a similar input that does not."""

from evtool.findings.example import VALID_ORDER, Example, build_order
from evtool.findings.project_examples import PROJECT_EXAMPLES

# A test runs all examples except those in words. So each of these files is complete and has no other problem.
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
    "EV007": Example("words", "201 nested arrays", "200 nested arrays"),
    "EV008": Example(
        "words", "an event with more bytes than --max-bytes allows", "an event with a link to the large part"
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
        "words", "an `AWS::Events::Rule` with a `ScheduleExpression` (a note)", "a rule with an `EventPattern`"
    ),
    "EV024": Example(
        "words",
        "a rule of a template with `State: !Ref RuleState` (a note)",
        "a rule with `State: ENABLED`",
    ),
    "EV025": Example("words", 'a `.tf` file with `name = "orders`', 'the same file with `name = "orders"`'),
    "EV026": Example(
        "words",
        "`evtool export` of a route without `event-bus`, which matches events of every bus",
        "a route with `event-bus: orders`",
    ),
    "EV030": Example("words", "a store file with an overwritten page", "a copy that `evtool backup` made"),
    "EV031": Example("words", "an event that another program changed", "a new event that corrects the first one"),
    "EV032": Example(
        "words", "a type that another program changed in the table only", "a new event with the correct type"
    ),
    "EV033": Example("words", "an event that another program deleted", "an event that `evtool events prune` deleted"),
    "EV034": Example("words", "a delivery that another program deleted", "a delivery that `evtool dlq purge` deleted"),
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
        "words", "`python: handlers.py:chrage`, if the name of the function is `charge`", "`python: handlers.py:charge`"
    ),
    "EV502": Example(
        "words", "`command: [./pick.rb]`, if Ruby is not installed", "the same handler after Ruby is installed"
    ),
    "EV503": Example(
        "words", "`interpreter: ${VENV}/bin/python`, if `VENV` is not set", "`VENV=.venv evtool publish ...`"
    ),
    "EV505": Example(
        "words",
        "a handler with `emits: [payment.authorized]` that emits `payment.declined` in a scenario",
        "`emits: [payment.authorized, payment.declined]`",
    ),
    "EV506": Example(
        "words", "an entry point with the name of a built-in kind: `command`", "an entry point `remote-command`"
    ),
    "EV601": Example("schema", '{"type": "object"', '{"type": "object"}'),
    "EV602": Example("schema", '{"type": "objekt"}', '{"type": "object"}'),
    "EV603": Example("schema", '{"$ref": "nowhere.json"}', '{"$ref": "#/$defs/order", "$defs": {"order": {}}}'),
    "EV604": Example("schema", '{"type": "object", "proprties": {}}', '{"type": "object", "properties": {}}'),
    "EV608": Example("words", "`t.json` and `t.schema.json` in one schema folder", "only one of the two files"),
    "EV701": Example(
        "words", "`sample: order-craeted` in a scenario, if the sample is `order-created`", "`sample: order-created`"
    ),
    "EV702": Example(
        "words",
        "`expect: {routes: [pay], not: {routes: [pay]}}` in a scenario",
        "`expect: {routes: [pay], not: {routes: [refund]}}`",
    ),
    **PROJECT_EXAMPLES,
}
