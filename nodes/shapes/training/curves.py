"""Draw the loss curves of all variants side by side.

python -m weft.nodes.shapes.training.curves --out docs/images/shapes-variants-loss.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

COLUMNS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/variants"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    files = sorted(args.work.glob("*.jsonl"))
    lines = -(-len(files) // COLUMNS)
    figure, axes = pyplot.subplots(lines, COLUMNS, figsize=(2.6 * COLUMNS, 2.6 * lines), squeeze=False)
    for place in axes.flat[len(files) :]:
        place.axis("off")
    for place, file in zip(axes.flat, files, strict=False):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        place.plot([row["step"] for row in rows], [row["loss"] for row in rows])
        place.set(title=file.stem, yscale="log", xlabel="step")
        place.grid(alpha=0.3, which="both")
    for first in axes[:, 0]:
        first.set_ylabel("loss")
    figure.tight_layout()
    figure.savefig(args.out, dpi=80)


if __name__ == "__main__":
    main()
