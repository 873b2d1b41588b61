"""What the rewards compute: sizes of files, CLIP embeddings, and ratings that people give.

The rewards themselves, which are values, are declared beside their nodes in `nodes/train`; nothing here learns.
"""
