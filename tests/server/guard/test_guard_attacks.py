"""Pages of others against a server on this machine: nothing that they send arrives, and nothing comes back."""

from __future__ import annotations

import pytest

from tests.server.guard.calling import HOST, JSON, Guarded
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules

OWN = f"http://{HOST}"
EVIL = "http://evil.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}

# What is sent to POST /api/v1/jobs, and the answer.
POSTS = {
    "a program without origin": (JSON, 202),
    "our page": (JSON | {"origin": OWN, "sec-fetch-site": "same-origin"}, 202),
    "our page by another of our names": (
        JSON | {"host": "localhost:9338", "origin": "http://localhost:9338"},
        202,
    ),
    "a foreign page": (JSON | {"origin": EVIL}, 403),
    "a page without an origin of its own": (JSON | {"origin": "null"}, 403),
    "an empty origin": (JSON | {"origin": ""}, 403),
    "our name with another port": (JSON | {"origin": "http://127.0.0.1:8000"}, 403),
    "our name with a higher port": (JSON | {"origin": "http://127.0.0.1:9999"}, 403),
    "our name without a port": (JSON | {"origin": "http://127.0.0.1"}, 403),
    "our name by TLS": (JSON | {"origin": f"https://{HOST}"}, 403),
    "a name that begins like ours": (JSON | {"origin": f"{OWN}.evil.example"}, 403),
    "a name that ends like ours": (JSON | {"origin": f"http://evil.{HOST}"}, 403),
    "our name as a user": (JSON | {"origin": f"http://{HOST}@evil.example"}, 403),
    "two origins in one": (JSON | {"origin": f"{OWN} {EVIL}"}, 403),
    "our origin and a path": (JSON | {"origin": f"{OWN}/"}, 403),
    "another of our names": (JSON | {"origin": "http://localhost:9338"}, 403),
    "a file on disk": (JSON | {"origin": "file://"}, 403),
    "an extension": (JSON | {"origin": "chrome-extension://abcdef"}, 403),
    "a foreign page whose origin was cut": (JSON | {"sec-fetch-site": "cross-site"}, 403),
    "a page of the same site": (JSON | {"sec-fetch-site": "same-site"}, 403),
    "a page of a site without a name": (JSON | {"origin": OWN, "sec-fetch-site": "?"}, 403),
    "rebinding": (JSON | {"host": "evil.example:9338", "origin": "http://evil.example:9338"}, 421),
    "rebinding without origin": (JSON | {"host": "evil.example:9338"}, 421),
    "rebinding to the standard port": (JSON | {"host": "evil.example"}, 421),
    "our name with a dot": (JSON | {"host": "localhost.:9338"}, 421),
    "our address in another form": (JSON | {"host": "127.1:9338"}, 421),
    "our address as a number": (JSON | {"host": "0x7f000001:9338"}, 421),
    "every address": (JSON | {"host": "0.0.0.0:9338"}, 421),
    "our name with another port in the host": (JSON | {"host": "127.0.0.1:1"}, 421),
    "no host": (JSON | {"host": ""}, 421),
    "a host with a user": (JSON | {"host": f"evil@{HOST}"}, 421),
    "a host with a path": (JSON | {"host": f"{HOST}/evil.example"}, 421),
    "two hosts in one": (JSON | {"host": f"{HOST}, evil.example"}, 421),
    "a form": (FORM, 415),
    "a form of a foreign page": (FORM | {"origin": EVIL, "sec-fetch-site": "cross-site"}, 403),
    "a form as text": ({"content-type": "text/plain"}, 415),
    "a form with files": ({"content-type": "multipart/form-data; boundary=x"}, 415),
    "no type": ({}, 415),
    "two types in one": ({"content-type": "text/plain, application/json"}, 415),
    "a type behind a type": ({"content-type": "text/plain; application/json"}, 415),
    "a type that begins like ours": ({"content-type": "application/jsonp"}, 415),
    "another encoding of text": ({"content-type": "application/json; charset=utf-7"}, 415),
    "our type with its encoding": ({"content-type": "Application/JSON; charset=UTF-8"}, 202),
}


@pytest.mark.parametrize("case", POSTS)
def test_who_may_post(case: str) -> None:
    headers, status = POSTS[case]
    guarded = Guarded()
    answer = guarded.call("POST", "/api/v1/jobs", headers, b'{"title": "x"}')
    assert answer.status == status, answer.data
    assert guarded.reached == (["POST x"] if status == 202 else [])
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    if status != 202:
        assert answer["content-type"] == "application/problem+json"
        assert answer.json["status"] == status
        assert answer.json["type"] == f"/problems/{answer.json['code']}"


HANDSHAKES = {
    "a program": ({}, 0),
    "our page": ({"origin": OWN}, 0),
    "a foreign page": ({"origin": EVIL}, 403),
    "a page without an origin of its own": ({"origin": "null"}, 403),
    "a foreign page whose origin was cut": ({"sec-fetch-site": "cross-site"}, 403),
    "a page of another port": ({"origin": "http://127.0.0.1:8000"}, 403),
    "rebinding": ({"host": "evil.example:9338", "origin": "http://evil.example:9338"}, 421),
    "rebinding without origin": ({"host": "evil.example:9338"}, 421),
    "an origin by another scheme": ({"origin": f"ws://{HOST}"}, 403),
}


@pytest.mark.parametrize("case", HANDSHAKES)
def test_who_may_listen(case: str) -> None:
    headers, status = HANDSHAKES[case]
    guarded = Guarded()
    sent = guarded.handshake(headers)
    kinds = [message["type"] for message in sent]
    if not status:
        assert kinds[:2] == ["websocket.accept", "websocket.send"]
        return
    assert kinds == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == status
    assert guarded.reached == [], "refused before anything is accepted"
    # A server below that knows no answers to handshakes closes, which is a bare 403.
    assert [message["type"] for message in guarded.handshake(headers, denial=False)] == ["websocket.close"]


@pytest.mark.parametrize("headers", [{"origin": EVIL, "access-control-request-method": "POST"}, {"origin": OWN}, {}])
def test_a_preflight_is_never_granted(headers: dict[str, str]) -> None:
    answer = Guarded().call("OPTIONS", "/api/v1/jobs", headers)
    assert answer.status == (403 if headers.get("origin") == EVIL else 405)
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", ""])
def test_other_methods_are_not_known(method: str) -> None:
    guarded = Guarded()
    assert guarded.call(method, "/api/v1/jobs/1", {}).status == 405
    assert guarded.reached == []


@pytest.mark.parametrize("name", ["origin", "host", "content-type", "sec-fetch-site", "authorization"])
def test_a_header_that_is_there_twice_is_refused(name: str) -> None:
    """One of them might be read here and the other one behind."""
    good = {"origin": OWN, "host": HOST, "content-type": "application/json", "sec-fetch-site": "same-origin"}
    pairs = [*good.items(), (name, good.get(name, "x"))] + ([(name, "x")] if name not in good else [])
    guarded = Guarded()
    assert guarded.call("POST", "/api/v1/jobs", pairs, b"{}").status == 400
    assert guarded.reached == []


def test_reading_is_guarded_as_well() -> None:
    guarded = Guarded()
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": EVIL}, {"origin": "null"}):
        for path in ("/api/v1/jobs/1", "/"):
            assert guarded.call("GET", path, headers).status == 403
    assert guarded.call("GET", "/api/v1/jobs/1", {"sec-fetch-site": "none"}).status == 200, "an address typed in"
    assert guarded.reached == ["GET 1 50"]


def test_an_empty_post_without_a_type_is_for_programs_alone() -> None:
    """A page can send one without asking first."""
    guarded = Guarded()
    assert guarded.call("POST", "/api/v1/jobs/1/cancel").status == 200
    assert guarded.call("POST", "/api/v1/jobs/2/cancel", body=b"").status == 200
    for headers in ({"sec-fetch-site": "none"}, {"origin": OWN}, {"cookie": "a=b"}, {"referer": OWN}):
        assert guarded.call("POST", "/api/v1/jobs/3/cancel", headers).status == 415
        assert guarded.call("POST", "/api/v1/jobs/4/cancel", headers | JSON).status == 200
    assert guarded.reached == ["cancel 1", "cancel 2"] + ["cancel 4"] * 4


def test_behind_a_proxy_by_the_names_that_it_was_given() -> None:
    rules = Rules(Hosts.of("127.0.0.1", 9338, ["https://weft.example.org", "box.local:8080"]))
    guarded = Guarded(rules)
    name = "weft.example.org"
    for headers, status in [
        ({"host": name, "origin": f"https://{name}"}, 202),
        ({"host": name, "origin": f"http://{name}"}, 403),
        ({"host": f"{name}:443", "origin": f"https://{name}"}, 202),
        ({"host": f"{name}:9338"}, 421),
        ({"host": f"a.{name}"}, 421),
        ({"host": "BOX.local:8080", "origin": "http://box.local:8080"}, 202),
        ({"host": "box.local:8080", "origin": "https://box.local:8080"}, 202),
        ({"host": "box.local"}, 421),
    ]:
        assert guarded.call("POST", "/api/v1/jobs", JSON | headers, b"{}").status == status, headers
