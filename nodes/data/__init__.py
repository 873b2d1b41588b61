"""Nodes that make data sets, and what is cached of them.

Declarations only: what they do is in `nodes.datasets` and `nodes.training`, which are imported when a node runs.
"""
