"""A reward asked for some pictures: its answer is checked, and what goes wrong names the picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weft.engine import Cancelled
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.rewards import Occasion, Reward


def rated(reward: Reward, images: Tensor, prompts: Sequence[str], occasion: Occasion) -> Tensor:
    """The reward of each picture: (n,) float64 on the CPU.

    images: (n, H, W, 3) in [0, 1].

    Raises:
        TrainingError: the reward raised, or gave something else than a finite number for each; names the picture.
        Cancelled: the run was cancelled while the reward waited.
    """
    try:
        scores = reward.rate(images, prompts, occasion)
    except (Cancelled, TrainingError):
        raise
    except Exception as error:
        place, own = _culprit(reward, images, prompts, occasion, error)
        raise TrainingError(
            f"the reward {name_of(reward)} failed for {picture(place, prompts, occasion)}: {type(own).__name__}: {own}"
        ) from own
    return checked(reward, scores, prompts, occasion).detach().to("cpu", torch.float64)


def checked(reward: Reward, scores: object, prompts: Sequence[str], occasion: Occasion) -> Tensor:
    """The answer of a reward, where it is a finite number for each picture. Raises TrainingError otherwise."""
    if not isinstance(scores, Tensor):
        scores = torch.as_tensor(scores)
    if scores.shape != (len(prompts),):
        raise TrainingError(
            f"the reward {name_of(reward)} gave numbers of the shape {list(scores.shape)} for {len(prompts)} pictures: "
            f"it has to give one for each, [{len(prompts)}]"
        )
    wrong = torch.nonzero(~torch.isfinite(scores.detach().float()))
    if len(wrong):
        place = int(wrong[0, 0])
        raise TrainingError(
            f"the reward {name_of(reward)} is {float(scores[place].detach())} for "
            f"{picture(place, prompts, occasion)}: a reward has to be a finite number"
        )
    return scores


def picture(place: int, prompts: Sequence[str], occasion: Occasion) -> str:
    """How a message names a picture, by its place in the batch; a negative one is the whole batch."""
    if place < 0:
        return f"the pictures {list(occasion.numbers)} (seed {occasion.seed})"
    number = occasion.numbers[place] if occasion.numbers else place
    return f"the picture number {number} (prompt {prompts[place]!r}, seed {occasion.seed})"


def name_of(reward: Reward) -> str:
    """What a message calls a reward."""
    return type(reward).__name__


def _culprit(
    reward: Reward, images: Tensor, prompts: Sequence[str], occasion: Occasion, error: Exception
) -> tuple[int, Exception]:
    """The first picture of a batch for which a reward raises, and what; -1 where each alone is fine."""
    for place in range(len(prompts)):
        one = Occasion(occasion.seed, occasion.numbers[place : place + 1], occasion.check)
        try:
            reward.rate(images[place : place + 1], prompts[place : place + 1], one)
        except (Cancelled, TrainingError):
            raise
        except Exception as own:
            return place, own
    return -1, error
