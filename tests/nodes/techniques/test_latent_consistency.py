"""Few-step models that take the guidance scale as an embedding: parity with diffusers' pipeline for them, and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded
from tests.nodes.techniques.inversion import picture
from tests.nodes.techniques.measure import counted, relative
from weft.nodes import cfg, denoise, encode_prompt, rectangle_mask, regions
from weft.nodes.sampling.run import Step
from weft.nodes.technique import Branch, Predictions
from weft.nodes.values import Guidance, Latents, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT = "a red circle"


def draw(model: Model, scale: float = 8.5, more: tuple[Guidance, ...] = (), **options: Any) -> Tensor:
    settings: Any = {"steps": 4, "width": 64, "height": 64, "seed": 7} | options
    return denoise(model, [cfg(encode_prompt(model, PROMPT), scale=scale), *more], **settings).latents.samples


@pytest.mark.parametrize(
    ("steps", "scale", "batch", "scheduler"),
    [(4, 8.5, 1, "default"), (1, 1.0, 1, "lcm"), (2, 3.0, 2, "default"), (8, 12.0, 1, "default")],
)
def test_parity(model: Models, pipe: Pipes, steps: int, scale: float, batch: int, scheduler: Any) -> None:
    oracle = pipe("lcm", "LatentConsistencyModelPipeline")
    theirs = oracle(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=scale,
        num_images_per_prompt=batch,
        height=64,
        width=64,
        generator=seeded(7, batch),
        output_type="latent",
    ).images
    ours = draw(model("lcm"), scale, steps=steps, batch=batch, scheduler=scheduler)
    assert relative(ours, theirs) <= 1e-4


@pytest.mark.parametrize(("steps", "strength", "batch"), [(4, 0.8, 1), (3, 0.3, 2)])
def test_parity_from_an_image(model: Models, pipe: Pipes, steps: int, strength: float, batch: int) -> None:
    """All steps are made, over the part of the way that is left: plain models make a part of the steps."""
    oracle = pipe("lcm", "LatentConsistencyModelImg2ImgPipeline")
    start = picture(batch, 8)
    theirs = oracle(
        [PROMPT] * batch,
        image=start,
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=8.5,
        generator=seeded(7, batch),
        output_type="latent",
    ).images
    options: Any = {"start": Latents(start), "strength": strength, "width": 0, "height": 0}
    made = model("lcm")
    parts = made.parts()
    with counted(parts.unet) as rows:
        ours = draw(made, steps=steps, **options)
    assert rows == [batch] * steps
    assert relative(ours, theirs) <= 1e-4
    assert torch.equal(draw(made, steps=steps, **options | {"strength": 0.0}), start)


def test_the_scale_acts_and_costs_no_row(model: Models) -> None:
    made = model("lcm")
    parts = made.parts()
    with counted(parts.unet) as rows:
        low, high = draw(made, 1.0), draw(made, 12.0)
    assert rows == [1] * 8
    assert relative(low, high) > 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Difference(Guidance):
    """A technique that reads the unconditional prediction."""

    needs: ClassVar[frozenset[str]] = frozenset({"cond", "uncond"})
    amount: float = 0.5

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        return prediction + self.amount * (predictions.role("cond") - predictions.role("uncond"))


def test_a_technique_that_needs_the_difference_has_its_own_row(model: Models) -> None:
    made = model("lcm")
    parts = made.parts()
    with counted(parts.unet) as rows:
        with_difference = draw(made, more=(Difference(),))
        without = draw(made, more=(Difference(amount=0.0),))
    assert rows == [2] * 8
    assert relative(with_difference, draw(made)) > 1e-3
    assert relative(without, draw(made)) <= 1e-3  # two rows round differently from one


def test_rows_of_other_prompts_have_the_base_s_scale(model: Models) -> None:
    made = model("lcm")
    seen: list[Branch] = []

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Look(Guidance):
        def second(self, step: Step, predictions: Predictions) -> Iterable[Branch]:
            seen.extend(predictions)
            return ()

    region = regions([encode_prompt(made, "a blue square")], [rectangle_mask(64, 64)])
    draw(made, 8.5, more=(region, Look()), steps=1)
    assert sorted((branch.role, branch.guidance_scale) for branch in seen) == [("cond", 8.5), ("region", 8.5)]


def test_more_steps_than_it_was_distilled_for(model: Models) -> None:
    with pytest.raises(ValueError, match=r"cannot be larger|smaller than"):
        draw(model("lcm"), steps=60)


def test_a_batch_equals_its_seeds(model: Models) -> None:
    made = model("lcm")
    both = draw(made, batch=2, steps=2)
    for number in range(2):
        alone = draw(made, seed=7 + number, steps=2)
        assert relative(both[number][None], alone) <= 2e-3
    assert not torch.equal(both[0], both[1])
