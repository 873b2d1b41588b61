"""All changes to a model's weights together: stacked, stored, undone one by one, and never on the base."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.nodes.techniques.adapters import calm, checksum
from tests.tiny import tiny_sd1
from weft.engine import Cache, run
from weft.graphs import Graph
from weft.nodes import (
    apply_lora,
    cfg,
    denoise,
    edit_model,
    encode_prompt,
    load_custom_diffusion,
    load_dreambooth,
    load_model,
    load_textual_inversion,
    weighted_prompt,
)
from weft.nodes.models.residency import Residency, default_residency, set_default_residency
from weft.nodes.values import Model

ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn2"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and one file for each change."""
    root = tmp_path_factory.mktemp("patches")
    calm(tiny_sd1(root / "base"))
    calm(tiny_sd1(root / "trained", seed=5))
    torch.manual_seed(0)
    save_file({"<x>": torch.randn(2, 32)}, root / "x.safetensors")
    save_file({f"{ATTENTION}.processor.to_k_custom_diffusion.weight": torch.randn(32, 32)}, root / "cd.safetensors")
    for number in (1, 2):
        lora = {
            f"unet.{ATTENTION}.to_v.lora_A.weight": torch.randn(4, 32),
            f"unet.{ATTENTION}.to_v.lora_B.weight": torch.randn(32, 4),
            "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight": torch.randn(4, 32),
            "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_B.weight": torch.randn(64, 4) * 0.1,
        }
        save_file(lora, root / f"lora{number}.safetensors")
    return root


def stacked(files: Path, base: Any) -> Any:
    """Each kind of change on the one before; inside a graph, its nodes."""
    model = load_dreambooth(str(files / "trained" / "unet"), base)
    model = load_textual_inversion(model, [str(files / "x.safetensors")])
    model = apply_lora(model, str(files / "lora1.safetensors"))
    model = load_custom_diffusion(model, str(files / "cd.safetensors"))
    model = edit_model(model, "a <x>", "a red <x>")
    return apply_lora(model, str(files / "lora2.safetensors"), 0.5)


def picture(model: Model) -> Tensor:
    guidance = cfg(weighted_prompt(model, "a (<x>)1.2 circle"), encode_prompt(model, "a dog"), scale=4.0)
    return denoise(model, [guidance], steps=2, scheduler="ddim", seed=3).latents.samples


def test_undone_from_the_top_each_is_the_one_before(files: Path) -> None:
    base = load_model(str(files / "base"), dtype="float32", device="cpu")
    before = checksum(base)
    top = stacked(files, base)
    models = [dataclasses.replace(base, patches=top.patches[:count]) for count in range(len(top.patches) + 1)]
    sums = [checksum(model) for model in models]
    assert len(set(sums)) == len(sums) == 7
    picture(top)
    # Whether they are still in memory, or loaded and changed again.
    for fresh in (False, True):
        kept = set_default_residency(Residency(host_bytes=1 << 30)) if fresh else default_residency()
        try:
            assert [checksum(model) for model in reversed(models)] == sums[::-1]
        finally:
            set_default_residency(kept)
    assert checksum(base) == before == sums[0]


def test_in_a_graph_with_a_cache(files: Path, tmp_path: Path) -> None:
    """A changed model is stored as what was done to it, and gives the same picture in a new process' place."""

    def graph() -> Any:
        with Graph() as graph:
            model = stacked(files, load_model(str(files / "base"), dtype="float32", device="cpu"))
            prompt = weighted_prompt(model, "a (<x>)1.2 circle")
            latents = denoise(
                model, [cfg(prompt, encode_prompt(model, "a dog"), scale=4.0)], steps=2, scheduler="ddim", seed=3
            ).latents
        return graph, model, latents

    base = load_model(str(files / "base"), dtype="float32", device="cpu")
    before, expected = checksum(base), picture(stacked(files, base))
    results = []
    for _ in range(2):
        recorded, model, latents = graph()
        with_cache = Cache(tmp_path / "cache")
        result = run(recorded, targets=[latents, model], cache=with_cache, out=tmp_path / "out", roots=[files])
        results.append(result)
        assert torch.equal(result[latents].samples, expected)
    assert results[1].ran == 0
    again = results[1][model]
    assert [patch.key for patch in again.patches] == [patch.key for patch in stacked(files, base).patches]
    assert checksum(base) == before
