"""Whether each training technique teaches the bundled model what it is shown, and leaves the rest, judged exactly.

    python benchmarks/training_effects.py [--only few_lora,bundled_dome] [--split measured] [--docs docs/training.md]

Prints one JSON line per measure: its mean without what was trained and with it, from the same seeds; the 95 % interval
of "with"; and p, an exact one-sided sign test over seeds. Settings were picked by `--split settings`, whose prompts and
seeds are none of `--split measured`. What was trained and measured lies in the folder of `--work`: a run that was
stopped goes on, and a case is measured again when its code, its settings or a bundled file changed, or with `--again`.
Rows of the page that were not measured here stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import training_bundled, training_few, training_kit, training_nets
from benchmarks.effect_kit import sheet
from benchmarks.kit import chosen
from benchmarks.training_kit import Bench, Case, Split

CASES: dict[str, Case] = {
    name.removeprefix("case_"): item
    for module in (training_few, training_nets, training_bundled)
    for name, item in vars(module).items()
    if name.startswith("case_")
}
FIGURES = ("<!-- figures: made by benchmarks/training_effects.py -->", "<!-- end of figures -->")
SHEETS = ("<!-- pictures: made by benchmarks/training_effects.py -->", "<!-- end of pictures -->")


def state_of(name: str, options: argparse.Namespace) -> str:
    """Identifies what a case measures: its code and settings, the bundled files, and how many pictures of what."""
    total = hashlib.blake2b(digest_size=16)
    for module in (training_few, training_nets, training_bundled, training_kit):
        total.update(Path(str(module.__file__)).read_bytes())
    variants = Path(__file__).resolve().parent.parent / "nodes" / "shapes"
    for manifest in (variants / "manifest.json", variants / "variants" / "manifest.json"):
        if manifest.is_file() and name.startswith("bundled"):
            total.update(manifest.read_bytes())
    total.update(json.dumps([name, options.split, options.pictures, options.steps]).encode())
    return total.hexdigest()


def row(line: dict[str, Any]) -> str:
    """A line of results in markdown."""
    arrow = {"higher": "↑", "lower": "↓", "same": "="}[line["better"]]
    low, high = line["interval"]
    return (
        f"| {line['technique']} | {line['measure']} {arrow} | {line['without']:.1%} | **{line['with']:.1%}** | "
        f"{low:.0%} to {high:.0%} | {line['seeds']} | {line['note']} |"
    )


def table(lines: Sequence[dict[str, Any]]) -> str:
    """All lines in markdown."""
    head = "| case | what | without | with | 95 % | pictures | without is |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *map(row, lines)])


def gallery(lines: Sequence[dict[str, Any]], images: Path) -> str:
    """A heading and a sheet for each case that has one."""
    names = dict.fromkeys(line["technique"] for line in lines)
    shown = [name for name in names if (images / f"{name}.png").is_file()]
    return "\n".join(f"### {name}\n\n![`{name}`](images/{images.name}/{name}.png)\n" for name in shown)


def by_case(lines: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Lines by the case that measures them, which may measure trainings of several names."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        cases = [name for name in CASES if line["technique"].startswith(name)]
        found.setdefault(max(cases, key=len, default=""), []).append(line)
    return found


def main() -> None:
    """Parse, train what is not there, measure, print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--pictures", type=int, default=96, help="of each row")
    parser.add_argument("--steps", type=int, default=10, help="of DDIM, for each picture")
    parser.add_argument("--split", choices=get_args(Split), default="measured", help="which prompts and seeds")
    parser.add_argument("--only", default="", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder of adapters and results")
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    parser.add_argument("--renew", action="store_true", help="measure nothing: write the page from what was measured")
    parser.add_argument("--docs", type=Path, help="page to write the table into, between its markers")
    parser.add_argument("--images", type=Path, help="folder for a sheet of each case")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / f"effects-{options.split}.json"
    known: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {}
    for name in [] if options.renew else chosen(parser, options.only, CASES):
        state = state_of(name, options)
        if options.again or known.get(name, {}).get("state") != state:
            bench = Bench(options.work, options.split, options.pictures, options.steps)
            lines = [measure.line() for measure in CASES[name](bench)]
            known[name] = {"state": state, "lines": lines}
            aside = results.with_suffix(".tmp")
            aside.write_text(json.dumps(known, indent=1))
            aside.replace(results)
            for case, rows in bench.pictures.items():
                if options.images is not None:
                    options.images.mkdir(parents=True, exist_ok=True)
                    pictures = [picture for _, picture in rows]
                    sheet(pictures, options.images / f"{case}.png", len(rows) // 3, [n.rstrip("_") for n, _ in rows])
        for line in known[name]["lines"]:
            print(json.dumps(line), flush=True)
    if options.docs is not None:
        from weft.nodes.shapes.measure import write_between

        beside = options.docs.with_suffix(".json")
        before = by_case(json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else [])
        lines = [line for name in CASES for line in known.get(name, {}).get("lines", before.get(name, []))]
        beside.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
        write_between(options.docs, *FIGURES, table(lines))
        write_between(options.docs, *SHEETS, gallery(lines, options.docs.parent / "images" / options.docs.stem))


if __name__ == "__main__":
    main()
