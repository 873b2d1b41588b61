"""Whether each technique does what its paper promises, on the bundled model, judged exactly.

    python benchmarks/effects.py --seeds 64 [--only sega,pag] [--docs docs/effects.md] [--images docs/images/effects]

Prints one JSON line per measure: its mean without the technique, with ours and with diffusers' pipeline, from the same
seeds; the 95 % interval of ours; and p, an exact one-sided sign test over seeds of "with" against "without".
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import effect_adapters, effect_cases, effect_edits, effect_images, effect_wires
from benchmarks.effect_kit import Measure, Studio, sheet
from benchmarks.kit import chosen
from weft.nodes.shapes.measure import write_between

CASES: dict[str, Callable[[Studio], list[Measure]]] = {
    name.removeprefix("case_"): item
    for module in (effect_cases, effect_edits, effect_images, effect_wires, effect_adapters)
    for name, item in vars(module).items()
    if name.startswith("case_")
}

BEGIN, END = "<!-- figures: made by benchmarks/effects.py -->", "<!-- end of figures -->"


HEAD = [
    "| technique | measure | without | with | 95 % | diffusers | p | seeds | without is | command |",
    "|" + "---|" * 10,
]
_COMMAND = re.compile(r"`--only (\w+)` \|$")


def row(line: dict[str, Any]) -> str:
    """One measure for the page."""
    low, high = line["interval"]
    arrow = {"higher": "↑", "lower": "↓", "same": "="}[line["better"]]
    cells = [
        f"[`{line['technique']}`](images/effects/{line['case']}.png)",
        f"{line['measure']} {arrow}",
        f"{line['without']:.3g}",
        f"**{line['with']:.3g}**",
        f"{low:.3g} to {high:.3g}",
        "" if line["diffusers"] is None else f"{line['diffusers']:.3g}",
        "" if line["p"] is None else f"{line['p']:.1g}",
        str(line["seeds"]),
        line["note"],
        f"`--only {line['case']}`",
    ]
    return "| " + " | ".join(cells) + " |"


def rows_of(page: str) -> list[tuple[str, str]]:
    """The rows that stand in a page's table, each with the case that it is of.

    Raises ValueError for one that names none, as it could neither be renewed nor kept in its place.
    """
    _, _, after = page.partition(BEGIN)
    found = []
    for text in after.partition(END)[0].strip().splitlines()[len(HEAD) :]:
        command = _COMMAND.search(text)
        if command is None:
            raise ValueError(f"a row of the page does not end with the command that makes it: {text}")
        found.append((command[1], text))
    return found


def write(page: Path, lines: list[dict[str, Any]]) -> None:
    """Put lines into the page's table, and into the file of numbers beside it.

    What was not measured now stays as it is, in both, whether or not the numbers are there.
    """
    store = page.with_suffix(".json")
    known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else []
    places = {case: place for place, case in enumerate(CASES)}
    measured = {line["case"] for line in lines}
    rows = [(case, text) for case, text in rows_of(page.read_text(encoding="utf-8")) if case not in measured]
    rows += [(line["case"], row(line)) for line in lines]
    merged = [line for line in known if line["case"] not in measured] + lines
    rows.sort(key=lambda entry: places.get(entry[0], len(places)))
    merged.sort(key=lambda line: places.get(line["case"], len(places)))
    store.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    write_between(page, BEGIN, END, "\n".join([*HEAD, *(text for _, text in rows)]))


def main() -> None:
    """Parse, measure, print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--docs", type=Path, help="page to write the table into")
    parser.add_argument("--images", type=Path, help="folder for a sheet of each case")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    options = parser.parse_args()
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
                write(options.docs, lines)


if __name__ == "__main__":
    main()
