"""Pages of others, names pointed to this machine, callers without the token: at every endpoint there is."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Mapping

import pytest

from tests.server.attacks.world import CHANGING, HOST, JSON, OWN, TOKEN, Endpoint, World, assert_refusal, shake
from weft.server import tokens
from weft.server.guard import session
from weft.server.guard.rules import Rules

EVIL = "http://evil.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}
FOREIGN: Mapping[str, tuple[dict[str, str], int]] = {
    "a foreign page": (JSON | {"origin": EVIL}, 403),
    "a page in a frame without an origin": (JSON | {"origin": "null"}, 403),
    "an empty origin": (JSON | {"origin": ""}, 403),
    "our name at another port": (JSON | {"origin": "http://127.0.0.1:1"}, 403),
    "a page whose origin was cut": (JSON | {"sec-fetch-site": "cross-site"}, 403),
    "a page of a neighbour": (JSON | {"sec-fetch-site": "same-site"}, 403),
    "a name pointed to us": (JSON | {"host": "evil.example:9338", "origin": "http://evil.example:9338"}, 421),
    "a name pointed to us, by a program": (JSON | {"host": "evil.example"}, 421),
    "two hosts in one": (JSON | {"host": f"{HOST}, evil.example"}, 421),
}
SIMPLE: Mapping[str, dict[str, str]] = {
    "a form": FORM,
    "a form with files": {"content-type": "multipart/form-data; boundary=x"},
    "a form as text": {"content-type": "text/plain"},
    "a form of our own page": FORM | {"origin": OWN, "sec-fetch-site": "same-origin"},
    "two types": {"content-type": "text/plain, application/json"},
}


def marks(world: World) -> tuple[object, ...]:
    """What must not change: jobs, the queue, files, workflows."""
    jobs = world.call("GET", "/api/v1/jobs?limit=200").json
    queue = world.call("GET", "/api/v1/queue").json
    files = sorted(str(path) for name in ("files", "workflows") for path in (world.data / name).rglob("*"))
    return json.dumps(jobs), queue["paused"], queue["queued"], files


def body_for(endpoint: Endpoint, job: str) -> bytes | None:
    """One that would do something."""
    if endpoint.method not in CHANGING or endpoint.method == "DELETE":
        return None
    if endpoint.method == "PATCH":
        return b'{"priority": 5}'
    nodes = {"a": {"type": "bad_says", "inputs": {"text": "forged"}}}
    return json.dumps({"workflow": {"weft": 1, "nodes": nodes}}).encode()


@pytest.fixture(scope="module")
def job(world: World) -> str:
    return str(world.job({"a": {"type": "bad_says"}})["id"])


@pytest.mark.parametrize("case", FOREIGN)
def test_nobody_elses_page_is_answered(world: World, job: str, case: str) -> None:
    headers, status = FOREIGN[case]
    before = marks(world)
    for endpoint in world.endpoints:
        answer = world.call(endpoint.method, endpoint.address(id=job), headers, body_for(endpoint, job))
        assert answer.status == status, (str(endpoint), answer.text)
        assert_refusal(answer, endpoint)
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    assert marks(world) == before
    assert world.run(shake(world.app, headers)) == status


@pytest.mark.parametrize("case", SIMPLE)
def test_forms_change_nothing(world: World, job: str, case: str) -> None:
    before = marks(world)
    for endpoint in world.endpoints:
        if endpoint.method in CHANGING:
            answer = world.call(endpoint.method, endpoint.address(id=job), SIMPLE[case], b"a=1")
            assert answer.status == 415, (str(endpoint), answer.text)
            assert_refusal(answer, endpoint)
    assert marks(world) == before


def test_no_preflight_is_granted(world: World) -> None:
    for endpoint in world.endpoints:
        asks = {"origin": EVIL, "access-control-request-method": endpoint.method}
        for headers in (asks, asks | {"origin": OWN}, asks | {"access-control-request-private-network": "true"}):
            answer = world.call("OPTIONS", endpoint.address(), headers)
            assert_refusal(answer, endpoint)
            assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


def test_other_methods_are_refused(world: World) -> None:
    known = {(endpoint.method, endpoint.path) for endpoint in world.endpoints}
    for path in sorted({endpoint.path for endpoint in world.endpoints}):
        for method in ("TRACE", "CONNECT", "PROPFIND", "get", "POST\t", "PUT", "DELETE", "PATCH", "POST"):
            if (method, path) not in known:
                answer = world.call(method, path.replace("{", "").replace("}", ""), JSON)
                assert answer.status in (404, 405), (method, path, answer.text)
                assert_refusal(answer, (method, path))


def test_handshakes(world: World) -> None:
    assert world.run(shake(world.app)) == 101
    assert world.run(shake(world.app, {"origin": OWN})) == 101
    assert world.run(shake(world.app, {"origin": "null"})) == 403


# -- with a token


def test_without_the_token_nothing_is_answered(world: World, job: str) -> None:
    app = world.other(token=TOKEN)
    public = Rules(hosts=None).public  # type: ignore[arg-type]
    before, refused = marks(world), 0
    wrong = ({}, {"authorization": "Bearer " + "y" * len(TOKEN)}, {"authorization": f"Basic {TOKEN}"})
    more = ({"authorization": "Bearer "}, {"cookie": "weft_session="}, {"cookie": f"other={TOKEN}"})
    for endpoint in world.endpoints:
        if endpoint.path in public:
            assert world.call(endpoint.method, endpoint.path, app=app).status == 200
            continue
        for headers in (*wrong, *more):
            body = body_for(endpoint, job)
            answer = world.call(endpoint.method, endpoint.address(id=job), JSON | headers, body, app=app)
            assert answer.status == 401, (str(endpoint), headers, answer.text)
            assert answer["www-authenticate"].startswith("Bearer")
            assert_refusal(answer, endpoint)
            assert TOKEN not in answer.text
            refused += 1
        query = world.call(endpoint.method, f"{endpoint.address(id=job)}?token={TOKEN}", JSON, app=app)
        assert query.status == 401, str(endpoint)  # addresses are logged by whoever is on the way
    assert refused > 100
    assert marks(world) == before
    for headers in (*wrong, *more):
        assert world.run(shake(app, headers)) == 401


def test_the_token_and_the_cookie_let_in(world: World, job: str) -> None:
    app = world.other(token=TOKEN)
    path = f"/api/v1/jobs/{job}"
    assert world.call("GET", path, {"authorization": f"Bearer {TOKEN}"}, app=app).status == 200
    assert world.run(shake(app, {"authorization": f"Bearer {TOKEN}"})) == 101
    login = world.call("POST", session.PATH, JSON, json.dumps({"token": TOKEN}).encode(), app=app)
    assert login.status == 204
    kept = login["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=Strict" in kept
    cookie = {"cookie": kept.partition(";")[0]}
    assert world.call("GET", path, cookie, app=app).status == 200
    assert world.run(shake(app, {**cookie, "origin": OWN})) == 101


@pytest.mark.parametrize("case", FOREIGN)
def test_the_cookie_is_of_no_use_to_others(world: World, job: str, case: str) -> None:
    app = world.other(token=TOKEN)
    headers, status = FOREIGN[case]
    headers = {**headers, "cookie": f"weft_session={TOKEN}"}
    before = marks(world)
    for endpoint in world.endpoints:
        answer = world.call(endpoint.method, endpoint.address(id=job), headers, body_for(endpoint, job), app=app)
        assert answer.status == status, str(endpoint)
    assert world.run(shake(app, headers)) == status
    assert marks(world) == before


def test_tokens_are_compared_in_constant_time() -> None:
    """By `hmac.compare_digest` alone: no `==` of a token's text, wherever one is looked at."""
    assert "compare_digest" in inspect.getsource(tokens.same_token)
    from weft.server.guard import guard, headers, login, rules

    for module in (tokens, session, login, rules, guard, headers):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
                    continue
                names = {item.id for side in sides for item in ast.walk(side) if isinstance(item, ast.Name)}
                names |= {item.attr for side in sides for item in ast.walk(side) if isinstance(item, ast.Attribute)}
                assert not names & {"token", "told", "given"}, f"{module.__name__}:{node.lineno}"
