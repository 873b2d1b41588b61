"""What trainings give, on a model by wire: beside PEFT, and beside files of the same content."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.nodes.techniques import learned
from tests.nodes.techniques.adapters import calm, checksum, relative
from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from weft.engine.cache.codec import decode, encode
from weft.nodes import (
    apply_adapter,
    apply_lora,
    encode_prompt,
    load_custom_diffusion,
    load_dreambooth,
    load_model,
    load_textual_inversion,
    merge_loras,
)
from weft.nodes.models.errors import ModelError
from weft.nodes.techniques.wired import applied
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter

Models = Callable[[str], Model]


@pytest.fixture(scope="module")
def models_of(tmp_path_factory: pytest.TempPathFactory) -> Models:
    root = tmp_path_factory.mktemp("wired")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sd2": tiny_sd2, "sdxl": tiny_sdxl}
    return cache(lambda name: load_model(str(calm(builders[name](root / name))), dtype="float32", device="cpu"))


def stored(value: Any) -> Any:
    """The value as another process reads it from the cache's bytes."""
    encoded = encode(value)
    return decode(encoded.structure, b"".join(bytes(part) for part in encoded.body))


def states(model: Model, prompt: str) -> torch.Tensor:
    return encode_prompt(model, prompt).text


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr", "oft"])
def test_equal_to_peft(models_of: Models, name: str, kind: str) -> None:
    """The denoiser with PEFT's own layers in it predicts what the patched one does; at strength 0 nothing changes."""
    model = models_of(name)
    adapter = learned.lora_adapter(model, kind, seed=3)
    with_layers, _ = learned.injected(model.parts().unet, learned.peft_config(kind), 3)
    before = checksum(model)
    plain = learned.forward(model.parts().unet)
    mine = learned.forward(applied(model, adapter).parts().unet)
    assert relative(mine, learned.forward(with_layers)) <= 1e-5
    assert relative(mine, plain) > 1e-3
    assert torch.equal(learned.forward(applied(model, adapter, 0).parts().unet), plain)
    assert checksum(model) == before


@pytest.mark.parametrize("kind", ["dora", "oft"])
def test_strength_moves_the_weights_so_far(models_of: Models, kind: str) -> None:
    model = models_of("sd1")
    adapter = learned.lora_adapter(model, kind, seed=4)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    none, half, full = (
        m.parts().unet.get_submodule(layer).weight.double()
        for m in (model, applied(model, adapter, 0.5), applied(model, adapter))
    )
    assert torch.allclose(half, none + 0.5 * (full - none), atol=1e-6)
    assert not torch.allclose(half, none, atol=1e-3)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_text_encoders_match_with_and_without_text_model(models_of: Models, name: str, prefix: str) -> None:
    model = models_of(name)
    adapter = learned.lora_adapter(model, seed=5, text=True)
    renamed = {}
    for key, item in adapter.tensors.items():
        component, _, rest = key.partition(".")
        rest = rest.removeprefix("text_model.") if component != "unet" else rest
        renamed[f"{component}.{prefix if component != 'unet' else ''}{rest}"] = item
    other = Adapter.of("lora", renamed, adapter.settings, adapter.base, adapter.family)
    mine = states(applied(model, other), "a red circle")
    assert torch.equal(mine, states(applied(model, adapter), "a red circle"))
    assert relative(mine, states(model, "a red circle")) > 1e-3


def test_a_wire_is_a_file(models_of: Models, tmp_path: Path) -> None:
    """apply_lora and merge_loras give the same weights by wire, with all their shares."""
    model = models_of("sd1")
    first, second = (learned.lora_adapter(model, seed=seed, text=True) for seed in (6, 7))
    files = []
    for number, adapter in enumerate((first, second)):
        settings = {f"{c}.{k}": v for c, own in adapter.settings["peft"].items() for k, v in own.items()}
        file = tmp_path / f"{number}.safetensors"
        save_file(adapter.tensors, file, metadata={"lora_adapter_metadata": json.dumps(settings)})
        files.append(str(file))
    shares = {"strength": 0.7, "text_encoder": 0.4, "down": 0.3, "mid": 0.0}
    assert checksum(apply_lora(model, adapter=first, **shares)) == checksum(apply_lora(model, files[0], **shares))
    whole = merge_loras(model, files, [0.3, 0.5], "sum")
    assert checksum(merge_loras(model, [], [0.3, 0.5], "sum", adapters=[first, second])) == checksum(whole)
    assert checksum(merge_loras(model, files[:1], [0.3, 0.5], adapters=[second])) == checksum(whole)
    linear = checksum(merge_loras(model, files, [0.3, 0.5], "linear"))
    assert checksum(merge_loras(model, files[:1], [0.3, 0.5], "linear", adapters=[second])) == linear


def test_linear_merging_is_of_plain_loras(models_of: Models) -> None:
    model = models_of("sd1")
    adapters = [learned.lora_adapter(model, kind, seed=8) for kind in ("lora", "dora")]
    with pytest.raises(ModelError, match="linear merging needs plain LoRAs"):
        merge_loras(model, merge="linear", adapters=adapters).parts().unet  # noqa: B018
    merge_loras(model, adapters=adapters).parts().unet  # noqa: B018


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr", "oft"])
def test_files_as_peft_saves_them(models_of: Models, tmp_path: Path, kind: str) -> None:
    from peft import get_peft_model_state_dict

    model = models_of("sd1")
    config = learned.peft_config(kind)
    module, _ = learned.injected(model.parts().unet, config, 9)
    state = get_peft_model_state_dict(module, adapter_name="default")
    save_file(
        {f"base_model.model.{name}": item.contiguous() for name, item in state.items()},
        tmp_path / "adapter_model.safetensors",
    )
    config.save_pretrained(tmp_path)
    mine = learned.forward(apply_lora(model, str(tmp_path)).parts().unet)
    assert relative(mine, learned.forward(module)) <= 1e-5
    if kind != "dora":  # whose rank is its factors', and whose alpha is then the rank
        (tmp_path / "adapter_config.json").unlink()
        with pytest.raises(ModelError, match=r"without PEFT's settings.*adapter_config\.json"):
            apply_lora(model, str(tmp_path))


def test_settings_of_another_adapter(models_of: Models) -> None:
    model = models_of("sd1")
    for kind, change, message in (
        ("lokr", {"decompose_factor": 2}, "do the settings .* belong to these weights"),
        ("oft", {"num_cayley_neumann_terms": 10**9}, "at most 100"),
        ("lora", {"use_dora": True}, "lacks its lora_magnitude_vector"),
    ):
        adapter = learned.lora_adapter(model, kind, seed=1)
        settings = {"peft": {"unet": adapter.settings["peft"]["unet"] | change}}
        adapter = Adapter.of("lora", adapter.tensors, settings, adapter.base, adapter.family)
        with pytest.raises(ModelError, match=message):
            applied(model, adapter).parts().unet  # noqa: B018


def test_words(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    adapter = learned.word_adapter(model, {"<dog>": 3})
    save_file({"<dog>": adapter.tensors["word.<dog>.text_encoder"]}, tmp_path / "dog.safetensors")
    prompt = "a photo of <dog>"
    wanted = states(load_textual_inversion(model, [str(tmp_path / "dog.safetensors")]), prompt)
    assert torch.equal(states(applied(model, adapter), prompt), wanted)
    other = load_textual_inversion(model, tokens=["<cat>"], adapter=adapter)
    assert torch.equal(states(other, "a photo of <cat>"), wanted)
    with pytest.raises(ModelError, match="'<dog>' is taken"):
        applied(applied(model, adapter), adapter)
    with pytest.raises(ValueError, match="no strength"):
        applied(model, adapter, 0.5)


def test_words_of_two_encoders(models_of: Models) -> None:
    model = models_of("sdxl")
    adapter = learned.word_adapter(model, {"<a>": 1, "<b>": 2})
    changed = applied(model, adapter)
    for number, encoder in enumerate(changed.parts().text_encoders):
        ids = changed.parts().tokenizers[number].convert_tokens_to_ids(["<a>", "<b>", "<b>_1"])
        suffix = "_2" if number else ""
        rows = [adapter.tensors[f"word.{word}.text_encoder{suffix}"] for word in ("<a>", "<b>")]
        assert torch.equal(encoder.get_input_embeddings().weight[ids], torch.cat(rows))


def test_custom_diffusion(models_of: Models) -> None:
    model = models_of("sd1")
    adapter = learned.custom_adapter(model)
    changed, half = applied(model, adapter), applied(model, adapter, 0.5)
    before = dict(model.parts().unet.state_dict())
    for name, item in changed.parts().unet.state_dict().items():
        assert torch.equal(item, adapter.tensors.get(f"unet.{name}", before[name]))
        middle = before[name] + 0.5 * (item - before[name])
        assert torch.allclose(half.parts().unet.state_dict()[name], middle, atol=1e-6)
    assert changed.parts().tokenizers[0].convert_tokens_to_ids("<new1>") == len(model.parts().tokenizers[0])
    renamed = load_custom_diffusion(model, tokens=["<v>"], adapter=adapter)
    assert "<v>" in renamed.parts().tokenizers[0].get_vocab()


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_whole_weights(models_of: Models, prefix: str) -> None:
    model = models_of("sd1")
    adapter = learned.weights_adapter(model)
    plain = {name.replace(".text_model.", "."): item for name, item in adapter.tensors.items()}
    named = {name.replace("text_encoder.", f"text_encoder.{prefix}"): item for name, item in plain.items()}
    adapter = Adapter.of("weights", named, {}, adapter.base, adapter.family)
    changed = load_dreambooth(base=model, adapter=adapter)
    for name, item in changed.parts().unet.named_parameters():
        assert torch.equal(item, adapter.tensors[f"unet.{name}"])
    encoder = changed.parts().text_encoders[0]
    for name, item in encoder.named_parameters():
        assert torch.equal(item, plain[f"text_encoder.{name.removeprefix('text_model.')}"])
    assert relative(states(changed, "a red circle"), states(model, "a red circle")) > 1e-3


def test_words_stay_when_weights_are_written(models_of: Models) -> None:
    model = models_of("sd1")
    words, weights = learned.word_adapter(model, {"<x>": 1}), learned.weights_adapter(model)
    both = applied(applied(model, words), weights)
    row = both.parts().tokenizers[0].convert_tokens_to_ids("<x>")
    table = both.parts().text_encoders[0].get_input_embeddings().weight
    assert torch.equal(table[row], words.tensors["word.<x>.text_encoder"][0])


def test_a_denoiser_for_edits(models_of: Models) -> None:
    model = models_of("sd1")
    adapter = learned.edit_adapter(model)
    changed = apply_adapter(model, adapter)
    assert (changed.unet_channels, model.unet_channels) == (8, 4)
    unet = changed.parts().unet
    assert unet.config.in_channels == 8
    assert torch.equal(unet.conv_in.weight, adapter.tensors["unet.conv_in.weight"])
    assert model.parts().unet.conv_in.weight.shape[1] == 4
    own = learned.source(2)
    latents, text = torch.randn(1, 4, 8, 8, generator=own), torch.randn(1, 7, 32, generator=own)
    with torch.no_grad():
        alone = model.parts().unet(latents, 500, encoder_hidden_states=text).sample
        none = unet(torch.cat([latents, torch.zeros_like(latents)], 1), 500, encoder_hidden_states=text).sample
        seen = unet(torch.cat([latents, latents], 1), 500, encoder_hidden_states=text).sample
    assert torch.allclose(none, alone, atol=1e-5)
    assert relative(seen, alone) > 1e-3


def test_a_lora_on_the_first_layer_of_a_denoiser_for_edits(models_of: Models) -> None:
    """It fits the channels that the layer has after the patch, and not those before."""
    model = models_of("sd1")
    edits = apply_adapter(model, learned.edit_adapter(model))
    width, channels = edits.parts().shell("unet").conv_in.weight.shape[:2]
    assert channels == 8
    own = learned.source(3)
    peft = {"unet": {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["conv_in"]}}

    def on_conv_in(channels: int) -> Adapter:
        tensors = {
            "unet.conv_in.lora_A.weight": torch.randn(2, channels, 3, 3, generator=own),
            "unet.conv_in.lora_B.weight": torch.randn(width, 2, 1, 1, generator=own),
        }
        return Adapter.of("lora", tensors, {"peft": peft}, "", "sd1")

    lora, narrow = on_conv_in(8), on_conv_in(4)
    down, up = lora.tensors["unet.conv_in.lora_A.weight"], lora.tensors["unet.conv_in.lora_B.weight"]
    before, after = (one.parts().unet.conv_in.weight for one in (edits, applied(edits, lora)))
    assert torch.allclose(after - before, torch.einsum("or,rihw->oihw", up.flatten(1), down), atol=1e-5)
    for given, wrong in ((edits, narrow), (model, lora)):
        with pytest.raises(ModelError, match="does not fit this model's weight"):
            applied(given, wrong)
    # What was applied before the denoiser was widened is read with the channels of then.
    first = apply_adapter(applied(model, narrow), learned.edit_adapter(model))
    assert torch.equal(first.parts().unet.conv_in.weight, before)


def test_models_with_adapters_are_values(models_of: Models) -> None:
    """They go to the cache and come back as the same model; their keys are by content."""
    model = models_of("sd1")
    adapters = [
        learned.lora_adapter(model, "dora"),
        learned.word_adapter(model, {"<x>": 2}),
        learned.custom_adapter(model),
        learned.weights_adapter(model),
        learned.edit_adapter(model),
    ]
    for adapter in adapters:
        changed = applied(model, adapter)
        again = stored(changed)
        assert checksum(again) == checksum(changed) != checksum(model)
        assert [patch.key for patch in again.patches] == [patch.key for patch in changed.patches]
        assert repr(changed).count("\n") < 3
    one, other = (applied(model, learned.lora_adapter(model, seed=seed)).patches[0].key for seed in (1, 2))
    assert one != other == applied(model, learned.lora_adapter(model, seed=2)).patches[0].key


def test_refusals_name_both(models_of: Models) -> None:
    model, other = models_of("sd1"), models_of("sdxl")
    lora = learned.lora_adapter(model)
    with pytest.raises(ModelError, match=r"trained on Stable Diffusion 1\.x and the model '.*' is SDXL"):
        applied(other, lora)
    with pytest.raises(ModelError, match=r"learned words.* where a LoRA is expected: wire it to load_textual_inv"):
        apply_lora(model, adapter=learned.word_adapter(model, {"<x>": 1}))
    with pytest.raises(ModelError, match=r"the adapter \w+ \(a ControlNet\).*wire it to load_controlnet"):
        applied(model, Adapter.of("controlnet", {}, {}, "", "sd1"))
    wide = Adapter.of("embedding", {"word.<x>.text_encoder": torch.ones(1, 99)}, {}, "", "sd1")
    with pytest.raises(ModelError, match=r"vectors of 99 for text_encoder, this model's words are 32 \(text_encoder\)"):
        applied(model, wide)
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    thin = Adapter.of(
        "lora", {f"{name}.lora_A.weight": torch.ones(4, 9), f"{name}.lora_B.weight": torch.ones(32, 4)}, {}, "", ""
    )
    with pytest.raises(ModelError, match=r"\[4, 9\] does not fit this model's weight of \[32, 32\]"):
        applied(model, thin)
    for own, change in ((learned.custom_adapter(model), "to_k"), (learned.weights_adapter(model), "conv_in.weight")):
        wrong = {key: item.flatten()[:5] if change in key else item for key, item in own.tensors.items()}
        with pytest.raises(ModelError, match=r"\[5\] where"):
            applied(model, dataclasses.replace(own, tensors=wrong))


def test_one_of_source_and_adapter(models_of: Models) -> None:
    model = models_of("sd1")
    lora, words, custom = (
        learned.lora_adapter(model),
        learned.word_adapter(model, {"<x>": 1}),
        learned.custom_adapter(model),
    )
    with pytest.raises(ValueError, match="both source and an adapter"):
        apply_lora(model, "shapes-heart", adapter=lora)
    with pytest.raises(ValueError, match="neither source nor an adapter"):
        apply_lora(model)
    with pytest.raises(ValueError, match="both sources and an adapter"):
        load_textual_inversion(model, ["shapes-dome"], adapter=words)
    with pytest.raises(ValueError, match="neither source nor an adapter"):
        load_custom_diffusion(model)
    with pytest.raises(ValueError, match="both source and an adapter"):
        load_custom_diffusion(model, "shapes-house", adapter=custom)
    with pytest.raises(ValueError, match="wire the one that it was trained on to base"):
        load_dreambooth(adapter=learned.weights_adapter(model))
