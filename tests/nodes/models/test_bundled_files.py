"""Files that ship with Weft: found by name; a missing or altered one is named, with what restores it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from weft.engine.filehash import content_hash
from weft.nodes import load_controlnet, load_model
from weft.nodes.models import bundled
from weft.nodes.models.errors import ModelError
from weft.nodes.models.sources import EMBEDDING, find

DOME = "variants/dome/learned_embeds.safetensors"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with one bundled word; returns its file."""
    file = tmp_path / "shapes" / DOME
    file.parent.mkdir(parents=True)
    file.write_bytes(b"vectors")
    told = {DOME: {"blake2b": content_hash(file), "recipe": "python -m weft.nodes.shapes.training.inversion"}}
    (tmp_path / bundled.MANIFEST).write_text(json.dumps(told))
    monkeypatch.setattr(bundled, "home", lambda: tmp_path)
    return file


def test_found_by_name(installed: Path) -> None:
    assert find("shapes-dome", EMBEDDING) == installed
    with pytest.raises(ModelError, match="a folder or file"):  # a path stays one
        find("./shapes-dome", EMBEDDING)


def test_an_altered_file_is_named_with_what_restores_it(installed: Path) -> None:
    installed.write_bytes(b"vectorz")
    with pytest.raises(ModelError) as caught:
        find("shapes-dome", EMBEDDING)
    for part in (
        str(installed),
        "altered",
        f"git checkout -- nodes/shapes/{DOME}",
        "weft.nodes.shapes.training.inversion",
    ):
        assert part in str(caught.value)


def test_a_missing_file_is_named_with_what_restores_it(installed: Path) -> None:
    installed.unlink()
    with pytest.raises(ModelError, match=f"is not there.*git checkout -- nodes/shapes/{DOME}"):
        find("shapes-dome", EMBEDDING)
    with pytest.raises(ModelError, match="variants/edges is not there"):
        load_controlnet("shapes-edges")


def test_a_variant_with_an_altered_part_of_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(
        bundled.home() / "shapes", tmp_path / "shapes", ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    monkeypatch.setattr(bundled, "home", lambda: tmp_path)
    file = tmp_path / bundled.MODEL / "scheduler" / "scheduler_config.json"
    file.write_text(file.read_text() + " ")
    for name in ("shapes", "shapes-edit"):
        with pytest.raises(ModelError, match=r"altered: .*scheduler_config\.json.*git checkout -- nodes/shapes/model"):
            load_model(name)


def test_a_near_name() -> None:
    with pytest.raises(ModelError, match=r"a bundled ControlNet \(shapes-edges\), .* Did you mean 'shapes-edges'"):
        load_controlnet("shapes-edge")
