"""Handlers that cannot be loaded: a call and a check return the same code for the missing part."""

import pytest

from evtool.handlers.base import Call, Done, Unavailable
from evtool.handlers.registry import KINDS

CALL = Call(b"{}", "e-1", "order.created", "pay", 1)
FILES = {
    "pay.py": "import pathlib\ndef charge(event, context): pathlib.Path(__file__).with_name('called').touch()",
    "broken.py": "1 / 0",
    "exits.py": "import sys; sys.exit(3)",
    "dies.py": "import os; os._exit(3)",
    "needs.py": "import absent_library",
    "down.py": "raise ConnectionRefusedError(111, 'Connection refused')",
    "text.txt": "hello",
    "ok.sh": "#!/bin/sh\ntouch called",
    "no-interpreter.sh": "#!/absent/interpreter",
    "searched.sh": "#!/usr/bin/env sh\ntouch called",
    "not-found.sh": "#!/usr/bin/env absent-interpreter",
    "no-format": "\x00\x01",
}
# the options of a handler -> the code of its failure; None if it can be loaded, "" if waiting can mend it
HANDLERS = {
    "function": ({"python": "pay.py:charge"}, None),
    "function in evtool": ({"python": "pay.py:charge", "isolation": "none"}, None),
    "absent module": ({"python": "absent:charge"}, "EV501"),
    "absent file": ({"python": "absent.py:charge"}, "EV501"),
    "absent function": ({"python": "pay.py:chrage"}, "EV501"),
    "absent function in evtool": ({"python": "pay.py:chrage", "isolation": "none"}, "EV501"),
    "absent library": ({"python": "needs.py:charge"}, "EV501"),
    "exception": ({"python": "broken.py:charge"}, "EV501"),
    "exit": ({"python": "exits.py:charge"}, "EV501"),
    "exit of the process": ({"python": "dies.py:charge"}, "EV501"),
    "not reached while loading": ({"python": "down.py:charge"}, ""),
    "not reached while loading in evtool": ({"python": "down.py:charge", "isolation": "none"}, ""),
    "absent interpreter": ({"python": "pay.py:charge", "interpreter": "./absent/python"}, "EV502"),
    "unset variable": ({"python": "pay.py:charge", "interpreter": "${EVTOOL_ABSENT}/python"}, "EV503"),
    "program": ({"command": ["./ok.sh"]}, None),
    "absent program": ({"command": ["absent-program"]}, "EV501"),
    "absent file of a program": ({"command": ["./absent"]}, "EV501"),
    "not executable": ({"command": ["./text.txt"]}, "EV501"),
    "folder": ({"command": ["./folder"]}, "EV501"),
    "absent interpreter of a program": ({"command": ["./no-interpreter.sh"]}, "EV502"),
    "interpreter on the path": ({"command": ["./searched.sh"]}, None),
    "interpreter not on the path": ({"command": ["./not-found.sh"]}, "EV502"),
}


@pytest.fixture
def open_handler(tmp_path):
    """Opens a handler in a folder with the files, and closes it after the test."""
    opened = []
    (tmp_path / "folder").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name.endswith(("py", "txt")) else 0o755)

    def open_one(options):
        kind = KINDS["python" if "python" in options else "command"]
        opened.append(kind.open("pay", kind.options.model_validate(options), tmp_path))
        return opened[-1]

    yield open_one
    for handler in opened:
        handler.close()


@pytest.mark.parametrize(("options", "code"), HANDLERS.values(), ids=HANDLERS)
def test_a_call_fails_with_the_code_of_the_missing_part(open_handler, options, code):
    """It has no code if the problem may end by itself."""
    outcome = open_handler(options)(CALL)

    assert isinstance(outcome, Done if code is None else Unavailable)
    assert code is None or outcome.code == (code or None)


@pytest.mark.parametrize(("options", "code"), HANDLERS.values(), ids=HANDLERS)
def test_check_agrees_with_a_call(open_handler, tmp_path, options, code):
    """A check returns what a call would return, without the call."""
    failure = open_handler(options).check()

    assert not (tmp_path / "called").exists()
    assert failure == (None if code is None else open_handler(options)(CALL))


def test_check_keeps_the_loaded_function(open_handler, tmp_path):
    """A call after a check succeeds, and so does a second check."""
    handler = open_handler({"python": "pay.py:charge"})

    assert handler.check() is None
    assert handler(CALL) == Done()
    assert handler.check() is None
    assert (tmp_path / "called").exists()
