"""Tests of `evtool graph`: its edges, its loops, and images that viewers can read."""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from evtool.graph.event_types import EventType
from evtool.graph.model import build_graph
from evtool.graph.svg import render_svg
from evtool.routes.routes import Routes
from tests.conftest import ROOT, Evtool
from tests.support.hostile_text import NAUGHTY, harmless_to_a_terminal, lines, obeyed

SVG = "{http://www.w3.org/2000/svg}"


def write_project(folder: Path, handlers: dict[str, Any], routes: dict[str, Any], **more: Any) -> None:
    """Writes a routes.yaml. `handlers` has the types that each one emits."""
    document = {
        "version": 1,
        "handlers": {name: {"command": ["true"], "emits": emits} for name, emits in handlers.items()},
        "routes": routes,
        **more,
    }
    (folder / "routes.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def read_edges(document: Any, *, certain: bool = True) -> set[tuple[str, str]]:
    """Returns the edges as pairs of ids."""
    return {(e["from"], e["to"]) for e in document["edges"] if e["certain"] is certain}


def test_types_routes_and_handlers_of_the_shop_are_connected(evtool: Evtool, shop: Path) -> None:
    """Edges lead from types to routes, to handlers and to the types that these emit."""
    document = evtool("graph", "-o", "json", cwd=shop).json

    assert document["summary"] == {"types": 4, "routes": 5, "handlers": 5, "edges": 12, "loops": 0}
    assert {
        ("type:order.created", "route:pay-for-order"),
        ("route:pay-for-order", "handler:charge-card"),
        ("handler:charge-card", "type:payment.authorized"),
        ("type:payment.authorized", "route:fulfil-order"),
        ("type:payment.declined", "route:tell-declined"),
    } <= read_edges(document)


def test_a_type_has_edges_only_to_routes_that_can_match_it(evtool: Evtool, tmp_path: Path) -> None:
    """Type and source decide, with every operator. A CloudEvent has its type in another field."""
    (tmp_path / "samples").mkdir()
    sample = {"id": "1", "source": "shop.web", "detail-type": "order.created", "detail": {}}
    (tmp_path / "samples/order.json").write_text(json.dumps(sample))
    routes = {
        "exact": {"source": ["shop.web"], "detail-type": ["order.created"]},
        "prefix": {"source": [{"prefix": "shop."}], "detail-type": [{"prefix": "order."}]},
        "any-type": {"source": ["shop.web"]},
        "other-source": {"source": ["shop.app"], "detail-type": [{"prefix": "order."}]},
        "other-type": {"detail-type": [{"anything-but": ["order.created"]}]},
        "no-source": {"source": [{"exists": False}]},
        "branches": {"$or": [{"source": ["x"]}, {"detail-type": [{"suffix": ".created"}]}]},
        "cloudevents": {"type": [{"prefix": "order."}]},
    }
    write_project(tmp_path, {"h": []}, {n: {"pattern": p, "to": ["h"]} for n, p in routes.items()}, samples="samples")
    edges = read_edges(evtool("graph", "-o", "json").json)

    assert {end for start, end in edges if start == "type:order.created"} == {
        "route:exact",
        "route:prefix",
        "route:any-type",
        "route:branches",
    }


def test_an_unknown_source_leaves_an_edge_undecided(evtool: Evtool, tmp_path: Path) -> None:
    """A handler may give its events any source, so a route with a pattern for the source only may match them.

    A route that names the type gets a certain edge: its author expects such events.
    """
    routes = {
        "named": {"source": [{"prefix": "eu."}], "detail-type": ["t"]},
        "by-source": {"source": [{"prefix": "eu."}]},
        "default": {"source": ["h"]},
    }
    write_project(tmp_path, {"h": ["t"]}, {name: {"pattern": p, "to": ["h"]} for name, p in routes.items()})
    document = evtool("graph", "-o", "json").json

    assert {end for start, end in read_edges(document) if start == "type:t"} == {"route:named", "route:default"}
    assert read_edges(document, certain=False) == {("type:t", "route:by-source")}
    assert '-.->|"?"|' in evtool("graph", "-o", "mermaid").out
    assert "by-source  ? depends on an unknown source" in evtool("graph").out


def test_each_loop_is_listed_once(evtool: Evtool, tmp_path: Path) -> None:
    """A loop is the ids of its nodes. A chain that the default source of its events cannot enter does not count."""
    routes = {
        "pay": {"pattern": {"detail-type": ["order.created"]}, "to": ["charge", "log"]},
        "again": {"pattern": {"source": ["charge"], "detail-type": ["payment.failed"]}, "to": ["retry"]},
        "self": {"pattern": {"source": ["log"]}, "to": ["log"]},
        "other": {"pattern": {"source": ["elsewhere"], "detail-type": ["mail.sent"]}, "to": ["mail"]},
    }
    handlers = {"charge": ["payment.failed"], "retry": ["order.created"], "log": ["logged"], "mail": ["mail.sent"]}
    write_project(tmp_path, handlers, routes)
    ran = evtool("graph", "-o", "json")

    assert {frozenset(loop) for loop in ran.json["loops"]} == {
        frozenset(
            ["type:order.created", "route:pay", "handler:charge", "type:payment.failed", "route:again", "handler:retry"]
        ),
        frozenset(["type:logged", "route:self", "handler:log"]),
    }
    assert len(ran.json["loops"]) == 2
    assert "loop: logged -> self -> log -> logged" in evtool("graph").out
    assert "linkStyle" in evtool("graph", "-o", "mermaid").out


@pytest.mark.parametrize("change", [{"state": "disabled"}, {"event-bus": "other"}])
def test_disabled_routes_and_other_buses_make_no_loop(evtool: Evtool, tmp_path: Path, change: dict[str, str]) -> None:
    """A disabled route delivers nothing, and an emitted event stays on the bus of its cause."""
    routes = {
        "one": {"pattern": {"detail-type": ["a"]}, "to": ["x"], "event-bus": "main"},
        "two": {"pattern": {"detail-type": ["b"]}, "to": ["y"], "event-bus": "main", **change},
    }
    write_project(tmp_path, {"x": ["b"], "y": ["a"]}, routes)

    assert evtool("graph", "-o", "json").json["loops"] == []


def test_counts_are_the_deliveries_of_the_store(evtool: Evtool, shop: Path) -> None:
    """Deliveries by type and route, and by route and handler; emitted events by handler and type."""
    evtool("publish", "order-created", cwd=shop)
    document = evtool("graph", "--counts", "-o", "json", cwd=shop).json
    counts = {(edge["from"], edge["to"]): edge["count"] for edge in document["edges"]}

    assert counts["type:order.created", "route:pay-for-order"] == 1
    assert counts["route:pay-for-order", "handler:charge-card"] == 1
    assert counts["handler:charge-card", "type:payment.authorized"] == 1
    assert counts["handler:charge-card", "type:payment.declined"] == 0


def test_counts_without_a_store_are_a_usage_error(evtool: Evtool, shop: Path) -> None:
    """The command creates no store for it."""
    ran = evtool("graph", "--counts", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "there is no store" in ran.err
    assert not (shop / ".evtool").exists()


def test_a_project_without_routes_has_an_empty_graph(evtool: Evtool, tmp_path: Path) -> None:
    """Every format can render an empty graph."""
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    assert evtool("graph").out == "0 event types, 0 routes, 0 handlers, 0 loops\n"
    for kind in ("svg", "html", "mermaid", "dot", "json"):
        assert evtool("graph", "-o", kind).code == 0


def test_other_commands_refuse_the_formats_of_the_graph(evtool: Evtool, shop: Path) -> None:
    """The message names the formats that the command has."""
    ran = evtool("validate", "-o", "svg", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "validate has the formats text, json, jsonl, github, junit, markdown, sarif" in ran.err


# --- drawings --------------------------------------------------------------------------------------------------------


def read_boxes(svg: str) -> list[tuple[float, float, float, float, str]]:
    """Returns left, top, right, bottom and label of each node."""
    boxes = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if "node" in str(group.get("class")).split():
            rect, label = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
            assert rect is not None
            assert label is not None
            x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
            boxes.append((x, y, x + width, y + height, str(label.text)))
    return boxes


def build_many(folder: Path, number: int) -> Routes:
    """Loads routes that share handlers, some of which emit types of other routes."""
    handlers = {f"handler-{n}": [f"type-{n * 3 % 20}"] if n % 3 == 0 else [] for n in range(12)}
    routes = {
        f"route-{n}-with-a-rather-long-name": {
            "pattern": {"detail-type": [f"type-{n % 25}"]},
            "to": [f"handler-{n * 5 % 12}", f"handler-{(n * 5 + 7) % 12}"],
        }
        for n in range(number)
    }
    write_project(folder, handlers, routes)
    return Routes.load(folder / "routes.yaml")


@pytest.mark.parametrize("number", [1, 5, 40])
def test_nodes_do_not_overlap_and_labels_fit(tmp_path: Path, number: int) -> None:
    """Boxes lie inside the image and do not touch each other; each is wider than its label."""
    graph = build_graph(build_many(tmp_path, number), {"alone": EventType()})
    svg = render_svg(graph, "many")
    boxes = read_boxes(svg)
    root = ElementTree.fromstring(svg)

    assert len(boxes) == len(graph.nodes)
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    for left, top, right, bottom, label in boxes:
        assert 0 < left < right < float(root.get("width", ""))
        assert 0 < top < bottom < float(root.get("height", ""))
        assert right - left > 7 * len(label)


def test_the_image_is_accessible_and_loads_nothing(evtool: Evtool, shop: Path) -> None:
    """It has a title, a description and both colour schemes, and refers to no other file."""
    evtool("graph", "-o", "svg=graph.svg", cwd=shop)
    text = (shop / "graph.svg").read_text()
    root = ElementTree.fromstring(text)

    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title summary")
    assert [str(root.findtext(f"{SVG}{name}")) for name in ("title", "desc")] == [
        "Event graph of routes.yaml",
        "4 event types, 5 routes, 5 handlers, 0 loops",
    ]
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(href|src|@import)|url\((?!#)", text)
    assert len(root.findall(f"{SVG}g[@class='edge']")) == 12


def test_loops_and_disabled_routes_are_marked(evtool: Evtool, tmp_path: Path) -> None:
    """A loop is red, a disabled route dashed; the legend explains both."""
    routes = {
        "again": {"pattern": {"detail-type": ["t"]}, "to": ["h"]},
        "off": {"pattern": {"detail-type": ["t"]}, "to": ["h"], "state": "disabled"},
    }
    write_project(tmp_path, {"h": ["t"]}, routes)
    root = ElementTree.fromstring(evtool("graph", "-o", "svg").out)
    classes = [group.get("class") for group in root.iter(f"{SVG}g") if group.get("data-start")]

    assert sorted(filter(None, classes)) == ["edge dashed", "edge dashed", "edge loop", "edge loop", "edge loop"]
    assert {"loop", "disabled"} <= {text.text for text in root.iter(f"{SVG}text")}
    dot = evtool("graph", "-o", "dot").out
    assert '"type:t" -> "route:off" [style=dashed];' in dot
    assert '"handler:h" -> "type:t" [color="#dc2626", penwidth=2];' in dot


class _Tags(HTMLParser):
    """Collects the elements of a page and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, frozenset[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, frozenset(name for name, _ in attrs)))


def test_the_page_is_one_file_that_loads_nothing(evtool: Evtool, shop: Path) -> None:
    """It has the image, a script, a policy that forbids loading, and a table with a row for each edge."""
    text = evtool("graph", "-o", "html", cwd=shop).out
    parser = _Tags()
    parser.feed(text)
    tags = [tag for tag, _ in parser.tags]

    assert (tags.count("svg"), tags.count("script"), tags.count("tr")) == (1, 1, 13)
    assert "default-src 'none'" in text
    assert not any({"src", "href"} & names for _, names in parser.tags)


@pytest.mark.parametrize("kind", ["text", "json", "svg", "html", "mermaid", "dot"])
def test_hostile_names_are_escaped(evtool: Evtool, tmp_path: Path, kind: str) -> None:
    """A type may be any string. None becomes an element, a command of a CI runner or a control character."""
    names = [text for text in NAUGHTY if text and "\0" not in text and len(text) < 1000]
    printable = [text for text in names if all(char.isprintable() or char in "\t\n" for char in text)]
    handler = {"h": printable}
    write_project(
        tmp_path, handler, {"r": {"description": "</title><script>", "pattern": {"source": ["h"]}, "to": ["h"]}}
    )
    ran = evtool("graph", "-o", kind)

    assert (ran.code, ran.err) == (0, "")
    assert harmless_to_a_terminal(ran.out)
    assert not any(map(obeyed, lines(ran.out)))
    if kind == "svg":
        assert not any("script" in element.tag for element in ElementTree.fromstring(ran.out).iter())
    if kind == "html":
        parser = _Tags()
        parser.feed(ran.out)
        assert [tag for tag, _ in parser.tags].count("script") == 1
        assert not any(name.startswith("on") for _, names in parser.tags for name in names)
    if kind == "mermaid":
        labels = [line for line in lines(ran.out) if ":::type" in line]
        assert len(labels) == len(set(printable))
        assert all(re.fullmatch(r'  n\d+\(\["[^"<>&`\[\](){}|]*"\]\):::type', line) for line in labels)
    if kind == "dot":
        for line in lines(ran.out)[1:-1]:
            assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0


def test_the_shop_of_this_repository_has_no_loop(evtool: Evtool) -> None:
    assert evtool("graph", "-o", "json", cwd=ROOT).json["loops"] == []
