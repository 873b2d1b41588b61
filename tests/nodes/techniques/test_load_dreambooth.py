"""DreamBooth: whole models, and trained parts over a base."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.adapters import checksum, relative
from tests.tiny import copy_model, tiny_sd1, tiny_sdxl, write_single_file
from weft.nodes import cfg, denoise, encode_prompt, load_dreambooth, load_model, load_textual_inversion
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and one trained on: other weights in the same configuration."""
    root = tmp_path_factory.mktemp("dreambooth")
    tiny_sd1(root / "base")
    tiny_sd1(root / "trained", seed=5)
    tiny_sdxl(root / "sdxl")
    return root


@pytest.fixture(scope="module")
def base(root: Path) -> Model:
    return load_model(str(root / "base"), dtype="float32", device="cpu")


def ours(model: Model, prompt: str = "a red circle") -> Tensor:
    guidance = cfg(encode_prompt(model, prompt), encode_prompt(model, "a blue square"), scale=5.0)
    return denoise(model, [guidance], steps=3, scheduler="ddim", seed=7).latents.samples


def parts_of(source: Path, target: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(source / name, target / name)
    return target


def test_a_folder_is_a_model(root: Path) -> None:
    assert checksum(load_dreambooth(str(root / "trained"))) == checksum(load_model(str(root / "trained")))


@pytest.mark.parametrize("names", [("unet",), ("unet", "text_encoder")])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_equal_to_diffusers(root: Path, base: Model, tmp_path: Path, names: tuple[str, ...], scheduler: str) -> None:
    """The same pipeline put together by diffusers, on our modules' values."""
    trained = parts_of(root / "trained", tmp_path / "out", *names)
    whole = copy_model(root / "base", tmp_path / "whole")
    for name in names:
        shutil.rmtree(whole / name)
        shutil.copytree(root / "trained" / name, whole / name)
    before, plain = checksum(base), ours(base)
    model = load_dreambooth(str(trained), base)
    assert checksum(model) == checksum(load_model(str(whole), dtype="float32", device="cpu"))
    pipe = oracle.pipeline("StableDiffusionPipeline", whole)
    parts = model.parts()
    pipe.register_modules(unet=parts.unet, vae=parts.vae, text_encoder=parts.text_encoders[0])
    oracle.set_scheduler(pipe, scheduler)
    theirs = pipe(
        "a red circle",
        negative_prompt="a blue square",
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=oracle.seeded(7, 1),
        output_type="latent",
    ).images
    guidance = cfg(encode_prompt(model, "a red circle"), encode_prompt(model, "a blue square"), scale=5.0)
    mine = denoise(model, [guidance], steps=3, scheduler=scheduler, seed=7).latents.samples  # type: ignore[arg-type]
    assert relative(mine, theirs) <= 1e-4
    assert relative(ours(model), plain) > 1e-3
    assert checksum(base) == before
    assert torch.equal(ours(base), plain)


def test_each_way_of_giving_a_unet(root: Path, base: Model) -> None:
    """A UNet's own folder and its file; over a base in one file too."""
    unet = root / "trained" / "unet"
    a = checksum(load_dreambooth(str(unet), base))
    assert a == checksum(load_dreambooth(str(unet / "diffusion_pytorch_model.safetensors"), base))
    assert a != checksum(base)


def test_over_a_single_file(tmp_path: Path) -> None:
    tiny_sd1(tmp_path / "a", single_file=True)
    tiny_sd1(tmp_path / "b", single_file=True, seed=5)
    file = write_single_file(tmp_path / "a", tmp_path / "a.safetensors")
    model = load_dreambooth(str(tmp_path / "b" / "unet"), load_model(str(file), dtype="float32", device="cpu"))
    expected = load_model(str(tmp_path / "b"), dtype="float32", device="cpu").parts().unet.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.parts().unet.state_dict().items())


def test_words_learned_before_stay(root: Path, base: Model, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"<x>": torch.randn(2, 32)}, tmp_path / "x.safetensors")
    taught = load_textual_inversion(base, [str(tmp_path / "x.safetensors")])
    trained = parts_of(root / "trained", tmp_path / "out", "unet", "text_encoder")
    one = encode_prompt(load_dreambooth(str(trained), taught), "a <x> circle")
    other = encode_prompt(
        load_textual_inversion(load_dreambooth(str(trained), base), [str(tmp_path / "x.safetensors")]), "a <x> circle"
    )
    assert torch.equal(one.text, other.text)


def test_what_does_not_fit(root: Path, base: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing|does not fit"):
        load_dreambooth(str(root / "sdxl" / "unet"), base)
    with pytest.raises(ModelError, match="text_encoder_2, which this base lacks"):
        load_dreambooth(str(root / "sdxl"), base)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no UNet"):
        load_dreambooth(str(tmp_path / "empty"), base)
    with pytest.raises(ModelError, match=r"looked for a folder or file .*nowhere"):
        load_dreambooth(str(tmp_path / "nowhere"), base)
    cut = tmp_path / "cut" / "unet"
    shutil.copytree(root / "trained" / "unet", cut)
    file = cut / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated"):
        load_dreambooth(str(tmp_path / "cut"), base)
    file.rename(cut / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles"):
        load_dreambooth(str(tmp_path / "cut"), base)
