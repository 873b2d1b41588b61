"""Upscalers: equal to the papers' nets in every layout, the same in tiles, and refused where they are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from safetensors.torch import save_file

from tests.nodes.images.pictures import encoded, random_rgb
from tests.tiny_upscalers import (
    State,
    compact_forward,
    compact_state,
    first_names,
    old_names,
    rrdb_forward,
    rrdb_state,
    written,
)
from weft.engine import Cache, Cancelled, Context, check, run
from weft.graphs import Graph, Workflow
from weft.nodes import list_models, load_image, load_upscaler, save_image, upscale
from weft.nodes.images.headers import ImageFileError
from weft.nodes.models.errors import ModelError
from weft.nodes.models.residency import Residency, set_default_residency
from weft.nodes.nets import upscale_nets
from weft.nodes.nets.upscale_nets import spans
from weft.nodes.values import Image


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def residency() -> Iterator[Residency]:
    fresh = Residency(host_bytes=1 << 30)
    before = set_default_residency(fresh)
    yield fresh
    set_default_residency(before)


def picture(height: int = 20, width: int = 28, batch: int = 1) -> Image:
    return Image(torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(5)))


def by_hand(forward: Callable[[State, torch.Tensor], torch.Tensor], state: State, image: Image) -> torch.Tensor:
    rows = [forward(state, frame.permute(2, 0, 1)[None])[0].permute(1, 2, 0) for frame in image.pixels]
    return torch.stack(rows).clamp(0, 1)


def near(got: torch.Tensor, expected: torch.Tensor) -> None:
    assert got.shape == expected.shape
    assert got.dtype == torch.float32
    assert expected.std() > 0.05  # neither grey nor clipped to one value
    assert float(((expected > 0) & (expected < 1)).float().mean()) > 0.05
    assert torch.allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("names", [dict, first_names, old_names], ids=["basicsr", "first", "old"])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_an_rrdb_net_is_that_of_the_papers(scale: int, names: Callable[[State], State], tmp_path: Path) -> None:
    state = rrdb_state(scale)
    upscaler = load_upscaler(str(written(names(state), tmp_path / "net.safetensors")))
    image = picture(batch=2)
    assert upscaler.scale == scale
    near(upscale(image, upscaler).pixels, by_hand(rrdb_forward, state, image))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_compact_net_is_that_of_its_paper(scale: int, tmp_path: Path) -> None:
    state = compact_state(scale)
    upscaler = load_upscaler(str(written(state, tmp_path / "net.safetensors", "params.")))
    assert upscaler.scale == scale
    near(upscale(picture(), upscaler).pixels, by_hand(compact_forward, state, picture()))


@pytest.mark.parametrize(("ups", "scale"), [(0, 1), (1, 2)])
def test_old_nets_of_scale_1_and_2_double_less_often(ups: int, scale: int, tmp_path: Path) -> None:
    """Before folding, a scale of 2 was one doubling; `conv_up2` is not there, and later numbers are smaller."""
    state = {name: item for name, item in rrdb_state(4).items() if not name.startswith(f"conv_up{ups + 1}")}
    state = {name: item for name, item in state.items() if not name.startswith("conv_up2")}
    upscaler = load_upscaler(str(written(old_names(state), tmp_path / "net.safetensors")))
    assert upscaler.scale == scale
    near(upscale(picture(), upscaler).pixels, by_hand(rrdb_forward, state, picture()))


def test_averaged_weights_come_first(tmp_path: Path) -> None:
    averaged, plain = compact_state(2, seed=1), compact_state(2, seed=2)
    both = {f"params_ema.{name}": item for name, item in averaged.items()}
    both |= {f"params.{name}": item for name, item in plain.items()}
    upscaler = load_upscaler(str(written(both, tmp_path / "net.safetensors")))
    near(upscale(picture(), upscaler).pixels, by_hand(compact_forward, averaged, picture()))


# Tiles


@pytest.mark.parametrize(("height", "width"), [(61, 83), (40, 150)])
def test_tiles_equal_the_whole_where_they_see_enough(height: int, width: int, tmp_path: Path) -> None:
    """Four convolutions of 3 x 3 see 4 pixels far: with one less there is a difference, so the test could fail."""
    upscaler = load_upscaler(str(written(compact_state(4), tmp_path / "net.safetensors")))
    image = picture(height, width)
    whole = upscale(image, upscaler, tile=256).pixels
    assert torch.allclose(upscale(image, upscaler, tile=24, overlap=4).pixels, whole, atol=1e-5)
    assert (upscale(image, upscaler, tile=24, overlap=3).pixels - whole).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(97, 130), (98, 101)])
def test_tiles_of_folded_images_begin_where_folds_do(scale: int, height: int, width: int, tmp_path: Path) -> None:
    """Sides are no multiples of the fold: they are padded as a whole, and not tile by tile."""
    state = rrdb_state(scale, blocks=1)
    upscaler = load_upscaler(str(written(state, tmp_path / "net.safetensors")))
    image = picture(height, width)
    whole = upscale(image, upscaler, tile=256).pixels
    # A block sees 15 folded pixels far, and four convolutions less than four more, of 4 pixels each at most.
    far = 19 * (4 if scale == 1 else 2)
    assert torch.allclose(upscale(image, upscaler, tile=2 * far + 15, overlap=far).pixels, whole, atol=1e-5)
    assert whole.shape == (1, height * scale, width * scale, 3)


def test_sides_that_do_not_fold_are_mirrored(tmp_path: Path) -> None:
    state = rrdb_state(2)
    upscaler = load_upscaler(str(written(state, tmp_path / "net.safetensors")))
    image = picture(7, 9)
    rows = torch.cat([image.pixels, image.pixels[:, -2:-1]], 1)
    mirrored = Image(torch.cat([rows, rows[:, :, -2:-1]], 2))
    near(upscale(image, upscaler).pixels, by_hand(rrdb_forward, state, mirrored)[:, :14, :18])
    assert upscale(picture(1, 1), upscaler).pixels.shape == (1, 2, 2, 3)


@pytest.mark.parametrize("multiple", [1, 2, 4])
@pytest.mark.parametrize("length", [4, 60, 64, 68, 100, 1000])
def test_spans_cover_a_side_once(length: int, multiple: int) -> None:
    parts = spans(length, 64, 10, multiple)
    assert [place for start, end, _, _ in parts for place in range(start, end)] == list(range(length))
    for start, end, before, after in parts:
        assert 0 <= before <= start < end <= after <= length
        assert after - before <= 64
        assert start % multiple == before % multiple == 0
        assert before in (0, start) or start - before >= 10


def test_the_net_never_sees_more_than_a_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = load_upscaler(str(written(compact_state(2), tmp_path / "net.safetensors")))
    seen: list[tuple[int, ...]] = []
    real = upscale_nets.CompactNet.forward

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return real(self, x)

    monkeypatch.setattr(upscale_nets.CompactNet, "forward", forward)
    upscale(picture(100, 70, batch=2), upscaler, tile=32, overlap=6)
    assert len(seen) == 2 * 5 * 4
    assert max(max(shape[2:]) for shape in seen) == 32
    assert {shape[0] for shape in seen} == {1}


def test_it_tells_how_far_it_is_and_can_be_cancelled(tmp_path: Path, residency: Residency) -> None:
    upscaler = load_upscaler(str(written(compact_state(2), tmp_path / "net.safetensors")))
    steps: list[tuple[int, int]] = []

    class Watch(Context):
        def progress(self, done: int, total: int) -> None:
            steps.append((done, total))

        def check_cancelled(self) -> None:
            if len(steps) == 3:
                raise Cancelled

    with pytest.raises(Cancelled):
        upscale(picture(70, 70), upscaler, tile=32, overlap=6, ctx=Watch())
    assert steps == [(1, 16), (2, 16), (3, 16)]
    assert residency.used_bytes("cpu") == sum(4 * item.numel() for item in compact_state(2).values())
    residency.clear()
    assert residency.used_bytes("cpu") == 0  # the run gave its lease back


# Number formats


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_near(dtype: Any, tmp_path: Path) -> None:
    path = str(written(compact_state(2), tmp_path / "net.safetensors"))
    exact = upscale(picture(), load_upscaler(path)).pixels
    half = upscale(picture(), load_upscaler(path, dtype=dtype)).pixels
    assert half.dtype == torch.float32
    assert 1e-5 < (half - exact).abs().max() < 0.05


def test_half_weights_are_read(tmp_path: Path) -> None:
    state = {name: item.half() for name, item in compact_state(2).items()}
    upscaler = load_upscaler(str(written(state, tmp_path / "net.safetensors")))
    exact = {name: item.float() for name, item in state.items()}
    near(upscale(picture(), upscaler).pixels, by_hand(compact_forward, exact, picture()))


def test_an_overflow_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    state = {name: item * 3e3 for name, item in compact_state(2).items()}
    upscaler = load_upscaler(str(written(state, tmp_path / "net.safetensors")), dtype="float16")
    with pytest.raises(ArithmeticError, match="NaN or infinity in float16: set dtype of load_upscaler to float32"):
        upscale(picture(), upscaler)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("make", [lambda: rrdb_state(4), lambda: compact_state(4)], ids=["rrdb", "compact"])
def test_an_accelerator_gives_what_the_cpu_gives(make: Callable[[], State], tmp_path: Path) -> None:
    path = str(written(make(), tmp_path / "net.safetensors"))
    exact = upscale(picture(), load_upscaler(path, device="cpu")).pixels
    assert load_upscaler(path).device_choice == "auto"
    half = upscale(picture(), load_upscaler(path)).pixels
    assert 1e-5 < (half - exact).abs().max() < 0.05


# Refused


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_upscaler(str(path))
    for part in parts:
        assert part in str(caught.value)


def test_pickles_are_refused_with_how_to_convert_them(tmp_path: Path) -> None:
    parts = ("pickles, which can run any code", "weights_only=True", "safetensors.torch.save_file", "params_ema")
    (tmp_path / "RealESRGAN_x4plus.pth").write_bytes(b"\x80\x04.")
    refused(tmp_path / "RealESRGAN_x4plus.pth", *parts)
    refused(tmp_path, "holds RealESRGAN_x4plus.pth and no safetensors file", *parts)


def without(state: State, *names: str) -> State:
    return {name: item for name, item in state.items() if name not in names}


@pytest.mark.parametrize(
    ("state", "part"),
    [
        ({"a.weight": torch.zeros(3)}, "neither conv_first.weight nor"),
        (without(rrdb_state(4), "body.1.rdb2.conv3.bias"), "1 of 72 tensors are missing, first body.1.rdb2.conv3.bias"),
        (rrdb_state(4) | {"layers.0.weight": torch.zeros(2)}, "1 are not of this net, first layers.0.weight"),
        (rrdb_state(4) | {"conv_hr.bias": torch.zeros(9)}, "conv_hr.bias is [9] where [8] is right"),
        (rrdb_state(4) | {"conv_last.weight": torch.zeros(1, 8, 3, 3)}, "makes images of 1 channels from 3"),
        (rrdb_state(4) | {"conv_first.weight": torch.zeros(8, 27, 3, 3)}, "makes images of 3 channels from 27"),
        (rrdb_state(4) | {"conv_first.weight": torch.zeros(2000, 3, 3, 3)}, "it has 2,000 channels"),
        (rrdb_state(4) | {"conv_first.weight": torch.zeros(0, 3, 3, 3)}, "it has 0 channels"),
        (rrdb_state(4) | {f"conv_up{n}.weight": torch.zeros(1) for n in (3, 4, 5, 6)}, "it doubles 6 times"),
        (rrdb_state(4) | {f"body.{n}.rdb1.x": torch.zeros(1) for n in range(200)}, "it has 200 blocks"),
        ({"conv_first.weight": torch.zeros(8, 3, 3, 3)}, "it has no residual dense blocks"),
        (without(rrdb_state(4), "conv_last.weight"), "the weight of conv_last is missing"),
        (
            old_names(rrdb_state(4)) | {"model.4.weight": torch.zeros(1)},
            "after its blocks come convolutions model.{3, 4",
        ),
        (old_names(rrdb_state(4)) | {"model.1.sub.0.RDB1.conv1x1.weight": torch.zeros(1)}, "conv1x1"),
        (without(compact_state(4), "body.3.weight"), "first body.3.weight"),
        (compact_state(4) | {"body.6.weight": torch.zeros(47, 8, 3, 3)}, "makes 47 channels from 3"),
        (compact_state(4) | {"body.0.weight": torch.zeros(8, 1, 3, 3)}, "from 1"),
        (compact_state(4) | {"body.9999.weight": torch.zeros(48, 8, 3, 3)}, "it has 4,999 blocks"),
        ({name: item.double() for name, item in compact_state(4).items()}, "as F64; F32, F16 and BF16 are read"),
    ],
)
def test_what_is_something_else_is_refused_by_its_header(state: State, part: str, tmp_path: Path) -> None:
    refused(written(state, tmp_path / "net.safetensors"), part)


def test_a_file_that_was_exchanged_is_not_used(tmp_path: Path) -> None:
    path = written(compact_state(2), tmp_path / "net.safetensors")
    upscaler = load_upscaler(str(path))
    written(compact_state(2, seed=1), path)
    with pytest.raises(ModelError, match="changed since it was loaded"):
        upscale(picture(), upscaler)


def test_too_large_a_result_is_refused_before_anything_is_loaded(tmp_path: Path, residency: Residency) -> None:
    upscaler = load_upscaler(str(written(compact_state(8), tmp_path / "net.safetensors")))
    with pytest.raises(ImageFileError, match=r"the upscaled image would have 16,000 x 8,000"):
        upscale(Image(torch.zeros(1).expand(1, 1000, 2000, 3)), upscaler)
    assert not residency.resident()


# In a workflow


def workflow(picture: Path, source: Path, **settings: Any) -> Workflow:
    with Graph() as graph:
        save_image(upscale(load_image(str(picture)), load_upscaler(str(source)), **settings), "larger")
    return graph.workflow()


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.png"
    path.write_bytes(encoded(PIL.Image.fromarray(random_rgb(6, 8)), "PNG"))
    return path


def test_a_workflow_upscales_and_another_net_upscales_anew(start: Path, tmp_path: Path) -> None:
    path, cache = written(compact_state(2), tmp_path / "net.safetensors"), Cache()
    first = run(workflow(start, path), cache=cache, out=tmp_path)
    assert first.ran == 4
    with PIL.Image.open(tmp_path / "larger.png") as made:
        assert made.size == (16, 12)
    assert run(workflow(start, path), ["upscale"], cache=cache, out=tmp_path).ran == 0
    written(compact_state(3), path)
    again = run(workflow(start, path), ["upscale"], cache=cache, out=tmp_path)
    assert again.ran == 2
    assert again["upscale"].pixels.shape == (1, 18, 24, 3)


def test_check_says_what_the_run_would(start: Path, tmp_path: Path) -> None:
    path = written(compact_state(2), tmp_path / "net.safetensors")

    def errors(flow: Workflow) -> list[tuple[str | None, str]]:
        return [(problem.input, problem.message) for problem in check(flow) if problem.severity == "error"]

    assert errors(workflow(start, path)) == []
    ((given, message),) = errors(workflow(start, path, tile=64, overlap=32))
    assert given == "tile"
    assert "no room between overlaps of 32" in message
    ((given, message),) = errors(workflow(start, tmp_path / "net.pth"))
    assert given == "source"
    assert "weights_only=True" in message


def test_models_are_listed_as_upscalers(tmp_path: Path) -> None:
    written(rrdb_state(4), tmp_path / "new.safetensors", "params_ema.")
    written(old_names(rrdb_state(2)), tmp_path / "old.safetensors")
    written(first_names(rrdb_state(4)), tmp_path / "first.safetensors")
    written(compact_state(4), tmp_path / "compact.safetensors")
    save_file(
        {"conv_first.weight": torch.zeros(8, 3, 3, 3), "layers.0.w": torch.zeros(1)}, tmp_path / "swin.safetensors"
    )
    told = {entry.name: (entry.kind, entry.fault) for entry in list_models([tmp_path]) if not entry.bundled}
    assert "residual dense blocks" in told.pop("swin")[1]
    assert told == dict.fromkeys(("new", "old", "first", "compact"), ("upscaler", ""))
