"""Nodes that every workflow is built from: models, prompts, the denoise loop, images, latents.

One file per node or per family of small ones; what a node computes belongs here while it is short, else to the folder
of its subject. Only `techniques` builds on these files, and nothing else imports them but by the catalogue.
"""
