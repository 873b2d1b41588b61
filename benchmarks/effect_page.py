"""The page of effects: a summary, a row for each measure, and the pictures, all from the rows that stand in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.nodes.shapes.measure import write_between

BEGIN, END = "<!-- figures: made by benchmarks/effects.py -->", "<!-- end of figures -->"
SUMMARY = "<!-- summary: made by benchmarks/effects.py -->", "<!-- end of summary -->"
PICTURES = "<!-- pictures: made by benchmarks/effects.py -->", "<!-- end of pictures -->"

HEAD = [
    "| technique | measure | without | with | 95 % | diffusers | p | seeds | without is | command |",
    "|" + "---|" * 10,
]
ARROWS = {"higher": "↑", "lower": "↓", "same": "="}
SURE = 0.01
"""A sign test below this is no luck."""
STAYS = 0.05
"""What should stay and moves by less has stayed."""
_COMMAND = re.compile(r"`--only (\w+)` \|$")
_TECHNIQUE = re.compile(r"\[`(.*)`\]\((.*)\)")

_PAIRS = ("without", "without", "with", "with")
_HINTED = ("hint", "hint", *_PAIRS)
COLUMNS: dict[str, tuple[str, ...]] = {
    "controlnet": _HINTED,
    "t2i_adapter": _HINTED,
    "depth_control": _HINTED,
    "multidiffusion": ("four pictures side by side", "with") * 2,
    "instruct_pix2pix": ("before", "before", "with", "with"),
    "pix2pix_zero": ("before", "before", "the new prompt alone", "the new prompt alone", "with", "with"),
    "prompt_to_prompt": ("before", "before", "the new prompt alone", "the new prompt alone", "with", "with"),
    "diffedit": ("before", "image to image", "with") * 2,
    "ip_adapter": ("the picture", "the picture", *_PAIRS),
    "during_controlnet": (*_HINTED, "in every step", "in every step"),
    "merge_loras": ("without", "without", "heart alone", "heart alone", "frame alone", "frame alone", "with", "with"),
}
"""What the columns of a sheet show, where it is not twice without and twice with."""


@dataclass(frozen=True)
class Row:
    """A row of the table, as it is printed.

    Attributes:
        better: "higher", "lower" or "same".
        diffusers: "" where there is no pipeline to compare with.
        p: None for what should stay.
    """

    technique: str
    case: str
    measure: str
    better: str
    without: str
    ours: str
    diffusers: str
    p: float | None
    note: str

    @classmethod
    def read(cls, case: str, text: str) -> Row:
        """From a line of the table."""
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        named = _TECHNIQUE.fullmatch(cells[0])
        measure, _, arrow = cells[1].rpartition(" ")
        (better,) = (name for name, sign in ARROWS.items() if sign == arrow)
        return cls(
            technique=named[1] if named else cells[0],
            case=case,
            measure=measure,
            better=better,
            without=cells[2],
            ours=cells[3].strip("*"),
            diffusers=cells[5],
            p=float(cells[6]) if cells[6] else None,
            note=cells[8],
        )

    @property
    def said(self) -> str:
        """The measure with its numbers, for a sentence."""
        return f"`{self.technique}`, {self.measure} ({self.without} to {self.ours})"


def row(line: dict[str, Any]) -> str:
    """One measure for the page."""
    low, high = line["interval"]
    cells = [
        f"[`{line['technique']}`](images/effects/{line['case']}.png)",
        f"{line['measure']} {ARROWS[line['better']]}",
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


def write(page: Path, lines: Sequence[dict[str, Any]], cases: Sequence[str]) -> None:
    """Put lines into the page's table, and into the file of numbers beside it; then renew what follows from the table.

    What was not measured now stays as it is, in both, whether or not the numbers are there.

    Args:
        cases: all there are, in the order in which they stand in the page.
    """
    store = page.with_suffix(".json")
    known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else []
    places = {case: place for place, case in enumerate(cases)}
    measured = {line["case"] for line in lines}
    rows = [(case, text) for case, text in rows_of(page.read_text(encoding="utf-8")) if case not in measured]
    rows += [(line["case"], row(line)) for line in lines]
    merged = [*(line for line in known if line["case"] not in measured), *lines]
    rows.sort(key=lambda entry: places.get(entry[0], len(places)))
    merged.sort(key=lambda line: places.get(line["case"], len(places)))
    if lines:
        store.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    write_between(page, BEGIN, END, "\n".join([*HEAD, *(text for _, text in rows)]))
    read = [Row.read(*entry) for entry in rows]
    write_between(page, *SUMMARY, summary(read))
    write_between(page, *PICTURES, pictures(read))


def summary(rows: Sequence[Row]) -> str:
    """What all rows say together, and the first measure of each case."""
    promised = [one for one in rows if one.p is not None]
    unsure = [one for one in promised if one.p is not None and one.p >= SURE]
    compared = [one for one in rows if one.diffusers]
    other = [one for one in compared if one.diffusers != one.ours]
    stays = [one for one in rows if one.better == "same"]
    moved = [one for one in stays if abs(float(one.ours) - float(one.without)) >= STAYS]
    points = [
        f"- **What the papers promise.** {len(promised)} measures ask whether a technique does what its paper "
        f"promises. In {len(promised) - len(unsure)} of them it does, beyond luck (p below {SURE:g})."
        + (f" The seeds do not tell these from luck: {_listed([one.said for one in unsure])}." if unsure else ""),
        f"- **What should stay.** {len(stays)} measures ask whether the rest of the picture stays as it should. "
        f"{len(stays) - len(moved)} of them moved by less than {STAYS:g}."
        + (f" The others: {_listed([one.said for one in moved])}." if moved else ""),
        f"- **Beside diffusers.** {len(compared)} measures have diffusers' pipeline of the technique beside them, from "
        f"the same seeds. {len(compared) - len(other)} of the means are equal to three digits."
        + (f" The others: {_listed([f'{one.said}, diffusers {one.diffusers}' for one in other])}." if other else ""),
    ]
    table = ["| technique | what it should do | without | with |", "|---|---|---|---|"]
    seen: set[str] = set()
    for one in rows:
        if one.case not in seen:
            seen.add(one.case)
            says = f"{one.measure} {ARROWS[one.better]}"
            table.append(f"| [`{one.technique}`](#{one.case}) | {says} | {one.without} | **{one.ours}** |")
    return "\n".join(
        [*points, "", "The first measure of each technique; the arrow says which way is better:", "", *table]
    )


def pictures(rows: Sequence[Row]) -> str:
    """Each case's sheet under a title, with what its columns show."""
    parts: list[str] = []
    for case, technique in dict.fromkeys((one.case, one.technique) for one in rows):
        parts += [f"### {case}", ""]
        for name, title in _sheets(case, technique):
            columns = COLUMNS.get(name, _PAIRS)
            parts += [f"![{title}](images/effects/{name}.png)", "", f"{title}: {' · '.join(columns)}", ""]
    return "\n".join(parts).rstrip()


def _sheets(case: str, technique: str) -> list[tuple[str, str]]:
    """The sheets of a case, each with its title."""
    if case == "during":
        return [("during", "Strong guidance in a window"), ("during_controlnet", "A ControlNet in a window")]
    return [(case, f"`{technique}`" if technique == case else technique)]


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items)
