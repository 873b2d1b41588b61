"""Control techniques, one file each; a new file here is found by itself.

A file holds a technique's value and the nodes that make it, and never asks which other techniques there are. What
several share belongs to `sampling`, `nets` or `weights`, by what it knows.
"""
