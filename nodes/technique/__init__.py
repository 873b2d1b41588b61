"""What techniques and the denoise loop agree on: the hooks of a technique, and the terms in which both speak.

A term belongs here when techniques and loop both name it; `Run` and `Step`, which hooks are handed, stand in
`sampling.run`. Importing this loads neither torch nor the loop: a technique is declared without either.
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
