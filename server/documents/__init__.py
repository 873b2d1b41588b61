"""Saved workflows as plain files with versions, the examples, and workflows out of pictures and documents.

Nothing here knows of HTTP, runs a node or needs one to be installed: a document is read as far as its form goes.
"""
