"""The tiny models of the loop's tests."""

from tests.nodes.sampling.conftest import folder, one_thread

__all__ = ["folder", "one_thread"]
