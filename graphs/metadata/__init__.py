"""Pictures of other programs: what their metadata say becomes a workflow, with a report of what was not understood.

A module for each program reads its text into a `Recipe`. No pixel is looked at here, and no model is searched for.
"""

from weft.graphs.metadata.picture import from_picture, from_texts
from weft.graphs.metadata.recipe import Imported

__all__ = ["Imported", "from_picture", "from_texts"]
