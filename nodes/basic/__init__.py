"""Nodes that every workflow is built from: models, prompts, the denoise loop, images, latents."""
