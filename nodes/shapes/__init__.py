"""The bundled model `shapes`: its weights, the world that it draws, the judge of its pictures, and how it was trained.

Nothing in the denoise loop or in a node depends on it; the bundled names lead here.
"""
