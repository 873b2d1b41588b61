"""Paths that no honest client sends reach no route, whatever the route makes of them."""

from __future__ import annotations

import pytest

from tests.server.guard.calling import Guarded
from weft.server.guard.paths import path_fault, query_fault

UP = [
    "..",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    ".",
    "%2e",
    "%252e%252e",
    "%25252e",
    "..%2f",
    "..%5c",
    "..\\",
    "%5c..%5c",
]
ENDS = ["a%00", "%00", "a%00.png", "a%0d%0aSet-Cookie:x", "a%0a", "%7f", "a%1b[2J", "a%e2%80%ae", "a%c2%85"]
CODES = ["%c0%ae%c0%ae", "%ff", "%e0%80%ae", "%", "%2", "%zz", "%u002e", "%ed%a0%80"]
SEPARATORS = ["a%2fb", "a%2Fb", "%2fetc%2fpasswd", "a%5cb", "C:%5cwindows", "a%252fb", "%255c"]
LONG = ["x" * 256, "%c3%a4" * 128]


@pytest.mark.parametrize("segment", UP + ENDS + CODES + SEPARATORS + LONG)
def test_such_a_segment_reaches_nothing(segment: str) -> None:
    guarded = Guarded()
    for path in (f"/api/v1/jobs/{segment}", f"/{segment}/api/v1/jobs/1", f"/api/v1/jobs/1/{segment}/etc/passwd"):
        answer = guarded.call("GET", path)
        assert answer.status == 400, path
        assert answer.json["code"] == "bad_request"
        assert guarded.handshake(path=path)[0]["status"] == 400
    assert guarded.reached == []


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/api//v1/jobs/1", "http://evil.example/", "", "*", "api/v1/jobs/1"]
)
def test_such_a_path_reaches_nothing(path: str) -> None:
    assert Guarded().call("GET", path).status == 400


@pytest.mark.parametrize("name", ["01J8", "sha256:00ff", "my%20work-flow_1.json", "%C3%A4", "...", ".hidden", "a..b"])
def test_honest_names_arrive(name: str) -> None:
    assert path_fault(f"/api/v1/workflows/{name}".encode()) == ""
    assert Guarded().call("GET", f"/api/v1/jobs/{name}").status == 200


def test_a_path_may_end_with_a_slash() -> None:
    assert path_fault(b"/") == ""
    assert path_fault(b"/assets/") == ""


def test_queries() -> None:
    assert query_fault(b"state=done&tag=a%20b&cursor=x%2By") == ""
    for query in (b"a=%0d%0ab", b"a=%00", b"a=\x00", b"a b", b"%0A"):
        assert query_fault(query), query
    assert Guarded().call("GET", "/api/v1/jobs/1?limit=%0d").status == 400


def test_long_addresses_are_refused() -> None:
    guarded = Guarded()
    assert guarded.call("GET", "/a" * 1025).status == 414
    assert guarded.call("GET", "/api/v1/jobs/1?x=" + "y" * 9000).status == 414
    assert guarded.reached == []
