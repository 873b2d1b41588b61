"""No attention probabilities where no rule looks at them: every tensor that a run makes is counted."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from weft.nodes import attend_and_excite, cfg, denoise, during, encode_prompt, pag, sag, sega
from weft.nodes.sampling.attention import processors_in, sites
from weft.nodes.values import Guidance, Model

Models = Callable[[str], Model]
NAME, SIDE, STEPS = "sd1_four", 256, 4
LATENT = SIDE // 8


class Allocations(TorchDispatchMode):
    """The shapes of all softmaxes, how many attentions were fused, the largest tensor, and the most bytes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.softmaxes: list[tuple[int, ...]] = []
        self.fused = self.largest = 0
        self.alive = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func)
        self.fused += "scaled_dot_product" in name
        for item in tree_iter(result):
            if isinstance(item, Tensor):
                if "softmax" in name and "backward" not in name:
                    self.softmaxes.append(tuple(item.shape))
                self.largest = max(self.largest, item.numel())
                self._note(item)
        return result

    def _note(self, item: Tensor) -> None:
        storage = item.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            size = storage.nbytes()
            self.alive += size
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.alive -= size


def measured(model: Model, *guidance: Guidance) -> Allocations:
    base = cfg(encode_prompt(model, "a red circle"), encode_prompt(model, "a dog"))
    parts = model.parts()
    with Allocations() as seen:
        denoise(model, [base, *guidance], steps=STEPS, scheduler="ddim", width=SIDE, height=SIDE)
    assert parts is not None
    return seen


def test_without_rules_there_are_no_probabilities(model: Models) -> None:
    """Neither with cfg alone, nor with rules that never act, nor with those that read no probabilities (PAG)."""
    made = model(NAME)
    parts = made.parts()
    every = len(sites(parts.unet, LATENT, LATENT))
    plain = measured(made)
    concept = sega(encode_prompt(made, "green"), warmup=0)
    never: Guidance = during(sag(), 0.5, 0.5)
    calls = {
        "plain": plain,
        "sega": measured(made, concept),
        "never": measured(made, never),
        "pag": measured(made, pag()),
    }
    for name, seen in calls.items():
        assert seen.softmaxes == [], name
        assert seen.largest < LATENT**4, f"{name}: a tensor as large as one head's map of all places"
        assert seen.fused == every * STEPS, name
    assert calls["never"].peak <= 1.01 * plain.peak


def test_a_rule_costs_where_and_when_it_looks(model: Models) -> None:
    """SAG: the unconditional row alone, at one site, in the steps of its window; elsewhere all stays fused."""
    made = model(NAME)
    parts = made.parts()
    every = len(sites(parts.unet, LATENT, LATENT))
    (middle,) = [
        site for site, _ in sites(parts.unet, LATENT, LATENT).values() if site.place == "mid" and site.kind == "self"
    ]
    queries = math.prod(middle.resolution)
    seen = measured(made, during(sag(), 0.0, 0.5))
    assert seen.softmaxes == [(1, middle.heads, queries, queries)] * (STEPS // 2)
    # The other row of that site is fused, and all of the second forward.
    assert seen.fused == every * STEPS + every * STEPS // 2


def test_gradients_hold_only_the_maps_asked_for(model: Models) -> None:
    """Attend-and-Excite: the conditional row's cross-attention at one resolution, in the steps that it alters."""
    made = model(NAME)
    parts = made.parts()
    chosen = [
        site
        for site, _ in sites(parts.unet, LATENT, LATENT).values()
        if site.kind == "cross" and site.resolution == (LATENT // 4, LATENT // 4)
    ]
    seen = measured(made, attend_and_excite(["circle"], max_iter=2, thresholds={}))
    words = encode_prompt(made, "a").text.shape[1]
    looked = [shape for shape in seen.softmaxes if len(shape) == 4]
    assert looked == [(1, site.heads, LATENT**2 // 16, words) for site in chosen] * 2


@pytest.mark.parametrize("rows", [2])
def test_processors_without_rules_take_no_memory(model: Models, rows: int) -> None:
    """One forward beside one with nothing put in place; and the measure would see a map of any size."""
    from diffusers.models.attention_processor import AttnProcessor

    made = model(NAME)
    unet = made.parts().unet
    sample = torch.randn(rows, 4, LATENT, LATENT)
    text = encode_prompt(made, "a red circle").text.expand(rows, -1, -1).contiguous()

    def forward() -> Allocations:
        with Allocations() as seen, torch.no_grad():
            unet(sample, 500, text)
        return seen

    before = forward()
    with processors_in(unet, LATENT, LATENT):
        ready = forward()
    kept = dict(unet.attn_processors)
    try:
        unet.set_attn_processor(AttnProcessor())
        explicit = forward()
    finally:
        unet.set_attn_processor(kept)
    assert ready.peak == before.peak
    assert explicit.peak > 2 * before.peak
