"""Pictures with and without adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.nodes.techniques import learned
from tests.nodes.techniques.adapters import calm
from tests.tiny import tiny_sd1
from weft.nodes import cfg, compare_adapters, decode, denoise, encode_prompt, load_model
from weft.nodes.techniques.wired import applied


def test_rows_and_columns(tmp_path: Path) -> None:
    """Each picture is what the nodes make by themselves; the table says how far it is from the one without."""
    model = load_model(str(calm(tiny_sd1(tmp_path / "m"))), dtype="float32", device="cpu")
    lora, words = learned.lora_adapter(model, seed=1), learned.word_adapter(model, {"<x>": 1})
    prompts = ["a red circle", "a photo of <x>"]
    own = {"steps": 1, "width": 64, "height": 64}
    result = compare_adapters(model, [lora, words], prompts, [3, 4], ["LoRA", "word"], strength=0.5, scale=2.0, **own)
    assert len(result.images) == 12

    def alone(changed, prompt, seed):  # type: ignore[no-untyped-def]
        base = cfg(encode_prompt(changed, prompt), encode_prompt(changed, ""), scale=2.0)
        return decode(changed, denoise(changed, [base], seed=seed, **own).latents).pixels

    assert torch.equal(result.images[0].pixels, alone(model, prompts[0], 3))
    assert torch.equal(result.images[4].pixels, alone(applied(model, lora, 0.5), prompts[0], 4))
    assert torch.equal(result.images[8].pixels, alone(applied(model, words), prompts[1], 3))
    lines = [line.split("\t") for line in result.table.splitlines()]
    assert lines[0] == ["prompt", "seed", "LoRA", "word"]
    assert lines[1][:2] == ["a red circle", "3"]
    wanted = (result.images[1].pixels - result.images[0].pixels).abs().mean() * 255
    assert float(lines[1][2]) == pytest.approx(float(wanted), abs=0.01)
    assert float(lines[1][3]) == 0  # the word is not in this prompt
    assert float(lines[3][3]) > 0
    height, width = result.image.pixels.shape[1:3]
    assert width > 3 * 64
    assert height > 4 * 64


def test_refusals(tmp_path: Path) -> None:
    model = load_model(str(tiny_sd1(tmp_path / "m")), dtype="float32", device="cpu")
    with pytest.raises(ValueError, match="no prompts are given"):
        compare_adapters(model, [], [])
    with pytest.raises(ValueError, match="2 labels for 0 adapters"):
        compare_adapters(model, [], ["a"], labels=["x", "y"])
