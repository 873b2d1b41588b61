"""IP-Adapter by layer: parity with diffusers' dictionaries of scales, windows, several adapters, resuming, refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.guided import base, cost, ours
from tests.nodes.techniques.measure import relative
from tests.nodes.techniques.test_ip_adapter import Models, Nets, Pipes, picture, pillow, theirs
from tests.tiny_nets import tiny_image_adapter
from weft.engine import Context, check
from weft.engine.cache.trails import Trails
from weft.nodes import denoise, during, ip_adapter, load_ip_adapter
from weft.nodes.nets.handles import ImageAdapter
from weft.nodes.technique.layers import attention_places, share
from weft.nodes.values import Control, Model

UP, DOWN = "up_blocks.{}.attentions.{}", "down_blocks.{}.attentions.{}"
CASES: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    # diffusers counts blocks from 0 and names those alone that have attention.
    ("sd1_calm", {"up": {"block_1": [0.0, 1.0, 0.0]}}, {UP.format(1, 1): 1.0}),
    (
        "sd1_calm",
        {"down": {"block_0": [0.0, 1.0]}, "up": {"block_1": [0.0, 1.0, 0.0]}},
        {DOWN.format(0, 1): 1.0, UP.format(1, 1): 1.0},
    ),
    (
        "sd1_calm",
        {"down": 0.3, "mid": 0.5, "up": {"block_1": [0.2, 0.9, -0.4]}},
        {"down": 0.3, "mid_block": 0.5, "up.1": 0.2, UP.format(1, 1): 0.9, UP.format(1, 2): -0.4},
    ),
    (
        "sdxl_calm",
        {"down": {"block_2": [0.0, 1.0]}, "up": {"block_0": [0.0, 1.0, 0.0]}},
        {DOWN.format(2, 1): 1.0, UP.format(0, 1): 1.0},
    ),
    ("sdxl_calm", {"mid": 0.8}, {"mid": 0.8}),
]


@pytest.fixture(scope="module")
def nets(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Nets:
    """The file of a tiny IP-Adapter by model, kind and seed."""
    root = tmp_path_factory.mktemp("layers")

    @cache
    def make(name: str, kind: str, seed: int) -> Path:
        return tiny_image_adapter(root / f"{name}-{kind}-{seed}", folder(name), seed, kind=kind)

    return lambda name, kind="plain", seed=0: make(name, kind, seed)


def adapter(nets: Nets, name: str = "sd1_calm", kind: str = "plain") -> ImageAdapter:
    return load_ip_adapter(str(nets(name, kind)))


@pytest.mark.parametrize(("name", "dictionary", "layers"), CASES)
def test_parity_with_a_dictionary(
    model: Models, pipe: Pipes, nets: Nets, name: str, dictionary: dict[str, Any], layers: dict[str, float]
) -> None:
    expected = theirs(pipe, name, [nets(name)], pillow(picture()), [dictionary], "ddim")
    got = ours(model(name), controls=[ip_adapter(adapter(nets, name), picture(), scale=1.0, layers=layers)])
    assert relative(got, expected) <= 1e-4
    assert relative(got, ours(model(name))) > 1e-4
    everywhere = ours(model(name), controls=[ip_adapter(adapter(nets, name), picture(), scale=1.0)])
    assert relative(got, everywhere) > 1e-4


def test_several_adapters_each_with_its_own(model: Models, pipe: Pipes, nets: Nets) -> None:
    """Style of one picture and layout of another; a number beside a dictionary."""
    files, images = [nets("sd1_calm"), nets("sd1_calm", "plus")], [picture(), picture(seed=4)]
    pictures: list[Any] = [pillow(image)[0] for image in images]
    mine: list[tuple[Any, dict[str, Any]]] = [
        ({"up": {"block_1": [0.0, 1.0, 0.0]}}, {"scale": 1.0, "layers": {UP.format(1, 1): 1.0}}),
        ({"down": {"block_0": [0.6, 0.0]}}, {"scale": 0.6, "layers": {DOWN.format(0, 0): 1.0}}),
        (0.5, {"scale": 0.5}),
    ]
    for one, two in ((0, 1), (2, 1), (0, 2)):
        expected = theirs(pipe, "sd1_calm", files, pictures, [mine[one][0], mine[two][0]], "ddim")
        controls = [
            ip_adapter(load_ip_adapter(str(file)), image, **mine[number][1])
            for file, image, number in zip(files, images, (one, two), strict=True)
        ]
        assert relative(ours(model("sd1_calm"), controls=controls), expected) <= 1e-4


def test_shares_multiply_the_scale(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), adapter(nets)

    def run(scale: float, **layers: float) -> Tensor:
        return ours(made, controls=[ip_adapter(net, picture(), scale=scale, layers=layers)])

    assert torch.equal(run(0.5, down=0.5, mid=1.0), run(1.0, down=0.25, mid=0.5))
    assert torch.equal(run(0.6, down=1, mid=1, up=1), ours(made, controls=[ip_adapter(net, picture())]))


def test_off_is_absent_and_costs_nothing(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), adapter(nets)
    plain = ours(made)
    assert torch.equal(ours(made, controls=[ip_adapter(net, picture(), layers={"mid": 0.0, "up": 0.0})]), plain)
    assert torch.equal(ours(made, controls=[ip_adapter(net, picture(), scale=0.0, layers={"mid": 1.0})]), plain)
    assert cost(made, controls=[ip_adapter(net, picture(), layers={"mid": 1.0})]) == [2] * 4


def steps(made: Model, controls: list[Control], trails: Trails | None) -> tuple[tuple[Tensor, ...], int]:
    """The latents after each step, and how many steps an earlier run gave."""
    said = [0]
    ctx = Context(trails=trails, on_reused=lambda node, steps, total: said.append(steps))
    options: dict[str, Any] = {"steps": 8, "scheduler": "ddim", "seed": 7, "width": 64, "height": 64}
    return denoise(made, [base(made)], controls, ctx=ctx, **options).trajectory.latents, said[-1]


def test_a_sweep_of_its_window_goes_on_from_shared_steps(model: Models, nets: Nets) -> None:
    """Windows of `during` that begin later leave the steps before; other shares in the same window do not."""
    made, net, trails = model("sd1_calm"), adapter(nets), Trails(1 << 26)

    def control(start: float, **layers: float) -> list[Control]:
        return [during(ip_adapter(net, picture(), scale=1.0, layers=layers), start, 1.0)]

    steps(made, control(0.5, mid=1.0), trails)
    for start, layers, shared in ((0.75, {"mid": 1.0}, 4), (0.5, {"mid": 0.5}, 4), (0.5, {"up": 1.0}, 4)):
        resumed, reused = steps(made, control(start, **layers), trails)
        full, _ = steps(made, control(start, **layers), None)
        assert all(torch.equal(*pair) for pair in zip(resumed, full, strict=True)), (start, layers)
        assert reused == shared
    assert steps(made, control(0.5, mid=1.0), trails)[1] == 8
    # The order in which a document names the parts is none of its content.
    steps(made, control(0.5, mid=1.0, up=0.5), trails)
    assert steps(made, control(0.5, up=0.5, mid=1.0), trails)[1] == 8


def test_the_longest_name_counts() -> None:
    layers = (("up", 0.1), ("up_blocks.1", 0.2), ("up.1.attentions.2", 0.0), ("mid_block", 0.4))
    site = "up_blocks.{}.attentions.{}.transformer_blocks.0.attn2"
    numbers = [share(layers, site.format(block, place)) for block, place in ((0, 0), (1, 0), (1, 2), (11, 2))]
    assert numbers == [0.1, 0.2, 0.0, 0.1]
    assert share(layers, "mid_block.attentions.0.transformer_blocks.0.attn2") == 0.4
    assert share(layers, "down_blocks.1.attentions.0.transformer_blocks.0.attn2") == 0.0


@pytest.mark.parametrize("name", ["sd1_calm", "sdxl_calm"])
def test_places_are_those_of_the_module(model: Models, name: str) -> None:
    with model(name).parts() as parts:
        sites = [path for path, _ in parts.unet.named_modules() if path.endswith(".attn2")]
        told = attention_places(parts.unet.config)
    assert told is not None
    assert set(told) == {".".join(site.split(".")[: 3 if site.startswith("mid") else 4]) for site in sites}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"middle": 1.0}, "a layer begins with mid, down or up, .* not 'middle'"),
        ({"mid": 1.0, "mid_block": 0.5}, "ip_adapter: mid and mid_block name one part of the denoiser"),
        (
            {"down_blocks.1": 1.0},
            r"no cross-attention in 'down_blocks\.1', only in down_blocks\.0, up_blocks\.1, mid_block",
        ),
        (
            {"up.1.attentions.3": 1.0},
            r"no cross-attention in 'up\.1\.attentions\.3', only in up_blocks\.1\.attentions\.0, .*attentions\.2$",
        ),
    ],
)
def test_layers_that_are_not_there(
    model: Models, nets: Nets, folder: Callable[[str], Path], layers: dict[str, float], message: str
) -> None:
    """Said by check where the model is known, and by the run."""
    with pytest.raises(ValueError, match=message):
        ours(model("sd1_calm"), controls=[ip_adapter(adapter(nets), picture(), layers=layers)])
    own, source = {"model": {"link": "model"}}, str(folder("sd1_calm"))
    given = {"net": {"link": "net"}, "image": {"link": "picture"}, "layers": layers}
    nodes = {
        "model": {"type": "load_model", "inputs": {"source": source}},
        "prompt": {"type": "encode_prompt", "inputs": {**own, "text": "a star"}},
        "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}}},
        "net": {"type": "load_ip_adapter", "inputs": {"source": str(nets("sd1_calm"))}},
        "blank": {"type": "noise", "inputs": own},
        "picture": {"type": "decode", "inputs": {**own, "latents": {"link": "blank"}}},
        "seen": {"type": "ip_adapter", "inputs": given},
        "late": {"type": "during", "inputs": {"technique": {"link": "seen"}, "start": 0.5}},
        "draw": {
            "type": "denoise",
            "inputs": {**own, "guidance": [{"link": "cfg"}], "controls": [{"link": "late"}], "steps": 2},
        },
    }
    (problem,) = check({"weft": 1, "nodes": nodes}, targets=["draw"])
    assert (problem.code, problem.node, problem.input) == ("bad_value", "seen", "layers")
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem.message)


def test_check_takes_layers_that_are_there(nets: Nets, folder: Callable[[str], Path]) -> None:
    nodes = {
        "model": {"type": "load_model", "inputs": {"source": str(folder("sdxl_calm"))}},
        "net": {"type": "load_ip_adapter", "inputs": {"source": str(nets("sdxl_calm"))}},
        "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "model"}, "text": "a star"}},
        "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}}},
        "blank": {"type": "noise", "inputs": {"model": {"link": "model"}}},
        "picture": {"type": "decode", "inputs": {"model": {"link": "model"}, "latents": {"link": "blank"}}},
        "seen": {
            "type": "ip_adapter",
            "inputs": {
                "net": {"link": "net"},
                "image": {"link": "picture"},
                "layers": {"up_blocks.0.attentions.1": 1, "down.2.attentions.1.transformer_blocks.0": 0.5, "mid": 0},
            },
        },
        "draw": {
            "type": "denoise",
            "inputs": {
                "model": {"link": "model"},
                "guidance": [{"link": "cfg"}],
                "controls": [{"link": "seen"}],
                "steps": 2,
            },
        },
    }
    assert check({"weft": 1, "nodes": nodes}, targets=["draw"]) == []
