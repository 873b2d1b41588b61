"""The bundled model `shapes`: its weights, the world that it draws, the judge of its pictures, and how it was trained.

`world`, `frame` and `judge` know nothing of nodes; `measure` and `training` stand above all nodes, since they run them.
The denoise loop knows none of it.
"""
