"""save_image: nothing is overwritten, nothing is half-written, nothing leaves the output folder."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weft.engine import Context, Files
from weft.engine.filehash import content_hash
from weft.graphs.png import extract
from weft.nodes import load_image, save_image
from weft.nodes.images import saving
from weft.nodes.images.saving import SaveError, clean_name, name_problem, save_new
from weft.nodes.values import Image

TEXTS = {"weft_workflow": '{"weft": 1}', "weft_run": '{"seeds": [7]}'}


def picture(batch: int = 1, seed: int = 0) -> Image:
    return Image(torch.rand(batch, 6, 5, 3, generator=torch.Generator().manual_seed(seed)))


def save(image: Image, name: str, out: Path, texts: dict[str, str] = TEXTS) -> Files:
    return save_image(image, name, ctx=Context(out=out, provenance=lambda: texts))


def names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_pixels_are_rounded_and_clamped(tmp_path: Path) -> None:
    values = torch.tensor([-1.0, 0.0, 0.25, 0.5, 0.499 / 255, 0.501 / 255, 1.0, 2.0])
    files = save(Image(values[None, None, :, None].repeat(1, 1, 1, 3)), "levels", tmp_path)
    assert np.asarray(PIL.Image.open(files.paths[0]))[0, :, 0].tolist() == [0, 0, 64, 128, 0, 1, 255, 255]


def test_what_was_saved_loads_again(tmp_path: Path) -> None:
    image = picture()
    loaded = load_image(save(image, "a", tmp_path).paths[0])
    assert float((loaded.pixels - image.pixels).abs().max()) <= 0.5 / 255 + 1e-6


def test_the_file_carries_the_workflow(tmp_path: Path) -> None:
    files = save(picture(), "a", tmp_path)
    assert extract(files.paths[0]) == TEXTS
    assert files.paths == (str(tmp_path / "a.png"),)
    assert files.digests == (content_hash(files.paths[0]),)


def test_a_plain_call_writes_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert save_image(picture(), "a").paths == (str(tmp_path / "out" / "a.png"),)


def test_another_image_gets_another_name(tmp_path: Path) -> None:
    saved = [save(picture(seed=seed), "a", tmp_path).paths[0] for seed in range(3)]
    assert [Path(path).name for path in saved] == ["a.png", "a_2.png", "a_3.png"]
    before = {path: Path(path).read_bytes() for path in saved}
    save(picture(seed=9), "a", tmp_path)
    assert {path: Path(path).read_bytes() for path in saved} == before


def test_the_same_image_by_the_same_workflow_is_saved_once(tmp_path: Path) -> None:
    first = save(picture(), "a", tmp_path)
    save(picture(seed=1), "a", tmp_path)
    stamp = os.stat(first.paths[0]).st_mtime_ns
    assert save(picture(), "a", tmp_path) == first
    assert os.stat(first.paths[0]).st_mtime_ns == stamp
    assert names(tmp_path) == ["a.png", "a_2.png"]
    other = save(picture(), "a", tmp_path, {"weft_workflow": '{"weft": 1, "meta": {}}'})
    assert Path(other.paths[0]).name == "a_3.png"


def test_a_batch_gives_a_file_each_even_when_alike(tmp_path: Path) -> None:
    batch = Image(picture().pixels.repeat(3, 1, 1, 1))
    files = save(batch, "a", tmp_path)
    assert names(tmp_path) == ["a.png", "a_2.png", "a_3.png"]
    assert len(set(files.paths)) == 3
    assert save(batch, "a", tmp_path) == files


def test_a_missing_file_of_a_batch_is_written_again_in_its_place(tmp_path: Path) -> None:
    files = save(picture(3), "a", tmp_path)
    os.unlink(files.paths[1])
    assert save(picture(3), "a", tmp_path) == files
    assert names(tmp_path) == ["a.png", "a_2.png", "a_3.png"]


def test_a_changed_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"somebody's own")
    (tmp_path / "a_2.png").symlink_to(tmp_path / "nowhere.png")
    assert Path(save(picture(), "a", tmp_path).paths[0]).name == "a_3.png"
    assert (tmp_path / "a.png").read_bytes() == b"somebody's own"
    assert not (tmp_path / "nowhere.png").exists()


def test_names_may_hold_folders_and_the_suffix(tmp_path: Path) -> None:
    save(picture(), "night/owl.png", tmp_path)
    save(picture(seed=1), "night/owl", tmp_path)
    save(picture(), "v1.5", tmp_path)
    assert names(tmp_path) == ["night/owl.png", "night/owl_2.png", "v1.5.png"]


BAD_NAMES = [
    "",
    ".",
    "..",
    ".png",
    "../a",
    "a/../../b",
    "a/./b",
    "a//b",
    "a/",
    "/etc/a",
    "~/a",
    "~root/a",
    "C:\\a",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a:b",
    'a"b',
    "a|b",
    "a*",
    "a?",
    "<a>",
    " a",
    "a ",
    "a./b",
    "con",
    "NUL.txt",
    "x/aux.png",
    "a" * 201,
    "\ud800",
    "x/" * 300 + "a",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_bad_names_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    assert name_problem(name)
    with pytest.raises(ValueError, match="the name"):
        save(picture(), name, out)
    assert not out.exists()


@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", "/", "~", "\0", ".png", " "])).map("".join))
def test_an_accepted_name_stays_inside(name: str) -> None:
    if name_problem(name) is None:
        out = Path("/somewhere/out")
        assert Path(os.path.normpath(out / clean_name(name))).is_relative_to(out)
        assert os.path.normpath(out / clean_name(name)) != str(out)


def test_the_check_names_the_input() -> None:
    class View:
        id = "save"
        literals = {"name": "../up"}  # noqa: RUF012

    check = save_image.node_type.check
    assert check is not None
    (problem,) = check(View())
    assert (problem.code, problem.node, problem.input) == ("bad_value", "save", "name")


def test_a_link_among_the_folders_does_not_lead_outside(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "sub").symlink_to(elsewhere)
    with pytest.raises(SaveError, match="outside the output folder"):
        save(picture(), "sub/a", out)
    assert names(elsewhere) == []
    (tmp_path / "linked").symlink_to(out)  # the output folder itself may be a link
    save(picture(), "a", tmp_path / "linked")
    assert names(out) == ["a.png"]


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "sub").write_bytes(b"")
    with pytest.raises(SaveError, match="cannot save"):
        save(picture(), "sub/a", tmp_path)
    with pytest.raises(SaveError, match="cannot save"):
        save(picture(), "sub/deeper/a", tmp_path)


class FullDisk(io.FileIO):
    """A file that takes ten bytes and then finds the disk full."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write", "fsync", "link"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    save(picture(), "a", tmp_path)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode.replace("b", "")))
        else:
            patch.setattr(saving.os, where, full)
        with pytest.raises(SaveError, match=r"no room to save .*a\.png: it takes [\d,]+ bytes") as caught:
            save(picture(seed=1), "a", tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == ["a.png"]
    save(picture(seed=1), "a", tmp_path)  # the next run works
    assert names(tmp_path) == ["a.png", "a_2.png"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(picture(), "a", tmp_path)
    assert names(tmp_path) == []


def test_without_hard_links_nothing_is_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(saving.os, "link", no_links)
    saved = [save(picture(seed=seed), "a", tmp_path).paths[0] for seed in (0, 1, 0)]
    assert [Path(path).name for path in saved] == ["a.png", "a_2.png", "a.png"]
    assert names(tmp_path) == ["a.png", "a_2.png"]


@pytest.mark.parametrize("links", [True, False])
def test_many_at_once_never_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(saving.os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOTSUP, "no")))
    start = threading.Barrier(8)
    paths: dict[int, Path] = {}

    def work(worker: int) -> None:
        start.wait()
        paths[worker] = save_new(f"worker {worker}".encode(), tmp_path, "a")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths.values())) == 8
    assert {worker: path.read_text() for worker, path in paths.items()} == {w: f"worker {w}" for w in range(8)}
    assert len(names(tmp_path)) == 8


def test_pixels_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    image = picture(3)
    image.pixels[1, 2, 2, 0] = float("nan")
    with pytest.raises(ValueError, match="image 1 of the batch"):
        save(image, "a", tmp_path)
    assert names(tmp_path) == []


def test_it_is_an_output_with_side_files() -> None:
    declared = save_image.node_type
    assert declared.output
    assert declared.side_files
    assert list(declared.outputs) == ["path"]
    assert [name for name, port in declared.inputs.items() if port.required] == ["image", "name"]


def test_one_image_of_a_batch_alone(tmp_path: Path) -> None:
    files = save_image(picture(3), "a", only=2, ctx=Context(out=tmp_path))
    saved = np.asarray(PIL.Image.open(files.paths[0]))
    assert np.array_equal(saved, (picture(3).pixels[1] * 255).round().to(torch.uint8).numpy())
    assert names(tmp_path) == ["a.png"]
    with pytest.raises(ValueError, match="only is 4, but the batch has 3 images"):
        save_image(picture(3), "a", only=4, ctx=Context(out=tmp_path))


def test_a_picture_of_a_sweep_of_batches_makes_itself_again(tmp_path: Path) -> None:
    from weft import Workflow, run

    def linked(node: str) -> dict[str, str]:
        return {"link": node}

    inputs: dict[str, tuple[str, dict[str, Any]]] = {
        "model": ("load_model", {"source": "shapes"}),
        "prompt": ("encode_prompt", {"model": linked("model"), "text": "a red circle"}),
        "cfg": ("cfg", {"prompt": linked("prompt")}),
        "seeds": ("map_over", {"items": [3, 50]}),
        "denoise": (
            "denoise",
            {
                "model": linked("model"),
                "guidance": [linked("cfg")],
                "steps": 2,
                "seed": linked("seeds"),
                "batch": 2,
            },
        ),
        "image": ("decode", {"model": linked("model"), "latents": linked("denoise.latents")}),
        "save": ("save_image", {"image": linked("image"), "name": "a"}),
    }
    nodes = {id: {"type": kind, "inputs": values} for id, (kind, values) in inputs.items()}
    result = run({"weft": 1, "nodes": nodes}, out=tmp_path / "all")
    paths = [Path(path) for item in result.outputs if (path := item.path)]
    assert len(paths) == 4
    for place, path in enumerate(paths):
        seed = json.loads(extract(path)["weft_run"])["seeds"]["denoise.seed"]
        assert seed == (3, 4, 50, 51)[place]
        (again,) = run(Workflow.load(path), out=tmp_path / str(place)).outputs
        assert again.path is not None
        assert np.array_equal(np.asarray(PIL.Image.open(again.path)), np.asarray(PIL.Image.open(path)))
