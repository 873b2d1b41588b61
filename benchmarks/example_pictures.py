"""Small pictures of the examples, for places that show them side by side.

    make pictures       # or python benchmarks/example_pictures.py [--only sega,pag]

Runs each example as it stands and writes the picture that it makes, within 256 x 256 pixels, to
graphs/examples/pictures. An example that makes none here, since it needs what does not come with Weft, is named.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from benchmarks.kit import chosen
from weft.graphs import examples

FOLDER = Path(examples.__file__).parent / "pictures"
SIDE, QUALITY = 256, 82


def written(picture: Path, to: Path) -> None:
    """`picture` as a small WebP file without metadata."""
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        part = to.with_suffix(".part")
        small.save(part, "WEBP", quality=QUALITY, method=6)
    part.replace(to)


def picture_of(name: str, folder: Path) -> Path | None:
    """The last picture that a run of the example writes under the name of the example; a curve is none."""
    command = [sys.executable, "-m", "weft", "run", str(examples.path(name)), "--out", str(folder), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    paths = [Path(line) for line in done.stdout.splitlines() if line.endswith((".png", ".jpg", ".webp"))]
    own = [path for path in paths if path.stem.startswith(name) and not path.stem.endswith("_curve")]
    return (own or paths)[-1] if done.returncode == 0 and paths else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names, with commas between them")
    only = chosen(parser, parser.parse_args().only, examples.names())
    FOLDER.mkdir(exist_ok=True)
    for name in only:
        with tempfile.TemporaryDirectory() as folder:
            found = picture_of(name, Path(folder))
            if found is None:
                print(f"{name}: no picture", file=sys.stderr)
                continue
            written(found, FOLDER / f"{name}.webp")
            print(FOLDER / f"{name}.webp")


if __name__ == "__main__":
    main()
