"""What every training node gives."""

from __future__ import annotations

from typing import NamedTuple

from weft.nodes.values.pictures import Image
from weft.nodes.values.training import Adapter, Checkpoint, Curve


class Trained(NamedTuple):
    """What a training gives.

    Args:
        adapter: what was learned, for the nodes that apply adapters, and for `save_adapter`.
        curve: its numbers by step, for `loss_curve`.
        checkpoint: its state after the last step, from which a training can go on.
        images: pictures of the validation prompts by the last weights, one each; empty without any.
    """

    adapter: Adapter
    curve: Curve
    checkpoint: Checkpoint
    images: list[Image]
