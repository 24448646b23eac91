"""A headless Chromium for tests: opens pages, presses keys, evaluates expressions, by the DevTools protocol."""

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.prerequisites import report_missing

TIMEOUT = 300  # seconds to wait for the browser: only if a test fails
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-extensions",
    "--remote-debugging-pipe",
)


class Browser:
    """A browser with one page. `problems` has the errors of its console: of scripts, and of the CSP."""

    def __init__(self, commands: int, messages: int):
        self._commands, self._messages = commands, messages
        self._number, self._buffer, self._session = 0, b"", ""
        self.problems: list[str] = []
        self._loads = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the protocol."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self._read()).get("id") != self._number:
            self._take(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, url: str) -> None:
        """Loads a page."""
        loads = self._loads
        self.call("Page.navigate", url=url)
        while self._loads == loads:
            self._take(self._read())

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Waits until an expression is true."""
        deadline = time.monotonic() + TIMEOUT
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def show_as(self, width: int, scheme: str = "light") -> None:
        """Gives the page a width in pixels, and the user's wish for light or dark colours."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key."""
        key_down = {"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", **key_down, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", **{**key_down, "type": "keyUp"})

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._messages], [], [], TIMEOUT)[0], "the browser does not respond"
            data = os.read(self._messages, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        result: dict[str, Any] = json.loads(message)
        return result

    def _take(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        self._loads += method == "Page.loadEventFired"
        if method == "Log.entryAdded":
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """Starts a browser whose profile is in a folder."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        report_missing("needs Chromium: apt-get install --no-install-recommends chromium")
    read_commands, write_commands = os.pipe()
    read_messages, write_messages = os.pipe()
    # the browser reads from descriptor 3 and writes to 4
    shell = f'exec "$@" 3</dev/fd/{read_commands} 4>/dev/fd/{write_messages}'
    command = ["sh", "-c", shell, "sh", program, *OPTIONS, f"--user-data-dir={folder}"]
    environment = {**os.environ, "HOME": str(folder)}
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command, pass_fds=(read_commands, write_messages), stdout=errors, stderr=errors, env=environment
        )
    os.close(read_commands)
    os.close(write_messages)
    try:
        yield Browser(write_commands, read_messages)
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        os.close(write_commands)
        os.close(read_messages)
