"""Adapters as files: the layouts that other programs read, written, verified, and read back.

What a layout is and how it is verified belongs here. What an adapter does to a model does not: see `nodes.weights`.
"""
