"""The nodes there are: ours, those of packs and folders, and a fingerprint of the code of each.

What describes a node type to people and editors (help, schema, reference) belongs here too; how one is declared does
not.
"""

from weft.engine.catalogue.catalogue import Catalogue, CatalogueError, Failure, installed

__all__ = ["Catalogue", "CatalogueError", "Failure", "installed"]
