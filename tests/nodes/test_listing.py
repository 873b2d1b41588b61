"""What `weft models` lists: bundled models, and every kind of file and folder in model folders, sound or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import tiny_sd1, tiny_sdxl, write_single_file
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft.engine.declaring.model_list import ModelEntry
from weft.nodes import list_models
from weft.nodes.models import bundled

LAYER = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with one of each kind."""
    root = tmp_path_factory.mktemp("models")
    model = tiny_sd1(root / "sd1")
    write_single_file(model, root / "single.safetensors")
    tiny_sdxl(root / "xl" / "base")
    tiny_controlnet(root / "edges", model)
    tiny_adapter(root / "adapter", model)
    tiny_image_adapter(root / "pictures", model)
    shutil.copytree(model / "unet", root / "trained" / "unet")
    shutil.copytree(model / "unet", root / "alone")

    def save(name: str, **shapes: tuple[int, ...]) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, path)

    save("loras/heart.safetensors", **{f"{LAYER}.lora_A.weight": (4, 768), f"{LAYER}.lora_B.weight": (320, 4)})
    save("loras/k.safetensors", **{f"{KOHYA}.lora_down.weight": (4, 2048), f"{KOHYA}.lora_up.weight": (320, 4)})
    old = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora"
    save("loras/old.safetensors", **{f"{old}.down.weight": (4, 1024), f"{old}.up.weight": (320, 4)})
    save("peft/adapter_model.safetensors", **{f"{LAYER}.lora_A.weight": (4, 9), f"{LAYER}.lora_B.weight": (9, 4)})
    (root / "peft" / "adapter_config.json").write_text("{}")
    save("words/cat.safetensors", **{"<cat>": (2, 1024)})
    save("words/pair.safetensors", clip_l=(1, 768), clip_g=(1, 1280))
    save("custom/pytorch_custom_diffusion_weights.safetensors", **{"a.to_k_custom_diffusion.weight": (320, 768)})
    return root


@pytest.fixture(scope="module")
def listed(folder: Path) -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in list_models([folder]) if not entry.bundled}


def test_kinds_and_families(listed: dict[str, ModelEntry]) -> None:
    told = {name: (entry.kind, entry.family) for name, entry in listed.items()}
    assert told == {
        "sd1": ("model", "sd1"),
        "single": ("model", "sd1"),
        "xl/base": ("model", "sdxl"),
        "edges": ("controlnet", "sd1"),
        "adapter": ("t2i_adapter", "sd1"),
        "pictures/ip-adapter": ("ip_adapter", ""),
        "pictures/image_encoder": ("image_encoder", ""),
        "trained": ("unet", "sd1"),
        "alone": ("unet", "sd1"),
        "loras/heart": ("lora", "sd1"),
        "loras/k": ("lora", "sdxl"),
        "loras/old": ("lora", "sd2"),
        "peft": ("lora", ""),
        "words/cat": ("embedding", "sd2"),
        "words/pair": ("embedding", "sdxl"),
        "custom": ("custom_diffusion", "sd1"),
    }
    assert not [entry for entry in listed.values() if entry.fault]


def test_sizes_are_those_of_what_is_read(folder: Path, listed: dict[str, ModelEntry]) -> None:
    assert listed["loras/heart"].bytes == (folder / "loras" / "heart.safetensors").stat().st_size
    weights = sum(path.stat().st_size for path in (folder / "sd1").rglob("*.safetensors"))
    assert weights < listed["sd1"].bytes < weights + 200_000
    assert listed["sd1"].path == folder / "sd1"


def test_bundled_ones_come_with_their_kinds() -> None:
    entries = list_models([])
    assert {(entry.name, entry.kind) for entry in entries} >= {
        ("shapes", "model"),
        ("shapes-edges", "controlnet"),
        ("shapes-regions", "t2i_adapter"),
        ("shapes-image", "ip_adapter"),
        ("shapes-heart", "lora"),
        ("shapes-dome", "embedding"),
        ("shapes-house", "custom_diffusion"),
    }
    assert all(entry.bundled and entry.bytes and not entry.fault for entry in entries)


def test_what_is_broken_is_listed_with_its_fault_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "nonsense.safetensors").write_bytes(b"nonsense")
    (tmp_path / "huge.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    (tmp_path / "deep.safetensors").write_bytes((20_000).to_bytes(8, "little") + b"[" * 20_000)
    odd = json.dumps({"lora_A.weight": {"dtype": 7, "shape": "x", "data_offsets": None}}).encode()
    (tmp_path / "odd.safetensors").write_bytes(len(odd).to_bytes(8, "little") + odd)
    (tmp_path / "old.ckpt").write_bytes(b"\x80\x04.")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"_class_name": ["a"], "model_type": 3}')
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    save_file({"decoder.conv_in.weight": torch.zeros(1)}, tmp_path / "vae.safetensors")
    save_file({f"{LAYER}.lora_A.weight": torch.zeros(1, 1)}, tmp_path / "lone.safetensors")
    save_file({"<x>": torch.zeros(1, 768)}, tmp_path / "sound.safetensors")
    found = {entry.name: entry for entry in list_models([tmp_path]) if not entry.bundled}
    for name, part in {
        "nonsense": "is no sound safetensors file",
        "huge": "does not begin with a header length",
        "deep": "no JSON",
        "odd": "not described",
        "old.ckpt": "pickles",
        "half": "it lacks the folder unet",
        "other": "holds no model of a kind that is known",
        "gone": "cannot be read",
        "vae": "a VAE alone",
        "lone": "lacks its up tensor",
    }.items():
        assert part in found[name].fault, name
    assert (found["sound"].fault, found["sound"].kind) == ("", "embedding")
    assert set(found) == {path.name.removesuffix(".safetensors") for path in tmp_path.iterdir()}


def test_an_altered_bundled_file_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "home", lambda: tmp_path)
    entries = list_models([])
    assert all("is missing from this installation" in entry.fault for entry in entries)


def test_the_second_of_a_name_is_hidden_and_links_out_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two", "outside"):
        (tmp_path / name).mkdir()
        save_file({"<x>": torch.zeros(1, 768)}, tmp_path / name / "word.safetensors")
    (tmp_path / "one" / "away.safetensors").symlink_to(tmp_path / "outside" / "word.safetensors")
    entries = [entry for entry in list_models([tmp_path / "one", tmp_path / "two"]) if not entry.bundled]
    assert [(entry.name, entry.path.parent.name) for entry in entries] == [
        ("away", "one"),
        ("word", "one"),
        ("word", "two"),
    ]
    assert "leads out of the model folder" in entries[0].fault
    assert entries[1].fault == ""
    assert f"that of {tmp_path / 'one' / 'word.safetensors'}, which is found first" in entries[2].fault
