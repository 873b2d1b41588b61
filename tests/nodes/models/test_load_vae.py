"""Another VAE: parity with diffusers' classes on the same files, what it leaves as it was, and what does not fit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.nodes.techniques.measure import counted
from tests.tiny import tiny_sd1, write_single_file
from weft.engine import Cache, Context, InputPathError, check, run
from weft.engine.cache.trails import Trails
from weft.engine.declaring.model_folders import VARIABLE
from weft.nodes import cfg, decode, denoise, encode_image, encode_prompt, list_models, load_model, load_vae, noise
from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Image, Latents, Model

Made = Callable[[str], Path]
SIDE = 64
LEVELS: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "norm_num_groups": 4,
    "layers_per_block": 1,
}
STATISTICS = {"latents_mean": [0.1, -0.2, 0.3, 0.4], "latents_std": [1.5, 0.5, 2.0, 1.0]}
KL: dict[str, dict[str, Any]] = {
    # Of other widths and depth than the model's own, and scaled otherwise.
    "wide": {"block_out_channels": (8, 16, 24, 8), "layers_per_block": 2, "scaling_factor": 0.3},
    "shifted": {"block_out_channels": (8, 8, 8, 8), "shift_factor": 0.4},
    "measured": {"block_out_channels": (8, 8, 8, 8), **STATISTICS},
    "sixteen": {"block_out_channels": (8, 8, 8, 8), "latent_channels": 16},
    "quarter": {
        "block_out_channels": (8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder or file of a VAE by name, written when first asked for."""
    root = tmp_path_factory.mktemp("vaes")

    def save(module: Any, name: str) -> Path:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        module.save_pretrained(root / name)
        return root / name

    @cache
    def make(name: str) -> Path:
        with torch.random.fork_rng():
            torch.manual_seed(len(name))
            if name == "taesd":
                widths, blocks = (8, 8, 8, 8), (1, 1, 1, 1)
                return save(
                    AutoencoderTiny(
                        encoder_block_out_channels=widths,
                        decoder_block_out_channels=widths,
                        num_encoder_blocks=blocks,
                        num_decoder_blocks=blocks,
                    ),
                    name,
                )
            return save(AutoencoderKL(**{"latent_channels": 4, **LEVELS, **KL[name]}), name)

    return make


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A model's VAE folder, and files with the same weights by layout."""
    root = tmp_path_factory.mktemp("single")
    folder = tiny_sd1(root / "other", seed=5, single_file=True)
    files = {"checkpoint": write_single_file(folder, root / "checkpoint.safetensors")}
    state = load_file(files["checkpoint"])
    bare = {name.removeprefix(ldm.VAE): item for name, item in state.items() if name.startswith(ldm.VAE)}
    assert "encoder.down.0.block.0.norm1.weight" in bare
    save_file(bare, root / "original.safetensors")
    shutil.copy(folder / "vae" / "diffusion_pytorch_model.safetensors", root / "diffusers.safetensors")
    files |= {name: root / f"{name}.safetensors" for name in ("original", "diffusers")}
    return folder / "vae", files


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    return load_model(str(models / "sd1"), dtype="float32", device="cpu")


def picture(count: int = 1) -> Image:
    return Image(torch.rand(count, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(1)))


def latents(count: int = 1) -> Tensor:
    return torch.randn(count, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(2))


def scaled(config: Any, own: Tensor) -> Tensor:
    """A denoiser's latents, as diffusers' pipelines make them of a VAE's."""
    if config.get("latents_mean") is not None:
        mean, spread = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("latents_mean", "latents_std"))
        return (own - mean) * config["scaling_factor"] / spread
    return (own - (config.get("shift_factor") or 0.0)) * config["scaling_factor"]


def unscaled(config: Any, given: Tensor) -> Tensor:
    if config.get("latents_mean") is not None:
        mean, spread = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("latents_mean", "latents_std"))
        return given * spread / config["scaling_factor"] + mean
    return given / config["scaling_factor"] + (config.get("shift_factor") or 0.0)


def compare(ours: Model, theirs: Any) -> None:
    """Decode and encode, the mean and a draw."""
    with torch.no_grad():
        image = theirs.decode(unscaled(theirs.config, latents(2))).sample.permute(0, 2, 3, 1) / 2 + 0.5
        found = theirs.encode(picture(2).pixels.permute(0, 3, 1, 2) * 2 - 1)
    assert torch.allclose(decode(ours, Latents(latents(2))).pixels, image.clamp(0, 1), atol=1e-5)
    if isinstance(theirs, AutoencoderTiny):
        mean = drawn = scaled(theirs.config, found.latents)
    else:
        mean = scaled(theirs.config, found.latent_dist.mean)
        rows = [torch.Generator().manual_seed(7 + number) for number in range(2)]
        chance = torch.cat([torch.randn(1, *mean.shape[1:], generator=source) for source in rows])
        drawn = scaled(theirs.config, found.latent_dist.mean + found.latent_dist.std * chance)
    assert torch.allclose(encode_image(ours, picture(2)).samples, mean, atol=1e-5)
    assert torch.allclose(encode_image(ours, picture(2), sample=True, seed=7).samples, drawn, atol=1e-5)


@pytest.mark.parametrize("name", ["wide", "shifted", "measured"])
def test_parity_with_a_folder(model: Model, made: Made, name: str) -> None:
    compare(load_vae(model, str(made(name))), AutoencoderKL.from_pretrained(made(name)).eval())


def test_parity_with_a_tiny_one(model: Model, made: Made) -> None:
    """TAESD: latents as the denoiser has them, and no distribution to draw from."""
    compare(load_vae(model, str(made("taesd"))), AutoencoderTiny.from_pretrained(made("taesd")).eval())


@pytest.mark.parametrize("layout", ["original", "checkpoint", "diffusers"])
def test_parity_with_a_single_file(model: Model, single: tuple[Path, dict[str, Path]], layout: str) -> None:
    """Its scaling is that of the model's own VAE: it says none."""
    folder, files = single
    compare(load_vae(model, str(files[layout])), AutoencoderKL.from_pretrained(folder).eval())
    scales = {}
    for scaling in (0.18215, 0.5):
        own = json.loads((Path(model.location) / "vae" / "config.json").read_text("utf-8"))
        assert own["scaling_factor"] == 0.18215
        given = load_vae(model, str(files[layout]))
        assert given.vae is not None
        given.vae.settings["scaling_factor"] = scaling
        scales[scaling] = encode_image(given, picture()).samples
    assert torch.allclose(scales[0.5] / 0.5, scales[0.18215] / 0.18215, atol=1e-5)


def test_diffusers_reads_the_original_layout_alike(single: tuple[Path, dict[str, Path]], model: Model) -> None:
    """Its own reader of single files, which knows nothing of our names."""
    folder, files = single
    theirs = AutoencoderKL.from_single_file(str(files["original"]), config=str(folder), local_files_only=True).eval()
    compare(load_vae(model, str(files["original"])), theirs)


def test_a_later_one_replaces_and_the_model_stays(model: Model, made: Made, single: tuple[Path, Any]) -> None:
    tiny = load_vae(model, str(made("taesd")))
    again = load_vae(tiny, str(single[1]["original"]))
    assert again.vae is not None
    assert again.vae.settings == {"scaling_factor": 0.18215}, "not those of the one before"
    assert model.vae is None
    own = AutoencoderKL.from_pretrained(Path(model.location) / "vae").eval()
    compare(model, own)
    compare(load_vae(tiny, model.location), own)  # a model's folder stands for its VAE
    with model.parts() as plain, tiny.parts() as given:
        assert given.unet is plain.unet
        assert given.vae is not plain.vae


def test_the_number_format(models: Path, made: Made) -> None:
    """SDXL's own overflows in float16; tiny ones do not, and others say so themselves."""
    half = load_model(str(models / "sdxl"), dtype="float16", device="cpu")
    assert half.parts().vae.dtype == torch.float32
    assert load_vae(half, str(made("taesd"))).parts().vae.dtype == torch.float16
    assert load_vae(half, str(models / "sdxl")).parts().vae.dtype == torch.float32


def test_where_it_is_looked_for(
    model: Model, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: tuple[Path, dict[str, Path]]
) -> None:
    """As of all loaders: a model folder, the hub's cache, what ships; and only what may be read."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copytree(made("wide"), tmp_path / "models" / "vaes" / "fine")
    shutil.copy(single[1]["original"], tmp_path / "models" / "kl.safetensors")
    commit, repository = "0123456789abcdef0123456789abcdef01234567", tmp_path / "hub" / "models--someone--vae"
    shutil.copytree(made("wide"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    found = [load_vae(model, name).vae for name in ("vaes/fine", "someone/vae", str(made("wide")))]
    assert len({vae.fingerprint for vae in found if vae is not None}) == 1
    assert all(load_vae(model, name).vae is not None for name in ("kl", "shapes"))
    told = {entry.name: entry.kind for entry in list_models([tmp_path / "models"]) if not entry.bundled}
    assert told == {"vaes/fine": "vae", "kl": "vae"}
    (tmp_path / "roots").mkdir()
    with pytest.raises(InputPathError):
        load_vae(model, str(made("wide")), ctx=Context(roots=[tmp_path / "roots"]))


def test_files_that_change_or_move(
    model: Model, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, residency: object
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made("shifted"), tmp_path / "own")
    given = load_vae(model, "own")
    before = decode(given, Latents(latents())).pixels
    (tmp_path / "away").mkdir()
    os.rename(tmp_path / "own", tmp_path / "away" / "own")
    monkeypatch.chdir(tmp_path / "away")
    assert torch.equal(decode(given, Latents(latents())).pixels, before)
    shutil.copytree(made("measured"), "late")
    late = load_vae(model, "late")
    state = load_file("late/diffusion_pytorch_model.safetensors")
    save_file({name: item + 1 for name, item in state.items()}, "late/diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match=r"the files of 'late' .* changed since it was loaded: run again"):
        decode(late, Latents(latents()))


def test_refused_by_name(model: Model, made: Made, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"sixteen' makes latents of 16 channels and the model's have 4"):
        load_vae(model, str(made("sixteen")))
    with pytest.raises(
        ModelError, match=r"quarter' makes one latent pixel of 4 x 4 pixels and the model's stands for 8"
    ):
        load_vae(model, str(made("quarter")))
    (tmp_path / "vq").mkdir()
    (tmp_path / "vq" / "config.json").write_text('{"_class_name": "VQModel"}')
    with pytest.raises(ModelError, match="describes a VQModel, not an AutoencoderKL"):
        load_vae(model, str(tmp_path / "vq"))
    for name, item in (("block_out_channels", 3), ("latent_channels", "4"), ("scaling_factor", 0)):
        config = {"_class_name": "AutoencoderKL", name: item}
        (tmp_path / "vq" / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=f"the configuration in .* is wrong: {name} is"):
            load_vae(model, str(tmp_path / "vq"))
    with pytest.raises(ModelError, match="pickles"):
        load_vae(model, str(tmp_path / "kl.vae.pt"))
    save_file({"a": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match=r"is no VAE: encoder\.conv_in\.weight .* it holds a"):
        load_vae(model, str(tmp_path / "none.safetensors"))
    other = {f"{side}.conv_in.weight": torch.zeros(8, 16, 3, 3) for side in ("encoder", "decoder")}
    save_file(other, tmp_path / "flux.safetensors")
    with pytest.raises(ModelError, match="latents of 16 channels and no post_quant_conv"):
        load_vae(model, str(tmp_path / "flux.safetensors"))
    shutil.copytree(made("wide"), tmp_path / "part")
    state = load_file(tmp_path / "part" / "diffusion_pytorch_model.safetensors")
    state.pop("decoder.conv_in.weight")
    save_file(state, tmp_path / "part" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match=r"tensors are missing, first decoder\.conv_in\.weight"):
        load_vae(model, str(tmp_path / "part"))


def document(model: str, vae: str, through: bool = False) -> dict[str, Any]:
    """through: the loop, too, has the model that the VAE was given to."""
    own, given = {"model": {"link": "model"}}, {"model": {"link": "vae"}}
    nodes = {
        "model": {"type": "load_model", "inputs": {"source": model, "dtype": "float32", "device": "cpu"}},
        "vae": {"type": "load_vae", "inputs": {**own, "source": vae}},
        "prompt": {"type": "encode_prompt", "inputs": {**own, "text": "a star"}},
        "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}, "scale": 1.0}},
        "draw": {
            "type": "denoise",
            "inputs": {
                **(given if through else own),
                "guidance": [{"link": "cfg"}],
                "steps": 3,
                "scheduler": "ddim",
                "width": SIDE,
                "height": SIDE,
            },
        },
        "decode": {"type": "decode", "inputs": {**given, "latents": {"link": "draw.latents"}}},
    }
    return {"weft": 1, "nodes": nodes}


def test_check_says_what_does_not_fit_before_anything_runs(models: Path, made: Made, tmp_path: Path) -> None:
    source = str(models / "sd1")
    assert check(document(source, str(made("wide"))), targets=["decode"]) == []
    for vae, part in (
        (str(made("sixteen")), "makes latents of 16 channels and the model's have 4"),
        (str(made("quarter")), "makes one latent pixel of 4 x 4 pixels"),
        (str(tmp_path / "nowhere"), "no VAE "),
    ):
        (problem,) = check(document(source, vae), targets=["decode"])
        assert (problem.code, problem.node, problem.input, problem.given) == ("bad_value", "vae", "source", vae)
        assert part in problem.message


def test_another_vae_runs_no_step_again(models: Path, made: Made, tmp_path: Path) -> None:
    """Wired to `decode` alone the loop is cached. Through the loop, too, it takes every step from the run before."""
    source, store = str(models / "sd1"), Cache(tmp_path / "cache")
    results, ran = {}, []
    for name in ("wide", "shifted", "wide"):
        result = run(document(source, str(made(name))), targets=["decode"], cache=store)
        ran.append(result.ran)
        results[name] = result["decode"].pixels
    assert ran == [6, 2, 0], "all; the VAE and decode; nothing"
    assert not torch.equal(results["wide"], results["shifted"])
    with load_model(source, dtype="float32", device="cpu").parts() as parts, counted(parts.unet) as rows:
        result = run(document(source, str(made("taesd")), through=True), targets=["decode"], cache=store)
    assert (rows, result.reused) == ([], 3)


def test_the_loop_does_not_depend_on_it(model: Model, made: Made) -> None:
    """Also where nothing was run before."""
    prompt = encode_prompt(model, "a red circle")
    options: dict[str, Any] = {"noise": noise(model, 3, width=SIDE, height=SIDE), "steps": 2, "scheduler": "ddim"}
    plain = denoise(model, [cfg(prompt)], **options).latents.samples
    trails = Trails(1 << 26)
    other = denoise(load_vae(model, str(made("taesd"))), [cfg(prompt)], **options, ctx=Context(trails=trails))
    assert torch.equal(other.latents.samples, plain)
