"""Weights that do not ship, made by their recipe when they are first wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DREAMBOOTH = ("build/variants/out/dreambooth", "weft.nodes.shapes.training.dreambooth")


def made_by_recipe(folder: str, module: str) -> Path:
    """The folder that a recipe writes, below the repository; runs it (minutes) where there is none."""
    path = ROOT / folder
    if not path.is_dir():
        print(f"{folder} is not there: running {module}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True)
    return path
