"""The tiny models of the trainings' tests."""

from tests.nodes.training.conftest import cache, model, one_thread

__all__ = ["cache", "model", "one_thread"]
