"""What the interface offers at all, and what the server's code may do."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.server.attacks.world import MEDIA_TYPE, World
from weft.graphs.schema import document_schema
from weft.server.settings import FIELDS

SERVER = Path(__file__).parents[3] / "server"
# Words of what no endpoint does: bring code or models here, or change how the server is set.
BANNED = re.compile(
    r"(?i)install|package|plugin|extension|custom.?node|pip\b|git\b|download|settings?\b|config|shell|exec|eval"
)
MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "ctypes",
    "telnetlib",
}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "yaml.load", "pickle.loads"}


def test_no_endpoint_installs_or_sets_anything(world: World) -> None:
    for endpoint in world.endpoints:
        assert not BANNED.search(endpoint.path), str(endpoint)
        assert not re.search(r"import(?!$)", endpoint.path), str(endpoint)
        fields = set((endpoint.body or {}).get("properties", {}))
        names = {*fields, *endpoint.names("query"), *endpoint.names("header")}
        assert not [name for name in names if BANNED.search(name)], str(endpoint)
        # What the operator says when the server starts is not among what clients may say. A document has `nodes`, which
        # are a workflow's and no folders.
        is_document = (endpoint.body or {}).get("title") == document_schema()["title"]
        assert not names & (set(FIELDS) - {"name"} - ({"nodes"} if is_document else set())), str(endpoint)
        assert not {name for name in names if re.search(r"(?i)url|uri|href|command|module", name)}, str(endpoint)


def test_every_endpoint_says_how_it_refuses(world: World) -> None:
    schemas = world.call("GET", "/api/v1/openapi.json").json["components"]["schemas"]
    assert {"type", "title", "status", "detail", "code", "problems"} == set(schemas["Refusal"]["properties"])
    assert "HTTPValidationError" not in schemas  # the framework's, which is never sent
    for endpoint in world.endpoints:
        responses = endpoint.operation["responses"]
        for status in ("4XX", "5XX"):
            schema = responses[status]["content"][MEDIA_TYPE]["schema"]
            assert endpoint.resolved(schema) == schemas["Refusal"], str(endpoint)
        assert any(status.startswith("2") for status in responses), str(endpoint)


def test_the_description_is_complete(world: World) -> None:
    """Every route of the application is in it, so that attacks on what it lists are attacks on all."""
    from fastapi.routing import APIRoute

    app = world.app._app._app
    listed = {(endpoint.method, endpoint.path) for endpoint in world.endpoints}
    routes = set()
    for route in _routes(app.routes):
        if isinstance(route, APIRoute):
            routes |= {(method, route.path) for method in route.methods if method != "HEAD"}
    hidden = {path for _, path in routes - listed}
    assert {path for path in hidden if not _is_page(path)} == set()
    text = json.dumps(world.call("GET", "/api/v1/openapi.json").json)
    for place in (str(world.folder), str(SERVER.parent)):
        assert place not in text


def _is_page(path: str) -> bool:
    """Pages for people, which take nothing."""
    return path in ("/", "/favicon.ico", "/api/v1/docs", "/api/v1/openapi.json") or path.startswith(
        ("/assets/", "/api/v1/docs/", "/app/")
    )


def _routes(routes: list[object]) -> Iterator[object]:
    for route in routes:
        yield route
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        yield from _routes(list(inner or []))


def test_the_code_of_the_server_reads_no_code() -> None:
    """No pickle, no evaluation of texts, no shell: in all of server/."""
    looked = 0
    for path in sorted(SERVER.rglob("*.py")):
        looked += 1
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path.relative_to(SERVER)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {item.name.partition(".")[0] for item in node.names} & MODULES, where
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in MODULES, where
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in CALLS, where
                assert name != "tempfile.mktemp", where
                for keyword in node.keywords:
                    if keyword.arg in ("shell", "allow_pickle", "trust_remote_code"):
                        assert isinstance(keyword.value, ast.Constant), where
                        assert keyword.value.value is False, where
    assert looked > 60


def test_no_answer_grants_anything_to_other_origins(world: World) -> None:
    for endpoint in world.endpoints:
        answer = world.call(endpoint.method, endpoint.address(), {"content-type": "application/json"})
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
        assert not answer["server"]
        assert answer["referrer-policy"] == "same-origin"
        assert answer["cross-origin-resource-policy"] == "same-origin"
        if endpoint.path.startswith("/api/"):
            assert answer["cache-control"], str(endpoint)
