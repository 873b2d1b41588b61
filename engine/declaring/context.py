"""What a running node may ask of the engine: a narrow facade, and all there is."""

from __future__ import annotations

import contextlib
import json
import logging
import operator
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from weft.engine import surroundings
from weft.engine.declaring.following import CancelToken, Listener
from weft.engine.declaring.input_paths import resolve_input_path
from weft.engine.declaring.reading import reading_settings
from weft.engine.errors import Cancelled, InputPathError

if TYPE_CHECKING:
    from weft.engine.cache.trails import Trails
    from weft.engine.cache.workspaces import Workspace, Workspaces

OWN_REPORTS = frozenset({"progress", "preview", "resumed"})
"""What the methods of a Context report; other kinds are those of nodes."""
REPORT_BYTES = 16 * 1024
"""The longest report of a node's own, as JSON."""
_KEY = re.compile(r"(?:[0-9a-f]{2}){8,64}")
_REPORT = re.compile(r"[A-Za-z0-9_.-]{1,64}")

OUT = "out"
"""Where files go when nobody says otherwise: a folder in the working directory."""


class Yields(AbstractContextManager[None], AbstractAsyncContextManager[None], Protocol):
    """For `with` and for `async with`."""


class Context:
    """A node's view of its run. A plain call, outside any run, gets one that reports to nobody.

    Args:
        node_id: the node's id in the workflow; "" in a plain call.
        out: folder for files that are results.
        roots: folders that may be read; None allows every path.
        cancel: the run's token.
        listener: takes what the node reports; None when nobody listens.
        provenance: gives the texts that a saved image carries. image_provenance: those of one image of a batch, by its
            number from 1, their count, and the inputs with which the node saves it alone.
        preview_interval: seconds between two previews at least; None when previews are not wanted at all.
        trails: steps of earlier runs; None when nothing is kept between runs.
        on_reused: called with the node's id, the number of steps that it took from an earlier run, and of how many.
        key: of the node's result; None in a plain call, and for a node that runs each time.
        kin: what the node shares with earlier runs that it may go on from; None where there is no such thing.
        workspaces: folders that outlive the run; None where there are none.
        on_use: told once of each thing that a node asks for and that need not be in its key: "node_id", "out".
    """

    def __init__(
        self,
        node_id: str = "",
        *,
        out: str | os.PathLike[str] | None = None,
        roots: Sequence[str | os.PathLike[str]] | None = None,
        cancel: CancelToken | None = None,
        listener: Listener | None = None,
        provenance: Callable[[], Mapping[str, str]] | None = None,
        image_provenance: Callable[[int, int, Mapping[str, Any]], Mapping[str, str]] | None = None,
        preview_interval: float | None = 0.25,
        trails: Trails | None = None,
        on_reused: Callable[[str, int, int], object] | None = None,
        key: bytes | None = None,
        kin: bytes | None = None,
        workspaces: Workspaces | None = None,
        on_use: Callable[[str], object] | None = None,
    ) -> None:
        self.own_id = node_id  # what `node_id` says, for the engine
        self._out = OUT if out is None else out
        self._roots = roots
        self._cancel = cancel
        self._listener = listener
        self._provenance = provenance
        self._image_provenance = image_provenance
        self._preview_interval = preview_interval
        self._key = key
        self._on_use = on_use
        self._uses: set[str] = set()
        self._kin = kin
        self._trails = trails
        self._workspaces = workspaces
        self._workspace: Workspace | None = None
        self._on_reused = on_reused
        self._next_preview = 0.0
        self.on_yield: Callable[[], Yields] | None = None
        """Set by the engine where the node has a device that it can yield."""
        self.saw_cancel = False
        """Whether the node was told that the run is over: what it returns then may be half of its result."""
        self.overdue = False
        """Set by the engine when the node's time is over: nobody waits for it any more."""
        self._scratch: Path | None = None

    def progress(self, step: int, total: int, message: str = "") -> None:
        """Say that `step` of `total` is done; also a cancel point.

        Raises:
            Cancelled: the run was cancelled.
        """
        self.check_cancelled()
        if self._listener is not None:
            data = {"step": operator.index(step), "total": operator.index(total), "message": str(message)}
            self._listener.report(self.own_id, "progress", data)

    def report(self, kind: str, data: Any = None) -> None:
        """Say something else to those who follow the run: it arrives as the event `node_report`.

        What is reported faster than it is taken may be left out, but for the newest of its kind.

        Args:
            kind: what it is, of letters, digits and `_.-`, at most 64: name it after your pack, as "mypack.loss".
            data: JSON data, at most 16 KiB of it.

        Raises:
            ValueError: the kind is no such name or one of the engine's own, or the data is no JSON or too much.
        """
        if kind in OWN_REPORTS or not _REPORT.fullmatch(kind):
            raise ValueError(f"{kind!r} cannot be the kind of a report: give it a name such as 'mypack.loss'")
        try:
            text = json.dumps(data, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the report {kind!r} is no JSON data: {error}") from None
        if len(text) > REPORT_BYTES:
            raise ValueError(f"the report {kind!r} has {len(text):,} bytes; at most {REPORT_BYTES:,} are allowed")
        if self._listener is not None:
            self._listener.report(self.own_id, kind, {"data": json.loads(text)})

    def used(self, what: str) -> None:
        """A node asks for something that its key may not have in it. The engine calls it."""
        if self._on_use is not None and what not in self._uses:
            self._uses.add(what)
            self._on_use(what)

    @property
    def node_id(self) -> str:
        """The node's id in the workflow; "" in a plain call. A node whose code reads it has it in its key."""
        self.used("node_id")
        return self.own_id

    @property
    def workspaces(self) -> Workspaces | None:
        """Where `workspace` finds its folder; for the engine."""
        return self._workspaces

    @property
    def trails(self) -> Trails | None:
        """Steps of earlier runs, for a node that goes step by step and can go on from one; None to keep none."""
        marks = [mark for mark in (self._key, self._kin) if mark is not None]
        return self._trails.marked(marks) if self._trails is not None and marks else self._trails

    def reused(self, steps: int, total: int) -> None:
        """Say that the first `steps` of `total` steps come from an earlier run."""
        if self._on_reused is not None:
            self._on_reused(self.own_id, steps, total)
        if self._listener is not None:
            data = {"steps": operator.index(steps), "total": operator.index(total)}
            self._listener.report(self.own_id, "resumed", data)

    def wants_preview(self) -> bool:
        """Whether a preview made now would be seen. Ask before making one: it costs more than the asking."""
        wanted = self._listener is not None and self._preview_interval is not None
        return wanted and time.monotonic() >= self._next_preview

    def preview(self, image: bytes, mime: str, width: int, height: int) -> None:
        """Show an encoded picture (`mime` such as "image/jpeg", width and height in px) of what is being made."""
        if self._listener is not None and self._preview_interval is not None:
            self._next_preview = time.monotonic() + self._preview_interval
            data = {"mime": str(mime), "width": operator.index(width), "height": operator.index(height)}
            self._listener.report(self.own_id, "preview", data, bytes(image))

    def relay(self, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """Pass on what a Context in another process reported for this node. The engine calls it."""
        if kind == "resumed" and self._on_reused is not None:
            self._on_reused(self.own_id, data["steps"], data["total"])
        if self._listener is not None:
            self._listener.report(self.own_id, kind, data, body)

    @property
    def token(self) -> CancelToken | None:
        """The stop button of the run, for a node that starts one of its own to end with it. None in a plain call."""
        return self._cancel

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or the node's time is over: a node that has to tidy up first looks here."""
        if self.overdue or (self._cancel is not None and self._cancel.cancelled):
            self.saw_cancel = True
        return self.saw_cancel

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the run was cancelled or the node's time is over. For loops that take a while."""
        if self.cancelled:
            raise Cancelled("the node's time is over" if self.overdue else "the run was cancelled")

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines name the node."""
        return _NodeLog(logging.getLogger("weft.node"), {"node": self.own_id})

    @property
    def key(self) -> str | None:
        """The key of the result in hex, equal for equal results; None in a plain call, or for what runs each time."""
        return None if self._key is None else self._key.hex()

    def workspace(self) -> Path:
        """A folder that outlives the run, even when it is killed: a later run of a node with this key finds in it what
        this one left, and can go on from there.

        Nobody else uses it until the node ends: when another run has it, this waits, is a cancel point meanwhile, and
        lets others have the device.
        Where nothing outlives a run (a plain call, a node that runs each time, a cache in memory only), it is the
        scratch folder. It lies in the cache's folder: `weft cache clear` removes it, and so may want of room, so
        results do not belong there.

        Raises:
            Cancelled: the run was cancelled while it waited.
            OSError: the folder cannot be made.
        """
        if self._key is None or self._workspaces is None:
            return self.scratch
        if self._workspace is None:
            self._workspace = self._open(self._workspaces, self._key)
        return self._workspace.path

    def _open(self, workspaces: Workspaces, key: bytes) -> Workspace:
        """A workspace, when nobody else uses it any more."""

        def busy() -> None:
            raise _BusyError

        try:
            return workspaces.open(key, busy)
        except _BusyError:
            self.log.info("another run uses the workspace %s: waiting for its end", key.hex())
        # Whoever has it may want the device before it ends: waiting for it with the device would be for ever.
        with contextlib.ExitStack() as opened:
            with self.yield_device():
                workspace = workspaces.open(key, self.check_cancelled)
                opened.callback(workspace.close)
            opened.pop_all()
        return workspace

    @contextlib.contextmanager
    def shared_workspace(self, key: str) -> Iterator[Path]:
        """A folder as `workspace` gives it, for all nodes and runs that ask for this key: what one of them computed,
        the others find there. It is the caller's alone while the block runs; when another has it, this waits, and
        lets others have the device.

        Args:
            key: hex digits that say all that decides what lies in it, such as a hash; 16 to 128 of them.

        Where nothing outlives a run it is a folder in the scratch folder.

        Raises:
            ValueError: the key is no such text.
            Cancelled: the run was cancelled while it waited.
            OSError: the folder cannot be made.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a workspace: give 16 to 128 hex digits")
        if self._workspaces is None:
            folder = self.scratch / key
            folder.mkdir(exist_ok=True)
            yield folder
            return
        workspace = self._open(self._workspaces, bytes.fromhex(key))
        try:
            yield workspace.path
        finally:
            workspace.close()

    @property
    def scratch(self) -> Path:
        """A folder for this node alone, gone when the node ends."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="weft-"))
        return self._scratch

    @property
    def out(self) -> Path:
        """Folder for files that are results; absolute, perhaps not there yet. For nodes with `side_files=True`."""
        self.used("out")
        return Path(self._out).absolute()

    @property
    def roots(self) -> tuple[Path, ...] | None:
        """Folders that may be read; None when every path may."""
        return None if self._roots is None else tuple(Path(root).absolute() for root in self._roots)

    def resolve_input_path(self, path: str | os.PathLike[str]) -> Path:
        """The absolute path of a file or folder to read, links followed; it need not exist.

        Relative paths start at the working directory, or, where reading is bounded, at the first root that has them.
        Model folders may be read in any case, by absolute paths; files of the file store by `sha256:` and their hash.

        Raises:
            InputPathError: it lies outside the folders that may be read (code `path_outside_root`), or is the id of a
                file that the file store does not have (NoSuchFileError, code `bad_value`).
        """
        return resolve_input_path(path, self.roots)

    def output_path(self, name: str, suffix: str = "") -> Path:
        """The absolute path `name + suffix` in the output folder; folders on the way to it are made.

        Raises:
            InputPathError: the name is empty, absolute or climbs out of the output folder.
        """
        out = self.out.resolve()
        target = None if "\0" in name or not name.strip("/. ") else (out / (name + suffix)).resolve()
        if target is None or out not in target.parents:
            raise InputPathError(f"{name!r} is no file name within the output folder {out}")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def provenance(self, number: int = 1, count: int = 1, /, **inputs: Any) -> dict[str, str]:
        """Texts for a saved image: `weft_workflow` (the document) and `weft_run` (versions, keys, seeds).

        Empty in a plain call. Of a node that runs once per item of a list, they are those of its item.

        Args:
            number: which image of a batch, from 1. count: how many it has.
            inputs: inputs of this node with which it saves this image alone, as plain data.
        """
        if count > 1 and self._image_provenance is not None:
            return dict(self._image_provenance(number, count, inputs))
        return dict(self._provenance()) if self._provenance is not None else {}

    def yield_device(self) -> Yields:
        """Let other nodes use the device while this one does without: between steps of a training, say.

            with ctx.yield_device():      # `async with` in an async node
                wait_for_the_next_batch()

        At the end the node waits until it is its turn again. Does nothing for nodes that are not declared with
        `resource="device"`, and in a plain call. What it has on the device stays there.

        Raises:
            Cancelled: the run ended meanwhile.
        """
        yields = contextlib.nullcontext() if self.on_yield is None else self.on_yield()
        return cast(Yields, _in_turn(yields)) if surroundings.has_turn() else yields

    def settings(self) -> dict[str, Any]:
        """What it was made with, as plain data for a Context in another process; `listens` for the listener.

        `reading` are settings of the process, which the other one may have started with others.
        """
        return {
            "node_id": self.own_id,
            "out": os.path.abspath(self._out),
            "roots": None if self.roots is None else [str(root) for root in self.roots],
            "preview_interval": self._preview_interval,
            "listens": self._listener is not None,
            "yields": self.on_yield is not None,
            "key": self._key,
            "kin": self._kin,
            "reading": reading_settings(),
        }

    def close(self) -> None:
        """Remove the scratch folder, and let others use the workspace. The engine calls it."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None


@contextlib.contextmanager
def _in_turn(yields: Any) -> Iterator[None]:
    """Others may draw meanwhile; the generators are waited for after the device, as at the beginning of a node."""
    with surroundings.waiting(), yields:
        yield


class _BusyError(Exception):
    """Somebody else uses a workspace."""


class _NodeLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra = {**(self.extra or {}), **kwargs.get("extra", {})}
        return (f"{extra['node']}: {msg}" if extra.get("node") else msg), {**kwargs, "extra": extra}
