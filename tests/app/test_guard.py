"""Nobody but the page that was opened with the token is answered."""

import pytest
from pages import BASE, LIVE, PORT, TOKEN, cookie, entered, opened, png, upload
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from seewhy.app.guard import HEADERS, Guard
from seewhy.app.server import server


@pytest.fixture
def stranger(live):
    with TestClient(server(live, host="127.0.0.1", port=PORT, token=TOKEN), base_url=BASE) as client:
        yield client


def test_the_token_becomes_a_cookie_and_leaves_the_address(stranger):
    answer = stranger.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    given = answer.headers["set-cookie"]
    assert given.startswith(f"seewhy-{PORT}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert TOKEN not in given
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize("query", [
    "", "?token=", "?token=wrong", "?token=%C3%A9%00", f"?token={TOKEN}x", "?x=1", "?%FF",
    "?a=1&b=2&c=3&d=4&e=5",
])  # fmt: skip
def test_without_the_token_there_is_nothing(stranger, query):
    for path in ("/", "/photos/p1/small", "/photos/p1/crop/0", "/ascents/a1/image.png", "/nothing"):
        answer = stranger.get(path + query, follow_redirects=False)
        assert answer.status_code == 403
        assert "address that was printed" in answer.text
        assert "set-cookie" not in answer.headers
    assert stranger.post("/photos", content=png(), headers={"origin": BASE}).status_code == 403


NAMES = [
    "evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "", f"0.0.0.0:{PORT}",
    f"127.0.0.1.evil.example:{PORT}", f"127.0.0.1:{PORT}@evil",
]  # fmt: skip


@pytest.mark.parametrize("host", NAMES)
def test_another_name_is_not_answered(client, host):
    """DNS rebinding: the browser would send cookie and right Origin, under a name that was led here."""
    for path in ("/", "/photos/p1/small", f"/?token={TOKEN}"):
        assert client.get(path, headers={"host": host, "origin": f"http://{host}"}).status_code == 403
    assert upload(client, host=host, origin=f"http://{host}").status_code == 403


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_its_own_names_are_answered(client, host):
    headers = {"host": host, "origin": f"http://{host}", "cookie": cookie(client)}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(("host", "port", "answered"), [
    ("localhost", 80, True), ("localhost:80", 80, True), ("[::1]", 80, True), ("localhost:8080", 80, False),
    ("evil.example", 80, False), ("localhost", 8080, False),
])  # fmt: skip
def test_the_usual_port_is_left_out_by_browsers(live, host, port, answered):
    guarded = server(live, host="127.0.0.1", port=port, token=TOKEN)
    with TestClient(guarded, base_url="http://localhost", follow_redirects=False) as client:
        answer = client.get("/", params={"token": TOKEN}, headers={"host": host})
        assert answer.status_code == (303 if answered else 403)


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": f"http://localhost:{PORT}"},
    {"origin": f"https://127.0.0.1:{PORT}"}, {"origin": f"http://127.0.0.1:{PORT + 1}"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "?"},
])  # fmt: skip
def test_other_pages_are_not_answered(client, headers):
    """A page of another port is of the same site: the browser sends it our cookie."""
    assert client.get("/photos/p1/small", headers=headers).status_code == 403
    assert upload(client, **headers).status_code == 403
    with pytest.raises(WebSocketDisconnect):
        socket(client, **headers)


def test_what_changes_something_says_where_it_comes_from(live):
    with entered(live) as client:
        del client.headers["origin"]
        assert upload(client).status_code == 403
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE, headers={"cookie": cookie(client)}):
            pass


def socket(client, **headers):
    with client.websocket_connect(LIVE, headers={"origin": BASE, "cookie": cookie(client), **headers}):
        pass


@pytest.mark.parametrize("headers", [{"cookie": ""}, {"cookie": f"seewhy-{PORT}={TOKEN}"}, {"host": "evil.example:80"}])
def test_a_socket_needs_the_cookie_and_the_name(client, headers):
    with pytest.raises(WebSocketDisconnect):
        socket(client, **headers)


def test_a_cookie_is_found_among_those_of_other_servers(client):
    """http.cookies would drop all that follow one that it cannot read."""
    ours = cookie(client)
    for others in (f'a="b; {ours}', f"{{}}=[]; {ours}; x", f"seewhy-{PORT}=old; {ours}", f"=;;; ,;{ours}"):
        assert client.get("/", headers={"cookie": others}).status_code == 200


def test_a_link_from_elsewhere_opens_the_page(stranger):
    """A redirect would come without the cookie; the page's own refresh comes with it."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = stranger.get("/", params={"token": TOKEN}, headers=headers, follow_redirects=False)
    assert answer.status_code == 200
    assert 'content="0; url=/"' in answer.text
    framed = {**headers, "sec-fetch-dest": "iframe"}
    assert stranger.get("/", params={"token": TOKEN}, headers=framed).status_code == 403


def test_every_answer_has_the_headers(client, stranger):
    answers = [
        client.get("/"), client.get("/photos/p1/thumb"), client.get("/photos/p9/thumb"), client.get("/nothing"),
        client.put("/photos"), upload(client), upload(client, b"no picture"), client.get("/ascents/a1/film.gif"),
        stranger.get("/", headers={"cookie": ""}), client.get("/", headers={"host": "evil"}),
        client.get(f"/?token={TOKEN}", follow_redirects=False),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 200, 404, 404, 405, 201, 415, 404, 403, 403, 303]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value] or name == "content-security-policy"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers.get_list("content-security-policy")) == 1


def test_a_server_of_the_network_answers_to_addresses_only():
    guard = Guard(None, "0.0.0.0", 80, "t")
    assert guard._is_ours("192.168.1.7:80")
    assert guard._is_ours("[fe80::1]:80")
    assert not guard._is_ours("evil.example:80")


def test_a_socket_with_everything_is_accepted(client):
    with opened(client) as page:
        assert page.hello["models"][0]["count"] == 4
