"""What the rewards compute: sizes of files, CLIP embeddings, what people answer."""
