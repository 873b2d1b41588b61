"""Nodes that train, and what is done with what they learned: saved, loaded, compared.

Declarations and their checks only: how a training goes is in `nodes.training`, which is imported when a node runs.
"""
