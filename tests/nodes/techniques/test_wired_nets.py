"""Networks that a training gave, by wire: the same pictures as from their files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.nodes.techniques.adapters import calm
from tests.tiny import tiny_sd1, tiny_sdxl
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft.engine.cache.codec import decode, encode
from weft.nodes import (
    cfg,
    controlnet,
    denoise,
    encode_prompt,
    ip_adapter,
    load_controlnet,
    load_ip_adapter,
    load_model,
    load_t2i_adapter,
    t2i_adapter,
)
from weft.nodes.models.description import read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Image, Model
from weft.nodes.values.training import Adapter

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("nets")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: calm(builders[name](root / name)))


def model_of(folder: Path) -> Model:
    return load_model(str(folder), dtype="float32", device="cpu")


def from_folder(kind: Any, net: Path, family: str) -> Adapter:
    """The adapter that a training of this network would give."""
    tensors = load_file(net / "diffusion_pytorch_model.safetensors")
    settings = {"config": read_json(net / "config.json")}
    return Adapter.of(kind, {f"net.{name}": item for name, item in tensors.items()}, settings, "", family)


def picture(model: Model, control: Any) -> torch.Tensor:
    base = cfg(encode_prompt(model, "a red circle"), encode_prompt(model, ""), scale=3.0)
    return denoise(model, [base], [control] if control else [], steps=2, seed=1, width=64, height=64).latents.samples


def hint(side: int = 64) -> Image:
    return Image(torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(3)))


def stored(value: Any) -> Any:
    encoded = encode(value)
    return decode(encoded.structure, b"".join(bytes(part) for part in encoded.body))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
def test_a_wire_is_a_folder(folder: Folder, tmp_path: Path, name: str, kind: str) -> None:
    base = folder(name)
    model = model_of(base)
    net = (tiny_controlnet if kind == "controlnet" else tiny_adapter)(tmp_path / "net", base)
    load, use = (load_controlnet, controlnet) if kind == "controlnet" else (load_t2i_adapter, t2i_adapter)
    adapter = from_folder(kind, net, name)
    wanted = picture(model, use(load(str(net)), hint()))
    mine = picture(model, use(stored(load(adapter=adapter)), hint()))
    assert torch.equal(mine, wanted)
    assert not torch.equal(mine, picture(model, None))


def test_an_image_adapter(folder: Folder, tmp_path: Path) -> None:
    base = folder("sd1")
    model = model_of(base)
    file = tiny_image_adapter(tmp_path / "image", base)
    encoder = file.parent / "image_encoder"
    tensors = load_file(file)
    wanted = picture(model, ip_adapter(load_ip_adapter(str(file), str(encoder)), hint()))
    adapter = Adapter.of("ip_adapter", tensors, {"config": {"image_encoder": str(encoder)}}, "", "sd1")
    assert torch.equal(picture(model, ip_adapter(stored(load_ip_adapter(adapter=adapter)), hint())), wanted)
    bare = Adapter.of("ip_adapter", {f"net.{key}": item for key, item in tensors.items()}, {}, "", "sd1")
    assert torch.equal(picture(model, ip_adapter(load_ip_adapter("", str(encoder), bare), hint())), wanted)
    with pytest.raises(ValueError, match="does not say which image encoder"):
        load_ip_adapter(adapter=bare)


def test_refusals(folder: Folder, tmp_path: Path) -> None:
    net = from_folder("controlnet", tiny_controlnet(tmp_path / "net", folder("sd1")), "sd1")
    with pytest.raises(ValueError, match="both source and an adapter"):
        load_controlnet("shapes-edges", net)
    with pytest.raises(ValueError, match="neither source nor an adapter"):
        load_t2i_adapter()
    with pytest.raises(ModelError, match=r"a ControlNet\) .* T2I-Adapter is expected: wire it to load_controlnet"):
        load_t2i_adapter(adapter=net)
    with pytest.raises(ValueError, match=r"is for Stable Diffusion 1\.x and the model is SDXL"):
        picture(model_of(folder("sdxl")), controlnet(load_controlnet(adapter=net), hint()))
    with pytest.raises(ModelError, match="lacks its configuration"):
        load_controlnet(adapter=Adapter.of("controlnet", net.tensors, {}, "", "sd1"))
    few = dict(list(net.tensors.items())[5:])
    with pytest.raises(ModelError, match=r"5 of .* tensors are missing"):
        load_controlnet(adapter=Adapter.of("controlnet", few, net.settings, "", "sd1"))
    cut = {name: item.flatten()[:3] for name, item in net.tensors.items()}
    with pytest.raises(ModelError, match=r"is \[3\] where"):
        load_controlnet(adapter=Adapter.of("controlnet", cut, net.settings, "", "sd1"))
