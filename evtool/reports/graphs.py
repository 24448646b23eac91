"""The text report of `evtool graph`: a tree for each event type, and the loops."""

from collections.abc import Mapping, Sequence
from typing import Any

from evtool.reports.base import Report
from evtool.terminal.screen import Screen, Segment, TreeNode, format_count

Edge = Mapping[str, Any]


class GraphReport(Report):
    """The text report: types with their routes and handlers, nodes that nothing leads to, and the loops."""

    def __init__(self, screen: Screen, *, quiet: bool = False):
        self._screen, self._quiet = screen, quiet
        self._nodes: dict[str, Mapping[str, Any]] = {}

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Keeps a node until the edges are known."""
        self._nodes[record["id"]] = record

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the trees, the loops and the counts."""
        following: dict[str, list[Edge]] = {}
        reached = {edge["to"] for edge in tail["edges"]}
        for edge in tail["edges"]:
            following.setdefault(edge["from"], []).append(edge)
        for node in self._list_nodes("type"):
            self._screen.print_tree(self._build_tree(node, following, []))
        # A route or handler that something leads to is in the tree of a type.
        for kind, reason in (("route", "no known type matches"), ("handler", "no route delivers to it")):
            for node in self._list_nodes(kind):
                if node["id"] not in reached:
                    self._screen.print_tree(self._build_tree(node, following, [(f"  {reason}", "dim")]))
        for loop in tail["loops"]:
            names = [self._nodes[step]["name"] for step in loop + loop[:1]]
            self._screen.print_line(("loop: ", "bold red"), " -> ".join(names))
        if not self._quiet:
            summary = tail["summary"]
            counts = [format_count(summary["types"], "event type")]
            for kind in ("route", "handler", "loop"):
                counts.append(format_count(summary[f"{kind}s"], kind))
            self._screen.print_line(", ".join(counts))

    def _list_nodes(self, kind: str) -> list[Mapping[str, Any]]:
        return [node for node in self._nodes.values() if node["kind"] == kind]

    def _build_tree(
        self, node: Mapping[str, Any], following: Mapping[str, Sequence[Edge]], remarks: Sequence[Segment]
    ) -> TreeNode:
        """Builds the tree of a node and of what follows."""
        edges = following.get(node["id"], ())
        segments: list[Segment] = [_style_name(node)]
        if node["note"]:
            segments.append((f"  {node['note']}", "dim"))
        segments += remarks
        # The tree ends at the types that a handler emits: each type has an own tree, and loops would never end.
        if node["kind"] == "handler":
            emitted = [self._nodes[edge["to"]]["name"] + _format_count(edge, "event") for edge in edges]
            if emitted:
                segments += [("  emits ", "dim"), ", ".join(emitted)]
            return TreeNode(segments)
        children = [self._build_tree(self._nodes[edge["to"]], following, _format_remarks(edge)) for edge in edges]
        if node["kind"] == "type" and not edges:
            segments.append(("  no route matches", "dim"))
        return TreeNode(segments, children)


def _style_name(node: Mapping[str, Any]) -> Segment:
    if node["kind"] == "type":
        return (node["name"], "bold")
    if node["kind"] == "handler":
        return (node["name"], "cyan")
    name: str = node["name"]
    return name


def _format_remarks(edge: Edge) -> list[Segment]:
    remarks: list[Segment] = []
    if not edge["certain"]:
        remarks.append(("  ? depends on an unknown source or value", "yellow"))
    remarks.append((_format_count(edge, "delivery"), "dim"))
    return remarks


def _format_count(edge: Edge, noun: str) -> str:
    if edge["count"] is None:
        return ""
    return f" ({format_count(edge['count'], noun)})"
