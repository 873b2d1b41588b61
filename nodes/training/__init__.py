"""The one trainer: data as tensors, random numbers by counter, the loop, checkpoints, and what recipes share.

No node is declared here; those stand in `nodes.train`. What makes data sets is in `nodes.datasets`.
"""
