"""Perturbed-attention guidance: parity with diffusers (SD 1.x, 2.x, XL), cost, switching off, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.nodes.techniques.guided import cost, ours, theirs
from tests.nodes.techniques.measure import relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_model, pag
from weft.nodes.techniques.pag import PerturbedAttention, chosen
from weft.nodes.values import Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
KINDS = {
    "sd1_four_calm": "StableDiffusionPAGPipeline",
    "sd2_calm": "StableDiffusionPAGPipeline",
    "sdxl_calm": "StableDiffusionXLPAGPipeline",
}


@pytest.mark.parametrize(
    ("name", "scheduler", "layers", "options"),
    [
        ("sd1_four_calm", "ddim", ["mid"], {}),
        ("sd1_four_calm", "euler_ancestral", ["mid"], {"pag_scale": 1.5, "pag_adaptive_scale": 0.002, "batch": 2}),
        ("sd1_four_calm", "pndm", ["down_blocks.1", "up_blocks.2.attentions.1"], {"pag_scale": 5.0}),
        ("sd1_four_calm", "dpmpp_2m", ["up"], {"scale": 1.0, "batch": 2}),
        ("sd2_calm", "heun", ["mid"], {"pag_adaptive_scale": 0.01}),
        ("sd2_calm", "unipc", ["down", "mid"], {"guidance_rescale": 0.7}),
        ("sdxl_calm", "default", ["mid"], {}),
        ("sdxl_calm", "ddim", ["down_blocks.2", "mid"], {"pag_scale": 2.0, "pag_adaptive_scale": 0.001, "batch": 2}),
        ("sdxl_calm", "dpmpp_2m_karras", ["mid"], {"guidance_rescale": 0.5}),
        ("sdxl_calm", "euler", ["mid"], {"scale": 1.0}),
    ],
)
def test_parity(
    model: Models, pipe: Pipes, name: str, scheduler: str, layers: list[str], options: dict[str, Any]
) -> None:
    oracle = pipe(name, KINDS[name])
    oracle.set_pag_applied_layers(layers)
    expected = theirs(oracle, scheduler, **({"pag_scale": 3.0} | options))
    mine = pag(options.get("pag_scale", 3.0), options.get("pag_adaptive_scale", 0.0), layers)
    others: list[Any] = []
    if "guidance_rescale" in options:
        from weft.nodes import rescale_guidance

        others = [rescale_guidance(options["guidance_rescale"])]
    common = {key: options[key] for key in ("scale", "batch") if key in options}
    assert relative(ours(model(name), *others, mine, scheduler=scheduler, **common), expected) <= 1e-4
    assert relative(ours(model(name), *others, scheduler=scheduler, **common), expected) > 1e-3


def test_cost(model: Models) -> None:
    """One forward a step; the perturbed row is left out where the scale has fallen to 0 (diffusers keeps it)."""
    made = model("sd1_calm")
    assert cost(made, pag()) == [3] * 4
    assert cost(made, pag(), scale=1.0, batch=2) == [4] * 4
    # Timesteps 751, 501, 251, 1 of 1000.
    assert cost(made, pag(3.0, adaptive=0.005)) == [3, 3, 2, 2]


def test_image_k_equals_its_own_seed(model: Models) -> None:
    made = model("sd1_calm")
    batch = ours(made, pag(), batch=3, scheduler="euler_ancestral")
    for number in range(3):
        alone = ours(made, pag(), seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_off_is_absent(model: Models) -> None:
    """Bit for bit; and on it is not."""
    made = model("sd1_calm")
    plain = ours(made)
    assert torch.equal(ours(made, pag(0.0)), plain)
    assert torch.equal(ours(made, PerturbedAttention(window=(0.5, 0.5))), plain)
    assert torch.equal(ours(made, pag(3.0, adaptive=1.0)), plain)
    assert relative(ours(made, pag()), plain) > 1e-3


def test_layers_are_chosen_by_whole_parts() -> None:
    site = "up_blocks.1.attentions.1.transformer_blocks.0.attn1"
    for layer in ("up", "up_blocks", "up_blocks.1", "up.1.attentions.1", site):
        assert chosen(layer, site)
    for layer in ("u", "up_blocks.2", "up_blocks.1.attentions.0", "down", "attentions", "", f"{site}.more"):
        assert not chosen(layer, site)


def test_layers_that_the_model_lacks(model: Models) -> None:
    with pytest.raises(
        ValueError, match=r"no self-attention in 'up_blocks.7', only in down_blocks.0, up_blocks.1, mid"
    ):
        ours(model("sd1_calm"), pag(layers=["up_blocks.7"]))


def test_bad_input_before_running(folder: Callable[[str], Any]) -> None:
    for layers, expected in ((["middle"], "begins with mid, down or up"), ([], "at least one layer")):
        with pytest.raises(ValueError, match=expected):
            pag(layers=layers)
        with Graph() as graph:
            made: Any = load_model(str(folder("sd1_calm")))
            denoise(made, [cfg(encode_prompt(made, "a")), pag(layers=layers)])
        (problem,) = check(graph.workflow(), targets=["denoise"])
        assert (problem.code, problem.node, problem.input) == ("bad_value", "pag", "layers")
        assert expected in problem.message
