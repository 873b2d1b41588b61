"""What can go wrong in a training."""

from __future__ import annotations


class TrainingError(Exception):
    """A training cannot begin or go on; says what was given and what would do. What was saved stays."""
