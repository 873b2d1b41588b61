"""Code blocks of the pages, as a reader would paste them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def block(page: str, language: str, holding: str = "") -> str:
    """The one block of a page in a language that holds a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    found = [text for text in blocks if holding in text]
    assert len(found) == 1, f"{page} has {len(found)} blocks of {language} with {holding!r}"
    return found[0]


def module(path: Path, code: str) -> ModuleType:
    """`code` as the module that it is when saved at `path` and imported."""
    path.write_text(code, "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made
