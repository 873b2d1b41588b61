"""docs/openapi.json: it is what the server says of itself, it names every shape, and answers are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from tests.pasted import ROOT
from tests.server.api.conftest import Server, document
from weft.graphs.schema import document_schema
from weft.server.api import openapi

PAGE = ROOT / "docs" / "openapi.json"
WITHOUT = {("get", "/metrics"), ("get", "/api/v1/schema")}
"""Their answers have a form of their own: Prometheus', and that of JSON Schema."""


@pytest.fixture(scope="module")
def interface() -> Any:
    return json.loads(PAGE.read_text("utf-8"))


def test_the_committed_description_is_that_of_the_code() -> None:
    """Else: python -m weft.server.api.openapi docs/openapi.json"""
    assert PAGE.read_text("utf-8") == openapi.text()


def test_a_server_gives_it(server: Server, interface: Any) -> None:
    assert server("GET", "/openapi.json").json() == interface


def test_every_schema_that_is_named_is_there_and_sound(interface: Any) -> None:
    schemas = interface["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(interface))) <= set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def endpoints(interface: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in interface["paths"].items():
        for method, about in item.items():
            yield method, path, about


def test_every_answer_has_a_shape_with_a_name(interface: Any) -> None:
    for method, path, about in endpoints(interface):
        for status, answer in about["responses"].items():
            for kind, content in answer.get("content", {}).items():
                if kind.endswith("json") and (method, path) not in WITHOUT:
                    schema = content["schema"]
                    assert "$ref" in schema.get("items", schema), (method, path, status)


def test_every_body_and_field_that_is_an_object_says_what_is_in_it(interface: Any) -> None:
    for _, path, about in endpoints(interface):
        for content in about.get("requestBody", {}).get("content", {}).values():
            assert "$ref" in json.dumps(content) or content["schema"].get("format") or path.endswith("/session")
    named = {"Widget"}  # whose options are the kind's own
    for name, schema in interface["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in named and not name.startswith("Document"):
            assert schema.get("properties") or "$ref" in schema["additionalProperties"], name


def test_the_document_is_that_of_the_graphs(interface: Any) -> None:
    schema = interface["components"]["schemas"]["Document"]
    assert schema["properties"].keys() == document_schema()["properties"].keys()
    nodes = schema["properties"]["nodes"]["additionalProperties"]
    assert nodes == {"$ref": "#/components/schemas/DocumentNode"}


@pytest.fixture(scope="module")
def fits(interface: Any) -> Any:
    """`fits("Job", data)`: the data are as the description says. With no further fields, but for refusals."""

    def look(schema: str, data: Any, *, listed: bool = False) -> Any:
        assert not listed or data, "nothing to look at"
        for item in data if listed else [data]:
            whole = {"$ref": f"#/components/schemas/{schema}", "components": interface["components"]}
            jsonschema.validate(item, whole, Draft202012Validator)
            properties = interface["components"]["schemas"][schema].get("properties", item)
            assert set(item) <= set(properties), schema
        return data

    return look


def test_what_the_nodes_and_models_are(server: Server, fits: Any) -> None:
    found = fits("NodeType", server("GET", "/nodes").json(), listed=True)
    for node in found:
        for port in node["inputs"]:
            fits("NodeInput", port)
        for port in node["outputs"]:
            fits("NodeOutput", port)
    for facts in fits("TypeTable", server("GET", "/types").json()).values():
        fits("TypeFacts", facts)
    fits("ModelEntry", server("GET", "/models").json(), listed=True)


def test_what_the_server_and_its_queue_are(server: Server, fits: Any) -> None:
    fits("System", server("GET", "/system").json())
    for worker in fits("Queue", server("GET", "/queue").json())["workers"]:
        fits("Worker", worker)


def test_what_is_wrong_and_what_a_run_would_do(server: Server, fits: Any) -> None:
    good = {"workflow": document({"a": ("toy_save", {"text": "plan"})})}
    wrong = {"workflow": document({"a": ("toy_sav", {}), "b": ("toy_save", {"txt": 3})})}
    for body in (good, wrong):
        fits("Problems", server("POST", "/check", json=body).json())
        plan = fits("Plan", server("POST", "/plan", json=body).json())
        for node in plan["nodes"].values():
            fits("PlannedNode", node)
    why = fits("Why", server("POST", "/why", json={**good, "node": "a"}).json())
    assert why["state"] == "new"
    assert "toy_save" in fits("PythonText", server("POST", "/python", json=good).json())["python"]
    server("POST", "/python", json=good | {"set": {"nothing": 1}}, status=422)
    problems = server("POST", "/check", json=wrong).json()["problems"]
    assert {problem["code"] for problem in fits("Problem", problems, listed=True)} >= {"unknown_node_type"}
    jsonschema.validate(server("POST", "/jobs", json=wrong, status=422).json()["problems"], {"minItems": 1})


def test_jobs_outputs_and_events(server: Server, fits: Any) -> None:
    job = fits("Job", server.submit({"a": ("toy_save", {"text": "shape"})}, wait=60))
    fits("Output", job["outputs"], listed=True)
    events = fits("EventPage", server("GET", f"/jobs/{job['id']}/events").json())["events"]
    assert {event["event"] for event in events} >= {"job_queued", "node_started", "output", "job_finished"}
    failed = fits("Job", server.submit({"a": ("toy_fail", {})}, wait=60))
    fits("JobError", failed["error"])
    fits("EventPage", server("GET", f"/jobs/{failed['id']}/events").json())
    fits("JobPage", server("GET", "/jobs?limit=1").json())
    fits("JobOutput", fits("OutputPage", server("GET", "/outputs").json())["outputs"], listed=True)
    fits("Document", server("GET", f"/jobs/{job['id']}/workflow").json())
    again = server.submit({"a": ("toy_save", {"text": "shaped"})}, wait=60)
    found = fits("JobReasons", server("GET", f"/jobs/{again['id']}/why").json())["nodes"]["a"]
    fits("JobReason", found)
    fits("Cause", found["causes"], listed=True)


def test_refusals(server: Server, fits: Any) -> None:
    fits("Refusal", server("GET", "/jobs/none", status=404).json())
    fits("Refusal", server("POST", "/check", json={"workflw": {}}, status=422).json())


def test_documents(server: Server, fits: Any) -> None:
    examples = fits("Example", server("GET", "/examples").json(), listed=True)
    text = fits("Document", server("GET", f"/examples/{examples[0]['name']}").json())
    fits("Listed", server("PUT", "/workflows/shape", json=text, status=201).json())
    fits("Listed", server("GET", "/workflows").json(), listed=True)
    fits("Imported", server("POST", "/import", json=text).json())


def test_upload_and_health(server: Server, fits: Any) -> None:
    picture = (ROOT / "docs" / "images" / "shapes-sheet.png").read_bytes()
    headers = {"Content-Type": "image/png"}
    fits("StoredFile", server("POST", "/files", content=picture, headers=headers, status=201).json())
