"""What to do, decided before anything runs: steps, their order and their keys, and what a step unfolds into.

What a key is made of, and what becomes of a graph that a node returns, belongs here; which steps run, `running`
decides.
"""
