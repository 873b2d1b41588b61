"""Saved workflows by the clients: read, saved, lost to somebody faster, deleted, run."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.server.running import RunningServer, sums
from weft.graphs.document import Workflow
from weft.graphs.problems import WorkflowError
from weft.server.client import AsyncClient, Client, ConflictError, NotFoundError


def test_a_workflow_is_saved_read_and_run(client: Client) -> None:
    new = client.save_workflow("sum of two", sums(5))
    assert [item.name for item in client.saved_workflows()] == ["sum of two"]
    read = client.saved_workflow("sum of two")
    assert (read.workflow, read.etag) == (Workflow.parse(sums(5)), new.etag)
    job = client.wait(client.submit_saved("sum of two", set={"first": 9}, tags=["saved"]))
    assert (job.state, job.tags, job.outputs[0].value) == ("done", ["saved"], 10)
    replaced = client.save_workflow("sum of two", sums(6), etag=read.etag)
    assert replaced.etag != read.etag
    [earlier] = client.versions("sum of two")
    assert client.saved_workflow("sum of two", earlier.version).workflow == read.workflow
    client.delete_workflow("sum of two", etag=replaced.etag)
    assert client.saved_workflows() == []
    assert len(client.versions("sum of two")) == 2
    for gone in (client.saved_workflow, client.delete_workflow, client.submit_saved):
        with pytest.raises(NotFoundError):
            gone("sum of two")


def test_nobody_is_overwritten_unawares(client: Client) -> None:
    first = client.save_workflow("shared", sums(1))
    with pytest.raises(ConflictError):
        client.save_workflow("shared", sums(2))
    second = client.save_workflow("shared", sums(2), etag=first.etag)
    with pytest.raises(ConflictError) as stale:
        client.save_workflow("shared", sums(3), etag=first.etag)
    assert stale.value.status == 412
    with pytest.raises(ConflictError):
        client.delete_workflow("shared", etag=first.etag)
    assert client.saved_workflow("shared").etag == second.etag
    assert client.save_workflow("shared", sums(4), etag="*").etag != second.etag
    with pytest.raises(WorkflowError):
        client.save_workflow("other", {"weft": 1})
    client.delete_workflow("shared")


def test_a_lost_answer_is_no_conflict(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call saves it and its answer is lost; the second is refused, since it is there."""
    lost: list[str] = []
    whole = httpx.AsyncClient.request

    async def request(self: httpx.AsyncClient, method: str, *args: Any, **more: Any) -> httpx.Response:
        answer = await whole(self, method, *args, **more)
        if method == "PUT" and not lost:
            lost.append(method)
            raise httpx.ReadError("the connection broke")
        return answer

    async def save() -> None:
        async with AsyncClient(server.url) as client:
            await client.queue()
            monkeypatch.setattr(httpx.AsyncClient, "request", request)
            saved = await client.save_workflow("lost", sums(7))
            assert lost
            assert saved.workflow == Workflow.parse(sums(7))
            assert (await client.saved_workflow("lost")).etag == saved.etag
            await client.delete_workflow("lost")

    asyncio.run(save())
