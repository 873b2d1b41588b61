"""The two kinds of wires into the denoise loop."""

from __future__ import annotations

from dataclasses import dataclass

from weft.nodes.technique import Technique


@dataclass(frozen=True, eq=False, kw_only=True)
class Guidance(Technique):
    """A technique that shapes the prediction: goes into ``denoise.guidance``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Control(Technique):
    """A technique that adds to the denoiser's input or inner states: goes into ``denoise.controls``."""
