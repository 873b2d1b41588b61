"""What teaching the bundled model a new word needs: pictures of it, and vectors in place of embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from weft.nodes.shapes.concepts import concept_scene
from weft.nodes.shapes.training.finetune import Base, Example, Pool, v_loss
from weft.nodes.shapes.world import Unseen, render, sample_scene


def example(rng: np.random.Generator, shape: Unseen, word: str, known: float, pairs: float = 0.3) -> Example:
    """A scene of the concept, or in a share of `known` one of the world as it was, lest it be forgotten."""
    scene = sample_scene(rng) if rng.random() < known else concept_scene(rng, shape, word, pairs)
    return Example(render(scene), scene.caption)


class Word:
    """A new word in the text encoder: `vectors` (n, 96) that can learn, in place of rows of the embedding.

    text: how captions spell it: its n tokens one after the other.
    """

    def __init__(self, base: Base, token: str, start: list[str]) -> None:
        names = [token, *(f"{token}_{k}" for k in range(1, len(start)))]
        base.tokenizer.add_tokens(names)
        self.text, self.token = " ".join(names), token
        self.ids = base.tokenizer.convert_tokens_to_ids(names)
        table = base.text.get_input_embeddings()
        rows = [table.weight[base.tokenizer(word, add_special_tokens=False).input_ids[0]] for word in start]
        self.vectors = torch.nn.Parameter(torch.stack(rows).clone())
        grown = torch.zeros(len(base.tokenizer), table.weight.shape[1], device=base.device)
        grown[: len(table.weight)] = table.weight
        table.weight = torch.nn.Parameter(grown, requires_grad=False)
        table.register_forward_hook(self._place)

    def _place(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        for number, vector in zip(self.ids, self.vectors, strict=True):
            output = torch.where((inputs[0] == number)[..., None], vector, output)
        return output


def word_loss(base: Base, pool: Pool, batch: int) -> Callable[[np.random.Generator, float], torch.Tensor]:
    """The loss of a step while the text encoder learns a word: captions are encoded anew each time."""
    ids = base.ids(pool.captions)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, len(pool.captions), batch)
        states = base.text(ids[chosen]).last_hidden_state
        return v_loss(base, rng, progress, pool, chosen, lambda noisy, t: base.unet(noisy, t, states).sample)

    return loss
