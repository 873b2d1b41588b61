"""The tiny models and pipelines of the techniques' tests."""

from tests.nodes.techniques.conftest import folder, model, one_thread, pipe

__all__ = ["folder", "model", "one_thread", "pipe"]
