"""evtool replay --against, as a user calls it: lost and gained deliveries between two versions of the routes."""

import json
import os
import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown
from evtool.routes.comparison.comparison import RouteComparison
from evtool.routes.routes import Route, Routes
from tests.conftest import Evtool, Ran

ROUTES = """version: 1
handlers:
  mail: {command: [cat]}
  ship: {command: [cat]}
  audit: {command: [cat]}
routes:
  large:
    pattern:
      detail-type: [order]
      detail:
        total: [{numeric: [">=", 50]}]
    to: [mail]
  europe:
    pattern:
      detail-type: [order]
      detail:
        currency: [EUR, CHF]
    to: [ship]
  all:
    pattern: {detail-type: [order]}
    to: [audit]
"""


ALL = "  all:\n    pattern: {detail-type: [order]}\n    to: [audit]\n"
AUDIT = "to: [audit]"
BY_TYPE = "{detail-type: [order]}"


def order(number: int, total: float, currency: str) -> dict[str, Any]:
    """An event."""
    detail = {"total": total, "currency": currency}
    return {"id": f"o-{number}", "detail-type": "order", "source": "shop", "detail": detail}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with 600 orders, in a file."""
    generator = random.Random(5)
    events = [order(n, generator.randrange(200), generator.choice(["EUR", "CHF", "USD"])) for n in range(600)]
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "old.yaml").write_text(ROUTES)
    return tmp_path


def edit(project: Path, *replacements: tuple[str, str]) -> None:
    """Changes the current routes."""
    text = (project / "routes.yaml").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (project / "routes.yaml").write_text(text)


def compare(evtool: Evtool, *options: str) -> Ran:
    """Runs the comparison over the file."""
    return evtool("replay", "--against", "old.yaml", "--from", "orders.jsonl", *options)


def deliveries(text: str, events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The deliveries of a file of routes, pattern by pattern."""
    routes = Routes.load(text).routes.values()
    return {
        (event["id"], handler)
        for event in events
        for route in routes
        if route.pattern.matches(event)
        for handler in route.to
    }


def test_each_lost_and_gained_delivery_is_listed_with_its_cause(evtool: Evtool, project: Path) -> None:
    """The changes are those of matching every event by both files; each names the condition that changed."""
    edit(project, ('">=", 50', '">=", 120'), ("[EUR, CHF]", "[CHF, USD]"))
    ran = compare(evtool, "-o", "json")
    events = [json.loads(line) for line in (project / "orders.jsonl").read_text().splitlines()]
    before, after = (deliveries(str(project / name), events) for name in ("old.yaml", "routes.yaml"))
    found = {
        name: {(c["event"], c["handler"]) for c in ran.json["changes"] if c["change"] == name}
        for name in ("lost", "gained")
    }

    assert ran.code == 0
    assert found == {"lost": before - after, "gained": after - before}
    summary = ran.json["summary"]
    assert (summary["lost"], summary["gained"]) == (len(before - after), len(after - before))
    assert summary["same"] == len(before & after)
    assert summary["events"] == 600
    places = {(c["change"], c["route"], c["file"], c["line"], c["column"]) for c in ran.json["changes"]}
    assert places == {
        ("lost", "large", "routes.yaml", 11, 16),
        ("lost", "europe", "routes.yaml", 17, 19),
        ("gained", "europe", "routes.yaml", 17, 19),
    }
    reasons = {change["change"]: change["reason"] for change in ran.json["changes"] if change["route"] == "europe"}
    assert reasons["gained"].startswith(
        'detail.currency now matches: expected "CHF", "USD"; before "EUR", "CHF", where'
    )
    assert reasons["lost"].startswith('detail.currency no longer matches: "EUR" fits none of "CHF", "USD"')


def test_text_has_a_line_for_each_cause(evtool: Evtool, project: Path) -> None:
    """Hundreds of changes are a few lines, each with a count, an example and the location."""
    edit(project, ('">=", 50', '">=", 120'))
    lines = compare(evtool).out.splitlines()
    lost = compare(evtool, "-o", "json").json["summary"]["lost"]

    assert len(lines) == 5
    assert lines[1].split() == ["large", "mail", "lost", str(lost), "routes.yaml:11:16"]
    assert lines[2] == "routes.yaml:11:16  detail.total: numeric >= 120, before numeric >= 50"
    assert "(expected numeric >= 120, before numeric >= 50)" in lines[3]
    assert lines[4].startswith(f"600 events against old.yaml: {lost} lost, 0 gained, ")


def test_a_renamed_route_changes_nothing(evtool: Evtool, project: Path) -> None:
    """A delivery is an event and a handler, by any route."""
    edit(project, ("  large:", "  big-orders:"))
    ran = compare(evtool, "-o", "json")

    assert ran.json["changes"] == []
    assert ran.json["summary"]["same"] > 600
    assert "no delivery lost or gained" in compare(evtool).out


@pytest.mark.parametrize(
    ("replacements", "change", "reason", "place"),
    [
        ([(ALL, "")], "lost", "route all was removed", "old.yaml:19:3"),
        ([(AUDIT, "to: [audit, ship]")], "gained", "handler ship was added to `to` of route all", "routes.yaml:21:17"),
        ([(AUDIT, "to: [mail]")], "lost", "route all no longer goes to audit", "routes.yaml:21:9"),
        ([(AUDIT, "to: [audit]\n    state: disabled")], "lost", "route all is disabled", "routes.yaml:22:12"),
        (
            [(AUDIT, "to: [audit]\n    event-bus: orders")],
            "lost",
            'route all matches only events of the bus "orders" now; the event is on the bus "default"',
            "routes.yaml:22:16",
        ),
        ([("currency: [EUR, CHF]", "currency: [EUR, CHF, USD]")], "gained", None, "routes.yaml:17:19"),
        ([(BY_TYPE, "{detail-type: [order], source: [other]}")], "lost", None, "routes.yaml:20:45"),
        ([("      detail:\n        total: [{numeric: [\">=\", 50]}]\n", "")], "gained", None, "routes.yaml:8:5"),
        ([("  all:", "  every-order:"), (BY_TYPE, "{detail-type: [orders]}")], "lost", None, "routes.yaml:20:28"),
    ],
)  # fmt: skip
def test_causes_have_a_reason_and_a_location(
    evtool: Evtool, project: Path, replacements: list[tuple[str, str]], change: str, reason: str | None, place: str
) -> None:
    """The location of the changed part: in the current routes, or in the base if the route is removed."""
    edit(project, *replacements)
    ran = compare(evtool, "-o", "json")
    changes = [entry for entry in ran.json["changes"] if entry["change"] == change]

    assert Counter(f"{c['file']}:{c['line']}:{c['column']}" for c in changes) == {place: len(changes)}
    assert changes
    if reason:
        assert {entry["reason"] for entry in changes} == {reason}


def test_the_cause_of_a_new_route_is_the_route_itself(evtool: Evtool, project: Path) -> None:
    """Without an earlier version the route itself is the cause."""
    with (project / "routes.yaml").open("a") as file:
        file.write("  extra:\n    pattern: {source: [shop]}\n    to: [ship]\n")
    changes = compare(evtool, "-o", "json").json["changes"]

    assert {(c["change"], c["reason"], c["line"], c["column"]) for c in changes} == {
        ("gained", "route extra is new", 22, 3)
    }


def test_exit_codes_follow_fail_on(evtool: Evtool, project: Path) -> None:
    """Without the option changes are not a failure."""
    edit(project, ('">=", 50', '">=", 120'))

    assert compare(evtool).code == 0
    assert compare(evtool, "--fail-on", "lost").code == 1
    assert compare(evtool, "--fail-on", "any").code == 1
    assert compare(evtool, "--fail-on", "gained").code == 0
    assert compare(evtool, "--fail-on", "lost", "--route", "europe").code == 0
    assert compare(evtool, "--fail-on", "lost", "--route", "large").code == 1
    assert compare(evtool, "--fail-on", "lost", "--pattern", '{"detail": {"total": [500]}}').code == 0
    assert "one of lost, gained, any" in compare(evtool, "--fail-on", "all").err


def test_reports_of_ci_show_each_cause_once(evtool: Evtool, project: Path) -> None:
    """One annotation at the changed line, not one for each event."""
    edit(project, ('">=", 50', '">=", 120'))
    lines = compare(evtool, "-o", "github").out.splitlines()

    assert len(lines) == 1
    assert lines[0].startswith("::warning file=routes.yaml,line=11,col=16,title=lost deliveries::mail by large: ")
    assert compare(evtool, "-o", "junit").out.count("<testcase") == 1


def test_reports_for_ci_fail_for_the_changes_of_fail_on(evtool: Evtool, project: Path) -> None:
    """A job with exit code 1 has a failed test, and an annotation of level error."""
    edit(project, ('">=", 50', '">=", 120'), ("[EUR, CHF]", "[EUR, CHF, USD]"))
    junit, github = (compare(evtool, "--fail-on", "lost", "-o", name).out for name in ("junit", "github"))

    assert junit.count('failures="1"') == 2
    assert '<testcase classname="order" name="lost: mail by large"' in junit
    assert sorted(line.partition(" ")[0] for line in github.splitlines()) == ["::error", "::warning"]
    assert 'failures="0"' in compare(evtool, "-o", "junit").out


def test_the_cause_of_an_alternative_is_in_the_alternative_that_changed(evtool: Evtool, project: Path) -> None:
    """The alternatives of `$or` are compared with one another, not all their values together."""
    alternatives = """
      $or:
        - {detail-type: [order], detail: {currency: [EUR]}}
        - {detail-type: [refund], detail: {total: [{numeric: [">", 5]}]}}
"""
    for name in ("old.yaml", "routes.yaml"):
        text = (project / name).read_text().replace(f" {BY_TYPE}", alternatives.rstrip())
        (project / name).write_text(text)
    edit(project, ("currency: [EUR]}", "currency: [EUR], total: [{numeric: ['<', 100]}]}"))
    changes = compare(evtool, "-o", "json").json["changes"]

    assert changes
    assert {f"{c['file']}:{c['line']}:{c['column']}" for c in changes} == {"routes.yaml:22:67"}
    assert all(change["reason"].startswith("detail.total no longer matches: ") for change in changes)


def test_stored_events_are_compared(evtool: Evtool, project: Path) -> None:
    """Without --from the events come from the store; nothing is called or stored."""
    evtool("publish", "orders.jsonl", "--no-deliver", "-q")
    stored = (project / ".evtool/store.db").read_bytes()
    edit(project, ('">=", 50', '">=", 120'))
    ran = evtool("replay", "--against", "old.yaml", "-o", "json")

    assert ran.json["summary"] == compare(evtool, "-o", "json").json["summary"]
    assert (project / ".evtool/store.db").read_bytes() == stored
    limited = evtool("replay", "--against", "old.yaml", "--limit", "7", "-o", "json")
    assert limited.json["summary"]["events"] == 7


def test_generated_events_find_a_moved_bound(evtool: Evtool, project: Path) -> None:
    """Events at the boundaries of both versions show the change without traffic."""
    edit(project, ('">=", 50', '">=", 50.01'), ("[EUR, CHF]", "[EUR, {anything-but: [USD]}]"))
    ran = evtool("replay", "--against", "old.yaml", "--generate", "60", "-o", "json")
    found = {(c["change"], c["route"]) for c in ran.json["changes"]}

    assert ran.json["summary"]["events"] == 60
    assert found == {("lost", "large"), ("gained", "europe")}
    assert evtool("replay", "--against", "old.yaml", "--generate", "60", "-o", "json").out == ran.out
    edit(project, ('">=", 50.01', '">=", 50'), ("[EUR, {anything-but: [USD]}]", "[EUR, CHF]"))
    assert evtool("replay", "--against", "old.yaml", "--generate", "500", "--fail-on", "any").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--against", "nowhere.yaml"], "the file nowhere.yaml does not exist; a git revision is written git:REV"),
        (["--against", "old.yaml", "--deliver"], "leave out --deliver"),
        (
            ["--against", "old.yaml", "--from", "orders.jsonl", "--route", "larg"],
            'there is no route larg; did you mean "large"?',
        ),
        (["--against", "old.yaml", "--generate", "5", "--from", "orders.jsonl"], "leave one of them out"),
        (["--fail-on", "lost"], "give --against"),
        (["--generate", "5"], "give --against"),
        (["--against", "broken.yaml"], "broken.yaml cannot be used"),
        (["--against", "git:"], "name a revision"),
        (["--against", "git:main"], "is not in a git repository"),
    ],
)
def test_mistakes_are_explained(evtool: Evtool, project: Path, options: list[str], message: str) -> None:
    """Exit code 2, and one line that says what to do."""
    (project / "broken.yaml").write_text("version: 1\nroutes: {a: {pattern: {source: x}, to: [h]}}\n")
    ran = evtool("replay", *options)

    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def git(folder: Path, *arguments: str) -> None:
    """Runs git."""
    identity = ["-c", "user.name=Joe", "-c", "user.email=joe@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    """The project in a git repository, with a commit."""
    git(project, "init")
    git(project, "add", "routes.yaml")
    git(project, "commit", "-m", "first")
    return project


def test_a_revision_of_git_is_compared(evtool: Evtool, repository: Path) -> None:
    """The routes of a commit need no second file; a lost route is located there."""
    edit(repository, (ALL, ""))
    ran = evtool("replay", "--against", "git:HEAD", "--from", "orders.jsonl", "-o", "json")

    assert {(c["file"], c["line"]) for c in ran.json["changes"]} == {("HEAD:routes.yaml", 19)}
    assert ran.json["summary"]["lost"] == 600


def test_a_folder_of_terraform_files_is_compared(evtool: Evtool, project: Path) -> None:
    """All files of the folder are read in the revision: a rule that did not change is not gained."""
    rule = 'resource "aws_cloudwatch_event_rule" "%s" {\n  event_pattern = jsonencode({ source = ["%s"] })\n}\n'
    target = (
        'resource "aws_cloudwatch_event_target" "%s" {\n  rule = aws_cloudwatch_event_rule.%s.name\n  arn = "a:%s"\n}\n'
    )
    infra = project / "infra"
    infra.mkdir()
    (infra / "a.tf").write_text("# nothing\n")
    (infra / "b.tf").write_text(rule % ("one", "shop") + rule % ("two", "docs"))
    (infra / "c.tf").write_text(target % ("one", "one", "one") + target % ("two", "two", "two"))
    git(project, "init")
    git(project, "add", "infra")
    git(project, "commit", "-m", "first")
    (infra / "b.tf").write_text(rule % ("one", "shop") + rule % ("two", "documents"))
    (project / "events.jsonl").write_text(
        "".join(f'{{"id": "{s}", "source": "{s}", "detail-type": "t", "detail": {{}}}}\n' for s in ("shop", "docs"))
    )
    options = ("--routes", "infra", "--from", "events.jsonl", "-o", "json")
    revision = evtool("replay", "--against", "git:HEAD", *options)
    itself = evtool("replay", "--against", "infra", *options)

    assert [(change["change"], change["route"]) for change in revision.json["changes"]] == [("lost", "two")]
    assert itself.json["changes"] == []


def test_a_project_in_a_folder_of_the_repository_is_found(evtool: Evtool, project: Path) -> None:
    """The file of the revision has the same path, whatever the current folder is."""
    (project / "service").mkdir()
    (project / "service/routes.yaml").write_text(ROUTES)
    git(project, "init")
    git(project, "add", "service/routes.yaml")
    git(project, "commit", "-m", "first")
    (project / "service/routes.yaml").write_text(ROUTES.replace('">=", 50', '">=", 60'))
    options = ("--against", "git:main", "--from", str(project / "orders.jsonl"), "-o", "json")
    ran = evtool("replay", *options, cwd=project / "service")
    outside = evtool("replay", "--routes", "service/routes.yaml", *options)

    assert ran.json["summary"]["lost"] > 0
    assert outside.json["summary"] == ran.json["summary"]
    assert {change["file"] for change in outside.json["changes"]} == {"service/routes.yaml"}


def test_mistakes_with_git_are_explained(evtool: Evtool, repository: Path) -> None:
    """An unknown revision, a file that the revision does not have, no git: exit code 2."""
    unknown = evtool("replay", "--against", "git:nope", "--from", "orders.jsonl")
    missing = evtool("replay", "--routes", "old.yaml", "--against", "git:HEAD", "--from", "orders.jsonl")
    option = evtool("replay", "--against", "git:--output=x", "--from", "orders.jsonl")
    no_git = evtool("replay", "--against", "git:HEAD", "--from", "orders.jsonl", env={"PATH": "/nowhere"})
    (repository / "routes.yaml").write_text("version: 1\nroutes: {a: {pattern: {source: x}, to: [h]}}\n")
    git(repository, "commit", "-am", "broken")
    (repository / "routes.yaml").write_text(ROUTES)
    broken = evtool("replay", "--against", "git:HEAD", "--from", "orders.jsonl")

    assert [ran.code for ran in (unknown, missing, option, no_git, broken)] == [2] * 5
    assert "has no revision nope" in unknown.err
    assert "the revision has no file old.yaml" in missing.err
    assert "name a revision" in option.err
    assert "needs the git program" in no_git.err
    assert "HEAD:routes.yaml:2:" in broken.err
    assert "/tmp/" not in broken.err.replace(str(repository), "")


def test_variables_of_git_hooks_do_not_change_the_repository(evtool: Evtool, repository: Path) -> None:
    """A pre-commit hook has GIT_DIR and GIT_INDEX_FILE of its own repository."""
    ran = evtool("replay", "--against", "git:HEAD", "--from", "orders.jsonl", env={**os.environ, "GIT_DIR": "/nowhere"})

    assert ran.code == 0


def test_undecided_routes_are_neither_lost_nor_gained() -> None:
    """If an unknown value decides in one version, nothing changes, whatever the other version does."""
    unknown = Unknown("!Ref Source")
    decided = Route("r", Pattern({"source": ["shop"]}), ("h",))
    undecided = Route("r", Pattern({"source": [unknown]}), ("h",))
    none = Route("r", Pattern({"source": ["other"]}), ("h",))
    raw = json.dumps(order(1, 1, "EUR")).encode()

    for current, base in ((decided, undecided), (undecided, decided), (undecided, undecided)):
        difference = RouteComparison(Routes([current]), Routes([base])).compare(raw, "default")
        assert difference == ((), (), ())
    assert RouteComparison(Routes([none]), Routes([decided])).compare(raw, "default").lost
    open_route = RouteComparison(Routes([none]), Routes([decided]), ((), {"r"})).compare(raw, "default")
    assert open_route == ((), (), ())
