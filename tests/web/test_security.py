"""Who may see the page, who may change something, and requests forged by other sites."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from contentq.queue import inspection
from contentq.web import create_app, pages
from contentq.web.security import COOKIE, HEADERS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from tests.support.queue import Queue
from tests.web.conftest import Client, Serve, Visit, message_of, serving

TOKEN = "correct horse battery staple"

CLOSE = {"key": "api.example.com", "for": "1h", "reason": "tired"}


def is_closed(queue: Queue) -> bool:
    return bool(queue.value("SELECT count(*) FROM contentq.gates WHERE opens_at > now()"))


def test_every_answer_has_the_headers(client: Client) -> None:
    for path in ("/", "/gates", "/nothing", "/static/style.css", "/static/nothing", "/login"):
        answer = client.get(path)
        kept = {"Cache-Control"} if path == "/static/style.css" else set()
        assert {name: answer.headers[name] for name in HEADERS if name not in kept} == {
            name: value for name, value in HEADERS.items() if name not in kept
        }
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_page_that_shows_only_changes_nothing(client: Client, queue: Queue) -> None:
    assert client.post("/gates/close", CLOSE).status == 403
    assert not is_closed(queue)
    assert "<form" not in client.get("/gates").body


FORMS = [route.path for route in pages.ROUTES if isinstance(route, Route) and "POST" in (route.methods or ())]


@pytest.mark.parametrize("path", sorted({*FORMS} - {"/login", "/logout"}))
def test_every_form_is_refused_by_a_page_that_shows_only(client: Client, path: str) -> None:
    assert client.post(path).status == 403
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"):
        assert client._ask(method, path, None, {}).status == 405


def test_reading_is_done_in_transactions_that_only_read(
    operating: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(connection: Any, *_: Any) -> list[Any]:
        connection.execute("INSERT INTO contentq.accounts (name) VALUES ('Eve')")
        return []

    monkeypatch.setattr(inspection, "view", write)
    answer = operating.get("/workers")
    assert answer.status == 503
    assert "read-only transaction" in answer.text
    assert queue.value("SELECT count(*) FROM accounts") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "null", "Host": ""},
        {"Origin": "http://["},
    ],
)
def test_form_of_another_site_is_refused(operating: Client, queue: Queue, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=operating.port) for name, value in headers.items()}
    answer = operating.post("/gates/close", CLOSE, **sent)
    assert (answer.status, "another site" in answer.text) == (403, True)
    assert not is_closed(queue)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}, {"Origin": "http://127.0.0.1:{port}"}],
)
def test_form_of_the_page_is_taken(operating: Client, queue: Queue, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=operating.port) for name, value in headers.items()}
    assert operating.post("/gates/close", CLOSE, **sent).status == 303
    assert is_closed(queue)


@pytest.mark.slow
def test_browser_cannot_be_made_to_send_a_form(
    operating: Client, queue: Queue, visit: Visit, serve: Serve
) -> None:
    address = f"http://localhost:{operating.port}"
    fields = '<input name="key" value="x"><button>Win</button>'
    form = f'<form method="post" action="{address}/gates/close">{fields}</form>'
    visitor = visit(operating)
    visitor.page.route("http://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    visitor.page.goto("http://evil.example/")
    visitor.press("Win")
    assert "another site" in visitor.page.content()
    assert not is_closed(queue)


@pytest.mark.slow
def test_page_cannot_be_framed_by_another_site(client: Client, visit: Visit) -> None:
    visitor = visit(client)
    frame = f'<iframe src="{visitor.address}/"></iframe>'
    visitor.page.route("http://evil.example/", lambda route: route.fulfill(body=frame, content_type="text/html"))
    visitor.page.goto("http://evil.example/")
    assert visitor.page.frames[1].url.startswith("chrome-error:")


def test_name_of_another_site_does_not_lead_here(serve: Serve) -> None:
    client = serve(hosts=["Queue.example.com"])
    for host in ("127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "192.0.2.7", "queue.example.com"):
        assert client.get("/", Host=host).status == 200, host
    for host in (
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[",
        "127.0.0.1@evil.example",
    ):
        assert client.get("/", Host=host).status == 421, host


def test_token_is_asked_for(serve: Serve, queue: Queue) -> None:
    client = serve(token=TOKEN, operate=True)
    for path in ("/", "/gates", "/nothing"):
        answer = client.get(path)
        assert (answer.status, answer.headers["Location"]) == (303, f"/login?next={quote(path, safe='')}")
    assert client.post("/gates/close", CLOSE).status == 401
    assert client.get("/static/style.css").status == 200
    assert client.post("/login", {"token": TOKEN[:-1]}).status == 303
    assert message_of(client) == "Wrong token."
    assert client.get("/").status == 303
    assert not is_closed(queue)


def test_who_knows_the_token_logs_in_and_out(serve: Serve) -> None:
    client = serve(token=TOKEN)
    answer = client.post("/login", {"token": TOKEN})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert client.get("/").status == 200
    cookie = client.cookies[COOKIE]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {*answer.headers["Set-Cookie"].split("; ")}
    client.post("/logout")
    assert client.get("/").status == 303
    for wanted, leads_to in (
        ("/accounts?q=a%20b&after=1", "/accounts?q=a%20b&after=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
    ):
        answer = client.post("/login", {"token": TOKEN, "next": wanted})
        assert answer.headers["Location"] == leads_to

    other = serve(token=TOKEN + "!")
    other.cookies[COOKIE] = cookie
    assert other.get("/").status == 303


def test_program_gives_the_token_as_a_bearer(serve: Serve) -> None:
    client = serve(token=TOKEN)
    assert client.get("/", Authorization=f"Bearer {TOKEN}").status == 200
    assert client.get("/", Authorization=f"Bearer {TOKEN}x").status == 303
    assert client.get("/", Authorization=f"Basic {TOKEN}").status == 303
    assert client.get("/", Authorization="Bearer").status == 303
    assert client.get("/", Cookie=f"{COOKIE}=ü").status == 303


@pytest.mark.slow
def test_logging_in_works_in_a_browser_without_a_script(serve: Serve, visit: Visit) -> None:
    visitor = visit(serve(token=TOKEN), java_script_enabled=False)
    page = visitor.open("/gates")
    page.get_by_label("Token").fill(TOKEN)
    visitor.press("Log in")
    assert page.locator("h1").inner_text() == "Gates"
    visitor.press("Log out")
    assert page.locator("h1").inner_text() == "Log in"
    assert visitor.errors == []


def test_there_is_no_login_where_no_token_is_asked_for(client: Client) -> None:
    assert client.get("/login").status == 404
    assert client.post("/login", {"token": ""}).status in (303, 404)
    assert COOKIE not in client.cookies


def test_proxy_names_the_user(serve: Serve) -> None:
    client = serve(user_header="X-Remote-User")
    assert client.get("/").status == 401
    assert client.get("/", X_Remote_User="").status == 401
    assert client.get("/", X_Remote_User="a" * 201).status == 401
    assert "anna" in client.get("/", X_Remote_User="anna").text
    with socket.create_connection(("127.0.0.1", client.port)) as raw:  # one header may be the browser's own
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: eve\r\nX-Remote-User: anna\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 401 ")
    assert "&lt;b&gt;\\u202e" in client.get("/", X_Remote_User="<b>\u202e".encode().decode("latin-1")).body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("x" * 1_000_001, "application/x-www-form-urlencoded"),
        ("&".join(["a=1"] * 6000), "application/x-www-form-urlencoded"),
        ("%ff=%ff&=&", "application/x-www-form-urlencoded"),
        ("key=a", "multipart/form-data; boundary=x"),
        ("{}", "application/json"),
    ],
)
def test_form_that_is_none_is_refused(operating: Client, queue: Queue, body: str, kind: str) -> None:
    answer = operating._ask("POST", "/gates/close", body, {"Content-Type": kind})
    assert answer.status == 303
    assert message_of(operating)
    assert not is_closed(queue)


@pytest.mark.parametrize("name", ["../security.py", "..%2fsecurity.py", "%2e%2e/app.py", "htmx.LICENSE"])
def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert client.get(f"/static/{name}").status == 404


def test_message_that_is_forged_is_text(client: Client) -> None:
    from base64 import urlsafe_b64encode

    for cookie in ('["<script>1</script>\u202e", true]', "[1, 2]", "{}", "[", "\xff"):
        client.cookies["contentq_message"] = urlsafe_b64encode(cookie.encode("latin-1", "replace")).decode()
        assert "<script>1" not in client.get("/").body
    client.cookies["contentq_message"] = "no base64 §"
    assert client.get("/").status == 200
    client.cookies["contentq_message"] = urlsafe_b64encode(b"[" * 30_000).decode()
    assert client.get("/").status == 200


@pytest.mark.parametrize("character", ["a", "\n", '"', "é", "任", "👩"])
def test_message_fits_a_cookie(operating: Client, character: str) -> None:
    answer = operating.post("/task/requeue", {"id": "1"})
    assert operating.message() == ("There is no task with this id.", True)
    answer = operating.post("/gates/close", {"key": "x", "for": character * 5_000})
    assert max(len(cookie) for cookie in answer.headers.get_all("Set-Cookie", [])) < 4_096
    assert character.strip() in message_of(operating)


def test_host_mounts_it_behind_its_own_login(dsn: str, queue: Queue) -> None:
    def user(request: Request) -> str | None:
        return request.headers.get("X-Hosts-User")

    def may_operate(request: Request) -> bool:
        return user(request) == "anna"

    page = create_app(dsn, user=user, operate=may_operate)
    host: Callable[..., Any] = Starlette(routes=[Mount("/admin/queue", page), Route("/", lambda request: None)])
    with serving(host) as port:
        client = Client(port, root="/admin/queue")
        answer = client.get("/gates")
        assert 'href="/admin/queue/accounts"' in answer.body
        assert 'src="/admin/queue/static/app.js' in answer.body
        assert client.get("/static/app.js").status == 200
        assert client.post("/gates/close", CLOSE, X_Hosts_User="bob").status == 403
        answer = client.post("/gates/close", CLOSE, X_Hosts_User="anna")
        assert (answer.status, answer.headers["Location"]) == (303, "/admin/queue/gates")
        assert "Path=/admin/queue/" in answer.headers["Set-Cookie"]
    page.state.site.database.close()
    assert is_closed(queue)


@pytest.mark.parametrize(
    "path",
    ["/tasks?before=", "/accounts?after=", "/review?after=", "/review?content=", "/tasks?worker=", "/accounts?q="],
)
def test_number_that_is_no_id_breaks_no_page(client: Client, path: str) -> None:
    for number in ("9" * 5000, "9" * 19, "9" * 20, "-1", "٣", "1_0"):
        assert client.get(path + quote(number)).status < 500, number


@pytest.mark.parametrize("path", ["//evil.example/", "///evil.example", "/%2f/evil.example", "/\\evil.example"])
def test_address_that_leads_nowhere_links_to_no_other_site(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    links = re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', answer.body)
    assert [link for link in links if "evil.example" in link]
    assert [link for link in links if re.match(r"/[/\\]|[^/#]", link)] == []


@pytest.mark.parametrize("tenant", ["anna", "任务", "a b", 'x"><b>', "a; Domain=example.com", "a\r\nX-Evil: 1"])
def test_host_mounts_it_anywhere(dsn: str, tenant: str) -> None:
    page = create_app(dsn, operate=True)
    host = Starlette(routes=[Mount("/{tenant}/queue", page)])
    with closing(page.state.site.database), serving(host) as port:
        root = f"/{quote(tenant, safe=':=')}/queue"
        client = Client(port, root=root)
        answer = client.post("/gates/close", CLOSE)
        assert (answer.status, answer.headers["Location"]) == (303, f"{root}/gates")
        assert answer.headers["Set-Cookie"].split("; ")[3:] == [f"Path={root}/", "SameSite=lax"]
        assert "X-Evil" not in answer.headers
        answer = client.get("/gates?lang=zh")
        assert f'href="{root}/gates?lang=en"' in answer.body
        assert f'hx-get="{root}/gates?lang=zh"' in answer.body


def test_only_yes_lets_anyone_operate(serve: Serve, queue: Queue) -> None:
    async def may_operate(_request: Request) -> bool:
        return False

    with pytest.raises(TypeError, match=r"may_operate\(\) is a coroutine function"):
        serve(operate=may_operate)
    for answer in (None, "no", 0, [False]):
        client = serve(operate=lambda _request, answer=answer: answer)
        assert client.post("/gates/close", CLOSE).status == 403
    assert not is_closed(queue)


def test_token_may_be_of_any_letters(serve: Serve) -> None:
    token = "ключ от очереди 任务"
    client = serve(token=token)
    assert client.get("/", Authorization=f"Bearer {token}".encode().decode("latin-1")).status == 200
    assert client.post("/login", {"token": token}).headers["Location"] == "/"
