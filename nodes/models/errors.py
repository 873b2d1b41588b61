"""What can be wrong with a model."""

from __future__ import annotations


class ModelError(ValueError):
    """A model that cannot be found, read or used; the message says what was looked for, and what would be right."""
