"""The nodes there are, and what is told about them."""

from engine.catalogue.catalogue import Catalogue, CatalogueError, Failure, installed

__all__ = ["Catalogue", "CatalogueError", "Failure", "installed"]
