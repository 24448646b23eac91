"""The text report of `evtool graph`: a tree for each event type, and the loops."""

from collections.abc import Mapping, Sequence
from typing import Any

from evtool.reports.base import Record
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, Segment, TreeNode, format_count

Edge = Mapping[str, Any]


class GraphReport:
    """Types with their routes and handlers, what nothing leads to, and the loops."""

    def __init__(self, screen: Screen, *, quiet: bool = False):
        self._screen, self._quiet = screen, quiet
        self._nodes: dict[str, Mapping[str, Any]] = {}

    def add(self, record: Record) -> None:
        """Keeps a node until the edges are known."""
        assert not isinstance(record, ValidationResult)
        self._nodes[record["id"]] = record

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the trees, the loops and the counts."""
        following: dict[str, list[Edge]] = {}
        reached = {edge["to"] for edge in tail["edges"]}
        for edge in tail["edges"]:
            following.setdefault(edge["from"], []).append(edge)
        kinds = {kind: [n for n in self._nodes.values() if n["kind"] == kind] for kind in ("type", "route", "handler")}
        for node in kinds["type"]:
            self._screen.print_tree(self._build_tree(node, following, []))
        for kind, reason in (("route", "no known type matches"), ("handler", "no route delivers to it")):
            for node in (node for node in kinds[kind] if node["id"] not in reached):
                self._screen.print_tree(self._build_tree(node, following, [(f"  {reason}", "dim")]))
        for loop in tail["loops"]:
            names = [self._nodes[step]["name"] for step in [*loop, loop[0]]]
            self._screen.print_line(("loop: ", "bold red"), " -> ".join(names))
        if not self._quiet:
            summary = tail["summary"]
            counts = [format_count(summary["types"], "event type")]
            counts += [format_count(summary[f"{kind}s"], kind) for kind in ("route", "handler", "loop")]
            self._screen.print_line(", ".join(counts))

    def _build_tree(
        self, node: Mapping[str, Any], following: Mapping[str, Sequence[Edge]], remarks: Sequence[Segment]
    ) -> TreeNode:
        """A node with what follows, up to the types that handlers emit: these have trees of their own."""
        edges = following.get(node["id"], ())
        style = {"type": "bold", "route": "", "handler": "cyan"}[node["kind"]]
        segments: list[Segment] = [(node["name"], style) if style else node["name"]]
        if node["note"]:
            segments += [(f"  {node['note']}", "dim")]
        segments += [*remarks]
        if node["kind"] == "handler":
            emitted = [self._nodes[edge["to"]]["name"] + _format_count(edge, "event") for edge in edges]
            if emitted:
                segments += [("  emits ", "dim"), ", ".join(emitted)]
            return TreeNode(segments)
        children = [self._build_tree(self._nodes[edge["to"]], following, _format_remarks(edge)) for edge in edges]
        if node["kind"] == "type" and not edges:
            segments.append(("  no route matches", "dim"))
        return TreeNode(segments, children)


def _format_remarks(edge: Edge) -> list[Segment]:
    if edge["certain"]:
        remarks: list[Segment] = []
    else:
        remarks = [("  ? depends on an unknown source or value", "yellow")]
    return [*remarks, (_format_count(edge, "delivery"), "dim")]


def _format_count(edge: Edge, noun: str) -> str:
    if edge["count"] is None:
        return ""
    return f" ({format_count(edge['count'], noun)})"
