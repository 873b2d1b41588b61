"""The values that flow between nodes: frozen, and tensors in them are never changed in place.

Nothing here imports torch: a cached value passes through a process that never needs its tensors.
"""

from __future__ import annotations

from weft.nodes.models.families import Family, Prediction
from weft.nodes.values.model import Model, Patch
from weft.nodes.values.pictures import Image, Latents, Mask, Trajectory
from weft.nodes.values.prompt import Conditioning
from weft.nodes.values.techniques import Control, Guidance

__all__ = [
    "Conditioning",
    "Control",
    "Family",
    "Guidance",
    "Image",
    "Latents",
    "Mask",
    "Model",
    "Patch",
    "Prediction",
    "Trajectory",
]
