"""save_image: formats, quality, metadata of each format, and names with places in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from weft.engine import Context, Files, RunFailed, check, node, run
from weft.graphs import Graph, Workflow
from weft.graphs.exif import extract as extract_exif
from weft.graphs.png import extract
from weft.nodes import load_image, map_over, save_image
from weft.nodes.images.naming import Name, escaped
from weft.nodes.images.saving import name_problem
from weft.nodes.values import Image

SEEDS = {"denoise.seed": 7}


def picture(batch: int = 1, seed: int = 0) -> Image:
    return Image(torch.rand(batch, 16, 16, 3, generator=torch.Generator().manual_seed(seed)))


def save(image: Image, name: str, out: Path, seeds: dict[str, int] = SEEDS, **inputs: Any) -> Files:
    texts = {"weft_workflow": "{}", "weft_run": json.dumps({"seeds": seeds})}
    return save_image(image, name, ctx=Context(out=out, provenance=lambda: texts), **inputs)


def names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "format", "file", "kind"),
    [
        ("a", "auto", "a.png", "PNG"),
        ("a.png", "auto", "a.png", "PNG"),
        ("a.JPG", "auto", "a.jpg", "JPEG"),
        ("a.jpeg", "auto", "a.jpeg", "JPEG"),
        ("v1.5", "auto", "v1.5.png", "PNG"),
        ("a.webp", "auto", "a.webp", "WEBP"),
        ("a", "jpeg", "a.jpg", "JPEG"),
        ("a.jpeg", "jpeg", "a.jpeg", "JPEG"),
        ("a.jpg", "png", "a.jpg.png", "PNG"),
        ("a.png.png", "auto", "a.png.png", "PNG"),
        ("a.png", "webp", "a.png.webp", "WEBP"),
    ],
)
def test_the_name_or_the_format_says_what_is_written(
    tmp_path: Path, name: str, format: str, file: str, kind: str
) -> None:
    files = save(picture(), name, tmp_path, format=format)
    assert names(tmp_path) == [file]
    with PIL.Image.open(files.paths[0]) as saved:
        assert saved.format == kind
        assert saved.size == (16, 16)


def test_quality_is_heeded(tmp_path: Path) -> None:
    for format in ("jpeg", "webp"):
        low, high = (
            Path(save(picture(), f"{format}{quality}", tmp_path, format=format, quality=quality).paths[0])
            for quality in (5, 95)
        )
        assert low.stat().st_size < high.stat().st_size
    exact = save(picture(), "exact.webp", tmp_path, quality=100).paths[0]
    with PIL.Image.open(exact) as saved:
        wanted = (picture().pixels[0].numpy() * np.float32(255)).round()
        assert np.array_equal(np.asarray(saved), wanted)


def test_metadata_is_left_out_if_asked(tmp_path: Path) -> None:
    assert extract(save(picture(), "with", tmp_path).paths[0]).keys() == {"weft_workflow", "weft_run"}
    plain = save(picture(), "without", tmp_path, metadata=False).paths[0]
    assert extract(plain) == {}
    with PIL.Image.open(plain) as saved:
        assert saved.info == {}
    for suffix in ("jpg", "webp"):
        assert b"weft" not in Path(save(picture(), f"a.{suffix}", tmp_path, metadata=False).paths[0]).read_bytes()


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_jpeg_and_webp_files_carry_the_workflow(tmp_path: Path, suffix: str) -> None:
    """The same workflow as a PNG file has, and it runs again; the pixels are those of a file without it."""
    with Graph() as graph:
        save_image(drawn(seed=41), f"a.{suffix}", quality=100)
        save_image(drawn(seed=41), f"plain.{suffix}", quality=100, metadata=False)
    run(graph, out=tmp_path, cache=None)
    path, plain = tmp_path / f"a.{suffix}", tmp_path / f"plain.{suffix}"
    with PIL.Image.open(path) as saved, PIL.Image.open(plain) as bare:
        assert np.array_equal(np.asarray(saved), np.asarray(bare))
        assert "exif" not in bare.info
    assert extract_exif(plain) == {}
    texts = extract_exif(path)
    assert json.loads(texts["weft_run"])["seeds"] == {"drawn.seed": 41, "drawn_2.seed": 41}
    assert Workflow.load(path) == Workflow.parse(texts["weft_workflow"])
    run(Workflow.load(path).with_declarations(graph.workflow().declarations), out=tmp_path / "again", cache=None)
    assert extract_exif(tmp_path / "again" / path.name)["weft_workflow"] == texts["weft_workflow"]
    assert torch.equal(load_image(path).pixels, load_image(plain).pixels)


@pytest.mark.parametrize(
    ("sizes", "kept", "said"),
    [
        ((100, 100), {"weft_workflow", "weft_run"}, ""),
        ((100, 70_000), {"weft_workflow"}, "what it ran with is left out of the JPEG file"),
        ((70_000, 100), set(), "the workflow is left out of the JPEG file, which has room for 65,533 bytes"),
    ],
)
def test_what_is_too_large_for_a_jpeg_file_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sizes: tuple[int, int], kept: set[str], said: str
) -> None:
    texts = {"weft_workflow": "w" * sizes[0], "weft_run": json.dumps({"text": "r" * sizes[1]})}
    for suffix in ("jpg", "webp"):
        ctx = Context(out=tmp_path, provenance=lambda: texts)
        path = save_image(picture(), f"a.{suffix}", ctx=ctx).paths[0]
        assert extract_exif(path) == {name: texts[name] for name in (kept if suffix == "jpg" else texts)}
    assert (said in caplog.text) if said else not caplog.text
    assert caplog.text.count("left out") == (1 if said else 0)


def test_jpeg_files_of_older_documents_stay_without_metadata() -> None:
    migration = save_image.node_type.migrations[2]
    for inputs in ({"name": "a.jpg"}, {"name": "a", "format": "webp"}, {"name": "a.webp", "metadata": True}):
        assert migration(inputs) == {**inputs, "metadata": False}
    for inputs in ({"name": "a"}, {"name": "a.jpg", "format": "png"}, {"name": "a.png", "metadata": False}, {}):
        assert migration(inputs) == inputs


def test_files_of_every_format_are_never_overwritten(tmp_path: Path) -> None:
    for suffix in ("jpg", "webp"):
        first, second, again = (save(picture(seed=seed), f"a.{suffix}", tmp_path) for seed in (0, 1, 0))
        assert [Path(files.paths[0]).name for files in (first, second)] == [f"a.{suffix}", f"a_2.{suffix}"]
        assert again == first


def test_a_seed_in_the_name(tmp_path: Path) -> None:
    save(picture(), "cat_{seed}", tmp_path)
    save(picture(seed=1), "cat_{seed}", tmp_path)
    save(picture(), "{denoise.seed}/{seed}_{{x}}.jpg", tmp_path)
    assert names(tmp_path) == ["7/7_{x}.jpg", "cat_7.png", "cat_7_2.png"]


def test_a_counter_in_the_name(tmp_path: Path) -> None:
    (tmp_path / "cat_0002.png").write_bytes(b"somebody's own")
    files = save(picture(3), "cat_{counter}", tmp_path)
    assert [Path(path).name for path in files.paths] == ["cat_0001.png", "cat_0003.png", "cat_0004.png"]
    assert (tmp_path / "cat_0002.png").read_bytes() == b"somebody's own"
    assert save(picture(3), "cat_{counter}", tmp_path) == files
    assert Path(save(picture(seed=5), "cat_{counter}", tmp_path).paths[0]).name == "cat_0005.png"


def test_seeds_that_are_not_known_or_not_one(tmp_path: Path) -> None:
    two = {"denoise.seed": 7, "noise.seed": 8}
    with pytest.raises(ValueError, match=r"several seeds: choose one of \{denoise\.seed\}, \{noise\.seed\}"):
        save(picture(), "{seed}", tmp_path, two)
    with pytest.raises(ValueError, match=r"no node and input denois\.seed .* did you mean \{denoise\.seed\}"):
        save(picture(), "{denois.seed}", tmp_path, two)
    with pytest.raises(ValueError, match="no seed is known"):
        save_image(picture(), "{seed}", ctx=Context(out=tmp_path))
    assert names(tmp_path) == []
    save(picture(), "{seed}", tmp_path, {"denoise.seed": 7, "noise.seed": 7})
    assert names(tmp_path) == ["7.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{sed}", r"the place {sed}: did you mean {seed}\?"),
        ("{}", "the place {}"),
        ("{seed:04}", "the place {seed:04}"),
        ("{seed!r}", "the place {seed!r}"),
        ("a{", "a single {"),
        ("a}b", "a single }"),
        ("{counter}/a", "counts folders"),
        ("{seed}/../a", "no name within"),
        ("x" * 195 + "{seed}", "bytes; the limit is 200"),
        (".jpg", "has an empty part"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        save(picture(), name, tmp_path)
    assert not names(tmp_path)

    class View:
        id = "save"
        literals = {"name": name, "format": "auto"}  # noqa: RUF012

    declared = save_image.node_type.check
    assert declared is not None
    (problem,) = declared(View())  # type: ignore[arg-type]
    assert (problem.code, problem.node, problem.input) == ("bad_value", "save", "name")


@pytest.mark.parametrize("name", ["a", "a.png", "a{seed}", "{", "}}{x}", "a.jpg", "a.webp.png", "{counter}"])
def test_names_of_older_documents_mean_what_they_meant(tmp_path: Path, name: str) -> None:
    migration = save_image.node_type.migrations[1]
    inputs = dict(migration({"name": name, "only": 0}))
    assert name_problem(name) is None
    save(picture(), inputs["name"], tmp_path, format=inputs["format"])
    assert names(tmp_path) == [(name[:-4] if name.endswith(".png") else name) + ".png"]
    assert migration({"name": [name, 3]})["name"] == [escaped(name), 3]


@node("drawn")
def drawn(seed: int = 0) -> Image:
    return picture(seed=seed)


def test_seeds_are_those_of_the_run_and_of_each_item_of_a_sweep(tmp_path: Path) -> None:
    with Graph() as graph:
        one: Any = save_image(drawn(seed=41), "of_{seed}")
        many: Any = save_image(drawn(map_over([1, 2])), "{drawn_2.seed}/{counter}.jpg")
    run(graph, [one], out=tmp_path / "one", cache=None)
    assert names(tmp_path / "one") == ["of_41.png"]
    run(graph, [many], out=tmp_path / "many", cache=None)
    assert names(tmp_path / "many") == ["1/0001.jpg", "2/0001.jpg"]
    with Graph() as graph:
        save_image(drawn(seed=41), "of_{seed}")
        save_image(drawn(seed=42), "second")
    with pytest.raises(RunFailed, match=r"choose one of \{drawn\.seed\}, \{drawn_2\.seed\}"):
        run(graph, out=tmp_path / "both", cache=None)


def test_a_name_that_is_wrong_is_said_before_anything_runs() -> None:
    with Graph() as graph:
        save_image(drawn(), "{sed}")
    (problem,) = check(graph)
    assert problem.input == "name"
    assert "did you mean {seed}" in problem.message


def test_the_parts_of_a_name() -> None:
    assert Name.of("a{counter}.JPEG") == Name("a{counter}", ".jpeg", "jpeg")
    assert Name.of("a").with_seeds({})(3) == "a_3"
    assert Name.of("a{counter}").with_seeds({})(12345) == "a12345"
