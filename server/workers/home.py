"""Where a worker of the server finds everything: folders, packs, budgets. Plain data, as it is sent to workers."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from weft.engine.declaring.file_store import VARIABLE as FILES
from weft.engine.declaring.model_folders import VARIABLE as MODELS


@dataclass(frozen=True, slots=True)
class Home:
    """Settings of the server that workers need. All paths are absolute.

    Attributes:
        cache: folder of the results that outlive processes; None for memory only.
        out: folder for files that are results, before the server takes them over; each worker has one of its own.
        files: folder of the file store, where documents' content ids lead.
        roots: folders that workflows may read; None allows every path.
        models: model folders.
        nodes: folders of nodes besides the installed ones.
        own_nodes_only: leave out all packs (`--safe-mode`).
        preview_seconds: time between two previews of a node at least; None for no previews.
    """

    cache: str | None
    out: str
    files: str | None = None
    roots: tuple[str, ...] | None = ()
    models: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    own_nodes_only: bool = False
    preview_seconds: float | None = 0.25

    def environment(self) -> dict[str, str]:
        """The variables of a worker's environment that say some of this, so that no job has to set them."""
        found = {MODELS: os.pathsep.join(self.models)}
        return found if self.files is None else found | {FILES: self.files}

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Home:
        """What `to_dict` gave."""
        lists = {name: tuple(data[name]) for name in ("models", "nodes")}
        roots = data["roots"]
        return cls(**{**data, **lists, "roots": None if roots is None else tuple(roots)})
