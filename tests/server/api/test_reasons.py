"""Why something runs again, and what would run now, over HTTP: for jobs that ended, and for what did not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.api.conftest import Server, document
from weft.server.api.reasons import reasons

NODES = {"t": ("toy_text", {"text": "ab"}), "s": ("toy_save", {"text": {"link": "t"}, "name": "why"})}
UI = {
    "t": {"pos": [1, 2]},
    "#groups": [{"title": "A", "nodes": ["t"]}],
    "#notes": [{"text": "n"}],
    "#reroutes": {"r": 1},
}


def changed(text: str, **more: Any) -> dict[str, Any]:
    return document({**NODES, "t": ("toy_text", {"text": text})}, **more)


def run(server: Server, workflow: dict[str, Any]) -> Any:
    job = server("POST", "/jobs", json={"workflow": workflow}, headers={"Prefer": "wait=60"}).json()
    assert job["state"] == "done"
    return server("GET", f"/jobs/{job['id']}/why").json()["nodes"]


def test_a_job_says_what_changed_at_the_node_and_above_it(server: Server) -> None:
    first = run(server, changed("first"))
    assert first["t"]["ran"] is True
    assert first["s"]["causes"] == []
    assert first["s"]["text"] == "s ran: it never ran before as far as is known, or its result was gone."
    again = run(server, changed("second"))
    cause = {
        "node": "t", "what": "input", "input": "text", "was": '"first"', "now": '"second"', "through": ["s"],
        "text": 't: text was "first" and is "second" (through s)',
    }  # fmt: skip
    assert again["s"] == {"ran": True, "text": f"s ran again:\n  {cause['text']}", "causes": [cause]}
    assert again["t"]["causes"] == [cause | {"through": [], "text": 't: text was "first" and is "second"'}]
    same = run(server, changed("second"))
    assert same["t"]["ran"] is False
    assert same["t"]["text"].startswith("t did not run: its result was in ")
    server("GET", "/jobs/none/why", status=404)


def test_a_plan_says_what_changed(server: Server) -> None:
    run(server, changed("planned"))
    plan = server("POST", "/plan", json={"workflow": changed("other")}).json()
    text = 'text was "planned" and is "other"'
    assert plan["nodes"]["t"]["why"] == [
        {"what": "input", "input": "text", "was": '"planned"', "now": '"other"', "text": text}
    ]
    [why] = plan["nodes"]["s"]["why"]
    assert (why["what"], why["source"]) == ("upstream", "t")
    assert plan["nodes"]["s"]["writes"] is True
    assert plan["nodes"]["s"]["seconds"] > 0


def test_what_only_the_editor_looks_at_changes_no_plan(server: Server) -> None:
    run(server, changed("seen"))
    before = server("POST", "/plan", json={"workflow": changed("seen")}).json()
    after = server("POST", "/plan", json={"workflow": changed("seen", ui=UI, meta={"title": "Moved"})}).json()
    assert after == before
    assert after["nodes"]["t"]["will"] == "cached"
    # Its file was taken over by the file store, so it is written again.
    assert (after["nodes"]["s"]["will"], after["nodes"]["s"]["reason"]) == ("run", "each job writes its files anew")
    assert "why" not in after["nodes"]["s"]
    assert after["nodes"]["s"]["writes"] is True
    assert "writes" not in after["nodes"]["t"]
    assert server("POST", "/check", json={"workflow": changed("seen", ui=UI)}).json() == {"problems": []}


def test_what_only_the_editor_looks_at_survives(server: Server) -> None:
    inner = {"nodes": {"x": {"type": "toy_text"}}, "outputs": {"y": {"link": "x"}}, "ui": UI}
    workflow = changed("kept", ui=UI) | {"definitions": {"inner": inner}}
    job = server("POST", "/jobs", json={"workflow": workflow}, headers={"Prefer": "wait=60"}).json()
    ran = server("GET", f"/jobs/{job['id']}/workflow").json()
    server("PUT", "/workflows/kept", json=workflow, status=201)
    saved = server("GET", "/workflows/kept").json()
    imported = server("POST", "/import", json=workflow).json()["workflow"]
    for found in (ran, saved, imported):
        assert (found["ui"], found["definitions"]["inner"]["ui"]) == (UI, UI)


def test_why_a_node_would_run(server: Server) -> None:
    def why(workflow: Any, node: str = "s", status: int = 200, **more: Any) -> Any:
        body = {"workflow": workflow, "node": node, **more}
        return server("POST", "/why", json=body, status=status).json()

    run(server, changed("asked"))
    found = why(changed("asked"), set={"t.text": "answered"})
    assert (found["state"], found["compared"], found["files"]) == ("changed", "s", [])
    assert [(cause["node"], cause["input"], cause["through"]) for cause in found["causes"]] == [("t", "text", ["s"])]
    assert found["text"] == 's has to run:\n  t: text was "asked" and is "answered" (through s)'
    assert why(changed("asked"), "t")["state"] == "cached"
    written = why(changed("asked"))
    assert (written["state"], written["causes"]) == ("always", [])
    assert written["text"] == "s has to run: each job writes its files anew."
    refused = why(changed("asked"), "tt", status=422)
    assert refused["problems"][0]["suggestion"] == "t"
    assert why(document({"t": ("toy_txt", {})}), "t", status=422)["problems"][0]["code"] == "unknown_node_type"


def test_a_file_that_changed_is_named_without_its_folder(server: Server, tmp_path: Path) -> None:
    folder = Path((server.deck.dispatcher.means.home.roots or ())[0])
    file = folder / "changing.txt"
    workflow = document({"r": ("toy_read", {"path": str(file)})})
    for text in ("one", "two"):
        file.write_text(text)
        job = server("POST", "/jobs", json={"workflow": workflow, "targets": ["r"]}, headers={"Prefer": "wait=60"})
        assert job.json()["state"] == "done"
    answer = server("GET", f"/jobs/{job.json()['id']}/why")
    [cause] = answer.json()["nodes"]["r"]["causes"]
    assert cause["what"] == "file"
    assert "changing.txt" in cause["text"]
    assert str(folder) not in answer.text


def started(node: str, *why: dict[str, str]) -> dict[str, Any]:
    return {"event": "node_started", "node": node, "why": list(why)}


def upstream(source: str) -> dict[str, str]:
    return {"what": "upstream", "input": "x", "source": source}


def test_causes_are_followed_to_where_they_come_from_and_no_further() -> None:
    seed = {"what": "input", "input": "seed", "was": "1", "now": "2"}
    folder = {"what": "folder", "was": "/a", "now": "/b"}
    events = [
        started("a", seed),
        started("b", upstream("a")),
        started("c", upstream("b"), upstream("gone"), folder),
        started("loop", upstream("loop")),
        {"event": "node_skipped", "node": "d", "reason": "a has no result", "failed": True},
        {"event": "node_cached", "node": "e", "tier": "unneeded"},
        {"event": "job_finished", "node": None},
    ]
    found = reasons(events)
    assert [(cause["node"], cause["what"], cause["through"]) for cause in found["c"]["causes"]] == [
        ("a", "input", ["b", "c"]),
        ("c", "upstream", []),
    ]
    assert found["loop"]["causes"] == []
    assert (found["d"]["ran"], found["d"]["text"]) == (False, "d did not run: a has no result")
    assert found["e"]["text"] == "e did not run: what uses it was cached."
    assert set(found) == {"a", "b", "c", "d", "e", "loop"}


def test_many_causes_are_told_in_part() -> None:
    many = [started(f"n{i}", {"what": "code"}) for i in range(1000)]
    found = reasons([*many, started("sum", *(upstream(f"n{i}") for i in range(1000)))])
    assert len(found["sum"]["causes"]) == 32
