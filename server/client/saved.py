"""Saved workflows at a server: listed, read, saved, deleted, run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from weft.graphs.document import Workflow
from weft.server.client.addresses import part
from weft.server.client.calling import Calls
from weft.server.client.errors import ConflictError, NotFoundError
from weft.server.client.records import Job, SavedWorkflow
from weft.server.client.sending import Settings, Source, document_of, keyed, settings_of

ANY = "*"
"""In place of an etag: whatever is there."""


class SavedWorkflows:
    """The calls of a client that are about saved workflows."""

    _calls: Calls

    async def saved_workflows(self) -> list[SavedWorkflow]:
        """Those that there are, by name, without their documents."""
        return [SavedWorkflow.from_json(item) for item in await self._calls.json("GET", "workflows")]

    async def saved_workflow(self, name: str, version: str | None = None) -> SavedWorkflow:
        """A saved workflow with its document.

        Args:
            version: an earlier one, as `versions` tells it.

        Raises:
            NotFoundError: there is none.
        """
        answer = await self._calls.answer("GET", f"workflows/{part(name)}", params={"version": version})
        document = Workflow.parse(answer.json())
        return SavedWorkflow(name, document.title, answer.headers.get("etag", ""), version=version, workflow=document)

    async def save_workflow(self, name: str, workflow: Source, *, etag: str | None = None) -> SavedWorkflow:
        """Save a workflow under a name. What was there stays as an earlier version.

        Args:
            name: letters, digits, space, `-`, `_` and `.`.
            etag: of the one that was read and is replaced; None for a new one, "*" to replace whatever is there.

        Raises:
            ConflictError: there is one, and no or another etag was given: somebody saved it meanwhile.
            WorkflowError: the document has not the right form.
        """
        document, _ = await asyncio.to_thread(document_of, workflow)
        told = {"If-None-Match": ANY} if etag is None else {"If-Match": etag}
        try:
            answer = await self._calls.json("PUT", f"workflows/{part(name)}", body=document, headers=told)
        except ConflictError:
            # Where the answer to a first call was lost, it is ours that is there.
            if (there := await self._there(name)) is None or there.workflow != Workflow.parse(document):
                raise
            return there
        return SavedWorkflow.from_json(answer)

    async def delete_workflow(self, name: str, *, etag: str | None = None) -> None:
        """Delete a saved workflow; it stays as an earlier version.

        Args:
            etag: of the one that is meant; None for whatever is there.

        Raises:
            NotFoundError: there is none. ConflictError: it is another one now.
        """
        await self._calls.json("DELETE", f"workflows/{part(name)}", headers={"If-Match": ANY if etag is None else etag})

    async def versions(self, name: str) -> list[SavedWorkflow]:
        """What a saved workflow was before, the latest first; also of one that was deleted."""
        return [
            SavedWorkflow.from_json(item) for item in await self._calls.json("GET", f"workflows/{part(name)}/versions")
        ]

    async def submit_saved(
        self,
        name: str,
        *,
        set: Settings | None = None,
        targets: Sequence[str] = (),
        priority: int = 0,
        title: str = "",
        tags: Sequence[str] = (),
        slot: str | None = None,
        key: str | None = None,
    ) -> Job:
        """Queue a job of a saved workflow, whose parameters are its interface. The arguments are those of `submit`.

        Raises:
            NotFoundError: there is none of this name. Others: as `submit`.
        """
        body = {
            "set": settings_of(set),
            "targets": list(targets),
            "priority": priority,
            "title": title,
            "tags": list(tags),
            "slot": slot,
        }
        path = f"workflows/{part(name)}/run"
        return Job.from_json(await self._calls.json("POST", path, body=body, headers=keyed(key)))

    async def _there(self, name: str) -> SavedWorkflow | None:
        try:
            return await self.saved_workflow(name)
        except NotFoundError:
            return None
