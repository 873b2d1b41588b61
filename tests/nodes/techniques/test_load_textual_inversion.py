"""Learned words, beside diffusers' own loader."""

from __future__ import annotations

import logging
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
from tests.tiny import tiny_sd1, tiny_sdxl
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_model, load_textual_inversion
from weft.nodes.models.errors import ModelError
from weft.nodes.prompts.words import token_spans
from weft.nodes.values import Model

Folder = Callable[[str], Path]
Models = Callable[[str], Model]
WIDTH = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("words")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: calm(builders[name](root / name)))


@pytest.fixture(scope="module")
def models_of(folder: Folder) -> Models:
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


def vectors(count: int, seed: int) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)) * 0.5


def save(path: Path, **tensors: Tensor) -> Path:
    save_file(tensors, path)
    return path


def ours(model: Model, prompt: str, scheduler: Any = "ddim") -> Tensor:
    base = cfg(encode_prompt(model, prompt), encode_prompt(model, "a blue square"), scale=5.0)
    return denoise(model, [base], steps=3, scheduler=scheduler, seed=7).latents.samples


def theirs(pipe: Any, prompt: str, scheduler: str = "ddim") -> Tensor:
    oracle.set_scheduler(pipe, scheduler)
    return pipe(
        prompt,
        negative_prompt="a blue square",
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=oracle.seeded(7, 1),
        output_type="latent",
    ).images


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_equal_to_diffusers(models_of: Models, folder: Folder, tmp_path: Path, scheduler: str) -> None:
    """Several at once: one vector in diffusers' layout, three in it, and two in A1111's and kohya's."""
    files = [
        save(tmp_path / "one.safetensors", **{"<one>": vectors(1, 1)[0]}),
        save(tmp_path / "three.safetensors", **{"<three>": vectors(3, 2)}),
        save(tmp_path / "style.safetensors", emb_params=vectors(2, 3)),
    ]
    model = models_of("sd1")
    before, plain = checksum(model), ours(model, "a red circle", scheduler)
    taught = load_textual_inversion(model, [str(file) for file in files])
    pipe = oracle.pipeline("StableDiffusionPipeline", folder("sd1"))
    pipe.load_textual_inversion([str(file) for file in files], token=["<one>", "<three>", "style"])
    for prompt in ("a <one> circle on <three>", "<three>, <one> and style", "a red circle"):
        state = encode_prompt(taught, prompt).text
        assert relative(state, pipe.encode_prompt(prompt, "cpu", 1, False)[0]) <= 1e-5
        assert relative(ours(taught, prompt, scheduler), theirs(pipe, prompt, scheduler)) <= 1e-4
    assert torch.equal(ours(taught, "a red circle", scheduler), plain)
    assert checksum(model) == before
    assert checksum(load_textual_inversion(model, [str(files[0])])) != before


def test_sdxl_pairs(models_of: Models, folder: Folder, tmp_path: Path) -> None:
    left, right = vectors(2, 4), vectors(2, 5)
    file = save(tmp_path / "pair.safetensors", clip_l=left, clip_g=right)
    model = models_of("sdxl")
    before = checksum(model)
    taught = load_textual_inversion(model, [str(file)], ["<p>"])
    pipe = oracle.pipeline("StableDiffusionXLPipeline", folder("sdxl"))
    pipe.load_textual_inversion({"<p>": left}, token="<p>", text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
    pipe.load_textual_inversion(
        {"<p>": right}, token="<p>", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2
    )
    mine = encode_prompt(taught, "a <p> circle")
    expected = pipe.encode_prompt("a <p> circle", device="cpu", do_classifier_free_guidance=False)
    assert mine.pooled is not None
    assert relative(mine.text, expected[0]) <= 1e-5
    assert relative(mine.pooled, expected[2]) <= 1e-5
    assert relative(ours(taught, "a <p> circle"), theirs(pipe, "a <p> circle")) <= 1e-4
    assert checksum(model) == before


def test_pooled_states_end_at_the_end(models_of: Models, folder: Folder, tmp_path: Path) -> None:
    """SDXL's published configurations say ``eos_token_id`` 2, which stands for the highest id: with learned words,
    whose ids are higher, diffusers then pools at the word. Ours pools at the end of the text, whatever they say."""
    import json
    import shutil

    old = shutil.copytree(folder("sdxl"), tmp_path / "old")
    for name in ("text_encoder", "text_encoder_2"):
        path = old / name / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "eos_token_id": 2}), "utf-8")
    file = str(save(tmp_path / "pair.safetensors", clip_l=vectors(2, 4), clip_g=vectors(2, 5)))
    model = load_model(str(old), dtype="float32", device="cpu")
    found = encode_prompt(load_textual_inversion(model, [file], ["<p>"]), "a <p> circle").pooled
    right = encode_prompt(load_textual_inversion(models_of("sdxl"), [file], ["<p>"]), "a <p> circle").pooled
    assert found is not None
    assert right is not None
    assert torch.equal(found, right)


def test_spans_come_from_the_expanded_list(models_of: Models, tmp_path: Path) -> None:
    file = str(save(tmp_path / "a.safetensors", **{"<x>": vectors(3, 1)}))
    found = encode_prompt(load_textual_inversion(models_of("sd1"), [file]), "a <x> circle")
    assert found.tokens[1:6] == ("a</w>", "<x>", "<x>_1", "<x>_2", "circle</w>")
    assert found.spans == (("a", 1, 2), ("<x>", 2, 5), ("circle", 5, 6))
    assert token_spans(found, "<x>") == [(2, 5)]
    assert token_spans(found, "circle") == [(5, 6)]
    assert found.prompt == "a <x> circle"


def test_names_and_chains(models_of: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file's own tokens, its name, or what is given; later ones join earlier ones."""
    both = str(save(tmp_path / "both.safetensors", **{"<a>": vectors(1, 1), "<b>": vectors(2, 2)}))
    plain = str(save(tmp_path / "easynegative.safetensors", emb_params=vectors(1, 3)))
    model = load_textual_inversion(load_textual_inversion(models_of("sd1"), [both]), [plain])
    assert encode_prompt(model, "<a> <b> easynegative").tokens[1:5] == ("<a>", "<b>", "<b>_1", "easynegative")
    assert encode_prompt(model, "<b>_1").tokens[1] == "<b>_1"
    again = load_textual_inversion(model, [plain], ["<other>"])
    a, b = encode_prompt(again, "easynegative").text, encode_prompt(again, "<other>").text
    assert torch.equal(a, b)
    with pytest.raises(ModelError, match=r"'easynegative' is taken"):
        load_textual_inversion(model, [plain])
    with pytest.raises(ModelError, match="names of their own"):
        load_textual_inversion(models_of("sd1"), [both], ["<c>"])
    with pytest.raises(ValueError, match="2 tokens are given for 1 files"):
        load_textual_inversion(models_of("sd1"), [plain], ["<c>", "<d>"])
    with pytest.raises(ModelError, match="without spaces"):
        load_textual_inversion(models_of("sd1"), [plain], ["two words"])
    half = str(save(tmp_path / "half.safetensors", **{"<h>": vectors(1, 3)}))
    with caplog.at_level(logging.WARNING):
        load_textual_inversion(models_of("sdxl"), [half])
    assert "no vectors for text_encoder_2" in caplog.text


def test_bad_files(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    wide = save(tmp_path / "wide.safetensors", **{"<x>": torch.ones(2, 48)})
    with pytest.raises(ModelError, match=r"vectors of 48, this model's words are 32 \(text_encoder\) wide"):
        load_textual_inversion(model, [str(wide)])
    pair = save(tmp_path / "pair.safetensors", clip_l=vectors(1, 1), clip_g=vectors(1, 2))
    with pytest.raises(ModelError, match="for text_encoder_2"):
        load_textual_inversion(model, [str(pair)])
    lora = save(tmp_path / "lora.safetensors", **{"unet.to_q.lora_A.weight": torch.ones(2, 2)})
    with pytest.raises(ModelError, match="no textual inversion; expected diffusers'"):
        load_textual_inversion(model, [str(lora)])
    deep = save(tmp_path / "deep.safetensors", **{"<x>": torch.ones(2, 2, 2)})
    with pytest.raises(ModelError, match="not vectors"):
        load_textual_inversion(model, [str(deep)])
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(pair.read_bytes()[:-10])
    with pytest.raises(ModelError, match="truncated"):
        load_textual_inversion(model, [str(cut)])
    (tmp_path / "learned_embeds.bin").write_bytes(b"PK")
    with pytest.raises(ModelError, match="pickles"):
        load_textual_inversion(model, [str(tmp_path / "learned_embeds.bin")])
    with Graph() as graph:
        load_textual_inversion(load_model("shapes"), [str(lora), str(pair)], ["<a>"])
    messages = {problem.input: problem.message for problem in check(graph.workflow(), roots=[tmp_path])}
    assert "no textual inversion" in messages["sources"]
    assert "1 tokens are given for 2 files" in messages["tokens"]
