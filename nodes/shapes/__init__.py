"""The bundled model's world: the scenes that it draws and the judge who reads them, on numpy alone.

`world`, `frame` and `judge` know nothing of nodes; `measure` and `training` stand above all nodes, since they run them.
"""
