"""The clients against a real server: every call, what goes wrong, and connections that break."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import RunningServer, document, free_port, gated, running, sums
from weft.graphs.builder import Graph
from weft.graphs.document import Workflow
from weft.graphs.problems import WorkflowError
from weft.server.client import (
    AsyncClient,
    Client,
    ConflictError,
    JobCancelledError,
    JobFailedError,
    NoServerError,
    NotFoundError,
    RefusedError,
    TokenNeededError,
)
from weft.server.client.following import Following
from weft.server.tokens import make_token

NOWHERE = "01m80000000000000a"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A gate that is open in the end, whatever happened: the module's server is to be free for the next test."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def reached(client: Client, job: Any) -> None:
    """Wait until the job stands before its gate."""
    for event in client.events(job):
        if event["event"] == "node_started" and event["node"] == "gate":
            return


def test_a_job_and_what_it_made(client: Client) -> None:
    job = client.run(sums(), set={"first": 40}, title="a sum", tags=["sums", "forty"])
    assert (job.state, job.title, job.tags, job.progress.of) == ("done", "a sum", ["sums", "forty"], 3)
    [output] = job.outputs
    assert (output.node, output.kind, output.value) == ("total", "value", 41)
    assert client.job(job.id) == job
    assert [one.id for one in client.jobs("done", tag="forty")] == [job.id]
    assert client.workflow(job).nodes["a0"].inputs["a"] == 40
    again = client.wait(client.retry(job))
    assert again.id != job.id
    assert (again.state, again.outputs, again.ran) == ("done", job.outputs, 0)
    client.delete(again)
    with pytest.raises(NotFoundError, match=again.id):
        client.job(again.id)


def test_what_a_workflow_may_be(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "sum.json"
    workflow = Workflow.parse(sums(first=60))
    workflow.save(path)
    with Graph("made here") as graph:
        graph.add("served_show", {"value": graph.add("served_add", {"a": 60, "b": 1})})
    sources: list[Any] = [path, str(path), workflow, sums(first=60), graph]
    for source in sources:
        assert [output.value for output in client.run(source).outputs] == [61]


def test_texts_are_read_as_what_the_input_takes(client: Client) -> None:
    assert client.run(sums(), set=["first=50"]).outputs[0].value == 51
    with pytest.raises(WorkflowError) as error:
        client.submit(sums(), set={"first": "50"})
    assert [(problem.code, problem.where) for problem in error.value.problems] == [("bad_value", "a0.a")]
    with pytest.raises(WorkflowError, match="NAME=VALUE"):
        client.submit(sums(), set=["first"])


def test_all_that_is_wrong_with_a_workflow_comes_at_once(client: Client, tmp_path: Path) -> None:
    wrong = document(a=("served_ad", {"a": 1}), b=("served_show", {"vale": 1}))
    before = len(client.jobs(limit=1000))
    with pytest.raises(WorkflowError) as error:
        client.submit(wrong)
    codes = [problem.code for problem in error.value.problems]
    assert codes == ["unknown_node_type", "unknown_input", "missing_input"]
    assert error.value.problems[0].suggestion == "served_add"
    assert len(client.jobs(limit=1000)) == before
    assert client.check(wrong) == error.value.problems
    assert client.check(sums()) == []
    assert client.plan(wrong).problems == error.value.problems
    with pytest.raises(WorkflowError, match=r"no\.json"):
        client.submit(tmp_path / "no.json")


def test_a_plan_and_the_nodes(client: Client) -> None:
    workflow = sums(first=7000, count=3)
    assert {node["will"] for node in client.plan(workflow).nodes.values()} == {"run"}
    client.run(workflow)
    plan = client.plan(workflow)
    assert (plan.problems, plan.nodes["total"]["will"]) == ([], "cached")
    assert client.plan(workflow, set={"first": 7100}, targets=["a0"]).nodes["a0"]["will"] == "run"
    first = client.nodes()
    assert "served_gate" in {node["name"] for node in first}
    assert client.nodes() is first, "it has not changed, so it is not sent again"
    assert client.system()["workers"][0]["alive"] is True


def test_failed_and_cancelled(client: Client, gate: Path) -> None:
    with pytest.raises(JobFailedError, match=r"'bad' \(served_fail\): .*not to my taste") as failed:
        client.run(document(bad=("served_fail", {"value": 3})))
    assert failed.value.job.error is not None
    assert failed.value.job.error["node"] == "bad"
    job = client.submit(gated(gate, 100))
    reached(client, job)
    with pytest.raises(ConflictError):
        client.delete(job)
    with pytest.raises(TimeoutError, match=f"{job.id} has not ended"):
        client.wait(job, timeout=0.05)
    client.cancel(job)
    assert client.wait(job).state == "cancelled"
    assert client.cancel(job.id).state == "cancelled"
    assert [event["event"] for event in client.events(job)][-1] == "job_cancelled"


def test_run_tells_of_a_job_that_somebody_cancelled(client: Client, server: RunningServer, gate: Path) -> None:
    def other() -> None:
        with Client(server.url) as one:
            [job] = [job for job in one.jobs(tag="to-cancel") for _ in [reached(one, job)]]
            one.cancel(job)

    reaching = threading.Timer(0.0, lambda: (_wait_for(Path(f"{gate}.reached")), other()))
    reaching.start()
    with pytest.raises(JobCancelledError):
        client.run(gated(gate, 150), tags=["to-cancel"])
    reaching.join()


def _wait_for(path: Path) -> None:
    while not path.exists():
        threading.Event().wait(0.01)


def test_the_queue(client: Client, gate: Path) -> None:
    assert client.pause()["paused"] is True
    try:
        first, second, third = (client.submit(sums(first=number)) for number in (201, 202, 203))
        assert client.queue()["queued"] == 3
        assert client.move(third, before=first).position == 0
        assert client.move(second, priority=7).position == 0
        with pytest.raises(RefusedError, match="priority"):
            client.move(first)
    finally:
        assert client.resume()["paused"] is False
    ended = [client.wait(job) for job in (first, second, third)]
    assert [job.state for job in ended] == ["done"] * 3
    order = sorted(ended, key=lambda job: job.started or 0)
    assert [job.id for job in order] == [second.id, third.id, first.id]
    with pytest.raises(ConflictError):
        client.move(first, priority=1)


def test_a_newer_job_of_a_slot_cancels_the_one_before(client: Client, gate: Path) -> None:
    first = client.submit(gated(gate, 300), slot="tab")
    reached(client, first)
    second = client.submit(sums(first=300), slot="tab")
    assert [client.wait(job).state for job in (first, second)] == ["cancelled", "done"]


def test_one_key_is_one_job(client: Client, server: RunningServer) -> None:
    async def at_once() -> list[str]:
        async with AsyncClient(server.url) as one:
            jobs = await asyncio.gather(*[one.submit(sums(first=400), key="four hundred") for _ in range(6)])
            return [job.id for job in jobs]

    ids = asyncio.run(at_once())
    assert len(set(ids)) == 1
    assert client.submit(sums(first=400), key="four hundred").id == ids[0]
    with pytest.raises(ConflictError):
        client.submit(sums(first=401), key="four hundred")
    job = client.wait(ids[0])
    assert client.retry(job, key="again").id == client.retry(job, key="again").id != job.id
    assert client.submit(sums(first=400)).id != client.submit(sums(first=400)).id


def test_many_jobs_are_listed_page_by_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [client.submit(sums(first=500 + number), tags=["page"]).id for number in range(5)]
    monkeypatch.setattr("weft.server.client.asynchronous._PAGE", 2)
    assert [job.id for job in client.jobs(tag="page")] == ids[::-1]
    assert [job.id for job in client.jobs(tag="page", limit=3)] == ids[:1:-1]
    for id in ids:
        client.wait(id)


def test_what_is_not_there(client: Client) -> None:
    for call in (client.job, client.cancel, client.retry, client.delete, client.workflow, client.wait):
        with pytest.raises(NotFoundError, match=NOWHERE):
            call(NOWHERE)
    with pytest.raises(NotFoundError):
        list(client.events(NOWHERE))
    with pytest.raises(RefusedError, match="slash"):
        client.job("../queue")
    with pytest.raises(RefusedError, match=r"\[invalid_request\]\nerror: priority: .* not 1000000"):
        client.submit(sums(), priority=10**6)


def test_events_in_order_from_any_number_on(client: Client) -> None:
    job = client.run(sums(first=600, count=4))
    events = list(client.events(job))
    assert [event["state"] for event in events] == list(range(len(events)))
    assert (events[0]["event"], events[-1]["event"]) == ("job_queued", "job_finished")
    assert list(client.events(job, since=3)) == events[3:]
    assert list(client.events(job, since=1000)) == []


def test_events_of_a_job_that_runs(client: Client, gate: Path) -> None:
    job = client.submit(gated(gate, 610))
    seen = []
    for event in client.events(job, previews=True):
        assert event["job"] == job.id
        seen.append(event)
        if event["event"] == "node_progress":
            gate.touch()
    assert "node_progress" in {event["event"] for event in seen}
    states = [event["state"] for event in seen if "state" in event]
    assert states == list(range(len(states)))
    assert [event for event in seen if "state" in event] == list(client.events(job))


@pytest.mark.parametrize("lost", [1, 2])
def test_events_without_a_websocket(
    lost: int, server: RunningServer, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over server-sent events; and by asking again and again where these are not let through either."""

    async def none(self: Following) -> Any:
        raise OSError("a proxy that lets nothing through")
        yield

    monkeypatch.setattr(Following, "_websocket", none)
    if lost == 2:
        monkeypatch.setattr(Following, "_stream", none)
    with Client(server.url) as one:
        job = one.submit(gated(gate, 620 + lost))
        seen = []
        for event in one.events(job):
            seen.append(event)
            if event.get("node") == "gate":
                gate.touch()
        assert [event for event in seen if "state" in event] == list(one.events(job))


def test_pictures_go_and_come(client: Client, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("RGB", (12, 8), "red")
    sent = client.upload(picture)
    assert (sent.mime, sent.width, sent.height) == ("image/png", 12, 8)
    picture.save(tmp_path / "mine.png")
    again = client.upload(tmp_path / "mine.png")
    assert client.upload((tmp_path / "mine.png").read_bytes()) == again
    with pytest.raises(TypeError, match="not int"):
        client.upload(3)
    with pytest.raises(RefusedError):
        client.upload(b"no picture")
    with pytest.raises(FileNotFoundError):
        client.upload(tmp_path / "nowhere.png")
    path = client.download(sent.file, tmp_path / "new" / "theirs.png")
    assert path == tmp_path / "new" / "theirs.png"
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == sent.file
    with pytest.raises(NotFoundError):
        client.download("sha256:" + "0" * 64, tmp_path / "nothing.png")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["mine.png", "new"], "nothing is left of what failed"


def test_what_a_job_wrote_is_fetched_and_replaces_nothing(client: Client, tmp_path: Path) -> None:
    job = client.run(document(note=("served_note", {"text": "first", "name": "note"})))
    [output] = job.outputs
    folder = tmp_path / "notes"
    assert client.download(output, f"{folder}/") == folder / "note.txt"
    assert client.download(output, folder) == folder / "note.txt", "the same file is there already"
    other = client.run(document(note=("served_note", {"text": "second", "name": "note"}))).outputs[0]
    assert client.download(other, folder) == folder / "note_2.txt"
    assert [path.read_text() for path in sorted(folder.iterdir())] == ["first", "second"]
    value = client.run(sums(first=700)).outputs[0]
    with pytest.raises(ValueError, match="no file"):
        client.download(value, folder)


def test_files_of_this_machine_are_sent_along(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    Image.new("RGB", (9, 5), "blue").save(tmp_path / "here.png")
    file = tmp_path / "size.json"
    Workflow.parse(document(size=("served_size", {"path": "here.png"}))).save(file)
    with pytest.raises(WorkflowError):
        client.submit(file)
    assert client.run(file, upload=True).outputs[0].value == 9
    monkeypatch.chdir(tmp_path)
    assert client.run(Workflow.load(file), upload=True).outputs[0].value == 9


def test_within_a_running_loop(server: RunningServer) -> None:
    """As in a notebook, whose cells run in a loop."""

    async def cell() -> Any:
        with Client(server.url) as one:
            job = one.run(sums(first=800))
            return job.outputs[0].value, [event["event"] for event in one.events(job)][-1]

    assert asyncio.run(cell()) == (801, "job_finished")


def test_several_threads_share_a_client(client: Client) -> None:
    values: dict[int, Any] = {}

    def work(number: int) -> None:
        values[number] = client.run(sums(first=number)).outputs[0].value

    threads = [threading.Thread(target=work, args=(900 + number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == {number: number + 1 for number in range(900, 904)}


def test_a_client_that_is_forgotten_leaves_nothing(server: RunningServer) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "weft-client"]

    before = threads()
    one = Client(server.url)
    job = one.run(sums(first=850))
    events = one.events(job)
    assert next(events)["event"] == "job_queued"
    assert len(threads()) == len(before) + 1
    del one
    gc.collect()
    assert [event["event"] for event in events][-1] == "job_finished", "what is in use is not forgotten"
    del events
    gc.collect()
    assert threads() == before


def test_what_is_followed_no_more_is_let_go(client: Client, gate: Path) -> None:
    job = client.submit(gated(gate, 860))
    events = client.events(job)
    while next(events).get("node") != "gate":
        pass
    assert client.system()["clients"] == 1
    events.close()
    gate.touch()
    client.wait(job)
    while client.system()["clients"]:  # the server has yet to see it
        pass


def test_the_plain_client_has_the_methods_of_the_other_one() -> None:
    import inspect

    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)
    one = Client("127.0.0.1:1")
    assert list(inspect.signature(one.submit).parameters)[:3] == ["workflow", "set", "targets"]
    assert "Queue a job" in (one.submit.__doc__ or "")
    one.close()


def test_nobody_there() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with Client(address) as one, pytest.raises(NoServerError, match=f"{address} .*weft serve"):
        one.submit(sums())


def test_with_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make_token(tmp_path / "token")
    token = file.read_text().strip()
    with running(tmp_path, "--token", file) as server:
        assert server.printed == f"{server.url}#token={token}"
        with Client(server.url) as one, pytest.raises(TokenNeededError, match="no_token"):
            one.submit(sums())
        for printed in (server.printed, server.url):
            with Client(printed, token=None if printed == server.printed else token) as one:
                job = one.submit(sums())
                assert token not in one.address
                assert [event["event"] for event in one.events(job)][-1] == "job_finished"
        for said in (token, str(file)):
            monkeypatch.setenv("WEFT_TOKEN", said)
            with Client(server.url) as one:
                assert one.queue()["paused"] is False
        monkeypatch.setenv("WEFT_SERVER", server.url)
        with Client() as one:
            assert one.address == server.url.rstrip("/")


@pytest.mark.parametrize(
    "text", ["ftp://host", "http://", "http://user:word@host/", "http://host:port", "http://h/?a=1"]
)
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        Client(text)
