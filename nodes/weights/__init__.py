"""Files that change a model: adapters and embeddings, their layouts and what they do to its parts."""
