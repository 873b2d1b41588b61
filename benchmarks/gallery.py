"""The gallery: pictures of every technique and named combination, from the workflows that ship with Weft.

    make gallery        # or python benchmarks/gallery.py [--only sega,pag]

Each row runs its workflow with the settings in gallery_rows.py, from the workflow's own seed, and draws its graph.
Writes docs/gallery.md and the pictures beside it, and from those pictures the first one of the README.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.effect_kit import GAP, sheet
from benchmarks.gallery_rows import ENTRIES, Entry, Shot
from benchmarks.kit import chosen
from benchmarks.recipes import made_by_recipe

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "images" / "gallery"

OVERVIEW = (
    ("sega", 0, 2, "SEGA", "towards a star"),
    ("attend_and_excite", 0, 1, "Attend-and-Excite", "a bare prompt"),
    ("controlnet", 1, 3, "ControlNet", "edges at the bottom"),
    ("ip_adapter", 1, 2, "IP-Adapter", "a picture of a star"),
    ("merge_loras", 0, 3, "Two LoRAs", "heart and frame"),
    ("instruct_pix2pix", 0, 1, "InstructPix2Pix", "make it blue"),
    ("diffedit", 0, 2, "DiffEdit", "square to star"),
    ("during", 1, 2, "Guidance window", "first half only"),
)
"""Rows of which the README's picture shows two pictures each, without and with, and its words."""

HEAD = """# Gallery

Every technique and named combination on the bundled model, made by `make gallery` from the workflows in
`graphs/examples`. Seeds are the workflows' own, one a row, none chosen; prompts and scales were picked so that there
is something to see, and what does not show is said. [What techniques do](effects.md) has the figures of 64 seeds each.
All of it takes {minutes} on one core of a small server that was busy with other work, {training} more where
DreamBooth has to be trained first, and comes out the same again, to the pixel.

Of a lab course on controlled generation: [Canny ControlNet](#controlnet-canny), [two ControlNets](#two-controlnets) at
1.0 and 0.8 with half of a hint blank, [textual inversion](#textual-inversion), [DreamBooth](#dreambooth),
[LoRA](#lora), and [two adapters merged](#two-loras-in-one) at 1.0 and 1.05.

![Eight techniques: a picture without each, and with it](images/gallery/overview.png)
"""
MINUTES, TRAINING = "three and a half minutes", "three to eight"


def picture(entry: Entry, shot: Shot, cache: Any) -> Any:
    """(H, W, 3) 0..255."""
    from weft.engine import run, with_settings
    from weft.engine.catalogue.catalogue import installed
    from weft.graphs import examples
    from weft.nodes.shapes.measure import as_pixels

    workflow = with_settings(examples.load(entry.example), list(entry.settings(shot)), installed())
    wanted = f"{entry.draws}.latents"
    decodes = [
        id for id, node in workflow.nodes.items() if node.type == "decode" and str(node.inputs.get("latents")) == wanted
    ]
    if not shot.node and not decodes:
        raise SystemExit(f"{entry.example}: no decode of {entry.draws}")
    id = shot.node or decodes[0]
    return as_pixels(run(workflow, [id], cache=cache)[id])[0]


def row(pictures: list[Any], labels: list[str], path: Path) -> None:
    """Pictures side by side, each under its label; wide ones below one another, each right of it."""
    height, width = pictures[0].shape[:2]
    # One alone is a sheet, which has labels of its own.
    names = labels if len(pictures) > 1 else [""] * len(pictures)
    sheet(pictures, path, 1 if width > 2 * height else len(pictures), names)


def overview(path: Path) -> None:
    """Pictures of some rows: without the technique above, with it below."""
    from PIL import Image, ImageDraw, ImageFont

    side, gap, left, top = 128, 12, 84, 58
    sheet = Image.new("RGB", (left + len(OVERVIEW) * (side + gap), top + 2 * (side + gap)), "white")
    pen = ImageDraw.Draw(sheet)
    bold, small = ImageFont.load_default(16), ImageFont.load_default(14)
    for line, word in enumerate(("without", "with")):
        pen.text((left - gap, top + line * (side + gap) + side // 2), word, "#1b2330", bold, anchor="rm")
    for column, (example, *numbers, title, words) in enumerate(OVERVIEW):
        x = left + column * (side + gap)
        pen.text((x + side // 2, 10), title, "#1b2330", bold, anchor="mt")
        pen.text((x + side // 2, 33), words, "#6b7686", small, anchor="mt")
        with Image.open(FOLDER / f"{example}.png") as strip:
            for line, number in enumerate(numbers):
                at = number * (side + GAP)
                top_of_cell = strip.height - side  # below the labels
                cell = strip.convert("RGB").crop((at, top_of_cell, at + side, strip.height))
                sheet.paste(cell, (x, top + line * (side + gap)))
                pen.rectangle(
                    (x - 1, top + line * (side + gap) - 1, x + side, top + line * (side + gap) + side),
                    outline="#d5dae1",
                )
    sheet.save(path, optimize=True)


def section(entry: Entry) -> list[str]:
    """A row's lines of the page."""
    name, labels = entry.example, [shot.label.replace("<", "&lt;") for shot in entry.shots]
    alt = ", ".join(shot.label.replace("<", "").replace(">", "") for shot in entry.shots)
    sets = " ".join(f"--set {shlex.quote(item)}" for item in entry.settings(entry.shots[-1]))
    lines = [f"## {entry.title}", "", f"![{alt}](images/gallery/{name}.png)", ""]
    lines += [" · ".join(labels), "", *entry.look.splitlines(), ""]
    if entry.made_by is not None:
        lines += [
            f"Its weights do not ship; `python -m {entry.made_by[1]}` makes them, and `make gallery` calls it.",
            "",
        ]
    lines += [
        f"[`{name}.json`](../graphs/examples/{name}.json) · [its graph](images/gallery/{name}.svg); the last one:",
        "",
    ]
    return [*lines, "```", f"weft run graphs/examples/{name}.json {sets}".rstrip(), "```", ""]


def main() -> None:
    """Run what is asked for; the page names all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", default="", help="some examples, by name")
    options = parser.parse_args()
    names = chosen(parser, options.only, [entry.example for entry in ENTRIES])
    import torch

    from weft.engine import Cache
    from weft.engine.catalogue.catalogue import installed
    from weft.engine.catalogue.shapes import shapes
    from weft.graphs import examples
    from weft.graphs.draw import draw

    torch.set_num_threads(1)  # sums in one order: the same pictures again
    cache = Cache()
    for entry in ENTRIES:
        if entry.example not in names:
            continue
        print(entry.example, flush=True)
        if entry.made_by is not None:
            made_by_recipe(*entry.made_by)
        labels = [shot.label for shot in entry.shots]
        row([picture(entry, shot, cache) for shot in entry.shots], labels, FOLDER / f"{entry.example}.png")
        svg = draw(examples.load(entry.example), shapes(installed()))
        (FOLDER / f"{entry.example}.svg").write_text(svg, encoding="utf-8")
    overview(FOLDER / "overview.png")
    lines = [HEAD.format(minutes=MINUTES, training=TRAINING), *(line for entry in ENTRIES for line in section(entry))]
    (DOCS / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
