"""Kinds of other packages are found by their entry points. A broken one affects nothing else."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evtool.errors import RoutesError
from evtool.handlers.base import Call, Done, Failed, Handler, Unavailable
from evtool.handlers.plugins import handler as plugin_handler
from evtool.handlers.plugins import kinds, loading
from evtool.routes.routes import Routes
from tests.conftest import ROOT, Evtool
from tests.support.fork_server import SITE
from tests.support.plugins import HEAD, install_sample, plugins_in, write_metadata, write_package

CALL = Call(b"{}", "e-1", "order.created", "all", 1)
EVENT = {"id": "e-1", "source": "shop", "detail-type": "order.created", "time": "2026-03-02T14:05:31Z", "detail": {}}
ROUTES = """version: 1
handlers:
  log:
    append: events.log
  list: {command: [cat]}
routes:
  all: {pattern: {source: [shop]}, to: [log, list]}
"""
LABEL = "the kind append of evtool-append 1.2"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for packages."""
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one handler of a plugin, and one of evtool."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    (tmp_path / "any.json").write_text("{}")
    return tmp_path


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that hangs does not make the tests wait."""
    monkeypatch.setattr(loading, "LOAD_LIMIT", 0.2)
    monkeypatch.setattr(plugin_handler, "LOAD_LIMIT", 0.2)
    monkeypatch.setattr(plugin_handler, "GRACE", 0.05)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event for which the code of a plugin waits by `sys.released.wait()`. It is set at the end of the test."""
    sys.released = threading.Event()  # type: ignore[attr-defined]
    yield sys.released  # type: ignore[attr-defined]
    sys.released.set()  # type: ignore[attr-defined]


def env(site: Path) -> dict[str, str]:
    """The environment of an evtool beside which the packages are installed."""
    return {SITE: str(site)}


def python_env(site: Path) -> dict[str, str]:
    """The same for another Python."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{site}", "PYTHONDONTWRITEBYTECODE": "1"}


def open_log(project: Path) -> Handler:
    """The handler `log` of the project."""
    return Routes.load(project / "routes.yaml").handlers["log"].open()


# --- a plugin that works ---------------------------------------------------------------------------------------------


def test_a_delivery_reaches_the_handler_of_a_plugin(evtool: Evtool, site: Path, project: Path) -> None:
    """The handler gets the event, and so do those of evtool."""
    write_package(site)
    ran = evtool("publish", "event.json", "-o", "json", cwd=project, env=env(site))

    assert ran.code == 0
    assert [entry["state"] for entry in ran.json["events"][0]["deliveries"]] == ["done", "done"]
    assert json.loads((project / "events.log").read_text()) == EVENT


def test_the_list_of_handlers_names_the_package(evtool: Evtool, site: Path, project: Path) -> None:
    """It has the package with its version."""
    write_package(site)
    ran = evtool("handlers", cwd=project, env=env(site))

    assert ran.out.splitlines()[:2] == ["log  append (evtool-append 1.2)  ready", "list  command  ready"]
    assert [
        entry["package"] for entry in evtool("handlers", "-o", "json", cwd=project, env=env(site)).json["handlers"]
    ] == [
        "evtool-append 1.2",
        None,
    ]


def test_commands_that_call_nothing_accept_a_plugin(evtool: Evtool, site: Path, project: Path) -> None:
    """They read the project like any other, and `graph` shows the kind."""
    write_package(site)
    for command in ("validate event.json --schema any.json", "check", "explain event.json", "graph -o json"):
        ran = evtool(*command.split(), cwd=project, env=env(site))
        assert ran.code == 0, ran.out + ran.err

    assert {"kind": "handler", "name": "log", "note": "append"}.items() <= next(
        node for node in ran.json["nodes"] if node["name"] == "log"
    ).items() or "append" in ran.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{append: ''}", None),
        ("{append: 5}", "EV022 handlers.log.append: should be a string"),
        ("{append: a, tiemout: 5s}", "EV021 unknown key handlers.log.tiemout"),
        ("{append: a, timeout: 5}", "EV022 handlers.log.timeout: a length of time is a number with a unit"),
        ("{append: a, command: [cat]}", "EV021 unknown key handlers.log.append"),
    ],
)
def test_options_are_checked_with_their_location(site: Path, project: Path, options: str, message: str | None) -> None:
    """As those of evtool's kinds."""
    write_package(site)
    (project / "routes.yaml").write_text(ROUTES.replace("\n    append: events.log", f" {options}"))
    with plugins_in(site):
        if message is None:
            Routes.load(project / "routes.yaml")
            return
        with pytest.raises(RoutesError) as caught:
            Routes.load(project / "routes.yaml")

    [finding] = caught.value.findings
    assert f"{finding.code} {finding.message}".startswith(message)
    assert finding.line == 3


def test_a_misspelled_kind_has_a_suggestion(site: Path, project: Path) -> None:
    """The suggestions include the kinds of plugins."""
    write_package(site)
    (project / "routes.yaml").write_text(ROUTES.replace("append:", "apend:"))
    with plugins_in(site), pytest.raises(RoutesError) as caught:
        Routes.load(project / "routes.yaml")

    assert caught.value.findings[0].suggestion == 'did you mean "append"?'
    assert caught.value.findings[0].message.endswith("external, append")


def test_a_kind_that_is_not_installed_has_advice(project: Path) -> None:
    with pytest.raises(RoutesError) as caught:
        Routes.load(project / "routes.yaml")

    [finding] = caught.value.findings
    assert (finding.code, finding.line) == ("EV022", 4)
    assert finding.suggestion == "if the kind is of a plugin, install its package in the same environment as evtool"


def test_a_new_plugin_does_not_take_over_an_option(site: Path, project: Path) -> None:
    """A new package does not break a project in which its name is an option of another kind."""
    write_package(site, HEAD.replace("append: str", "append: str; topic: str = ''"))
    write_package(site, HEAD.replace("append: str", "topic: str"), name="evtool-topic", kind="topic")
    (project / "routes.yaml").write_text(ROUTES.replace("events.log", "events.log\n    topic: orders"))
    with plugins_in(site):
        assert Routes.load(project / "routes.yaml").handlers["log"].kind == "append"


def test_plugins_are_looked_for_only_if_needed(evtool: Evtool, site: Path, project: Path) -> None:
    """A project with evtool's kinds starts without reading the entry points of all packages."""
    (project / "routes.yaml").write_text(ROUTES.replace("append: events.log", "command: [cat]"))
    code = (
        "import sys; from evtool.routes.routes import Routes; Routes.load('routes.yaml');"
        "from evtool.handlers.plugins.entry_points import find_plugins; print(find_plugins.cache_info().misses)"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, cwd=project, env=python_env(site), capture_output=True, text=True, timeout=300, check=True
    )

    assert ran.stdout == "0\n"


# --- a plugin that is broken -----------------------------------------------------------------------------------------

# code -> the end of the message
BROKEN = {
    "import absent": "cannot be loaded: ModuleNotFoundError: No module named 'absent'",
    "1 / 0": "cannot be loaded: ZeroDivisionError: division by zero",
    "import sys; sys.exit(3)": "cannot be loaded: SystemExit: 3",
    "raise KeyboardInterrupt": "cannot be loaded: KeyboardInterrupt",
    "(": "cannot be loaded: SyntaxError: '(' was never closed (evtool_append.py, line 1)",
    "": "cannot be loaded: AttributeError: module 'evtool_append' has no attribute 'KIND'",
    "KIND = 5": "cannot be loaded: evtool_append:KIND is not a Kind but of type int",
    f"{HEAD}\nKIND = Kind(dict, KIND.open)": (
        "cannot be loaded: the options of its Kind are not a subclass of HandlerOptions"
    ),
    f"{HEAD}\nKIND = Kind(Options, 5)": "cannot be loaded: the open of its Kind cannot be called",
    f"{HEAD}\nKIND = Kind(HandlerOptions, KIND.open)": (
        "cannot be loaded: its options have no field append, the key that selects it in routes.yaml"
    ),
    HEAD.replace(
        "append: str", "append: str\n    @property\n    def longest_call(self): return 5.0"
    ): "cannot be loaded: its options override longest_call",
    HEAD.replace("append: str", "append: str\n    def model_post_init(self, _): 1 / 0"): (
        "cannot read its options: ZeroDivisionError: division by zero"
    ),
    HEAD.replace("append: str", "append: str\n    def model_post_init(self, _): raise SystemExit"): (
        "cannot read its options: SystemExit"
    ),
    HEAD.replace("append: str", "append: str; timeout: str = 'soon'"): (
        "cannot read its options: its model changes timeout: Value error, a length of time is a number with a unit: "
        "500ms, 10s, 15m, 24h or 7d"
    ),
    f"{HEAD}\ndef fail(*_): 1 / 0\nKIND = Kind(Options, fail)": "cannot be opened: ZeroDivisionError: division by zero",
    f"{HEAD}\ndef fail(*_): print('no'); raise SystemExit(3)\nKIND = Kind(Options, fail)": (
        "cannot be opened: SystemExit: 3 (no)"
    ),
    f"{HEAD}\nKIND = Kind(Options, lambda *_: 5)": "cannot be opened: the handler that it returned has no method check",
    f"{HEAD}\nAppend.check = lambda self: 1 / 0": "cannot be checked: ZeroDivisionError: division by zero",
    f"{HEAD}\nAppend.check = lambda self: 'no'": (
        "cannot be checked: it returned a value of type str in place of Done, Failed or Unavailable"
    ),
}


@pytest.mark.parametrize(("code", "message"), BROKEN.items(), ids=[message[-40:] for message in BROKEN.values()])
def test_a_broken_plugin_cannot_be_loaded(site: Path, project: Path, code: str, message: str) -> None:
    """The project loads. The handler is not available, and the message names the package."""
    write_package(site, code)
    with plugins_in(site):
        handler = open_log(project)
        failure = handler.check()
        handler.close()

    assert failure == Unavailable(f"{LABEL} {message}", "EV501")


@pytest.mark.usefixtures("short_limits", "released")
@pytest.mark.parametrize(
    ("code", "message"),
    {
        "import sys; sys.released.wait()": "cannot be loaded: it took longer than 0.2s",
        f"{HEAD}\nimport sys\nKIND = Kind(Options, lambda *_: sys.released.wait())": (
            "cannot be opened: it took longer than 0.2s"
        ),
        f"{HEAD}\nimport sys\nAppend.check = lambda self: sys.released.wait()": (
            "cannot be checked: it took longer than 0.2s"
        ),
    }.items(),
)
def test_a_plugin_that_hangs_cannot_be_loaded(site: Path, project: Path, code: str, message: str) -> None:
    """evtool goes on after a time limit."""
    write_package(site, code)
    with plugins_in(site):
        handler = open_log(project)
        failure = handler.check()
        handler.close()

    assert failure == Unavailable(f"{LABEL} {message}", "EV501")


def test_two_packages_with_one_kind_are_refused(site: Path, project: Path) -> None:
    """evtool uses neither, and names both."""
    write_package(site)
    write_package(site, name="evtool-other", version="3.0")
    with plugins_in(site):
        failure = open_log(project).check()

    assert failure
    assert sorted(failure.reason.split(" of ")[1].split(" is ")[0].split(" and ")) == [
        "evtool-append 1.2",
        "evtool-other 3.0",
    ]
    assert "is installed 2 times: uninstall all of these packages but one" in failure.reason


def test_one_package_on_two_paths_counts_once(site: Path, tmp_path: Path, project: Path) -> None:
    """The first one counts, as for Python's imports."""
    write_package(site)
    write_package(tmp_path / "second", version="0.9")
    with plugins_in(tmp_path / "second"), plugins_in(site):
        assert open_log(project).check() is None
        assert kinds.find_package("append") == "evtool-append 1.2"


def test_broken_metadata_of_a_package_hide_no_plugins(site: Path, project: Path) -> None:
    write_package(site)
    write_metadata(site, "evtool-bad", "1.0", {})
    (site / "evtool_bad-1.0.dist-info/entry_points.txt").write_bytes(b"[evtool.handlers]\nx = \xff\xfe")
    with plugins_in(site):
        assert open_log(project).check() is None


def test_a_broken_plugin_does_not_break_commands(evtool: Evtool, site: Path, project: Path) -> None:
    """Other handlers work, and so do commands that do not need it; the finding has its location in routes.yaml."""
    write_package(site, "print('hello')\nimport sys; sys.exit(3)")
    message = f"EV501 handler log: {LABEL} cannot be loaded: SystemExit: 3"
    published = evtool("publish", "event.json", "-o", "json", cwd=project, env=env(site))
    delivered = evtool("deliver", cwd=project, env=env(site))

    assert (published.code, delivered.code) == (1, 1)
    assert {entry["handler"]: entry["state"] for entry in published.json["events"][0]["deliveries"]} == {
        "log": "waiting",
        "list": "done",
    }
    [finding] = published.json["findings"]
    assert (finding["file"], finding["line"], finding["column"]) == ("routes.yaml", 4, 5)
    assert f"routes.yaml:4:5: {message}" in delivered.out + delivered.err
    assert f"routes.yaml:4:5: {message}" in evtool("check", cwd=project, env=env(site)).out
    listed = evtool("handlers", cwd=project, env=env(site))
    assert listed.out.splitlines()[0] == "log  append (evtool-append 1.2)  missing"
    for command in ("validate event.json --schema any.json", "explain event.json", "graph", "events", "replay"):
        ran = evtool(*command.split(), cwd=project, env=env(site))
        assert ran.code == 0, ran.out + ran.err
        assert "hello" not in ran.out


def test_a_plugin_cannot_replace_a_kind_of_evtool(evtool: Evtool, site: Path, project: Path) -> None:
    """evtool ignores and reports it."""
    write_package(site)
    write_package(site, "1 / 0", name="evtool-command", kind="command")
    reason = "command is a kind of evtool, which no package can replace"
    message = f"EV506 warning: the kind command of evtool-command 1.2 is ignored: {reason}"

    assert message in evtool("handlers", cwd=project, env=env(site)).err
    checked = evtool("check", cwd=project, env=env(site))
    assert f"routes.yaml:5:10: {message}" in checked.out
    assert "EV501" not in checked.out


def test_a_plugin_named_as_an_option_is_ignored(site: Path, project: Path) -> None:
    """It makes no handler ambiguous."""
    write_package(site)
    write_package(site, name="evtool-timeout", kind="timeout")
    (project / "routes.yaml").write_text(ROUTES.replace("events.log", "events.log\n    timeout: 5s"))
    with plugins_in(site):
        assert open_log(project).check() is None
        assert list(kinds.describe_refused_plugins()) == ["timeout"]


def test_output_during_the_import_is_reported(evtool: Evtool, site: Path, project: Path) -> None:
    """The output of evtool does not change, and `check` reports the plugin."""
    write_package(site, f"import sys\nprint('hello')\nprint('you', file=sys.stderr)\n{HEAD}")

    assert evtool("publish", "event.json", "-o", "json", cwd=project, env=env(site)).json
    assert (
        f"routes.yaml:4:5: EV506 warning: {LABEL} prints while it is imported: hello you"
        in evtool("check", cwd=project, env=env(site)).out
    )


# --- calls -----------------------------------------------------------------------------------------------------------


def call_with(site: Path, project: Path, body: str, **options: object) -> object:
    """The outcome of a call whose code is `body`."""
    lines = "\n    ".join(["def call(self, call):", *body.split("\n")])
    write_package(site, f"import sys\n{HEAD}\n{lines}\nAppend.__call__ = call")
    more = "".join(f"\n    {name}: {value}" for name, value in options.items())
    (project / "routes.yaml").write_text(ROUTES.replace("events.log", f"events.log{more}"))
    with plugins_in(site):
        handler = open_log(project)
        outcome = handler(CALL)
        handler.close()
        return outcome


@pytest.mark.parametrize(
    ("body", "error"),
    {
        "return None": "it returned a value of type NoneType in place of Done, Failed or Unavailable",
        "return ((), '')": "it returned a value of type tuple in place of Done, Failed or Unavailable",
        "return Done(None)": "Done has a field of a wrong type",
        "return Done((), b'')": "Done has a field of a wrong type",
        "return Failed(5)": "Failed has a field of a wrong type",
        "return Failed('no', retry_after='soon')": "Failed has a field of a wrong type",
        "return Failed('no', retry_after=float('nan'))": "Failed has a field of a wrong type",
        "return Failed('no', 'bad')": "Failed has a field of a wrong type",
        "return Unavailable('no', 'EV104')": "the code of Unavailable is None or one of EV501, EV502, EV503",
        "return Done(('x',))": "the emitted event 1 is of type str in place of Emitted",
        "return Done((Emitted('x', '{}'),))": "detail of the emitted event 1 has a wrong type",
        "return Done((Emitted('x', b'[]'),))": "detail of the emitted event 1 is not an object",
        "return Done((Emitted('x', b'{}'), Emitted('x', b'{}, {}')))": "detail of the emitted event 2, column 3: ",
        r"return Done((Emitted('\ud800', b'{}'),))": "the emitted event 1: 'utf-8' codec can't encode character",
        r"return Done((Emitted('x', b'{}', bus='\ud800'),))": "the emitted event 1: 'utf-8' codec can't",
        "return Done((Emitted('x', b'{}', envelope={'x': object()}),))": (
            "the emitted event 1: Object of type object is not JSON serializable"
        ),
        "return Done((Emitted('', b'{}'),))": "the emitted event 1 has no type, or resources that are not strings",
    }.items(),
)
def test_a_wrong_result_is_a_bad_result(site: Path, project: Path, body: str, error: str) -> None:
    """The error names the package."""
    outcome = call_with(site, project, body)

    assert isinstance(outcome, Failed)
    assert (outcome.outcome, outcome.final) == ("bad-result", True)
    assert outcome.error.startswith(f"{LABEL} broke its contract: {error}")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()", "Odd"),
    ],
)
def test_a_call_that_raises_fails(site: Path, project: Path, body: str, error: str) -> None:
    """The error names the package, and the output has the stack."""
    outcome = call_with(site, project, f"print('before')\n{body}")

    assert isinstance(outcome, Failed)
    assert (outcome.error, outcome.outcome) == (f"{error} ({LABEL} should not raise)", "crashed")
    assert outcome.output.startswith("before\nTraceback")


def test_the_end_of_the_output_is_kept(site: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The attempt keeps the end of it, before the output of the outcome."""
    outcome = call_with(site, project, "print('a' * 9000)\nprint('b', file=sys.stderr)\nreturn Done(output='c')")

    assert isinstance(outcome, Done)
    assert (len(outcome.output), outcome.output[-6:]) == (4096, "aa\nb\nc"[-6:])
    assert capsys.readouterr() == ("", "")


def test_texts_are_made_storable(site: Path, project: Path) -> None:
    """The store cannot hold lone surrogates."""
    assert call_with(site, project, r"return Failed('\ud800' + 'x' * 9000)") == Failed("?" + "x" * 499)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"emit_limit": 1}, "emitted more than 1 events (emit_limit)"),
        ({"emit_bytes": "5B"}, "emitted more than 5 bytes (emit_bytes)"),
    ],
)
def test_emit_limits_apply_to_plugins(site: Path, project: Path, options: dict[str, object], error: str) -> None:
    outcome = call_with(site, project, "return Done([Emitted('x', b'{}')] * 2)", **options)

    assert outcome == Failed(error, "bad-result", final=True)


@pytest.mark.usefixtures("short_limits")
def test_a_call_that_hangs_is_a_timeout(site: Path, project: Path, released: threading.Event) -> None:
    """The handler gets no other call until the first one has ended."""
    code = "lambda self, call: print('began') or sys.released.wait() and Done()"
    write_package(site, f"import sys\n{HEAD}\nAppend.__call__ = {code}")
    (project / "routes.yaml").write_text(ROUTES.replace("events.log", "events.log\n    timeout: 50ms"))
    with plugins_in(site):
        handler = open_log(project)
        first, second = handler(CALL), handler(CALL)
        released.set()
        while isinstance(third := handler(CALL), Unavailable):
            pass
        handler.close()

    assert isinstance(first, Failed)
    assert (first.outcome, first.output, first.error) == (
        "timeout",
        "began\n",
        f"took longer than 0.05s (timeout); {LABEL} goes on with it until evtool ends",
    )
    assert second == Unavailable(f"{LABEL} still runs a call that took too long")
    assert third == Done(output="began\n")


def test_an_unset_variable_is_reported(site: Path, project: Path) -> None:
    """As for evtool's kinds."""
    write_package(site, f"{HEAD}\nKIND = Kind(Options, lambda n, o, f: Append(expand_variables(o.append)))")
    (project / "routes.yaml").write_text(ROUTES.replace("events.log", "${ABSENT}/events.log"))
    with plugins_in(site):
        failure = open_log(project).check()

    assert failure == Unavailable(f"{LABEL} cannot be opened: ${{ABSENT}} is not set in the environment", "EV503")


def test_the_value_of_a_variable_is_hidden(site: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No output has the value of a ${NAME} in the options."""
    monkeypatch.setenv("LEDGER", "canary")
    body = "print('canary')\nraise OSError('/canary/x')"
    write_options = {"description": "${LEDGER}"}
    outcome = call_with(site, project, body, **write_options)

    assert "canary" not in str(outcome).replace("print('canary')", "").replace("OSError('/canary/x')", "")
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("OSError: /${LEDGER}/x")


# --- the sample ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sample_is_installed_by_pip(evtool: Evtool, site: Path, project: Path) -> None:
    """The package of samples/plugin is built, installed and used through routes.yaml, and its own tests pass."""
    pytest.importorskip("hatchling", reason="pip install -r requirements-dev.txt")
    flags = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-compile"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        *flags,
        "--target",
        str(site),
        str(ROOT / "samples/plugin"),
    ]
    subprocess.run(command, cwd=project, timeout=300, check=True)
    (project / "routes.yaml").write_text(ROUTES.replace("append: events.log", "socket: ledger.sock"))
    ran = evtool("publish", "event.json", cwd=project, env=env(site))
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:evtool",
        "-p",
        "no:cacheprovider",
        "-c",
        ROOT / "samples/plugin/pyproject.toml",
    ]

    assert ran.code == 0
    assert "log  waiting  by all: ledger.sock: No such file or directory" in ran.out
    assert "socket (evtool-socket 0.1.0)" in evtool("handlers", cwd=project, env=env(site)).out
    own = subprocess.run(
        [*tests, ROOT / "samples/plugin/tests"], cwd=project, env=python_env(site), capture_output=True, timeout=300
    )
    assert own.returncode == 0, own.stdout.decode()


def test_the_installed_sample_has_its_entry_point(site: Path, project: Path) -> None:
    """Other tests use this quick installation."""
    install_sample(site)
    (project / "routes.yaml").write_text(ROUTES.replace("append: events.log", "socket: ledger.sock"))
    with plugins_in(site):
        assert open_log(project).check() is None
