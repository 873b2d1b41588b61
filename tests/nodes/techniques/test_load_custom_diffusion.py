"""Custom Diffusion as a weight patch, beside diffusers' processors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.adapters import calm, checksum, relative
from tests.tiny import tiny_sd1
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_custom_diffusion, load_model
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Model

Models = Callable[[str], Model]
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("custom")
    return cache(lambda name: calm(tiny_sd1(root / name)))


@pytest.fixture(scope="module")
def models_of(folder: Folder) -> Models:
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


def processors(unet: Any, outer: bool) -> dict[str, Any]:
    """Random processors for every cross-attention, as diffusers' training script makes them."""
    from diffusers.models.attention_processor import CustomDiffusionAttnProcessor

    torch.manual_seed(3)
    made = dict(unet.attn_processors)
    for name in made:
        if ".attn2." in name:
            width = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
            made[name] = CustomDiffusionAttnProcessor(
                train_q_out=outer, hidden_size=width, cross_attention_dim=unet.config.cross_attention_dim
            )
    return made


def saved(made: dict[str, Any], path: Path) -> Path:
    """As ``save_attn_procs`` writes them."""
    state = {
        f"{name}.{key}": tensor.contiguous()
        for name, processor in made.items()
        if ".attn2." in name
        for key, tensor in processor.state_dict().items()
    }
    save_file(state, path)
    return path


def ours(model: Model, prompt: str, scheduler: Any, batch: int = 1) -> Tensor:
    base = cfg(encode_prompt(model, prompt), scale=5.0)
    return denoise(model, [base], steps=3, scheduler=scheduler, seed=7, batch=batch).latents.samples


@pytest.mark.parametrize(("outer", "scheduler"), [(False, "ddim"), (True, "ddim"), (False, "euler")])
def test_equal_to_diffusers(models_of: Models, folder: Folder, tmp_path: Path, outer: bool, scheduler: str) -> None:
    """Keys, values and a modifier token, and with queries and outputs too.

    diffusers' ``load_attn_procs`` does nothing for these files without a private argument: the oracle sets the
    processors itself.
    """
    model = models_of("sd1")
    pipe = oracle.pipeline("StableDiffusionPipeline", folder("sd1"))
    made = processors(pipe.unet, outer)
    file = saved(made, tmp_path / "pytorch_custom_diffusion_weights.safetensors")
    token = torch.randn(32, generator=torch.Generator().manual_seed(1))
    save_file({"<new1>": token}, tmp_path / "<new1>.safetensors")
    before, plain = checksum(model), ours(model, "a red circle", scheduler)
    changed = load_custom_diffusion(model, str(file), [str(tmp_path / "<new1>.safetensors")])
    pipe.unet.set_attn_processor(made)
    pipe.load_textual_inversion(str(tmp_path / "<new1>.safetensors"))
    oracle.set_scheduler(pipe, scheduler)
    theirs = pipe(
        "a <new1> circle",
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=oracle.seeded(7, 1),
        output_type="latent",
    ).images
    mine = ours(changed, "a <new1> circle", scheduler)
    assert relative(mine, theirs) <= 1e-4
    assert relative(ours(changed, "a <new1> circle", scheduler, batch=2)[:1], mine) <= 1e-4
    assert relative(ours(changed, "a red circle", scheduler), plain) > 1e-3
    assert checksum(model) == before
    assert torch.equal(ours(model, "a red circle", scheduler), plain)
    # Undone from the top, one after the other.
    assert len(changed.patches) == 2
    assert changed.patches[0].touches("unet")
    assert not changed.patches[0].touches("text_encoder")


def test_bad_files(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_custom_diffusion.weight"
    save_file({name: torch.ones(16, 48)}, tmp_path / "wide.safetensors")
    with pytest.raises(ModelError, match=r"\[16, 48\] where this model has \[16, 32\]"):
        load_custom_diffusion(model, str(tmp_path / "wide.safetensors"))
    save_file({name.replace("blocks.0.attn", "blocks.7.attn"): torch.ones(1)}, tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="1 of 1 tensors match nothing"):
        load_custom_diffusion(model, str(tmp_path / "none.safetensors"))
    whole = tmp_path / "wide.safetensors"
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-8])
    with pytest.raises(ModelError, match="truncated"):
        load_custom_diffusion(model, str(tmp_path / "cut.safetensors"))
    save_file({"unet.to_q.lora_A.weight": torch.ones(1, 1)}, tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match="not Custom Diffusion's weights; expected"):
        load_custom_diffusion(model, str(tmp_path / "lora.safetensors"))
    with Graph() as graph:
        load_custom_diffusion(load_model("shapes"), str(tmp_path / "lora.safetensors"))
    assert any(problem.input == "source" for problem in check(graph.workflow(), roots=[tmp_path]))
