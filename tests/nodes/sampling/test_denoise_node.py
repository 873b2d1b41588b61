"""The denoise node: seeds, sizes, what it refuses and how, progress, previews, cancelling, the trajectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import pytest
import torch
from PIL import Image as Picture

from tests.nodes.sampling.oracle import difference
from weft.engine import Cancelled, CancelToken, Catalogue, Context, check, node
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_model
from weft.nodes.sampling.loop import NotFiniteError
from weft.nodes.values import Guidance, Latents, Mask, Model

Models = Callable[[str], Model]


@pytest.fixture
def sd1(model: Models) -> Model:
    return model("sd1")


@pytest.fixture
def guidance(sd1: Model) -> Guidance:
    return cfg(encode_prompt(sd1, "a red circle"), encode_prompt(sd1, "blue"), scale=3.0)


class Listener:
    """Keeps what a node reports."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.previews: list[tuple[bytes, str, int, int]] = []
        self.at_step: Callable[[int], None] = lambda step: None

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        if kind == "progress":
            self.steps.append((data["step"], data["total"]))
            self.at_step(data["step"])
        elif kind == "preview":
            self.previews.append((body, data["mime"], data["width"], data["height"]))


@pytest.mark.parametrize("scheduler", ["ddim", "euler_ancestral", "dpmpp_sde", "lcm"])
def test_image_k_equals_its_own_seed(sd1: Model, guidance: Guidance, scheduler: Any) -> None:
    options: Any = {"scheduler": scheduler, "steps": 2, "eta": 0.7, "width": 64, "height": 64}
    batch = denoise(sd1, [guidance], seed=20, batch=3, **options)
    assert batch.trajectory.seeds == (20, 21, 22)
    for number in range(3):
        alone = denoise(sd1, [guidance], seed=20 + number, **options)
        # The noise is the same; the last bits of the denoiser's products depend on the number of rows.
        assert torch.equal(batch.trajectory.latents[0][number], alone.trajectory.latents[0][0])
        scale = float(alone.latents.samples.abs().max())
        assert difference(batch.latents.samples[number], alone.latents.samples[0]) <= 2e-3 * scale


def test_the_highest_seed(sd1: Model, guidance: Guidance) -> None:
    result = denoise(sd1, [guidance], seed=2**63 - 1, batch=2, steps=1, width=64, height=64)
    assert bool(torch.isfinite(result.latents.samples).all())


def test_trajectory(sd1: Model, guidance: Guidance) -> None:
    result = denoise(sd1, [guidance], scheduler="euler", steps=4, width=64, height=64)
    path = result.trajectory
    assert (path.scheduler, len(path.timesteps), len(path.sigmas), len(path.latents)) == ("euler", 4, 5, 5)
    assert path.timesteps == tuple(sorted(path.timesteps, reverse=True))
    assert path.sigmas[0] > path.sigmas[1] > 0 == path.sigmas[-1]
    assert torch.equal(path.latents[-1], result.latents.samples)
    assert denoise(sd1, [guidance], steps=2, width=64, height=64).trajectory.scheduler == "PNDMScheduler"


def test_one_guidance_without_a_list(sd1: Model, guidance: Guidance) -> None:
    options: Any = {"steps": 1, "width": 64, "height": 64}
    alone = denoise(sd1, guidance, **options)  # type: ignore[arg-type]
    assert torch.equal(alone.latents.samples, denoise(sd1, [guidance], **options).latents.samples)


def test_the_start_gives_size_and_count(sd1: Model, guidance: Guidance) -> None:
    start = Latents(torch.randn(2, 4, 6, 10))
    assert denoise(sd1, [guidance], start=start, steps=2).latents.samples.shape == (2, 4, 6, 10)
    assert denoise(sd1, [guidance], start=start, steps=2, batch=4).latents.samples.shape == (4, 4, 6, 10)
    with pytest.raises(ValueError, match="a batch of 3 cannot be made from 2 start images"):
        denoise(sd1, [guidance], start=start, steps=2, batch=3)
    with pytest.raises(ValueError, match="image of 80 x 48, but 64 x any is asked for"):
        denoise(sd1, [guidance], start=start, steps=2, width=64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 100}, "width 100 has to be a multiple of 8: 96 or 104"),
        ({"height": 3}, "height 3 has to be a multiple of 8: 8"),
        ({"width": 8192, "height": 8192, "batch": 2}, "134,217,728 pixels in one batch are too many"),
        ({"mask": Mask(torch.ones(1, 64, 64)), "width": 64, "height": 64}, "link `start`"),
        ({"mask": Mask(torch.ones(1, 40, 64)), "width": 64, "height": 64}, "the mask is 64 x 40 and the image 64 x 64"),
        ({"masked": Latents(torch.zeros(1, 4, 8, 8))}, "for inpainting models with 9 channels; this one has 4"),
        ({"start": Latents(torch.zeros(1, 3, 8, 8))}, "`start` has 3 channels and this model's latents 4"),
    ],
)
def test_refused(sd1: Model, guidance: Guidance, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        denoise(sd1, [guidance], steps=2, **options)


def test_inpainting_model_says_what_is_missing(model: Models) -> None:
    nine = model("sd1_inpaint")
    plain = cfg(encode_prompt(nine, "a red circle"))
    with pytest.raises(ValueError, match=r"takes 9 channels and is given 4: .* link `mask` and `masked`"):
        denoise(nine, [plain], steps=1, width=64, height=64)
    with pytest.raises(ValueError, match="needs `masked`: link it to `encode_masked_image`"):
        denoise(nine, [plain], steps=1, width=64, height=64, mask=Mask(torch.ones(1, 64, 64)))


def test_prompt_of_another_model(model: Models, sd1: Model) -> None:
    with pytest.raises(ValueError, match="encoded by another model"):
        denoise(sd1, [cfg(encode_prompt(model("sdxl"), "a"))], steps=1, width=64, height=64)
    with pytest.raises(ValueError, match="encoded by another model"):
        denoise(model("sdxl"), [cfg(encode_prompt(sd1, "a"))], steps=1, width=64, height=64)


@pytest.mark.parametrize(("bad_call", "steps"), [(1, 3), (3, 3), (10, 12)])
def test_not_finite_names_the_step(
    sd1: Model, guidance: Guidance, monkeypatch: pytest.MonkeyPatch, bad_call: int, steps: int
) -> None:
    parts = sd1.parts()
    real, count = parts.unet.forward, []

    def broken(*args: Any, **options: Any) -> Any:
        count.append(1)
        (output,) = real(*args, **options)
        return (output / 0 if len(count) == bad_call else output,)

    monkeypatch.setattr(parts.unet, "forward", broken)
    with pytest.raises(NotFiniteError, match=f"not finite .* after step {bad_call}$"):
        denoise(sd1, [guidance], steps=steps, scheduler="ddim", width=64, height=64)
    assert len(count) <= 16


def test_cancel_is_seen_in_the_next_step(sd1: Model, guidance: Guidance) -> None:
    token, listener = CancelToken(), Listener()
    listener.at_step = lambda step: token.cancel() if step == 2 else None
    with pytest.raises(Cancelled):
        denoise(
            sd1,
            [guidance],
            steps=50,
            scheduler="ddim",
            width=64,
            height=64,
            ctx=Context("d", cancel=token, listener=listener),
        )
    assert listener.steps == [(1, 50), (2, 50)]


def test_previews_show_the_result_when_it_is_near(sd1: Model, guidance: Guidance) -> None:
    from weft.nodes import decode

    listener = Listener()
    context = Context("d", listener=listener, preview_interval=0.0)
    result = denoise(sd1, [guidance], steps=3, scheduler="ddim", ctx=context)
    assert len(listener.previews) == 3
    data, mime, width, height = listener.previews[-1]
    picture = Picture.open(BytesIO(data))
    assert (picture.size, picture.get_format_mimetype()) == ((width, height), mime)
    # The last step's clean latents are nearly the result.
    import numpy

    shown = torch.from_numpy(numpy.array(picture)).float() / 255
    assert (shown - decode(sd1, result.latents).pixels[0]).abs().mean() < 0.02


def test_no_preview_is_made_when_nobody_listens(
    sd1: Model, guidance: Guidance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.nodes.sampling.preview.Previewer", None)
    denoise(sd1, [guidance], steps=2, width=64, height=64)


def problems(build: Callable[[Any, Any], None], folder: str) -> list[tuple[str, str | None, str]]:
    with Graph() as graph:
        model = load_model(folder)
        prompt = encode_prompt(model, "a")
        build(model, prompt)
    found = check(graph.workflow())
    return [(problem.code, problem.input, problem.message) for problem in found if problem.node == "denoise"]


def test_two_bases_are_a_conflict_that_names_both(folder: Callable[[str], Any]) -> None:
    def build(model: Any, prompt: Any) -> None:
        denoise(model, [cfg(prompt), cfg(prompt, scale=2.0)])

    ((code, port, message),) = problems(build, str(folder("sd1")))
    assert (code, port) == ("conflict", "guidance")
    assert "cfg (cfg) and cfg_2 (cfg)" in message


def test_guidance_that_only_adds_is_a_missing_base(folder: Callable[[str], Any]) -> None:
    @node("extra", category="guidance")
    def extra(amount: float = 1.0) -> Guidance:
        """Adds to a base."""
        raise AssertionError("never run")

    @node("wrapped", category="guidance", tags=("guidance:wraps",))
    def wrapped(amount: float = 1.0) -> Guidance:
        """May hand on a base."""
        raise AssertionError("never run")

    catalogue = Catalogue.load()
    catalogue.add(extra)
    catalogue.add(wrapped)
    for added, expected in ((extra, [("missing_input", "guidance")]), (wrapped, [])):
        with Graph() as graph:
            denoise(load_model(str(folder("sd1"))), [added()])
        found = check(graph.workflow(), catalogue, targets=["denoise"])
        assert [(problem.code, problem.input) for problem in found] == expected


def test_sizes_are_checked_before_running(folder: Callable[[str], Any]) -> None:
    def build(model: Any, prompt: Any) -> None:
        denoise(model, [cfg(prompt)], width=100, height=64)

    assert ("bad_value", "width", "width 100 has to be a multiple of 8: 96 or 104") in problems(
        build, str(folder("sd1"))
    )


def test_a_good_graph_has_no_problems(folder: Callable[[str], Any]) -> None:
    assert problems(lambda model, prompt: denoise(model, [cfg(prompt)], width=64), str(folder("sd1"))) == []  # type: ignore[arg-type, func-returns-value]


def test_through_the_engine_and_its_disk_cache(folder: Callable[[str], Any], tmp_path: Any) -> None:
    """A second run from the disk gives the same bits and runs nothing; guidance and trajectory survive storing."""
    from weft.engine import Cache, run
    from weft.nodes import decode

    def graph() -> tuple[Any, Any, Any]:
        with Graph() as g:
            model = load_model(str(folder("sd1")), dtype="float32", device="cpu")
            guidance = cfg(encode_prompt(model, "a red circle"), scale=3.0)
            done = denoise(model, [guidance], steps=2, width=64, height=64)
            return g, done, decode(model, done.latents)

    first_graph, done, image = graph()
    first = run(first_graph, targets=[image, done], cache=Cache(tmp_path))
    assert first.ran == 5
    again_graph, done_again, image_again = graph()
    second = run(again_graph, targets=[image_again, done_again.trajectory], cache=Cache(tmp_path))
    assert second.ran == 0
    assert torch.equal(first[image].pixels, second[image_again].pixels)
    assert torch.equal(first[done.trajectory].latents[1], second[done_again.trajectory].latents[1])
