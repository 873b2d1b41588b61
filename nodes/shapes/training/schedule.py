"""The learning-rate schedule that all three trainings share."""

from __future__ import annotations

import math


def one_cycle(progress: float, warm: float = 0.08, floor: float = 0.01) -> float:
    """Learning-rate factor in [0, 1] at ``progress`` in [0, 1]: linear warm-up, then a cosine to ``floor``."""
    if progress < warm:
        return 0.04 + 0.96 * progress / warm
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
