"""TIME, beside its formula and diffusers' pipeline.

In diffusers 0.42.1 that pipeline looks for a class that is called otherwise since 2023 and so edits nothing: the oracle
is given the layers. It inverts in float32, which is coarse; so it runs in double here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.adapters import calm, checksum, relative
from tests.tiny import tiny_sd1, tiny_sdxl
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import apply_lora, cfg, denoise, edit_model, encode_prompt, load_model, load_textual_inversion
from weft.nodes.values import Model

Models = Callable[[str], Model]
Folder = Callable[[str], Path]
SOURCE, DESTINATION = "a circle on white", "a large red circle on the white background"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("edit")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: calm(builders[name](root / name)))


@pytest.fixture(scope="module")
def models_of(folder: Folder) -> Models:
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


def projections(unet: Any) -> dict[str, Tensor]:
    return {
        n: w.clone() for n, w in unet.state_dict().items() if n.endswith(("attn2.to_v.weight", "attn2.to_k.weight"))
    }


@pytest.fixture
def pipe(folder: Folder) -> Any:
    pipe = oracle.pipeline("StableDiffusionModelEditingPipeline", folder("sd1"))
    pipe.unet.double()
    pipe.text_encoder.double()
    pipe.ca_clip_layers = [m for n, m in pipe.unet.named_modules() if n.endswith("attn2")]
    pipe.projection_matrices = [m.to_v for m in pipe.ca_clip_layers] + [m.to_k for m in pipe.ca_clip_layers]
    pipe.og_matrices = [copy.deepcopy(m) for m in pipe.projection_matrices]
    return pipe


def edit(pipe: Any, source: str, destination: str, lamb: float, **options: Any) -> None:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # its identity matrix is of the default type
    try:
        pipe.edit_model(source, destination, lamb=lamb, **options)
    finally:
        torch.set_default_dtype(default)


@pytest.mark.parametrize(
    ("source", "destination", "lamb"),
    [(SOURCE, DESTINATION, 0.1), ("a cat", "a large cat and a dog", 10.0), ("A star", "A green star", 0.5)],
)
def test_weights_equal_diffusers(models_of: Models, pipe: Any, source: str, destination: str, lamb: float) -> None:
    model = models_of("sd1")
    before = checksum(model)
    edit(pipe, source, destination, lamb)
    mine = projections(edit_model(model, source, destination, lamb).parts().unet)
    for name, weight in projections(pipe.unet).items():
        assert relative(mine[name], weight) <= 1e-4
        assert relative(mine[name], projections(model.parts().unet)[name]) > 1e-3
    others = edit_model(model, source, destination, lamb).parts().unet.state_dict()
    assert all(torch.equal(w, others[n]) for n, w in model.parts().unet.state_dict().items() if n not in mine)
    assert checksum(model) == before


def test_edits_add_up(models_of: Models, pipe: Any) -> None:
    model = models_of("sd1")
    edit(pipe, "a circle", "a red circle", 0.5)
    edit(pipe, "a square", "a blue square", 0.5, restart_params=False)
    twice = edit_model(edit_model(model, "a circle", "a red circle", 0.5), "a square", "a blue square", 0.5)
    mine = projections(twice.parts().unet)
    assert all(relative(mine[name], weight) <= 1e-4 for name, weight in projections(pipe.unet).items())


def test_images_equal_diffusers(models_of: Models, pipe: Any) -> None:
    model = edit_model(models_of("sd1"), SOURCE, DESTINATION)
    edit(pipe, SOURCE, DESTINATION, 0.1)
    pipe.unet.float()
    pipe.text_encoder.float()
    for scheduler in ("ddim", "euler"):
        oracle.set_scheduler(pipe, scheduler)
        theirs = pipe(
            "a circle", guidance_scale=5.0, num_inference_steps=3, generator=oracle.seeded(7, 1), output_type="latent"
        ).images
        assert relative(ours(model, "a circle", scheduler), theirs) <= 1e-4


def ours(model: Model, prompt: str, scheduler: Any = "ddim", batch: int = 1) -> Tensor:
    guidance = cfg(encode_prompt(model, prompt), scale=5.0)
    return denoise(model, [guidance], steps=3, scheduler=scheduler, seed=7, batch=batch).latents.samples


def test_by_the_formula(models_of: Models) -> None:
    """One text, values alone: W' = (l W + sum v k^T)(l I + sum k k^T)^-1, written down as the paper has it."""
    model = models_of("sd1")
    edited = edit_model(model, "a circle", "a red circle", 0.3, keys=False, templates=False)
    k = encode_prompt(model, "a circle").text[0].double()
    d = encode_prompt(model, "a red circle").text[0].double()[[0, 1, 3, 4, *range(5, 77), 76]]
    mine, base = projections(edited.parts().unet), projections(model.parts().unet)
    ridge = 0.3 * torch.eye(32, dtype=torch.float64)
    for name, weight in base.items():
        if name.endswith("to_k.weight"):
            assert torch.equal(mine[name], weight)
            continue
        w = weight.double()
        v = d @ w.T
        right = (0.3 * w + v.T @ k) @ torch.inverse(ridge + k.T @ k)
        assert relative(mine[name], right) <= 1e-5


def test_what_is_kept_by_the_formula(models_of: Models) -> None:
    """UCE's W' = (l W + sum v k^T + sum_kept W k k^T)(l I + sum k k^T + sum_kept k k^T)^-1."""
    model = models_of("sd1")
    edited = edit_model(model, "a circle", "a red circle", 0.3, templates=False, keep=["a star", "large"])
    k = encode_prompt(model, "a circle").text[0].double()
    d = encode_prompt(model, "a red circle").text[0].double()[[0, 1, 3, 4, *range(5, 77), 76]]
    kept = torch.cat([encode_prompt(model, text).text[0] for text in ("a star", "large")]).double()
    mine, base = projections(edited.parts().unet), projections(model.parts().unet)
    ridge = 0.3 * torch.eye(32, dtype=torch.float64)
    alone = projections(edit_model(model, "a circle", "a red circle", 0.3, templates=False).parts().unet)
    for name, weight in base.items():
        w = weight.double()
        left = 0.3 * w + (d @ w.T).T @ k + w @ kept.T @ kept
        assert relative(mine[name], left @ torch.inverse(ridge + k.T @ k + kept.T @ kept)) <= 1e-5
        read, moved, spread = (kept @ matrix.double().T for matrix in (weight, mine[name], alone[name]))
        assert (moved - read).norm() < 0.5 * (spread - read).norm()


def test_nothing_to_assume_changes_nothing(models_of: Models) -> None:
    model = models_of("sd1")
    same = projections(edit_model(model, "a circle", "a circle").parts().unet)
    assert all(relative(same[name], weight) <= 1e-5 for name, weight in projections(model.parts().unet).items())


def test_batches_equal_single_seeds(models_of: Models) -> None:
    model = edit_model(models_of("sd1"), SOURCE, DESTINATION)
    assert relative(ours(model, "a circle", batch=2)[:1], ours(model, "a circle")) <= 1e-4


def test_sdxl_reads_both_encoders(models_of: Models) -> None:
    model = models_of("sdxl")
    edited = edit_model(model, "a circle", "a red circle")
    assert relative(ours(edited, "a circle"), ours(model, "a circle")) > 1e-4


def test_order_matters(models_of: Models, tmp_path: Path) -> None:
    """An edit is solved with the words and against the weights that come before it."""
    from safetensors.torch import save_file

    model = models_of("sd1")
    for number in (1, 2):
        torch.manual_seed(number)
        save_file({"<x>": torch.randn(1, 32)}, tmp_path / f"{number}.safetensors")
    edits = [
        projections(
            edit_model(load_textual_inversion(model, [str(tmp_path / f"{n}.safetensors")]), "a <x>", "a red <x>")
            .parts()
            .unet
        )
        for n in (1, 2)
    ]
    assert any(not torch.equal(edits[0][name], edits[1][name]) for name in edits[0])
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    torch.manual_seed(0)
    lora = {f"unet.{name}.lora_A.weight": torch.randn(4, 32), f"unet.{name}.lora_B.weight": torch.randn(16, 4)}
    save_file(lora, tmp_path / "lora.safetensors")
    file = str(tmp_path / "lora.safetensors")
    one = projections(edit_model(apply_lora(model, file), "a circle", "a red circle").parts().unet)
    other = projections(apply_lora(edit_model(model, "a circle", "a red circle"), file).parts().unet)
    assert not torch.allclose(one[f"{name}.weight"], other[f"{name}.weight"])


def test_every_word_of_the_source_is_needed(models_of: Models) -> None:
    with pytest.raises(ValueError, match="'circle' is missing"):
        edit_model(models_of("sd1"), "a circle", "a red square")
    with pytest.raises(ValueError, match="source is empty"):
        edit_model(models_of("sd1"), " ", "a red square")
    with Graph() as graph:
        edit_model(load_model("shapes"), "a circle", "a red square")
        edit_model(load_model("shapes"), "a circle", "a red circle", keep=["a star", " "])
    found = {problem.input: problem.message for problem in check(graph.workflow()) if problem.code == "bad_value"}
    assert "'circle' is missing" in found["destination"]
    assert "keep[1] is empty" in found["keep"]
    with pytest.raises(ValueError, match=r"keep\[0\] is empty"):
        edit_model(models_of("sd1"), "a circle", "a red circle", keep=[""])
