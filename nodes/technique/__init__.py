"""What techniques and the denoise loop agree on: the hooks of a technique, and the terms in which both speak.

Nothing here imports torch, nor the loop at run time: a technique is declared without either.
"""

from __future__ import annotations

from weft.nodes.technique.hooks import Technique
from weft.nodes.technique.terms import (
    AttentionOp,
    AttentionRule,
    Branch,
    Order,
    Predictions,
    Residuals,
    Site,
    View,
)

__all__ = [
    "AttentionOp",
    "AttentionRule",
    "Branch",
    "Order",
    "Predictions",
    "Residuals",
    "Site",
    "Technique",
    "View",
]
