"""The gallery's rows name settings, nodes and pictures that there are; the page has each. Nothing is drawn here."""

from __future__ import annotations

import pytest
from PIL import Image

from benchmarks.gallery import DOCS, FOLDER, GAP, OVERVIEW
from benchmarks.gallery_rows import ENTRIES, Entry
from weft.engine import check, with_settings
from weft.engine.catalogue.catalogue import installed
from weft.graphs import examples

SIDES = {"hires": 256}
"""Of pictures that are not of the model's own size."""
ROWS = {entry.example: entry for entry in ENTRIES}


@pytest.mark.parametrize("entry", ENTRIES, ids=list(ROWS))
def test_a_row_can_be_made_and_is_there(entry: Entry) -> None:
    catalogue = installed()
    made_here = {"load_dreambooth"} if entry.made_by is not None else set()
    for shot in entry.shots:
        workflow = with_settings(examples.load(entry.example), list(entry.settings(shot)), catalogue)
        types = {id: node.type for id, node in workflow.nodes.items()}
        wrong = [found for found in check(workflow) if found.severity == "error"]
        assert [found for found in wrong if types[found.node or ""] not in made_here] == []
        assert types[shot.node or entry.draws] != "save_image"
    with Image.open(FOLDER / f"{entry.example}.png") as strip:
        width, height = strip.size
        below = entry.example.startswith("multidiffusion")
        usual = SIDES.get(entry.example, 128)
        long, side = (height, usual) if below else (width, width if len(entry.shots) == 1 else usual)
    assert long == len(entry.shots) * (side + GAP) - GAP
    assert (FOLDER / f"{entry.example}.svg").is_file()


def test_the_page_has_every_row_and_every_link_a_file() -> None:
    page = (DOCS / "gallery.md").read_text("utf-8")
    for entry in ENTRIES:
        assert f"## {entry.title}\n" in page
        assert f"images/gallery/{entry.example}.png" in page
        assert len(entry.look.splitlines()) == 2
    shown = {f"{name}.{kind}" for name in ROWS for kind in ("png", "svg")} | {"overview.png"}
    assert {path.name for path in FOLDER.iterdir()} == shown


def test_the_overview_shows_two_pictures_that_its_rows_have() -> None:
    for example, without, with_, _, _ in OVERVIEW:
        assert without != with_
        assert max(without, with_) < len(ROWS[example].shots)
    assert "(docs/images/gallery/overview.png)" in (DOCS.parent / "README.md").read_text("utf-8")
