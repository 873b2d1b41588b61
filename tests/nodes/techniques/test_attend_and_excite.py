"""Attend-and-Excite: parity with diffusers and with the formula where diffusers is wrong, cost, batches, words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import counted, relative
from tests.tiny_nets import tiny_controlnet
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import (
    attend_and_excite,
    cfg,
    controlnet,
    denoise,
    during,
    encode_prompt,
    load_controlnet,
    load_model,
    multidiffusion,
)
from weft.nodes.nets.files import describe_controlnet
from weft.nodes.nets.live import load_net
from weft.nodes.prompts.words import token_spans
from weft.nodes.sampling.run import Step
from weft.nodes.technique import Residuals
from weft.nodes.technique.layout import Rows
from weft.nodes.techniques.attend_and_excite import subject_losses
from weft.nodes.values import Conditioning, Control, Image, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT = "a red circle and a blue square"
CIRCLE, SQUARE = 3, 7
NAME = "sd1_four_calm"


def ours(model: Model, subjects: Sequence[str] = ("circle", "square"), **options: Any) -> Tensor:
    """Four steps of 256 x 256: 32 latent pixels a side, maps of 8."""
    names = ("max_iter", "thresholds", "scale", "refinements", "resolution")
    own = {name: options.pop(name) for name in names if name in options}
    guidance = cfg(encode_prompt(model, PROMPT), scale=options.pop("guidance", 5.0))
    settings: Any = {"steps": 4, "scheduler": "ddim", "height": 256, "width": 256, "seed": 7} | options
    more = settings.pop("more", [])
    # The functions themselves: scales beyond the node's range show differences better.
    technique = attend_and_excite.node_type.fn(list(subjects), **own)
    samples: Tensor = denoise.node_type.fn(model, [guidance, technique, *more], **settings).latents.samples
    return samples


def theirs(pipe: Pipes, scheduler: str = "ddim", *, batch: int = 1, steps: int = 4, **options: Any) -> Tensor:
    oracle = pipe(NAME, "StableDiffusionAttendAndExcitePipeline")
    set_scheduler(oracle, scheduler)
    settings: Any = {"guidance_scale": 5.0, "token_indices": [CIRCLE, SQUARE], "height": 256, "width": 256} | options
    settings.setdefault("attn_res", None)  # a quarter of the latents' side; 16 is its default for any size
    return oracle(
        PROMPT,
        num_inference_steps=steps,
        num_images_per_prompt=batch,
        generator=seeded(7, batch),
        output_type="latent",
        **settings,
    ).images


@pytest.mark.parametrize(
    ("scheduler", "max_iter", "thresholds", "scale", "guidance", "resolution", "side"),
    [
        ("ddim", 25, {0: 0.05, 10: 0.5, 20: 0.8}, 20, 7.5, 0, 256),  # diffusers' defaults
        ("pndm", 2, {1: 0.3}, 400, 5.0, 8, 128),
        ("ddim", 0, {0: 0.2, 2: 0.0}, 60, 1.0, 0, 128),
    ],
)
def test_parity(
    model: Models,
    pipe: Pipes,
    scheduler: str,
    max_iter: int,
    thresholds: dict[int, float],
    scale: int,
    guidance: float,
    resolution: int,
    side: int,
) -> None:
    made = model(NAME)
    parts = made.parts()
    with counted(parts.unet) as rows:
        expected = theirs(
            pipe,
            scheduler,
            max_iter_to_alter=max_iter,
            thresholds=thresholds,
            scale_factor=scale,
            guidance_scale=guidance,
            attn_res=(resolution, resolution) if resolution else None,
            height=side,
            width=side,
        )
    their_rows = list(rows)
    with counted(parts.unet) as rows:
        found = ours(
            made,
            scheduler=scheduler,
            max_iter=max_iter,
            thresholds={str(step): share for step, share in thresholds.items()},
            scale=scale,
            guidance=guidance,
            resolution=resolution,
            height=side,
            width=side,
        )
    assert relative(found, expected) <= 1e-4
    plain = ours(made, scheduler=scheduler, scale=0, guidance=guidance, height=side, width=side)
    assert relative(plain, expected) > 1e-3
    assert len(rows) <= len(their_rows)
    assert sum(rows) <= sum(their_rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class Push(Control):
    """Residuals for every row, as a ControlNet gives them."""

    amount: float = 0.5

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        count = rows.sample.shape[0]
        return Residuals((torch.zeros(count, 1, 1, 1),) * 8, torch.full((count, 32, 4, 4), self.amount))


@contextmanager
def corrected(oracle: Any, *, scaled: bool = False, push: float | None = None) -> Any:
    """The oracle's denoiser given what diffusers forgets: scaled latents in gradient forwards, and residuals."""
    real = oracle.unet.forward

    def forward(sample: Tensor, timestep: Any, **options: Any) -> Any:
        if scaled and torch.is_grad_enabled():
            sample = oracle.scheduler.scale_model_input(sample, timestep)
        if push is not None:
            options["mid_block_additional_residual"] = torch.full((sample.shape[0], 32, 4, 4), push)
            options["down_block_additional_residuals"] = (torch.zeros(()),) * 8
        return real(sample, timestep, **options)

    oracle.unet.forward = forward
    try:
        yield
    finally:
        del oracle.unet.forward


def test_scaled_latents_and_residuals(model: Models, pipe: Pipes) -> None:
    """Under Euler diffusers gives its gradient forwards unscaled latents; here the oracle is corrected."""
    oracle = pipe(NAME, "StableDiffusionAttendAndExcitePipeline")
    options: dict[str, Any] = {"max_iter": 2, "scale": 4000, "scheduler": "euler"}
    with corrected(oracle, scaled=True):
        expected = theirs(pipe, "euler", max_iter_to_alter=2, thresholds={}, scale_factor=4000)
    found = ours(model(NAME), thresholds={}, **options)
    assert relative(found, expected) <= 1e-4
    wrong = theirs(pipe, "euler", max_iter_to_alter=2, thresholds={}, scale_factor=4000)
    assert relative(found, wrong) > 1e-3
    with corrected(oracle, scaled=True, push=0.5):
        expected = theirs(pipe, "euler", max_iter_to_alter=2, thresholds={}, scale_factor=4000)
    found = denoise.node_type.fn(
        model(NAME),
        [
            cfg(encode_prompt(model(NAME), PROMPT), scale=5.0),
            attend_and_excite.node_type.fn(["circle", "square"], max_iter=2, scale=4000, thresholds={}),
        ],
        [Push()],
        steps=4,
        scheduler="euler",
        seed=7,
        width=256,
        height=256,
    ).latents.samples
    assert relative(found, expected) <= 1e-4
    assert relative(found, wrong) > 1e-2


@pytest.mark.parametrize(
    ("scheduler", "thresholds", "strength"), [("ddim", {2: 0.0}, 0.7), ("pndm", {0: 0.01, 1: 0.0}, 1.2)]
)
def test_with_a_controlnet(
    model: Models,
    pipe: Pipes,
    folder: Callable[[str], Path],
    tmp_path: Path,
    scheduler: str,
    thresholds: dict[int, float],
    strength: float,
) -> None:
    """The gradient forwards have its residuals: as diffusers' pipeline over a denoiser that brings them along."""
    made = model(NAME)
    net = load_controlnet(str(tiny_controlnet(tmp_path / "net", folder(NAME))))
    hint = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(3))
    control = controlnet(net, Image(hint), scale=strength)
    held = load_net(net.source, net.location, net.fingerprint, describe_controlnet, torch.device("cpu"), torch.float32)
    oracle = pipe(NAME, "StableDiffusionAttendAndExcitePipeline")
    real = oracle.unet.forward

    def forward(sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **options: Any) -> Any:
        picture = hint.permute(0, 3, 1, 2).expand(sample.shape[0], -1, -1, -1)
        down, mid = held.item(sample, timestep, encoder_hidden_states, picture, strength, return_dict=False)
        extra = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        return real(sample, timestep, encoder_hidden_states, **extra, **options)

    oracle.unet.forward = forward
    sizes: dict[str, Any] = {"height": 128, "width": 128}
    try:
        expected = theirs(pipe, scheduler, max_iter_to_alter=2, thresholds=thresholds, scale_factor=200, **sizes)
    finally:
        del oracle.unet.forward
    own = {str(step): share for step, share in thresholds.items()}
    options: dict[str, Any] = {"max_iter": 2, "thresholds": own, "controls": [control], "scheduler": scheduler, **sizes}
    assert relative(ours(made, scale=200, **options), expected) <= 1e-4
    assert relative(ours(made, scale=0, **options), expected) > 1e-3


def test_batch_equals_single_seeds(model: Models) -> None:
    """Each image has its own loss: one that is there stops refining, and the others go on without it."""
    made = model(NAME)
    parts = made.parts()
    options: dict[str, Any] = {"thresholds": {"0": 0.0108}, "max_iter": 1, "scale": 100, "refinements": 6, "steps": 2}
    with counted(parts.unet) as rows:
        together = ours(made, batch=3, **options)
    with counted(parts.unet) as single_rows:
        alone = torch.cat([ours(made, seed=7 + number, **options) for number in range(3)])
    assert relative(together, alone) <= 1e-4
    assert sum(rows) == sum(single_rows)
    assert len(set(rows)) > 2, "some image should have stopped before the others"


def test_cost_of_ten_steps(model: Models) -> None:
    """One refinement that is missed and six altered steps: the gradient forward is not run after that."""
    made = model(NAME)
    parts = made.parts()
    with counted(parts.unet) as rows:
        ours(made, steps=10, max_iter=6, thresholds={"0": 0.9, "8": 0.0}, width=128, height=128)
    # 1 + 19 + 1 at the first step, 5 more alterations, one look at the threshold of step 8, 10 guided forwards.
    assert rows == [1] * 21 + [2] + [1, 2] * 5 + [2, 2] + [1, 2] + [2]
    assert (len(rows), sum(rows)) == (37, 47)


def test_off_is_off(model: Models) -> None:
    made = model(NAME)
    plain = denoise(
        made, [cfg(encode_prompt(made, PROMPT), scale=5.0)], steps=4, scheduler="ddim", seed=7, width=256, height=256
    ).latents.samples
    parts = made.parts()
    with counted(parts.unet) as rows:
        assert torch.equal(ours(made, scale=0), plain)
        assert torch.equal(ours(made, max_iter=0, thresholds={}), plain)
        assert torch.equal(ours(made, max_iter=0, refinements=0), plain)
    assert rows == [2] * 12


@pytest.mark.parametrize("scheduler", ["euler_ancestral", "dpmpp_2m"])
def test_under_other_schedulers_and_with_views(model: Models, scheduler: str) -> None:
    """Views have their own maps; one view of everything is no view."""
    made = model(NAME)
    options: dict[str, Any] = {"thresholds": {}, "scale": 100, "scheduler": scheduler, "steps": 3}
    plain = ours(made, **options)
    assert bool(torch.isfinite(plain).all())
    whole = ours(made, more=[multidiffusion(view_width=256, view_height=256)], **options)
    assert relative(whole, plain) <= 1e-4
    wide = ours(made, more=[multidiffusion(stride=64)], **options, width=320)
    without = ours(made, more=[multidiffusion(stride=64)], **(options | {"scale": 0}), width=320)
    assert bool(torch.isfinite(wide).all())
    assert relative(wide, without) > 1e-4


def test_loss_of_maps_that_are_not_square() -> None:
    """diffusers takes columns for rows there; here against sums written out."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 3, 24, 9, generator=generator) / 20 for _ in range(2)]
    found = subject_losses(maps, (4, 6), [2, 5])
    for image in range(2):
        mean = torch.stack([part[image, head] for part in maps for head in range(3)]).mean(0)
        shares = torch.softmax(100 * mean[:, 1:8], dim=1).reshape(4, 6, 7)
        lowest = 1.0
        for token in (2, 5):
            plane = shares[:, :, token - 1]
            highest = 0.0
            for row in range(4):
                for column in range(6):
                    total, weight = 0.0, 0.0
                    for down in (-1, 0, 1):
                        for right in (-1, 0, 1):
                            share = 2.718281828459045 ** -(down**2 + right**2)
                            at = (abs(row + down), abs(column + right))
                            at = (at[0] if at[0] < 4 else 6 - at[0], at[1] if at[1] < 6 else 10 - at[1])
                            total += share * float(plane[at])
                            weight += share
                    highest = max(highest, total / weight)
            lowest = min(lowest, highest)
        assert float(found[image]) == pytest.approx(1 - lowest, abs=1e-5)


def test_words_become_tokens(model: Models) -> None:
    made = model(NAME)
    prompt = encode_prompt(made, "A red circle, and a zebra beside a red-ish square")
    words = {word: (start, end) for word, start, end in prompt.spans}
    assert token_spans(prompt, "circle") == [words["circle"]]
    assert token_spans(prompt, "Red Circle") == [(words["circle"][0] - 1, words["circle"][1])]
    assert len(token_spans(prompt, "red")) == 2
    assert token_spans(prompt, "red-ish") == [(words["ish"][0] - 2, words["ish"][1])]
    start, end = words["zebra"]
    assert token_spans(prompt, "zebra") == [(start, end)]
    assert end - start > 1, "the tiny vocabulary has to split this word"
    with pytest.raises(ValueError, match=r"'cirle' is not in the prompt, whose words are: a, red, circle, .*'circle'"):
        token_spans(prompt, "cirle")
    with pytest.raises(ValueError, match="has no words"):
        token_spans(Conditioning(prompt.text), "circle")


def test_a_word_of_several_tokens(model: Models, pipe: Pipes) -> None:
    """Each of its tokens counts, as when all are given to diffusers."""
    made = model(NAME)
    prompt = "a zebra and a blue square"
    parts = made.parts()
    (start, end), *_ = token_spans(encode_prompt(made, prompt), "zebra")
    oracle = pipe(NAME, "StableDiffusionAttendAndExcitePipeline")
    set_scheduler(oracle, "ddim")
    expected = oracle(
        prompt,
        token_indices=list(range(start, end)),
        num_inference_steps=2,
        guidance_scale=5.0,
        thresholds={},
        scale_factor=200,
        attn_res=None,
        height=256,
        width=256,
        generator=seeded(7, 1),
        output_type="latent",
    ).images
    technique = attend_and_excite(["zebra"], thresholds={}, scale=200)
    guidance = [cfg(encode_prompt(made, prompt), scale=5.0), technique]
    found = denoise(made, guidance, steps=2, scheduler="ddim", seed=7, width=256, height=256)
    assert parts is not None
    assert relative(found.latents.samples, expected) <= 1e-4


def problems(wrapped: bool = False, **inputs: Any) -> list[str]:
    with Graph() as graph:
        made = load_model("shapes")
        guidance = [cfg(encode_prompt(made, PROMPT)), attend_and_excite(**inputs)]
        denoise(made, [during(item, 0.0, 0.5) for item in guidance] if wrapped else guidance)
    found = [problem for problem in check(graph) if problem.node == "attend_and_excite"]
    return [f"{problem.code} {problem.input}: {problem.message}" for problem in found]


def test_what_check_finds() -> None:
    assert problems(subjects=["circle", "Blue square"]) == []
    (found,) = problems(subjects=["circle", "dog"])
    assert "bad_value subjects: 'dog' is not in the prompt, whose words are: a, red, circle, and, blue, square" in found
    assert problems(wrapped=True, subjects=["circle", "dog"]) == [found]
    (found,) = problems(subjects=["quare"])
    assert "did you mean 'square'" in found
    assert "at least one word" in problems(subjects=[])[0]
    assert "share from 0 to 1" in problems(subjects=["circle"], thresholds={"0": 1.5})[0]
    assert "a number from 0 on" in problems(subjects=["circle"], thresholds={"first": 0.5})[0]


def test_bad_input(model: Models) -> None:
    made = model(NAME)
    with pytest.raises(ValueError, match="'dog' is not in the prompt"):
        ours(made, ["dog"])
    with pytest.raises(ValueError, match="no cross-attention map has 7 rows here, there are: 32, 16, 8, 4"):
        ours(made, resolution=7)
    with pytest.raises(ValueError, match="at least one word"):
        attend_and_excite([])
    with pytest.raises(ValueError, match="a number from 0 on"):
        attend_and_excite(["circle"], thresholds={"-1": 0.5})


def test_split_forwards_and_other_families(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is split for memory has the maps of all its pieces."""
    made = model(NAME)
    options: dict[str, Any] = {"thresholds": {"0": 0.0108}, "max_iter": 1, "scale": 100, "refinements": 4, "steps": 2}
    whole = ours(made, batch=3, **options)
    monkeypatch.setattr("weft.nodes.sampling.forward.BUDGET", 1)
    parts = made.parts()
    with counted(parts.unet) as rows:
        split = ours(made, batch=3, **options)
    assert max(rows) == 2
    assert relative(split, whole) <= 1e-4
    monkeypatch.undo()
    big = model("sdxl")
    small: dict[str, Any] = {"steps": 2, "thresholds": {}, "width": 128, "height": 128, "seed": 7, "scheduler": "ddim"}
    moved = ours(big, scale=100, **small)
    assert bool(torch.isfinite(moved).all())
    assert relative(moved, ours(big, scale=0, **small)) > 1e-4
