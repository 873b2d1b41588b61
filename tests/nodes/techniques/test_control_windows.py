"""Controls in windows of `during`, in split forwards, with a hint for each image, and over the disk cache."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.nodes.sampling.conftest import BUILDERS
from tests.nodes.techniques.conftest import _calm
from tests.nodes.techniques.guided import SIZE, base, cost, ours
from tests.nodes.techniques.measure import counted, relative
from tests.tiny import tiny_sd1
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft.engine import Cache, Result, run
from weft.nodes import (
    controlnet,
    denoise,
    depth_control,
    during,
    ip_adapter,
    load_controlnet,
    load_ip_adapter,
    load_t2i_adapter,
    multidiffusion,
    t2i_adapter,
)
from weft.nodes.nets.files import describe_controlnet
from weft.nodes.nets.live import load_net
from weft.nodes.sampling import forward as forward_module
from weft.nodes.sampling.run import Step
from weft.nodes.technique import Branch
from weft.nodes.values import Control, Guidance, Image, Mask, Model

Models = Callable[[str], Model]
Make = Callable[..., Control]
BUILDERS["sd1_fifth"] = lambda folder: _calm(tiny_sd1(folder, unet_in=5))


def picture(count: int = 1, height: int = 128, width: int = 128, seed: int = 3) -> Image:
    return Image(torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture(scope="module")
def nets(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("control-windows")
    tiny_controlnet(root / "controlnet", folder("sd1_calm"))
    tiny_adapter(root / "t2i", folder("sd1_calm"))
    tiny_image_adapter(root / "ip", folder("sd1_calm"))
    return root


@pytest.fixture(scope="module")
def controls(nets: Path) -> dict[str, Make]:
    """Each control with a hint of its own."""
    return {
        "controlnet": lambda **o: controlnet(load_controlnet(str(nets / "controlnet")), picture(), **o),
        "t2i_adapter": lambda **o: t2i_adapter(load_t2i_adapter(str(nets / "t2i")), picture(), **o),
        "ip_adapter": lambda **o: ip_adapter(load_ip_adapter(str(nets / "ip/ip-adapter.safetensors")), picture(), **o),
    }


KINDS = ["controlnet", "t2i_adapter", "ip_adapter"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_around_is_a_window_within(model: Models, controls: dict[str, Make], kind: str) -> None:
    """And an empty one is no control, a whole one no window, bit for bit; two windows act where they overlap."""
    made, control = model("sd1_calm"), controls[kind]
    got = ours(made, controls=[during(control(), 0.25, 0.75)])
    assert torch.equal(got, ours(made, controls=[control(start=0.25, end=0.75)]))
    whole, plain = ours(made, controls=[control()]), ours(made)
    assert relative(got, whole) > 1e-4
    assert relative(got, plain) > 1e-4
    assert torch.equal(ours(made, controls=[during(control())]), whole)
    assert torch.equal(ours(made, controls=[during(control(), 0.5, 0.5)]), plain)
    assert torch.equal(ours(made, controls=[during(control(end=0.75), 0.25)]), got)


def test_a_net_does_not_run_outside_the_window_around_it(model: Models, nets: Path) -> None:
    made, net = model("sd1_calm"), load_controlnet(str(nets / "controlnet"))
    held = load_net(net.source, net.location, net.fingerprint, describe_controlnet, torch.device("cpu"), torch.float32)
    with counted(held.item) as own:
        assert cost(made, controls=[during(controlnet(net, picture()), 0.25, 0.75)]) == [2] * 4
    assert own == [2, 2]


def test_depth_outside_its_window_is_flat(model: Models) -> None:
    """The model reads its channel in every step; nothing is nearer there than anything else."""
    made = model("sd1_fifth")
    flat, deep = depth_control(Image(torch.full((1, 128, 128, 3), 0.5))), depth_control(picture())
    assert torch.equal(ours(made, controls=[during(deep, 0.5, 0.5)]), ours(made, controls=[flat]))
    assert torch.equal(ours(made, controls=[during(deep)]), ours(made, controls=[deep]))
    first = denoise(made, [base(made)], [during(deep, 0.0, 0.5)], steps=4, scheduler="ddim", seed=7, **SIZE)
    whole = denoise(made, [base(made)], [deep], steps=4, scheduler="ddim", seed=7, **SIZE)
    none = denoise(made, [base(made)], [flat], steps=4, scheduler="ddim", seed=7, **SIZE)
    assert torch.equal(first.trajectory.latents[2], whole.trajectory.latents[2])
    assert relative(first.latents.samples, whole.latents.samples) > 1e-4
    assert relative(first.latents.samples, none.latents.samples) > 1e-4


def halves(seed: int = 0) -> Mask:
    """Two masks that overlap, soft."""
    ramp = torch.linspace(0, 1, 192).expand(1, 128, 192)
    return Mask(torch.cat([ramp, 1 - ramp]))


@pytest.mark.parametrize("kind", KINDS)
def test_split_forwards_give_the_same(model: Models, nets: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A panorama of two images, evaluated one view at a time: every row still sees its own part of hint and mask."""
    made = model("sd1_calm")
    control: Control
    if kind == "ip_adapter":
        net = load_ip_adapter(str(nets / "ip/ip-adapter.safetensors"))
        control = ip_adapter(net, picture(2), mask=halves(), scale=1.0)
    elif kind == "controlnet":
        control = controlnet(load_controlnet(str(nets / "controlnet")), picture(2, width=192))
    else:
        control = t2i_adapter(load_t2i_adapter(str(nets / "t2i")), picture(2, width=192))
    views = multidiffusion(128, 128, stride=32)
    options: dict[str, Any] = {"width": 192, "batch": 2, "steps": 2, "controls": [control]}
    together = ours(made, views, **options)
    assert cost(made, views, **options) == [12, 12]
    monkeypatch.setattr(forward_module, "BUDGET", 1)
    assert cost(made, views, **options) == [2] * 12
    assert relative(ours(made, views, **options), together) <= 1e-4


@dataclass(frozen=True, eq=False, kw_only=True)
class Asks(Guidance):
    """Asks for the predictions of single images, as gradients do, beside those of all."""

    answers: list[tuple[Tensor, Tensor]]

    def guide(self, step: Step) -> None:
        branch = step.run.derived(self, lambda: Branch("asked", "cond", step.run.empty_conditioning()))
        everything = step.predict([branch])[branch]
        for number in range(step.run.batch):
            self.answers.append((step.predict([branch], images=[number])[branch], everything[number : number + 1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wide", [False, True])
def test_predictions_for_some_images_see_their_rows(model: Models, nets: Path, kind: str, wide: bool) -> None:
    """Of a batch, and of a panorama's batch: each image has its own hint, and each view its part of it and of masks."""
    made, width = model("sd1_calm"), 192 if wide else 128
    control: Control
    if kind == "ip_adapter":
        mask = Mask(halves().pixels[..., :width].contiguous())
        control = ip_adapter(load_ip_adapter(str(nets / "ip/ip-adapter.safetensors")), picture(2), mask=mask, scale=1.0)
    elif kind == "controlnet":
        control = controlnet(load_controlnet(str(nets / "controlnet")), picture(2, width=width))
    else:
        control = t2i_adapter(load_t2i_adapter(str(nets / "t2i")), picture(2, width=width))
    asks = Asks(answers=[])
    views = [multidiffusion(128, 128, stride=64)] if wide else []
    ours(made, *views, asks, controls=[control], width=width, batch=2, steps=1)
    plain = Asks(answers=[])
    ours(made, *views, plain, width=width, batch=2, steps=1)
    assert len(asks.answers) == 2
    for (alone, among), (without, _) in zip(asks.answers, plain.answers, strict=True):
        assert relative(alone, among) <= 1e-5
        assert relative(alone, without) > 1e-4


SCRIPT = """
import json, sys
from safetensors.torch import save_file
from weft.engine import Cache, run

started = []
done = run(
    json.load(sys.stdin),
    targets=["draw"],
    cache=Cache(sys.argv[1]),
    on_event=lambda event: started.append(event.node) if type(event).__name__ == "NodeStarted" else None,
)
save_file({"samples": done["draw.latents"].samples}, sys.argv[2])
print(json.dumps(started))
"""


def document(model: Path, nets: Path, picture: Path, seed: int) -> dict[str, Any]:
    def link(name: str) -> dict[str, str]:
        return {"link": name}

    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "model": ("load_model", {"source": str(model), "dtype": "float32", "device": "cpu"}),
        "prompt": ("encode_prompt", {"model": link("model"), "text": "a red circle"}),
        "cfg": ("cfg", {"prompt": link("prompt")}),
        "hint": ("load_image", {"path": str(picture)}),
        "net_a": ("load_controlnet", {"source": str(nets / "controlnet")}),
        "net_b": ("load_t2i_adapter", {"source": str(nets / "t2i")}),
        "net_c": ("load_ip_adapter", {"source": str(nets / "ip/ip-adapter.safetensors")}),
        "a": ("controlnet", {"net": link("net_a"), "hint": link("hint")}),
        "b": ("t2i_adapter", {"net": link("net_b"), "hint": link("hint")}),
        "c": ("ip_adapter", {"net": link("net_c"), "image": link("hint")}),
        "late": ("during", {"technique": link("c"), "start": 0.5}),
        "draw": (
            "denoise",
            {
                "model": link("model"),
                "guidance": [link("cfg")],
                "controls": [link("a"), link("b"), link("late")],
                "steps": 2,
                "seed": seed,
            },
        ),
    }
    return {"weft": 1, "nodes": {id: {"type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}}


def test_nets_come_back_from_the_disk_cache(folder: Callable[[str], Path], nets: Path, tmp_path: Path) -> None:
    """Another process with another seed runs the denoise alone: nets, hints and prompt come stored, weights anew."""
    from PIL import Image as Pillow

    hint = tmp_path / "hint.png"
    Pillow.fromarray((picture().pixels[0] * 255).round().to(torch.uint8).numpy()).save(hint)

    def here(seed: int, cache: str) -> Result:
        made = document(folder("sd1_calm"), nets, hint, seed)
        return run(made, targets=["draw"], cache=Cache(tmp_path / cache), out=tmp_path)

    first = here(1, "cache")
    assert first.ran == 12
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "cache"), str(tmp_path / "made.safetensors")],
        input=json.dumps(document(folder("sd1_calm"), nets, hint, 2)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["draw"]
    second = load_file(tmp_path / "made.safetensors")["samples"]
    assert relative(second, here(2, "other")["draw.latents"].samples) <= 1e-4
    assert relative(second, first["draw.latents"].samples) > 1e-2
