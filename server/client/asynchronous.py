"""`AsyncClient`: what a server can be asked, for `async` code."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from weft.graphs.document import Workflow
from weft.graphs.problems import Problem
from weft.server.client.addresses import Address, part
from weft.server.client.calling import PATIENCE, Calls
from weft.server.client.errors import JobCancelledError, JobFailedError
from weft.server.client.fetching import fetch
from weft.server.client.following import Following
from weft.server.client.records import Job, Output, Plan, State, UploadedFile, problems_of
from weft.server.client.saved import SavedWorkflows
from weft.server.client.sending import Settings, Source, bytes_of, document_of, keyed, settings_of, with_uploads

_PAGE = 100


class AsyncClient(SavedWorkflows):
    """A client of one server, for one event loop.

    A call whose connection breaks is tried again, as is one that a busy server refuses; a job is queued once however
    often that happens. A server that never answered is not tried again.

    Args:
        server: its address, also with the `#token=` that `weft serve` prints; by default `WEFT_SERVER`, else this
            machine at port 9338.
        token: by default the address's, else `WEFT_TOKEN`: the token itself, or the path of the file that has it.
        patience: for how many seconds a call is tried again.

    Raises:
        ValueError: that is no address.
    """

    def __init__(self, server: str | None = None, *, token: str | None = None, patience: float = PATIENCE) -> None:
        self._calls = Calls(Address.of(server, token), patience=patience)
        self._nodes: tuple[str, list[dict[str, Any]]] | None = None

    @property
    def address(self) -> str:
        """The server's address, without the token."""
        return self._calls.address.base

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections. Jobs go on."""
        await self._calls.close()

    # -- jobs

    async def submit(
        self,
        workflow: Source,
        *,
        set: Settings | None = None,
        targets: Sequence[str] = (),
        priority: int = 0,
        title: str = "",
        tags: Sequence[str] = (),
        slot: str | None = None,
        key: str | None = None,
        upload: bool = False,
    ) -> Job:
        """Queue a job. It is on the server's disk when this returns.

        Args:
            set: what to set of the workflow for this job.
            targets: the nodes to make; by default all that are outputs.
            priority: -1000 to 1000; jobs of a higher one come first.
            tags: for finding it again, at most 32.
            slot: a newer job of the same slot cancels those before it that have not ended.
            key: the same key gives the same job, for a day. By default each call has its own, so that it queues one
                job even where the connection breaks before the answer.
            upload: send files of this machine that the document names (inputs that are paths of files to read), and
                have the job read these.

        Raises:
            WorkflowError: the workflow cannot run, with all reasons; nothing was queued.
            ConflictError: the key was used for another job. BusyError, RefusedError: the server does not take it.
            NoServerError: nobody answers.
        """
        document, folder = await asyncio.to_thread(document_of, workflow)
        if upload:
            document = await with_uploads(document, folder, await self.nodes(), self.upload)
        body = {
            "workflow": document,
            "set": settings_of(set),
            "targets": list(targets),
            "priority": priority,
            "title": title,
            "tags": list(tags),
            "slot": slot,
        }
        return Job.from_json(await self._calls.json("POST", "jobs", body=body, headers=keyed(key)))

    async def run(
        self,
        workflow: Source,
        *,
        set: Settings | None = None,
        targets: Sequence[str] = (),
        priority: int = 0,
        title: str = "",
        tags: Sequence[str] = (),
        upload: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """Submit a job and wait for it: the job, done, with its `outputs`. The arguments are those of both.

        Raises:
            JobFailedError, JobCancelledError: with the job. Others: as `submit` and `wait`.
        """
        job = await self.submit(
            workflow, set=set, targets=targets, priority=priority, title=title, tags=tags, upload=upload
        )
        job = await self.wait(job, timeout=timeout)
        if job.state == "failed":
            raise JobFailedError(job)
        if job.state == "cancelled":
            raise JobCancelledError(job)
        return job

    async def wait(self, job: Job | str, *, timeout: float | None = None) -> Job:
        """The job once it has ended, whatever became of it.

        Raises:
            TimeoutError: it has not after so many seconds; it goes on.
        """
        id = _id(job)
        try:
            async with asyncio.timeout(timeout):
                known = await self.job(id)
                if known.ended:
                    return known
                async with contextlib.aclosing(self.events(id)) as events:
                    async for _ in events:
                        pass
                return await self.job(id)
        except TimeoutError:
            raise TimeoutError(f"the job {id} has not ended after {timeout:g} s; it goes on") from None

    def events(self, job: Job | str, since: int = 0, *, previews: bool = False) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a job as they come, to its end; those that were before first.

        State events come each once and in order, also when the connection breaks or the server starts again meanwhile.
        They carry `state`, which counts them from 0. Progress and previews are not kept: the latest ones come.

        Args:
            since: the number of the first state event that is wanted.
            previews: with pictures of what is being made: `data` has the bytes.

        Raises:
            NotFoundError: there is no such job. NoServerError: the server stays away.
        """
        return Following(self._calls, _id(job), since, previews=previews).events()

    async def job(self, id: str) -> Job:
        """A job as it is now. Raises NotFoundError."""
        return Job.from_json(await self._calls.json("GET", f"jobs/{part(id)}"))

    async def jobs(self, state: State | None = None, *, tag: str | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs, newest first."""
        found: list[Job] = []
        cursor = None
        while len(found) < limit:
            asked = {"state": state, "tag": tag, "limit": min(limit - len(found), _PAGE), "cursor": cursor}
            told = await self._calls.json("GET", "jobs", params=asked)
            found += map(Job.from_json, told["jobs"])
            cursor = told["next"]
            if cursor is None:
                break
        return found

    async def workflow(self, job: Job | str) -> Workflow:
        """The document that a job runs, with what was set."""
        return Workflow.parse(await self._calls.json("GET", f"jobs/{part(_id(job))}/workflow"))

    async def cancel(self, job: Job | str) -> Job:
        """End a job; one that has ended stays as it is. One that runs ends soon after this returns."""
        return Job.from_json(await self._calls.json("POST", f"jobs/{part(_id(job))}/cancel"))

    async def retry(self, job: Job | str, *, key: str | None = None) -> Job:
        """Queue a new job of the same document. `key`: as of `submit`."""
        return Job.from_json(await self._calls.json("POST", f"jobs/{part(_id(job))}/retry", headers=keyed(key)))

    async def move(self, job: Job | str, *, priority: int | None = None, before: Job | str | None = None) -> Job:
        """Put a waiting job elsewhere in the queue: give it a priority, or put it before another one.

        Raises:
            ConflictError: it does not wait any more.
        """
        body = {"priority": priority} if before is None else {"before": _id(before)}
        return Job.from_json(await self._calls.json("PATCH", f"jobs/{part(_id(job))}", body=body))

    async def delete(self, job: Job | str) -> None:
        """Remove a job that has ended, with its events and the files that nothing else names.

        Raises:
            ConflictError: it has not ended.
        """
        await self._calls.json("DELETE", f"jobs/{part(_id(job))}")

    # -- before a run

    async def check(
        self, workflow: Source, *, set: Settings | None = None, targets: Sequence[str] = ()
    ) -> list[Problem]:
        """All that is wrong with a workflow. Nothing is queued."""
        told = await self._calls.json("POST", "check", body=await _asked(workflow, set, targets))
        return problems_of(told["problems"])

    async def plan(self, workflow: Source, *, set: Settings | None = None, targets: Sequence[str] = ()) -> Plan:
        """What a run would do now. Nothing runs."""
        told = await self._calls.json("POST", "plan", body=await _asked(workflow, set, targets))
        return Plan(problems_of(told["problems"]), told["nodes"], told["seconds"])

    async def nodes(self) -> list[dict[str, Any]]:
        """The nodes that the server has, as `weft nodes --json` describes them."""
        known = {} if self._nodes is None else {"If-None-Match": self._nodes[0]}
        answer = await self._calls.answer("GET", "nodes", headers=known)
        if answer.status_code != 304 or self._nodes is None:
            self._nodes = answer.headers.get("etag", ""), answer.json()
        return self._nodes[1]

    # -- the server

    async def queue(self) -> dict[str, Any]:
        """How the queue is: `{"paused", "queued", "running", "workers"}`."""
        return await self._object("GET", "queue")

    async def pause(self) -> dict[str, Any]:
        """Have no more jobs started, also after a new start of the server; those that run go on."""
        return await self._object("POST", "queue/pause")

    async def resume(self) -> dict[str, Any]:
        """Have jobs started again."""
        return await self._object("POST", "queue/resume")

    async def system(self) -> dict[str, Any]:
        """Versions, devices, workers, and how much room there is."""
        return await self._object("GET", "system")

    # -- files

    async def upload(self, file: str | os.PathLike[str] | bytes | Any) -> UploadedFile:
        """Send a picture; a document names it by the id that is returned.

        Args:
            file: its path, its bytes, or an image of PIL, which is sent as PNG.
        """
        content = await asyncio.to_thread(bytes_of, file)
        kind = {"Content-Type": "application/octet-stream"}
        return UploadedFile.from_json(await self._calls.json("POST", "files", content=content, headers=kind))

    async def download(self, output: Output | str, to: str | os.PathLike[str] = ".") -> Path:
        """Fetch what a job made, and look that it is whole.

        Args:
            output: an output with a file, or a file's content id.
            to: a folder, in which the file has its own name and replaces no other one; or the path of a file, which
                is replaced. What ends with a slash is a folder.

        Returns:
            The file's path.

        Raises:
            ValueError: the output is no file. NotFoundError: the server has it no more. OSError: it cannot be written.
        """
        file, name = (output.file, output.name) if isinstance(output, Output) else (output, "")
        if file is None:
            raise ValueError(f"the output {name!r} is a value and no file")
        return await fetch(self._calls, file, name, to)

    async def _object(self, method: str, path: str) -> dict[str, Any]:
        told: dict[str, Any] = await self._calls.json(method, path)
        return told


def _id(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


async def _asked(workflow: Source, said: Settings | None, targets: Sequence[str]) -> dict[str, Any]:
    document, _ = await asyncio.to_thread(document_of, workflow)
    return {"workflow": document, "set": settings_of(said), "targets": list(targets)}
