"""The one trainer: data as tensors, random numbers by counter, the loop, checkpoints, and what recipes share."""
