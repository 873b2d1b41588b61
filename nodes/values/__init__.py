"""The values that flow between nodes: frozen, and tensors in them are never changed in place.

What an output of a node can be belongs here. Nothing here imports torch: a cached value passes through a process that
never needs its tensors. What lies below `values.techniques` imports the file that it needs, not all of them.
"""

from __future__ import annotations

from weft.nodes.models.families import Family, Prediction
from weft.nodes.values.model import Model, Patch, Vae
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
    "Vae",
]
