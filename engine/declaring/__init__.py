"""What a node is: ports, types, `@node` and `@definition`, and the context that a node is called with.

Whatever a file of nodes needs to be imported belongs here, so it stays light and knows nothing of checks, plans or
runs.
"""
