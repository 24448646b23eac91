"""The page in a browser: its width, its colours, its keyboard, its script, and its content security policy."""

from collections.abc import Iterator

import pytest

from evtool.store.rows import NewDelivery
from tests.server.test_page import PATHS, dead, list_dead_handlers, store_event
from tests.support.browser import Browser, open_browser
from tests.support.server import RunningServer

CONTRAST = """
(() => {
  const parse = (color) => {
    const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => color.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const backOf = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const back = parse(getComputedStyle(one).backgroundColor);
      if (back[3] === 255) return back;
    }
    return [255, 255, 255, 255];
  };
  const bad = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !element.checkVisibility() || ["NOSCRIPT", "OPTION"].includes(element.tagName)) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(backOf(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) bad.add([element.className, element.textContent.trim().slice(0, 30), ratio.toFixed(2)].join(" "));
  }
  return [...bad];
})()
"""


@pytest.fixture(scope="module")
def module_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(module_browser: Browser) -> Browser:
    """The browser of the module, which has seen no problem so far."""
    module_browser.problems.clear()
    module_browser.show_as(1280)
    return module_browser


def address(server: RunningServer, path: str) -> str:
    """The address of a page."""
    return f"http://127.0.0.1:{server.port}{path}"


def test_pages_fit_and_can_be_read(server: RunningServer, browser: Browser) -> None:
    """At 400 pixels no page scrolls sideways; text has a contrast of at least 4.5 in light and in dark."""
    long = "x" * 300
    store_event(server, f"narrow-{long}", dead(long), NewDelivery(long, "bill"), event_type=long, detail={long: [long]})
    for path in PATHS:
        browser.open(address(server, path))
        for width, scheme in ((400, "dark"), (1280, "light")):
            browser.show_as(width, scheme)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
            assert browser.evaluate(CONTRAST) == [], (path, scheme)
    assert [problem for problem in browser.problems if "400 (" not in problem and "404 (" not in problem] == []


def test_hostile_event_does_nothing(server: RunningServer, browser: Browser) -> None:
    """Markup in an event runs no script and loads no image."""
    evil = "<script>document.title='evil'</script><img src=x onerror=\"document.title='evil'\">"
    number = store_event(server, evil, NewDelivery("orders", "bill", evil, "x"), event_type=evil, detail={evil: evil})
    for path in ("/", "/dead-letters", f"/events/{number}", "/replay"):
        browser.open(address(server, path))
        assert browser.evaluate("document.title") != "evil"
        assert browser.evaluate("document.images.length") == 0
    assert browser.problems == []


def test_keyboard_redrives_a_dead_letter(server: RunningServer, browser: Browser) -> None:
    """Tab leads from the skip link to every control, its focus can be seen, and Enter presses the button."""
    store_event(server, "by keyboard", dead())
    before = len(list_dead_handlers(server))
    browser.open(address(server, "/dead-letters"))
    names = []
    for _ in range(30):
        browser.press("Tab", 9)
        names.append(browser.evaluate("document.activeElement.textContent.trim()"))
        assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", names
        if names[-1] == "Redrive":
            break
    assert names[0] == "Skip to the content"
    assert names[1:6] == ["evtool", "Events", "Dead letters", "Replay plan", "Routes"]
    assert names[-1] == "Redrive"
    browser.press("Enter", 13, "\r")
    browser.wait_for("location.search === '?redriven=1' && document.readyState === 'complete'")

    assert (
        browser.evaluate("document.querySelector('[role=status]').textContent")
        .strip()
        .startswith("1 dead letter made ready")
    )
    assert len(list_dead_handlers(server)) == before - 1
    assert browser.problems == []


def test_list_is_live(server: RunningServer, browser: Browser) -> None:
    """A new event appears by itself, and the focus stays where it was; it does not while the list is paused."""
    number = store_event(server, "focused")
    browser.open(address(server, "/"))
    browser.wait_for("document.querySelector('.live.on button') !== null")
    browser.evaluate(f"document.querySelector('a[href=\"/events/{number}\"]').focus()")
    browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    new = store_event(server, "appears")
    browser.wait_for(f"document.querySelector('a[href=\"/events/{new}\"]') !== null")

    assert browser.evaluate("document.activeElement.getAttribute('href')") == f"/events/{number}"
    browser.evaluate("document.querySelector('.live button').click()")
    assert browser.evaluate("document.querySelector('.live').textContent") == "PausedGo on"
    assert browser.problems == []
