"""Nodes that make data sets, and what is cached of them."""
