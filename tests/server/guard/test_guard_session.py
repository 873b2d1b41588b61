"""The token: as a header for programs, as a cookie for pages, and nowhere else."""

from __future__ import annotations

import pytest

from tests.server.guard.calling import HOST, JSON, TOKEN, Guarded
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules
from weft.server.guard.session import cookie_for

RULES = Rules(Hosts.of("127.0.0.1", 9338, ["https://weft.example.org"]), token=TOKEN)
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (BEARER, 200),
        ({"authorization": f"bearer  {TOKEN}"}, 200),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": f"Bearer {TOKEN.upper()}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer \xff\xfe"}, 401),
        ({"cookie": f"weft_session={TOKEN}"}, 200),
        ({"cookie": f"a=b; weft_session={TOKEN}; c=d"}, 200),
        ({"cookie": f"weft_session=x; weft_session={TOKEN}"}, 200),
        ({"cookie": "; ".join(["weft_session=x"] * 8 + [f"weft_session={TOKEN}"])}, 401),
        ({"cookie": f"xweft_session={TOKEN}"}, 401),
        ({"cookie": f"weft_session_={TOKEN}"}, 401),
        ({"x-token": TOKEN}, 401),
    ],
)
def test_who_has_the_token_gets_in(headers: dict[str, str], status: int) -> None:
    guarded = Guarded(RULES)
    answer = guarded.call("GET", "/api/v1/jobs/1", headers)
    assert answer.status == status
    assert bool(guarded.reached) == (status == 200)
    assert TOKEN not in f"{answer.headers}{answer.data!r}"
    if status == 401:
        assert answer["www-authenticate"].startswith("Bearer")
        assert guarded.handshake(headers)[0]["status"] == 401
    else:
        assert guarded.handshake(headers)[0]["type"] == "websocket.accept"


def test_a_token_in_the_address_is_none() -> None:
    assert Guarded(RULES).call("GET", f"/api/v1/jobs/1?token={TOKEN}").status == 401


def test_what_anybody_may_see() -> None:
    guarded = Guarded(RULES)
    assert guarded.call("GET", "/").status == 200
    for path in ("/healthz", "/readyz", "/assets/index.js"):
        assert guarded.call("GET", path).status == 404, "let through, though this application has none"
    for path in ("/metrics", "/api/v1/openapi.json", "/api/v1/docs", "/assets", "/anything"):
        assert guarded.call("GET", path).status == 401
    assert guarded.call("POST", "/", JSON, b"{}").status == 401
    assert guarded.call("DELETE", "/api/v1/session").status == 401


@pytest.mark.parametrize("how", ["header", "body"])
def test_a_page_changes_the_token_for_a_cookie(how: str) -> None:
    guarded = Guarded(RULES)
    page = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"} | JSON
    body = f'{{"token": "{TOKEN}"}}'.encode() if how == "body" else b"{}"
    answer = guarded.call("POST", "/api/v1/session", page | (BEARER if how == "header" else {}), body)
    assert answer.status == 204
    cookie, *attributes = answer["set-cookie"].split("; ")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert guarded.call("GET", "/api/v1/jobs/1", {"cookie": cookie}).status == 200
    answer = guarded.call("DELETE", "/api/v1/session", {"cookie": cookie})
    assert answer.status == 204
    assert answer["set-cookie"].startswith("weft_session=; ")
    assert "Max-Age=0" in answer["set-cookie"]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"token": null}', b'{"token": "x"}', b'{"token": ["x"]}', b"null", b'{"token": 1}']
)
def test_without_the_token_there_is_no_cookie(body: bytes) -> None:
    answer = Guarded(RULES).call("POST", "/api/v1/session", JSON, body)
    assert answer.status == 401
    assert not answer["set-cookie"]


def test_a_foreign_page_cannot_log_anybody_in() -> None:
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert Guarded(RULES).call("POST", "/api/v1/session", JSON | BEARER | headers, b"{}").status == 403
    assert Guarded(RULES).call("POST", "/api/v1/session", {"content-type": "text/plain"} | BEARER, b"{}").status == 415


def test_by_tls_the_cookie_never_travels_without() -> None:
    page = {"host": "weft.example.org", "origin": "https://weft.example.org"}
    answer = Guarded(RULES).call("POST", "/api/v1/session", JSON | BEARER | page, b"{}")
    assert "Secure" in answer["set-cookie"].split("; ")
    assert "Secure" not in cookie_for(TOKEN, secure=False)


def test_where_no_token_is_needed_none_is_set() -> None:
    answer = Guarded().call("POST", "/api/v1/session", JSON, b"{}")
    assert answer.status == 204
    assert not answer["set-cookie"]


def test_an_attack_with_the_cookie_of_a_browser_arrives_nowhere() -> None:
    """The browser sends the cookie to what it takes for us; names and origins count all the same."""
    cookie = {"cookie": f"weft_session={TOKEN}"}
    guarded = Guarded(RULES)
    for headers, status in [
        ({"origin": "http://evil.example"}, 403),
        ({"host": "evil.example:9338"}, 421),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": None}, 415),
    ]:
        assert guarded.call("POST", "/api/v1/jobs", JSON | cookie | headers, b"").status == status  # type: ignore[operator]
    assert guarded.reached == []
