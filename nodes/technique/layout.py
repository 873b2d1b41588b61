"""How the rows of one forward are laid out: branch after branch, and within a branch one row per image or view.

Unlike its neighbours this loads torch: only what runs imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.nodes.technique.terms import Branch, View


class Units:
    """What a branch has one row for: the images, or each view of each image; or a part of these.

    pairs: (view or None for the whole canvas, number of the image). batch: B.
    """

    def __init__(self, pairs: Sequence[tuple[View | None, int]], batch: int) -> None:
        self.pairs = pairs
        self.images = [image for _, image in pairs]
        self.views = any(view is not None for view, _ in pairs)
        self.whole = not self.views and self.images == list(range(batch))

    def __len__(self) -> int:
        return len(self.pairs)

    def take(self, canvas: Tensor, factor: int = 1) -> Tensor:
        """One row per unit of something that belongs to the canvas, (1 or B, c, H*factor, W*factor)."""
        many = canvas.shape[0] > 1
        if self.views:
            return torch.cat([_window(canvas[image if many else 0][None], v, factor) for v, image in self.pairs])
        if not many:
            return canvas if len(self) == 1 else canvas.expand(len(self), *canvas.shape[1:])
        return canvas if self.whole else canvas[self.images]


@dataclass(slots=True, eq=False)
class Rows:
    """One forward. Its R rows are branch after branch, and within a branch one row per unit.

    sample: (R, C, h, w), scaled, without extra channels, in the denoiser's dtype. text: (R, L, D).
    added: SDXL's `text_embeds` (R, P) and `time_ids` (R, 6), or None.
    """

    branches: tuple[Branch, ...]
    units: Units
    sample: Tensor
    timestep: Tensor
    text: Tensor
    added: dict[str, Tensor] | None
    guidance: Tensor | None

    def span(self, branch: Branch) -> slice:
        """The rows of a branch."""
        place = self.branches.index(branch) * len(self.units)
        return slice(place, place + len(self.units))

    def spread(self, canvas: Tensor, factor: int = 1) -> Tensor:
        """One row per row of the forward from something that belongs to the canvas, such as a hint.

        canvas: (1 or B, c, H*factor, W*factor); views take their part of it.
        """
        return torch.cat([self.units.take(canvas, factor)] * len(self.branches))


def _window(canvas: Tensor, view: View | None, factor: int) -> Tensor:
    if view is None:
        return canvas
    rows, columns = view_indices(view, canvas.shape[-2] // factor, canvas.shape[-1] // factor, factor, canvas.device)
    return canvas.index_select(-2, rows).index_select(-1, columns)


def view_indices(view: View, height: int, width: int, factor: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The rows and columns of a view, wrapped around the canvas."""
    rows = torch.arange(view.top * factor, (view.top + view.height) * factor, device=device) % (height * factor)
    columns = torch.arange(view.left * factor, (view.left + view.width) * factor, device=device) % (width * factor)
    return rows, columns


def coverage(views: Sequence[View], height: int, width: int) -> Tensor:
    """How many views see each pixel of the canvas, (1, 1, H, W) on the CPU: ones where there are no views."""
    if not views:
        return torch.ones(1, 1, height, width)
    counts = torch.zeros(1, 1, height, width)
    for view in views:
        rows, columns = view_indices(view, height, width, 1, counts.device)
        counts[:, :, rows[:, None], columns] += 1
    return counts


def merged(parts: Tensor, views: Sequence[View], height: int, width: int) -> Tensor:
    """The mean over all views at each pixel, (images, c, H, W), of what views have: rows view after view."""
    count = parts.shape[0] // len(views)
    canvas = parts.new_zeros(count, parts.shape[1], height, width)
    for number, view in enumerate(views):
        rows, columns = view_indices(view, height, width, 1, canvas.device)
        canvas[:, :, rows[:, None], columns] += parts[number * count : (number + 1) * count]
    return canvas / coverage(views, height, width).to(canvas.device)
