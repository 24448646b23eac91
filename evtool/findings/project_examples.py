"""Examples of the findings of `evtool check` that concern a whole project."""

from collections.abc import Mapping
from types import MappingProxyType

from evtool.findings.example import SCHEMA, VALID_ORDER, Example, build_order

ORDERS = "  orders: {pattern: {detail-type: [order.created]}, to: [mail]}"


def _build_project(
    routes: str, handlers: str = "{mail: {command: [cat]}}", files: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Returns a project: a routes.yaml alone, or with other files after lines `-- NAME --`."""
    settings = ""
    for folder in ("schemas", "samples"):
        # A folder that is named but does not exist would be another finding.
        if any(file.startswith(folder) for file in files):
            settings += f"{folder}: {folder}\n"
    text = f"version: 1\n{settings}handlers: {handlers}\nroutes:\n{routes}\n"
    if not files:
        return text
    project = f"-- routes.yaml --\n{text}"
    for file, content in files.items():
        project += f"-- {file} --\n{content}\n"
    return project


def _build_schema_project(schema: str) -> str:
    return _build_project(ORDERS, files={"schemas/order.created.json": schema})


def _build_pattern_project(pattern: str) -> str:
    """Returns a project with one route. The schema of order.created is SCHEMA."""
    return _build_project(
        f"  orders: {{pattern: {{{pattern}}}, to: [mail]}}", files={"schemas/order.created.json": SCHEMA}
    )


PROJECT_EXAMPLES = {
    "EV301": Example(
        "project",
        _build_pattern_project("detail-type: [order.created], detail: {curency: [EUR]}"),
        _build_pattern_project("detail-type: [order.created], detail: {currency: [EUR]}"),
    ),
    "EV302": Example(
        "project",
        _build_pattern_project('detail-type: [order.created], detail: {total: ["300"]}'),
        _build_pattern_project("detail-type: [order.created], detail: {total: [300]}"),
    ),
    "EV303": Example(
        "project",
        _build_pattern_project("detail-type: [order.created], detail: {currency: [EUR, CHF]}"),
        _build_pattern_project("detail-type: [order.created], detail: {currency: [EUR]}"),
    ),
    "EV304": Example(
        "project",
        _build_pattern_project("detail-type: [order.created], detail: {id: [{exists: false}]}"),
        _build_pattern_project("detail-type: [order.created], detail: {total: [{exists: false}]}"),
    ),
    "EV305": Example(
        "project",
        _build_pattern_project("detail-type: [order.created], detail: {id: [{prefix: o-}]}"),
        _build_pattern_project("detail-type: [order.created], detail: {id: [{prefix: o-1}]}"),
    ),
    "EV306": Example(
        "project",
        _build_pattern_project("detailType: [order.created]"),
        _build_pattern_project("detail-type: [order.created]"),
    ),
    "EV307": Example(
        "project",
        _build_pattern_project("detail-type: [order.created, order.creatd]"),
        _build_pattern_project("detail-type: [order.created]"),
    ),
    "EV401": Example(
        "project",
        _build_project(f"{ORDERS}\n{ORDERS.replace('orders', 'all-orders')}"),
        _build_project(ORDERS),
    ),
    "EV402": Example(
        "project",
        _build_project(f"  all: {{pattern: {{detail-type: [{{prefix: order.}}]}}, to: [mail]}}\n{ORDERS}"),
        _build_project("  all: {pattern: {detail-type: [{prefix: order.}]}, to: [mail]}"),
    ),
    "EV404": Example(
        "project",
        _build_project(ORDERS, "{mail: {command: [cat]}, sms: {command: [cat]}}"),
        _build_project(ORDERS.replace("[mail]", "[mail, sms]"), "{mail: {command: [cat]}, sms: {command: [cat]}}"),
    ),
    "EV405": Example(
        "project",
        _build_project(f"{ORDERS}\n  gifts: {{pattern: {{detail: {{gift: [true]}}}}, to: [mail]}}"),
        _build_project(
            "  orders: {pattern: {$or: [{detail-type: [order.created]}, {detail: {gift: [true]}}]}, to: [mail]}"
        ),
    ),
    "EV406": Example(
        "project",
        _build_project(ORDERS, "{mail: {command: [cat], emits: [mail.sent]}}"),
        _build_project(
            f"{ORDERS}\n  sent: {{pattern: {{detail-type: [mail.sent]}}, to: [log]}}",
            "{mail: {command: [cat], emits: [mail.sent]}, log: {command: [cat]}}",
        ),
    ),
    "EV407": Example(
        "project",
        _build_project(ORDERS.replace("created", "creatd"), files={"samples/order.json": VALID_ORDER}),
        _build_project(ORDERS, files={"samples/order.json": VALID_ORDER}),
    ),
    "EV408": Example(
        "project",
        _build_project(ORDERS, "{mail: {command: [cat], emits: [order.created]}}"),
        _build_project(
            ORDERS.replace("{detail", "{source: [shop], detail"), "{mail: {command: [cat], emits: [order.created]}}"
        ),
    ),
    "EV504": Example(
        "words",
        "a handler with `http: https://example.com/hook` only",
        "a handler that also has `secret: ${HOOK_SECRET}`",
    ),
    "EV605": Example(
        "project",
        _build_schema_project('{"properties": {"name": {"pattern": "^([a-z]+ ?)*$"}}}'),
        _build_schema_project('{"properties": {"name": {"pattern": "^[a-z]+( [a-z]+)*$"}}}'),
    ),
    "EV606": Example(
        "project",
        _build_schema_project(
            '{"type": "object", "properties": {"id": {"minLength": 5, "maxLength": 3, "type": "string"}}}'
        ),
        _build_schema_project(
            '{"type": "object", "properties": {"id": {"minLength": 3, "maxLength": 5, "type": "string"}}}'
        ),
    ),
    "EV607": Example(
        "project",
        _build_project(
            ORDERS,
            files={
                "schemas/order.created.json": '{"properties": {"total": {"multipleOf": 0.01}}}',
                "samples/order.json": build_order('{"total": 19.99}'),
            },
        ),
        _build_project(
            ORDERS,
            files={
                "schemas/order.created.json": '{"properties": {"cents": {"multipleOf": 1}}}',
                "samples/order.json": build_order('{"cents": 1999}'),
            },
        ),
    ),
    "EV609": Example(
        "words", "a sample in `samples/invalid` that its schema allows", "the same sample without a required property"
    ),
    "EV901": Example(
        "project",
        _build_project(f"{ORDERS} # evtool: ignore[EV402] once shadowed"),
        _build_project(ORDERS),
    ),
    "EV902": Example(
        "project",
        _build_project(f"{ORDERS}\n{ORDERS.replace('orders', 'again')} # evtool: ignore[EV401]"),
        _build_project(
            f"{ORDERS}\n{ORDERS.replace('orders', 'again')} # evtool: ignore[EV401] until the old name is gone"
        ),
    ),
}
