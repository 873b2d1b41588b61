"""LoRA as weight patches, beside diffusers with PEFT."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.adapters import calm, checksum, lora_pairs, relative
from tests.tiny import tiny_sd1, tiny_sdxl
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import apply_lora, cfg, denoise, encode_prompt, load_model, merge_loras
from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Model

PROMPT, NEGATIVE = "a red circle", "a blue square"
Folder = Callable[[str], Path]
Pairs = dict[str, tuple[Tensor, Tensor]]

UNET = [
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_v",
]
CONVOLUTIONS = [
    "down_blocks.0.resnets.0.conv1",
    "up_blocks.1.resnets.1.conv_shortcut",
    "down_blocks.0.attentions.0.proj_in",
]
# With an output projection: diffusers knows the layout of a text encoder by it, as each published file has one.
TEXT = ["encoder.layers.0.self_attn.q_proj", "encoder.layers.0.self_attn.out_proj", "encoder.layers.1.mlp.fc1"]
XL_UNET = [
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "mid_block.attentions.0.transformer_blocks.1.attn2.to_v",
    "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj",
    "up_blocks.0.resnets.0.conv2",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("lora")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: calm(builders[name](root / name)))


@pytest.fixture(scope="module")
def models_of(folder: Folder) -> Callable[[str], Model]:
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


Models = Callable[[str], Model]


def pairs_of(model: Model, seed: int, rank: int = 4, convolutions: bool = True) -> dict[str, Pairs]:
    """Random changes by component."""
    parts = model.parts()
    unet = XL_UNET if model.family == "sdxl" else UNET + (CONVOLUTIONS if convolutions else [])
    found = {"unet": lora_pairs(parts.unet, unet, rank, seed)}
    for index, encoder in enumerate(parts.text_encoders):
        prefix = "" if hasattr(encoder, "encoder") else "text_model."
        own = lora_pairs(encoder, [prefix + name for name in TEXT], rank, seed + 10 + index)
        found["text_encoder" + ("_2" if index else "")] = {n.removeprefix(prefix): p for n, p in own.items()}
    return found


def write(path: Path, pairs: dict[str, Pairs], layout: str, alpha: float | None = None) -> Path:
    """An adapter's file in one of the layouts that are around."""
    state: dict[str, Tensor] = {}
    for component, own in pairs.items():
        for name, (down, up) in own.items():
            whole = name if component == "unet" else f"text_model.{name}"
            if layout == "kohya":
                prefix = {"unet": "unet", "text_encoder": "te", "text_encoder_2": "te2"}[component]
                if "text_encoder_2" in pairs and prefix == "te":
                    prefix = "te1"
                base = f"lora_{prefix}_{whole.replace('.', '_')}"
                state |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up}
                if alpha is not None:
                    state[f"{base}.alpha"] = torch.tensor(alpha)
            elif layout == "diffusers":
                middle = "lora" if component == "unet" else "lora_linear_layer"
                state |= {f"{component}.{whole}.{middle}.{kind}.weight": t for kind, t in (("down", down), ("up", up))}
            elif layout == "processor":
                assert component == "unet"
                head, _, last = whole.removesuffix(".0").rpartition(".")
                base = f"{head}.processor.{last}_lora"
                state |= {f"unet.{base}.down.weight": down, f"unet.{base}.up.weight": up}
            else:
                state |= {f"{component}.{whole}.lora_A.weight": down, f"{component}.{whole}.lora_B.weight": up}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def ours(model: Model, scheduler: Any = "ddim", batch: int = 1) -> Tensor:
    base = cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=5.0)
    return denoise(model, [base], steps=3, scheduler=scheduler, seed=7, batch=batch).latents.samples


def theirs(folder: Path, load: Callable[[Any], None], scheduler: str = "ddim") -> Tensor:
    xl = (folder / "text_encoder_2").exists()
    pipe = oracle.pipeline("StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline", folder)
    oracle.set_scheduler(pipe, scheduler)
    load(pipe)
    return pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=oracle.seeded(7, 1),
        output_type="latent",
    ).images


@pytest.mark.parametrize(
    ("name", "layout", "alpha", "scheduler"),
    [
        ("sd1", "diffusers", None, "ddim"),
        ("sd1", "peft", None, "euler"),
        ("sd1", "kohya", 1.5, "ddim"),
        ("sdxl", "kohya", 2.0, "ddim"),
        ("sdxl", "peft", None, "euler"),
    ],
)
def test_equal_to_diffusers(
    models_of: Models, folder: Folder, tmp_path: Path, name: str, layout: str, alpha: float | None, scheduler: str
) -> None:
    model = models_of(name)
    file = write(tmp_path / "a.safetensors", pairs_of(model, 1), layout, alpha)
    before = checksum(model)
    plain = ours(model, scheduler)
    patched = apply_lora(model, str(file), strength=0.8)
    mine = ours(patched, scheduler)

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name="a")
        pipe.set_adapters(["a"], [0.8])

    assert relative(mine, theirs(folder(name), load, scheduler)) <= 1e-4
    assert relative(mine, plain) > 1e-3
    # The model below is as it was, to the byte, in memory and in what it makes.
    assert checksum(model) == before
    assert torch.equal(ours(model, scheduler), plain)


def test_strength_per_part_is_diffusers_own(models_of: Models, folder: Folder, tmp_path: Path) -> None:
    model = models_of("sd1")
    file = write(tmp_path / "a.safetensors", pairs_of(model, 2), "peft")
    mine = ours(apply_lora(model, str(file), unet=1.0, text_encoder=0.4, down=0.3, mid=0.0, up=0.9))

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name="a")
        pipe.set_adapters(["a"], [{"text_encoder": 0.4, "unet": {"down": 0.3, "mid": 0.0, "up": 0.9}}])

    assert relative(mine, theirs(folder("sd1"), load)) <= 1e-4


def test_several_and_merges(models_of: Models, folder: Folder, tmp_path: Path) -> None:
    """Two in a chain, and both merges, equal diffusers; undone from the top, each model is the one before."""
    model = models_of("sd1")
    first = write(tmp_path / "a.safetensors", pairs_of(model, 3), "peft")
    second = write(tmp_path / "b.safetensors", pairs_of(model, 4), "kohya", alpha=2.0)

    def both(pipe: Any) -> None:
        pipe.load_lora_weights(first.parent, weight_name=first.name, adapter_name="a")
        pipe.load_lora_weights(second.parent, weight_name=second.name, adapter_name="b")

    def chained(pipe: Any) -> None:
        both(pipe)
        pipe.set_adapters(["a", "b"], [0.7, 0.4])

    once = apply_lora(model, str(first), strength=0.7)
    twice = apply_lora(once, str(second), strength=0.4)
    expected = theirs(folder("sd1"), chained)
    assert relative(ours(twice), expected) <= 1e-4
    merged = merge_loras(model, [str(first), str(second)], [0.7, 0.4])
    assert relative(ours(merged), expected) <= 1e-4
    mixed = ours(merge_loras(model, [str(first), str(second)], [0.7, 0.4], merge="linear"))
    assert relative(mixed, expected) > 1e-3
    assert relative(mixed, formula_linear(model, first, second)) <= 1e-4
    assert twice.patches[:-1] == once.patches
    assert once.patches[:-1] == model.patches


def formula_linear(model: Model, first: Path, second: Path) -> Tensor:
    """PEFT's "linear" written down: U = sum sqrt(w s) U_i and D likewise, with s = alpha / rank.

    peft's ``add_weighted_adapter`` is a method of its own models, which diffusers does not make.
    """
    import copy
    import dataclasses

    from weft.nodes.prompts.encode import encode
    from weft.nodes.techniques.cfg import ClassifierFree

    a, b = pairs_of(model, 3), pairs_of(model, 4)
    parts = model.parts()
    modules = {"unet": copy.deepcopy(parts.unet), "text_encoder": copy.deepcopy(parts.text_encoders[0])}
    for component, module in modules.items():
        for name in a[component]:
            whole = name if component == "unet" or hasattr(module, "encoder") else f"text_model.{name}"
            roots = (math.sqrt(0.7 * 1.0), math.sqrt(0.4 * 2.0 / 4))
            down, up = (
                torch.stack(
                    [root * side[component][name][at].flatten(1) for root, side in zip(roots, (a, b), strict=True)]
                ).sum(0)
                for at in (0, 1)
            )
            weight = module.get_submodule(whole).weight
            weight.data += (up @ down).reshape(weight.shape)

    own: Any = SimpleNamespace(
        model=model,
        device=parts.device,
        unet=modules["unet"],
        vae=parts.vae,
        text_encoders=[modules["text_encoder"]],
        tokenizers=parts.tokenizers,
    )
    patched = dataclasses.replace(model)
    object.__setattr__(patched, "parts", lambda: own)
    base = ClassifierFree(prompt=encode(own, PROMPT), negative=encode(own, NEGATIVE), scale=5.0)
    return denoise(patched, [base], steps=3, scheduler="ddim", seed=7).latents.samples


def test_nothing_at_strength_0(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    file = write(tmp_path / "a.safetensors", pairs_of(model, 5), "diffusers")
    off = apply_lora(model, str(file), strength=0.0)
    assert torch.equal(ours(off), ours(model))
    # Parts that are not changed are shared, not copied.
    half = apply_lora(model, str(file), text_encoder=0.0)
    assert half.parts().text_encoders[0] is model.parts().text_encoders[0]
    assert half.parts().unet is not model.parts().unet


def test_batches_equal_single_seeds(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    patched = apply_lora(model, str(write(tmp_path / "a.safetensors", pairs_of(model, 6), "peft")))
    alone = ours(patched)
    assert relative(ours(patched, batch=2)[:1], alone) <= 1e-4


def weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.parts().unet.state_dict().items()}


def test_old_and_original_names_mean_the_same_layers(models_of: Models, tmp_path: Path) -> None:
    """Processors' names of 2023, a file without prefix, and kohya's names after the original checkpoint's layers."""
    model = models_of("sd1")
    pairs = {"unet": lora_pairs(model.parts().unet, UNET, 4, 8)}
    expected = weights(apply_lora(model, str(write(tmp_path / "a.safetensors", pairs, "peft"))))
    written = write(tmp_path / "b.safetensors", pairs, "processor")
    assert same(weights(apply_lora(model, str(written))), expected)
    bare = {
        f"base_model.model.{name}.lora_{kind}.default.weight": tensor
        for name, pair in pairs["unet"].items()
        for kind, tensor in zip("AB", pair, strict=True)
    }
    save_file(bare, tmp_path / "c.safetensors")
    assert same(weights(apply_lora(model, str(tmp_path / "c.safetensors"))), expected)
    original: dict[str, Tensor] = {}
    for name, (down, up) in pairs["unet"].items():
        theirs = ldm.unet_name(f"{name}.weight", 2, frozenset({0})).removesuffix(".weight").replace(".", "_")
        original |= {f"lora_unet_{theirs}.lora_down.weight": down, f"lora_unet_{theirs}.lora_up.weight": up}
    assert any("input_blocks_" in name for name in original)
    save_file(original, tmp_path / "d.safetensors")
    assert same(weights(apply_lora(model, str(tmp_path / "d.safetensors"))), expected)


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_pefts_own_folder_brings_its_alpha(models_of: Models, tmp_path: Path) -> None:
    """What PEFT itself writes, with its own alpha beside the weights, and its own merge as the oracle."""
    import copy

    import peft

    model = models_of("sd1")
    torch.manual_seed(0)
    settings = peft.LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "conv1"], init_lora_weights=False)
    wrapped = peft.get_peft_model(copy.deepcopy(model.parts().unet), settings)
    wrapped.save_pretrained(str(tmp_path))
    mine = weights(apply_lora(model, str(tmp_path / "adapter_model.safetensors"), strength=1.0))
    merged = wrapped.merge_and_unload().state_dict()
    assert all(torch.allclose(mine[name], tensor, atol=1e-6) for name, tensor in merged.items())
    assert not same(mine, weights(model))


def test_third_factor_of_convolutions(models_of: Models, tmp_path: Path) -> None:
    """LoCon's Tucker form, against its formula."""
    model = models_of("sd1")
    name = "down_blocks.0.resnets.0.conv1"
    weight = model.parts().unet.get_submodule(name).weight
    torch.manual_seed(1)
    down, middle, up = (
        torch.randn(3, weight.shape[1], 1, 1),
        torch.randn(3, 3, 3, 3),
        torch.randn(weight.shape[0], 3, 1, 1),
    )
    base = f"lora_unet_{name.replace('.', '_')}"
    state = {"lora_down.weight": down, "lora_mid.weight": middle, "lora_up.weight": up, "alpha": torch.tensor(6.0)}
    save_file({f"{base}.{key}": tensor for key, tensor in state.items()}, tmp_path / "a.safetensors")
    mine = weights(apply_lora(model, str(tmp_path / "a.safetensors")))[f"{name}.weight"]
    change = torch.einsum("oi,ijhw,jc->ochw", up[:, :, 0, 0], middle, down[:, :, 0, 0])
    assert torch.allclose(mine, weight + 2.0 * change, atol=1e-4)


def test_what_matches_nothing_is_an_error(models_of: Models, tmp_path: Path) -> None:
    sd1, sdxl = models_of("sd1"), models_of("sdxl")
    file = write(tmp_path / "a.safetensors", pairs_of(sdxl, 1), "kohya")
    with pytest.raises(ModelError, match=r"lora_te2_text_model_encoder.*expected diffusers.*another model family"):
        apply_lora(sd1, str(file))
    strange = {
        "unet.nowhere.to_q.lora_A.weight": torch.ones(4, 16),
        "unet.nowhere.to_q.lora_B.weight": torch.ones(16, 4),
    }
    save_file(strange, tmp_path / "b.safetensors")
    for strict in (True, False):
        with pytest.raises(ModelError, match=r"1 of 1 layers match nothing .*first unet\.nowhere\.to_q"):
            apply_lora(sd1, str(tmp_path / "b.safetensors"), strict=strict)
    some = write(tmp_path / "c.safetensors", {"unet": lora_pairs(sd1.parts().unet, UNET, 4, 8)}, "peft")
    from safetensors.torch import load_file

    save_file(load_file(some) | strange, some)
    with pytest.raises(ModelError, match="1 of 5 layers"):
        apply_lora(sd1, str(some))
    apply_lora(sd1, str(some), strict=False)
    wide = {f"unet.{UNET[0]}.lora_A.weight": torch.ones(4, 99), f"unet.{UNET[0]}.lora_B.weight": torch.ones(16, 4)}
    save_file(wide, tmp_path / "d.safetensors")
    with pytest.raises(ModelError, match=r"\[4, 99\] does not fit this model's weight of \[16, 16\]"):
        apply_lora(sd1, str(tmp_path / "d.safetensors"))


def test_files_that_are_none(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    whole = write(tmp_path / "a.safetensors", pairs_of(model, 1), "peft")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ModelError, match="is truncated"):
        apply_lora(model, str(cut))
    with pytest.raises(ModelError, match=r"looked for a bundled LoRA .*none\.safetensors"):
        apply_lora(model, str(tmp_path / "none.safetensors"))
    (tmp_path / "a.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="pickles"):
        apply_lora(model, str(tmp_path / "a.bin"))
    lone = {"unet.a.lora_A.weight": torch.ones(1, 1)}
    save_file(lone, tmp_path / "lone.safetensors")
    with pytest.raises(ModelError, match="lacks its up tensor"):
        apply_lora(model, str(tmp_path / "lone.safetensors"))
    save_file({"x.dora_scale": torch.ones(1)}, tmp_path / "dora.safetensors")
    with pytest.raises(ModelError, match="DoRA"):
        apply_lora(model, str(tmp_path / "dora.safetensors"))


def test_check_looks_at_the_file(tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(1, 4)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nonsense")
    found = []
    for name in ("a.safetensors", "b.safetensors"):
        with Graph() as graph:
            apply_lora(load_model("shapes"), str(tmp_path / name))
        found += [p for p in check(graph.workflow(), roots=[tmp_path]) if p.input == "source"]
    assert "textual inversion" in found[0].message
    assert "no sound safetensors" in found[-1].message


def test_a_file_changed_under_way_is_noticed(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    file = write(tmp_path / "a.safetensors", pairs_of(model, 21), "peft")
    patched = apply_lora(model, str(file))
    write(file, pairs_of(model, 22), "peft")
    with pytest.raises(ModelError, match="changed since"):
        patched.parts().unet  # noqa: B018


def test_diffusers_settings_in_the_file(models_of: Models, folder: Folder, tmp_path: Path) -> None:
    """``save_lora_weights`` keeps alpha in the file's metadata."""
    model = models_of("sd1")
    pairs = {"unet": lora_pairs(model.parts().unet, UNET, 4, 9)}
    file = write(tmp_path / "a.safetensors", pairs, "peft")
    from safetensors.torch import load_file

    settings = {"unet.r": 4, "unet.lora_alpha": 8, "unet.target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
    save_file(load_file(file), file, metadata={"format": "pt", "lora_adapter_metadata": json.dumps(settings)})

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name="a")

    assert relative(ours(apply_lora(model, str(file))), theirs(folder("sd1"), load)) <= 1e-4
