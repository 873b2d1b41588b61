"""The nodes there are, and what is told about them."""

from weft.engine.catalogue.catalogue import Catalogue, CatalogueError, Failure, installed

__all__ = ["Catalogue", "CatalogueError", "Failure", "installed"]
