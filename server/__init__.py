"""How others reach Weft: today the command line, next HTTP, a websocket, a durable queue and the graph editor.

Nothing here imports torch or the nodes; what runs a node is the engine, and nodes are found by the catalogue.
"""
