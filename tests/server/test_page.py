"""The page: its events, explanations, dead letters and plans, and its protection."""

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from evtool.events.envelopes import parse_event
from evtool.server.context import Settings
from evtool.server.http.guards import COOKIE
from evtool.server.page.event_detail import MAX_DOCUMENT_BYTES
from evtool.server.page.event_list import PAGE
from evtool.store.dead_letters import DeadLetterFilter, list_dead_letters
from evtool.store.rows import NewDelivery
from evtool.store.store import Store
from tests.support.hostile_text import NAUGHTY, harmless_to_a_terminal
from tests.support.server import Reply, RunningServer, make_project, run_server

TOKEN = "0123456789abcdef-secret"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = ["/", "/dead-letters", "/replay", "/routes", "/events/1", "/events/999999", "/?since=never"]


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, reply: Reply):
        super().__init__()
        self.elements: list[tuple[str, Mapping[str, str | None]]] = []
        self.words: list[str] = []
        self.links: dict[str, str] = {}  # by address: text
        self.link_texts: list[str] = []
        self._link: str | None = None
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        self.feed(reply.body.decode())
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th", "li", "p"):
            self.words.append(" ")
        if tag == "a":
            self._link = str(dict(attrs)["href"])
            self.links[self._link] = ""
            self.link_texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Ends a link."""
        if tag == "a":
            self._link = None

    def handle_data(self, data: str) -> None:
        """Keeps a text."""
        self.words.append(data)
        if self._link is not None:
            self.links[self._link] += data
            self.link_texts[-1] += data

    def find_all(self, tag: str) -> list[Mapping[str, str | None]]:
        """The attributes of the elements with this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def store_event(
    server: RunningServer, name: str, *deliveries: NewDelivery, event_type: str = "order.created", **members: Any
) -> int:
    """The number of an event that is stored."""
    event = {"id": name, "detail-type": event_type, "source": "shop", "detail": {}, **members}
    with Store(server.store_file) as store:
        return store.insert(parse_event(json.dumps(event).encode()), deliveries, now=1_790_000_000_000).seq


def dead(handler: str = "bill") -> NewDelivery:
    """A delivery that was given up."""
    return NewDelivery("orders", handler, f"{handler} is <b>closed</b>", "MaximumRetryAttempts")


def get(server: RunningServer, path: str, status: int = 200) -> Page:
    """A page."""
    reply = server.send("GET", path)
    assert reply.status == status, reply.body
    return Page(reply)


def post(server: RunningServer, path: str, form: Mapping[str, Any], **headers: str) -> Reply:
    """The response to a form."""
    return server.send("POST", path, urlencode(form).encode(), {**FORM, **headers})


def list_dead_handlers(server: RunningServer) -> list[str]:
    """The handlers of the dead letters in the store."""
    with Store(server.store_file) as store:
        return list(list_dead_letters(store, DeadLetterFilter(), lambda delivery: delivery.handler))


@pytest.mark.parametrize("path", PATHS)
def test_page_is_protected(server: RunningServer, path: str) -> None:
    """A page loads nothing from elsewhere, has no inline script or style, and cannot be framed or kept."""
    store_event(server, "protected", dead())
    reply = server.send("GET", path)
    page = Page(reply)

    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert [element["src"] for element in page.find_all("script")] == [page.find_all("script")[0]["src"]]
    assert not page.find_all("style")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert name != "style"
            assert not name.startswith("on"), tag
            assert name not in ("href", "src", "action") or re.match(r"/(?!/)|#", value or ""), value


@pytest.mark.parametrize("path", PATHS)
def test_page_can_be_used_by_keyboard_and_screen_reader(server: RunningServer, path: str) -> None:
    """A page has a language, a title, one heading, a skip link, and a name for each field, column and button."""
    store_event(server, "named", dead())
    page = get(server, path, server.send("GET", path).status)

    assert page.find_all("html")[0]["lang"] == "en"
    assert len(page.find_all("h1")) == 1
    assert page.links["#main"] == "Skip to the content"
    assert [element["id"] for element in page.find_all("main")] == ["main"]
    assert all("scope" in element for element in page.find_all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    body = server.send("GET", path).body.decode()
    unlabelled = re.sub(r"<label.*?</label>", "", body, flags=re.DOTALL)
    assert not re.search(r'<(?:select|input(?! type="hidden"))', unlabelled)
    assert {"Events", "Dead letters", "Replay plan", "Routes"} <= set(page.link_texts)


def test_events_are_links_newest_first(server: RunningServer) -> None:
    """Each event is a link with its type and id; filters choose, and older events are on further pages."""
    numbers = [store_event(server, f"list-{number}", event_type="list.made") for number in range(PAGE + 2)]
    first = get(server, "/?type=list.made")
    shown = [link for link in first.links if link.startswith("/events/")]
    older = next(link for link, text in first.links.items() if text == "Older")
    second = get(server, older)

    assert shown == [f"/events/{number}" for number in reversed(numbers[2:])]
    assert first.links[shown[0]].split() == ["list.made", f"list-{PAGE + 1}"]
    assert [link for link in second.links if link.startswith("/events/")] == [
        f"/events/{n}" for n in (numbers[1], numbers[0])
    ]
    assert "Older" not in second.links.values()
    assert "Newest" in second.links.values()


def test_events_are_filtered(server: RunningServer) -> None:
    """Route and state choose events with such a delivery; a filter without an event says so."""
    store_event(server, "filter-1", NewDelivery("orders", "bill"), event_type="filter.tried")
    store_event(server, "filter-2", dead(), event_type="filter.tried")

    assert "filter-2" in get(server, "/?type=filter.tried&state=dead").text
    assert "filter-1" not in get(server, "/?type=filter.tried&state=dead").text
    assert "No event is selected" in get(server, "/?route=vip&type=filter.tried").text
    assert "is not a time" in get(server, "/?since=never", 400).text
    assert "the states are" in get(server, "/?state=x", 400).text


def test_event_is_found_by_its_id(server: RunningServer) -> None:
    """The id of one event leads to it, another one to an empty list."""
    number = store_event(server, "to find/it")

    assert server.send("GET", "/find?id=to+find%2Fit").headers["location"] == f"/events/{number}"
    assert server.send("GET", "/find?id=nothing").headers["location"] == "/?id=nothing"
    assert "No event is selected" in get(server, "/?id=nothing").text


def test_the_page_of_an_event_explains_each_route(server: RunningServer) -> None:
    """It has the tree, the deliveries, the document, and the expected and actual values of each route."""
    number = store_event(server, "shown", dead(), detail={"vip": False, "note": "größer"})
    page = get(server, f"/events/{number}")

    assert [link for link in page.links if link.startswith("#")][1:] == [
        "#fired",
        "#deliveries",
        "#why-not",
        "#document",
    ]
    assert "dead bill by orders bill is <b>closed</b> MaximumRetryAttempts" in page.text
    why_not = page.text.partition("Why not 1 of 2")[2]
    assert "orders to bill" in why_not
    assert re.search(r'fails event-bus "vip" "default" ?the event is on the bus "default"', why_not)
    assert re.search(r"fails detail\.vip true false ?false is not true", why_not)
    assert '"note": "größer"' in page.text


def test_emitted_event_is_below_its_cause(server: RunningServer) -> None:
    """An emitted event is in the tree of its cause, and links to it."""
    with Store(server.store_file) as store:
        from evtool.store.rows import Cause  # noqa: PLC0415

        raw = b'{"id":"cause","detail-type":"order.created","source":"shop","detail":{}}'
        cause = store.insert(parse_event(raw), [NewDelivery("orders", "bill")], now=1).seq
        delivery = store.list_deliveries(cause)[0].seq
        effect = store.insert(
            parse_event(raw.replace(b'"cause"', b'"effect"')), [], now=2, cause=Cause(delivery, cause, 1)
        ).seq

    assert get(server, f"/events/{cause}").links[f"/events/{effect}"].split() == ["order.created", "effect"]
    assert f"/events/{cause}" in get(server, f"/events/{effect}").links
    assert "from bill for order.created" in get(server, "/?id=effect").text


def test_hostile_text_is_text(server: RunningServer) -> None:
    """Markup and invisible characters in an event are shown, and do nothing."""
    usual_number = store_event(server, "usual", dead(), detail={"a": 1})
    usual = {name for name, _ in get(server, f"/events/{usual_number}").elements}
    hostile = [text.replace("\0", "") for text in NAUGHTY if text.strip() and len(text) < 200]
    numbers = [
        store_event(
            server,
            f"id {text}",
            NewDelivery("orders", "bill", f"error {text}", "x"),
            event_type=f"type {text}",
            source=f"source {text}",
            detail={f"key {text}": text},
        )
        for text in hostile
    ]
    for number in numbers:
        reply = server.send("GET", f"/events/{number}")
        assert harmless_to_a_terminal(reply.body.decode())
        assert {name for name, _ in Page(reply).elements} == usual
    for path in ("/", "/dead-letters", "/replay", f"/?{urlencode({'type': hostile, 'id': hostile}, doseq=True)}"):
        reply = server.send("GET", path)
        assert harmless_to_a_terminal(reply.body.decode())
        assert "injected" not in {name for name, _ in Page(reply).elements}
        assert [element.get("src", "")[:8] for element in Page(reply).find_all("script")] == ["/assets/"]


def test_long_event_is_cut(server: RunningServer) -> None:
    """The page shows the beginning of a long event. A link downloads the whole event."""
    number = store_event(server, "long", detail={"text": "x" * MAX_DOCUMENT_BYTES})
    page, raw = server.send("GET", f"/events/{number}"), server.send("GET", f"/events/{number}/raw")

    assert len(page.body) < 30_000
    assert "Only the first 16,384 bytes are shown." in Page(page).text
    assert json.loads(raw.body)["detail"]["text"] == "x" * MAX_DOCUMENT_BYTES
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["content-disposition"].startswith("attachment;")
    assert raw.headers["x-content-type-options"] == "nosniff"


def test_dead_letter_is_redriven(server: RunningServer) -> None:
    """The button of a dead letter makes it ready, and no other; a second time nothing is left to do."""
    post(server, "/dead-letters/redrive", {})
    number = store_event(server, "redriven", dead("bill"), dead("pack"))
    page = get(server, f"/events/{number}")
    fields = [element for element in page.find_all("input") if element.get("name") == "delivery"]
    form = {"delivery": fields[0]["value"], "from": "event"}
    reply = post(server, "/dead-letters/redrive", form, Origin=f"http://127.0.0.1:{server.port}")

    assert (reply.status, reply.headers["location"]) == (303, f"/events/{number}?redriven=1#deliveries")
    assert list_dead_handlers(server) == ["pack"]
    assert "1 dead letter made ready." in get(server, f"/events/{number}?redriven=1").text
    again = post(server, "/dead-letters/redrive", form)
    assert again.headers["location"] == "/dead-letters?redriven=0"
    assert "Nothing was redriven" in get(server, "/dead-letters?redriven=0").text


def test_selected_dead_letters_are_redriven(server: RunningServer) -> None:
    """All that a filter selects is redriven, in as many transactions as it takes."""
    post(server, "/dead-letters/redrive", {})
    for number in range(3):
        store_event(
            server, f"several-{number}", *(NewDelivery(f"r{i}", "bill", "e", "c") for i in range(100)), dead("pack")
        )
    assert "Redrive all selected" in get(server, "/dead-letters?handler=bill").text
    reply = post(server, "/dead-letters/redrive", {"handler": "bill", "type": "", "route": ""})

    assert reply.headers["location"] == "/dead-letters?redriven=300"
    assert list_dead_handlers(server) == ["pack"] * 3


def test_dead_letters_have_pages(server: RunningServer) -> None:
    """Many dead letters are on several pages, each with buttons."""
    post(server, "/dead-letters/redrive", {})
    store_event(server, "many dead", *(NewDelivery(f"r{i}", "bill", "e", "c") for i in range(60)))
    first = get(server, "/dead-letters")
    second = get(server, next(link for link, text in first.links.items() if text == "Next"))

    assert [page.text.count("MaximumRetryAttempts") + page.text.count(" e c ") for page in (first, second)] == [50, 10]
    assert "Dead letters 60" in first.text


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_page_of_another_site_redrives_nothing(server: RunningServer, headers: dict[str, str]) -> None:
    """A form on another site is refused, and so is a link."""
    store_event(server, f"foreign {headers}", dead())
    before = list_dead_handlers(server)

    assert post(server, "/dead-letters/redrive", {}, **headers).status == 403
    assert server.send("GET", "/dead-letters/redrive").status == 405
    assert list_dead_handlers(server) == before


def test_replay_plan_shows_changes(server: RunningServer) -> None:
    """The plan counts the old and the new deliveries, and lists the events whose deliveries differ."""
    store_event(server, "planned", NewDelivery("orders", "former"), event_type="plan.made")
    page = get(server, "/replay?type=plan.made")

    assert "1 event; 1 would fire other handlers than when published." in page.text
    assert re.search(r"bill 0 1 \+1 ", page.text)
    assert re.search(r"former 1 0 −1 ", page.text)
    assert "/find?id=planned" in page.links
    pattern = urlencode({"pattern": '{"detail": {"total": [1]}}', "type": "plan.made"})
    assert "No event is selected" in get(server, f"/replay?{pattern}").text


@pytest.mark.parametrize(
    "query", ["pattern={", "newest=0", "newest=99999", "route=none", "since=never", "until=5d&since=1h"]
)
def test_replay_plan_that_cannot_be_made(server: RunningServer, query: str) -> None:
    """A parameter that cannot be used is named above the form."""
    page = get(server, f"/replay?{query}", 400)

    assert any(element.get("role") == "alert" for element in page.find_all("p"))


def test_routes_have_their_deliveries(server: RunningServer) -> None:
    """Each route has its handlers, the place of its definition, and counts that lead to the events."""
    store_event(server, "counted", dead())
    page = get(server, "/routes")

    assert re.search(r"orders bill command .*\d+ dead routes\.yaml:7|orders bill .*routes.yaml:7", page.text)
    assert "/?route=orders&state=dead" in page.links


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/events", 405)])
def test_unknown_page(server: RunningServer, path: str, status: int) -> None:
    """A browser gets a page, and every other client JSON."""
    reply = server.send("GET", path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert reply.status == status
    assert f"evtool serve has no page at {path}." in Page(reply).text
    assert "Show the events" in Page(reply).text

    for accepted in ("*/*", "application/json, text/html"):
        assert f"GET {path}" in server.send("GET", path, headers={"Accept": accepted}).json["message"]


@pytest.mark.parametrize("path", ["/events/0", "/events/99999999999999999999999"])
def test_unknown_event(server: RunningServer, path: str) -> None:
    """An event that is not there is a page that says so."""
    assert "No such event" in get(server, path, 404).text


@pytest.mark.parametrize("query", ["before=0", "before=x", "before=99999999999999999999999", "refresh=-1"])
def test_odd_numbers(server: RunningServer, query: str) -> None:
    """A number that is none is refused."""
    assert "is a whole number" in get(server, f"/?{query}", 400).text


def test_page_refreshes_itself_without_a_script(server: RunningServer) -> None:
    """On demand the browser loads the list again and again."""
    assert "/?refresh=5" in get(server, "/").links
    assert {"http-equiv": "refresh", "content": "5"} in get(server, "/?refresh=5").find_all("meta")


def test_changes_of_the_store_are_seen(server: RunningServer) -> None:
    """The text that the script asks for changes when an event is stored."""
    before = server.send("GET", "/changes").body
    assert server.send("GET", "/changes").body == before
    store_event(server, "changed")

    assert server.send("GET", "/changes").body != before


def test_files_of_the_page(server: RunningServer) -> None:
    """Style sheet, script and icon have their types, and only they are served."""
    page = get(server, "/")
    files = [
        str(element.get("href") or element.get("src")) for element in page.find_all("link") + page.find_all("script")
    ]

    types = [server.send("GET", file).headers["content-type"].partition(";")[0] for file in files]
    assert types == ["image/svg+xml", "text/css", "text/javascript"]
    assert server.send("GET", "/assets/..%2Froutes.py").status == 404
    assert server.send("GET", "/assets/none.css").status == 404


# --- token -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with run_server(make_project(tmp_path_factory.mktemp("project")), Settings(TOKEN)) as running:
        yield running


@pytest.fixture
def locked(locked_module: RunningServer, loopback: None) -> RunningServer:
    """A server with a token."""
    return locked_module.begin_test()


def test_token_opens_the_page(locked: RunningServer) -> None:
    """The form takes the token and sets a cookie that scripts and other sites cannot use."""
    assert [element["type"] for element in get(locked, "/login").find_all("input")] == ["password"]
    reply = post(locked, "/login", {"token": f" {TOKEN}\n"})
    cookie = reply.headers["set-cookie"]

    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert TOKEN not in cookie
    page = locked.send("GET", "/", headers={"Cookie": cookie.partition(";")[0]})
    assert page.status == 200
    assert b"Log out" in page.body
    assert TOKEN.encode() not in page.body
    gone = post(locked, "/logout", {}, Cookie=cookie.partition(";")[0])
    assert gone.headers["location"] == "/login"
    assert f'{COOKIE}=""' in gone.headers["set-cookie"]


def test_wrong_token(locked: RunningServer) -> None:
    """Another token opens nothing, and is not shown again."""
    reply = post(locked, "/login", {"token": "wrong-0123456789abcdef"})

    assert reply.status == 401
    assert "set-cookie" not in reply.headers
    assert b"wrong-" not in reply.body
    assert any(element.get("role") == "alert" for element in Page(reply).find_all("p"))
    assert post(locked, "/login", {}).status == 401
    assert post(locked, "/dead-letters/redrive", {}).status == 401


def test_no_token_no_form(server: RunningServer) -> None:
    """Without a token there is nothing to log in to."""
    assert server.send("GET", "/login").headers["location"] == "/"
    assert post(server, "/login", {"token": "x"}).headers["location"] == "/"
    assert "Log out" not in get(server, "/").text


def test_long_form_is_refused(server: RunningServer) -> None:
    """A form with many fields is none of the page."""
    assert post(server, "/dead-letters/redrive", {f"f{i}": i for i in range(100)}).status == 400
