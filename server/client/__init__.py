"""A client of a server: submits jobs, follows them, fetches what they made, from plain code or from a task.

    from weft.server.client import Client

    with Client() as client:
        job = client.run("portrait.json", set={"seed": 7})
        client.download(job.outputs[0], "pictures/")

`AsyncClient` is the same for `async` code. Nothing here knows how the server does what it is asked.
"""

from weft.server.client.asynchronous import AsyncClient
from weft.server.client.errors import (
    BusyError,
    ConflictError,
    JobCancelledError,
    JobFailedError,
    NoServerError,
    NotFoundError,
    RefusedError,
    ServerError,
    TokenNeededError,
)
from weft.server.client.records import Job, JobProgress, Output, Plan, SavedWorkflow, UploadedFile
from weft.server.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "BusyError",
    "Client",
    "ConflictError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobProgress",
    "NoServerError",
    "NotFoundError",
    "Output",
    "Plan",
    "RefusedError",
    "SavedWorkflow",
    "ServerError",
    "TokenNeededError",
    "UploadedFile",
]
