"""Attention probabilities caught in a forward, for techniques that take a gradient through them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weft.nodes.sampling.attention import sites
from weft.nodes.sampling.run import Run
from weft.nodes.technique import AttentionRule, Branch, Site


class Maps:
    """Catches the probabilities of one branch in one forward. Its rows are those of the forward: view after view, and
    within a view one per image."""

    def __init__(self, branch: Branch, where: Callable[[Site], bool]) -> None:
        self.rule = AttentionRule("capture", where, (branch,), self._catch)
        self._found: dict[Site, list[Tensor]] = {}

    def _catch(self, site: Site, probabilities: Tensor) -> None:
        self._found.setdefault(site, []).append(probabilities)

    def take(self, rows: int) -> dict[Site, Tensor]:
        """The probabilities (rows, heads, queries, keys) by site, in the order of the forward.

        rows: how many the branch has; only the latest are taken, since a forward that ran out of memory leaves some of
            its first attempt.
        """
        return {site: torch.cat(parts)[-rows:] if len(parts) > 1 else parts[0] for site, parts in self._found.items()}


def cross(site: Site) -> bool:
    """Whether a site attends to the text."""
    return site.kind == "cross"


def map_sizes(run: Run) -> list[tuple[int, int]]:
    """Rows and columns of the cross-attention maps of an image, or of a view: from the finest to the coarsest."""
    size = (run.views[0].height, run.views[0].width) if run.views else run.shape[-2:]
    found = {site.resolution for site, _ in sites(run.unet, *size).values() if site.kind == "cross"}
    return sorted(found, reverse=True)
