"""What this process may read besides what a run says, as plain data for another process that reads in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.engine.declaring.file_store import file_store, set_file_store
from weft.engine.declaring.model_folders import model_folders, set_model_folders


def reading_settings() -> dict[str, Any]:
    """The model folders and the file store: settings of this process, which the other one may have started without."""
    store = file_store()
    return {
        "model_folders": [str(folder) for folder in model_folders()],
        "file_store": None if store is None else str(store),
    }


def set_reading(settings: Mapping[str, Any]) -> None:
    """Take on the settings of another process."""
    set_model_folders(settings["model_folders"])
    set_file_store(settings["file_store"])
