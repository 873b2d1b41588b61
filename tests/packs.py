"""Installed packs as pip leaves them: a package and its `.dist-info`, written into a folder on the path."""

from __future__ import annotations

import textwrap
from pathlib import Path

NODE = '''
from weft import node

@node("{name}", category="pack")
def {function}(x: int = {value}) -> int:
    """A number.

    Args:
        x: the number.
    """
    return x
'''


def declaring(name: str, value: int = 1) -> str:
    """A module that declares one node."""
    return NODE.format(name=name, function=name.replace("-", "_"), value=value)


def install(site: Path, name: str, entry: str | None = None, **files: str) -> None:
    """Write a package that is installed as `name`, with its entry point.

    Args:
        entry: what the entry point names; by default the package.
        files: texts of modules, by path with `/` as `__` and without `.py`; `init` stands for `__init__`.
    """
    package = site / name
    package.mkdir(parents=True)
    for stem, text in {"init": "", **files}.items():
        *folders, last = stem.split("__")
        path = package.joinpath(*folders, "__init__.py" if last == "init" else f"{last}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[weft.nodes]\n{name} = {entry or name}\n")
