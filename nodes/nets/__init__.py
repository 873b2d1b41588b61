"""Networks beside the denoiser (ControlNet, T2I-Adapter, IP-Adapter): found, checked, and held like a model's parts.

What knows the files of such a network, whether it fits a model, and how its hint is laid out for a run belongs here.
What it does in a step is its technique's.
"""
