"""The tiny models of the trainings' tests."""

from tests.nodes.training.conftest import cache, image_encoder, model, models, one_thread

__all__ = ["cache", "image_encoder", "model", "models", "one_thread"]
