"""Files that change a model: adapters and embeddings, their layouts and what they do to its parts.

What reads such a file, or computes new weights from old ones, belongs here. The patch that applies it is its
technique's.
"""
