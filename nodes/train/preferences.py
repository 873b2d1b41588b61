"""Pairs of pictures of which one is preferred, made by a model and told by a reward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import model_of
from weft.nodes.values import Image, Model
from weft.nodes.values.rewards import Occasion, Reward
from weft.nodes.values.training import Dataset, Item, Picture

if TYPE_CHECKING:
    from torch import Tensor


@node("preferences", category="training", resource="device", tags=(model_of("model"),))
def preferences(
    model: Model,
    prompts: list[str],
    reward: Reward,
    pairs: Annotated[int, Range(1, 100_000, usual=(8, 1000))] = 64,
    candidates: Annotated[int, Range(2, 64, usual=(2, 8))] = 2,
    least: Annotated[float, Range(0.0, 1_000_000.0, usual=(0.0, 1.0))] = 0.0,
    sampling_steps: Annotated[int, Range(1, 1000, usual=(5, 50))] = 25,
    guidance: Annotated[float, Range(0.0, 100.0, usual=(1.0, 10.0))] = 5.0,
    eta: Annotated[float, Range(0.0, 1.0)] = 0.0,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    ctx: Context | None = None,
) -> Dataset:
    """Make pairs for `train_dpo`: of several pictures of a prompt, the one with the highest reward is preferred to the
    one with the lowest.

    With `reward_human` people decide. Pairs that are told to be equal are left out and named in what was skipped. What
    was drawn is kept in a folder that outlives the run: a run that was killed goes on, and more pairs draw only those
    that are new, also with another reward.

    Args:
        model: makes the pictures.
        prompts: what for, in turn.
        reward: from a reward node.
        pairs: how many to make; some may be left out.
        candidates: pictures for each pair.
        least: by how much the rewards of a pair have to differ.
        sampling_steps: of DDIM, for each picture.
        guidance: its scale.
        eta: how much noise each step of DDIM draws.
        seed: of the pictures.
    """
    from weft.nodes.datasets.candidates import Candidates, Drawing
    from weft.nodes.training.errors import TrainingError
    from weft.nodes.training.rewards.rating import rated

    ctx = ctx or Context()
    if not prompts:
        raise TrainingError("there is no prompt to make pictures for")
    asked = reward.within(ctx)
    with model.parts():
        drawn = Candidates(model, Drawing(candidates, sampling_steps, guidance, eta), ctx)
        items: list[Item] = []
        skipped: list[str] = []
        for pair in range(pairs):
            prompt, first = prompts[pair % len(prompts)], (seed + pair * candidates) % 2**63
            pixels = drawn.pictures(prompt, first)
            numbers = tuple(range(pair * candidates, (pair + 1) * candidates))
            scores = rated(asked, pixels, [prompt] * candidates, Occasion(seed, numbers, ctx.check_cancelled))
            best, worst = int(scores.argmax()), int(scores.argmin())
            gap = float(scores[best] - scores[worst])
            if gap <= 0 or gap < least:
                skipped.append(f"pair {pair + 1} of {prompt!r}: its rewards differ by {gap:g}")
            else:
                chosen, other = (_picture(pixels[place], f"{prompt} ({first + place})") for place in (best, worst))
                items.append(Item(chosen, caption=prompt, condition=other))
            ctx.progress(pair + 1, pairs, "make pairs")
    if not items:
        raise TrainingError(f"no two pictures of a prompt have different rewards, in {pairs} pairs: {skipped[0]}")
    return Dataset(tuple(items), tuple(skipped))


def _picture(pixels: Tensor, name: str) -> Picture:
    from weft.nodes.images.encoding import encode
    from weft.nodes.training.pictures import digest_of

    data = encode(Image(pixels[None]).pil(0), "png")
    return Picture(name, digest_of(data), data=data)
