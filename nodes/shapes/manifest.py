"""Write down the checksums of the bundled model and its variants, once they are as they should be.

python -m weft.nodes.shapes.manifest
"""

from __future__ import annotations

import json
from pathlib import Path

from weft.engine.filehash import content_hash
from weft.nodes.models.bundled import MANIFEST, home

RECIPES = {
    "edges": "python -m weft.nodes.shapes.training.edges",
    "edit": "python -m weft.nodes.shapes.training.instruct",
    "depth": "python -m weft.nodes.shapes.training.depth",
    "regions": "python -m weft.nodes.shapes.training.regions",
    "heart": "python -m weft.nodes.shapes.training.lora",
    "frame": "python -m weft.nodes.shapes.training.style",
    "dome": "python -m weft.nodes.shapes.training.inversion",
    "house": "python -m weft.nodes.shapes.training.custom",
    "clip": "python -m weft.nodes.shapes.training.clip",
    "image": "python -m weft.nodes.shapes.training.image_prompt",
}
"""By folder of a variant. How the model itself is made takes several, which docs/shapes.md tells."""


def manifest(shapes: Path) -> dict[str, dict[str, str]]:
    """By file below `shapes`, in order: checksum, bytes and recipe."""
    found = {}
    for part in ("model", "variants"):
        for path in sorted((shapes / part).rglob("*")):
            if path.is_file() and path.name != Path(MANIFEST).name:
                told = {"blake2b": content_hash(path), "bytes": str(path.stat().st_size)}
                if part == "variants":
                    told["recipe"] = RECIPES[path.relative_to(shapes).parts[1]]
                found[path.relative_to(shapes).as_posix()] = told
    return found


def main() -> None:
    table = manifest(home() / "shapes")
    (home() / MANIFEST).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"{len(table)} files, {sum(int(told['bytes']) for told in table.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
