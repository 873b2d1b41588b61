"""Whether each technique does what its paper promises, on the bundled model, judged exactly.

    python benchmarks/effects.py --seeds 64 [--only sega,pag] [--docs docs/effects.md] [--images docs/images/effects]
    python benchmarks/effects.py --renew --docs docs/effects.md

Prints one JSON line per measure: its mean without the technique, with ours and with diffusers' pipeline, from the same
seeds; the 95 % interval of ours; and p, an exact one-sided sign test over seeds of "with" against "without".
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import effect_adapters, effect_cases, effect_edits, effect_images, effect_wires
from benchmarks.effect_kit import Measure, Studio, sheet
from benchmarks.effect_page import row, rows_of, write
from benchmarks.kit import chosen

__all__ = ["CASES", "main", "row", "rows_of"]

CASES: dict[str, Callable[[Studio], list[Measure]]] = {
    name.removeprefix("case_"): item
    for module in (effect_cases, effect_edits, effect_images, effect_wires, effect_adapters)
    for name, item in vars(module).items()
    if name.startswith("case_")
}


def main() -> None:
    """Parse, measure, print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--docs", type=Path, help="page to write the table into")
    parser.add_argument("--images", type=Path, help="folder for a sheet of each case")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    parser.add_argument("--renew", action="store_true", help="measure nothing: write the page anew from its own rows")
    options = parser.parse_args()
    if options.renew:
        if options.docs is None:
            parser.error("--renew needs --docs, the page to write anew")
        write(options.docs, [], list(CASES))
        return
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    names = chosen(parser, options.only, CASES)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            studio = Studio(Path(folder), options.seeds, options.steps)
            lines = [{**measure.line(), "case": name} for measure in CASES[name](studio)]
            for line in lines:
                print(json.dumps(line), flush=True)
            for case, rows in studio.pictures.items():
                if options.images is not None:
                    pictures = [picture for _, picture in rows]
                    columns = len(rows) if len(rows) < 6 else len(rows) // 3
                    names = [name.rstrip("_") for name, _ in rows]
                    sheet(pictures, options.images / f"{case}.png", columns, names)
            if options.docs is not None:
                write(options.docs, lines, list(CASES))


if __name__ == "__main__":
    main()
