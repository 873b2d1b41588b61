"""ControlNet: parity with diffusers (SD 1.x, 2.x, XL, several, guess mode), loading, cost, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, ours
from tests.nodes.techniques.measure import counted, relative
from tests.tiny_nets import tiny_controlnet
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import controlnet, load_controlnet, multidiffusion
from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.nets.files import describe_controlnet
from weft.nodes.nets.handles import ControlNet
from weft.nodes.nets.live import LoadedNet, load_net
from weft.nodes.values import Image, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
Nets = Callable[..., Path]


@pytest.fixture(scope="module")
def nets(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Nets:
    """The folder of a tiny ControlNet by model and seed."""
    root = tmp_path_factory.mktemp("controlnets")

    @cache
    def make(name: str, seed: int = 0, pool: bool = False) -> Path:
        return tiny_controlnet(root / f"{name}-{seed}-{pool}", folder(name), seed, pool=pool)

    return make


def picture(count: int = 1, height: int = 128, width: int = 128, seed: int = 3) -> Image:
    return Image(torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed)))


def live(net: ControlNet) -> LoadedNet:
    return load_net(net.source, net.location, net.fingerprint, describe_controlnet, torch.device("cpu"), torch.float32)


def with_net(model: Model, *controls: Any, **options: Any) -> Tensor:
    return ours(model, controls=list(controls), **options)


def theirs(
    model: Model,
    pipe: Pipes,
    name: str,
    held: list[LoadedNet],
    hints: list[Image],
    scheduler: str,
    *,
    scale: float = 5.0,
    batch: int = 1,
    **options: Any,
) -> Tensor:
    """diffusers' ControlNet pipeline on the same modules."""
    xl = model.family == "sdxl"
    source = pipe(name, "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline")
    items = [one.item for one in held]
    net = items[0] if len(items) == 1 else diffusers.MultiControlNetModel(items)
    kind = "StableDiffusionXLControlNetPipeline" if xl else "StableDiffusionControlNetPipeline"
    parts = {key: part for key, part in source.components.items() if key not in ("image_encoder", "feature_extractor")}
    if not xl:
        parts |= {"feature_extractor": None, "requires_safety_checker": False}
    made = getattr(diffusers, kind)(**parts, controlnet=net)
    made.set_progress_bar_config(disable=True)
    made.own_scheduler = source.own_scheduler
    set_scheduler(made, scheduler)
    images = [hint.pixels.permute(0, 3, 1, 2) for hint in hints]
    # A hint for each image is, there, one for each prompt.
    prompts = len(images[0])
    return made(
        [PROMPT] * prompts,
        image=images[0] if len(images) == 1 else images,
        negative_prompt=[NEGATIVE] * prompts,
        num_images_per_prompt=batch // prompts,
        guidance_scale=scale,
        num_inference_steps=4,
        generator=seeded(7, batch),
        height=128,
        width=128,
        output_type="latent",
        **options,
    ).images


@pytest.mark.parametrize(
    ("name", "scheduler", "batch", "mine", "other"),
    [
        ("sd1_calm", "ddim", 1, {}, {}),
        (
            "sd1_calm",
            "euler_ancestral",
            2,
            {"scale": 0.6, "start": 0.25, "end": 0.75},
            {"controlnet_conditioning_scale": 0.6, "control_guidance_start": 0.25, "control_guidance_end": 0.75},
        ),
        ("sd1_calm", "pndm", 2, {"guess_mode": True}, {"guess_mode": True}),
        ("sd2_calm", "dpmpp_2m", 1, {"scale": 1.4}, {"controlnet_conditioning_scale": 1.4}),
        ("sdxl_calm", "default", 1, {}, {}),
        ("sdxl_calm", "ddim", 2, {"guess_mode": True, "end": 0.5}, {"guess_mode": True, "control_guidance_end": 0.5}),
    ],
)
def test_parity(
    model: Models,
    pipe: Pipes,
    nets: Nets,
    name: str,
    scheduler: str,
    batch: int,
    mine: dict[str, Any],
    other: dict[str, Any],
) -> None:
    made, net, hint = model(name), load_controlnet(str(nets(name))), picture()
    held = live(net)
    expected = theirs(made, pipe, name, [held], [hint], scheduler, batch=batch, **other)
    got = with_net(made, controlnet(net, hint, **mine), scheduler=scheduler, batch=batch)
    assert relative(got, expected) <= 1e-4
    assert relative(got, ours(made, scheduler=scheduler, batch=batch)) > 1e-2


@pytest.mark.parametrize("options", [{}, {"guess_mode": True}])
@pytest.mark.parametrize("name", ["sd1_calm", "sdxl_calm"])
def test_a_hint_for_each_image_equals_diffusers(
    model: Models, pipe: Pipes, nets: Nets, name: str, options: dict[str, Any]
) -> None:
    made, net, hints = model(name), load_controlnet(str(nets(name))), picture(2)
    held = live(net)
    # They encode the prompt once for each image, which rounds otherwise; a high scale would blow that up.
    expected = theirs(made, pipe, name, [held], [hints], "ddim", batch=2, scale=2.0, **options)
    got = with_net(made, controlnet(net, hints, **options), scheduler="ddim", batch=2, scale=2.0)
    assert relative(got, expected) <= 1e-4
    swapped = Image(hints.pixels.flip(0))
    other = with_net(made, controlnet(net, swapped, **options), scheduler="ddim", batch=2, scale=2.0)
    assert relative(other, expected) > 1e-3


def test_several_equal_diffusers(model: Models, pipe: Pipes, nets: Nets) -> None:
    made = model("sd1_calm")
    first, second = load_controlnet(str(nets("sd1_calm"))), load_controlnet(str(nets("sd1_calm", 1)))
    held, hints = [live(first), live(second)], [picture(), picture(seed=4)]
    expected = theirs(
        made,
        pipe,
        "sd1_calm",
        held,
        hints,
        "ddim",
        controlnet_conditioning_scale=[1.0, 0.5],
        control_guidance_end=[1.0, 0.5],
    )
    controls = [controlnet(first, hints[0]), controlnet(second, hints[1], scale=0.5, end=0.5)]
    assert relative(with_net(made, *controls, scheduler="ddim"), expected) <= 1e-4


def test_pooled_nets_leave_unconditional_rows_alone(model: Models, pipe: Pipes, nets: Nets) -> None:
    made, net, hint = model("sd1_calm"), load_controlnet(str(nets("sd1_calm", 0, True))), picture()
    held = live(net)
    expected = theirs(made, pipe, "sd1_calm", [held], [hint], "ddim")
    assert relative(with_net(made, controlnet(net, hint), scheduler="ddim"), expected) <= 1e-4


def test_cost_and_windows(model: Models, nets: Nets) -> None:
    """No rows of the denoiser; the net runs within its window only, and in guess mode for conditional rows only."""
    made, net, hint = model("sd1_calm"), load_controlnet(str(nets("sd1_calm"))), picture()
    held, parts = live(net), made.parts()
    with counted(parts.unet) as unet, counted(held.item) as own:
        with_net(made, controlnet(net, hint, start=0.25, end=0.75), batch=2)
        assert (unet, own) == ([4] * 4, [4] * 2)
        own.clear()
        with_net(made, controlnet(net, hint, guess_mode=True), batch=2)
        assert own == [2] * 4
        own.clear()
        with_net(made, controlnet(net, hint, scale=0.0))
        with_net(made, controlnet(net, hint, start=0.3, end=0.3))
        assert own == []


def test_off_is_absent(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), load_controlnet(str(nets("sd1_calm")))
    plain = ours(made)
    assert torch.equal(with_net(made, controlnet(net, picture(), scale=0.0)), plain)
    assert torch.equal(with_net(made, controlnet(net, picture(), start=0.5, end=0.5)), plain)


def test_image_k_equals_its_own_seed(model: Models, nets: Nets) -> None:
    """Each image with its own hint."""
    made, net, hints = model("sd1_calm"), load_controlnet(str(nets("sd1_calm"))), picture(2)
    batch = with_net(made, controlnet(net, hints), batch=2, scheduler="euler_ancestral")
    for number in range(2):
        hint = Image(hints.pixels[number : number + 1])
        alone = with_net(made, controlnet(net, hint), seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_views_see_their_part_of_the_hint(model: Models, nets: Nets) -> None:
    """One view of everything is no view; and a changed right part of the hint leaves a left view as it was."""
    made, net = model("sd1_calm"), load_controlnet(str(nets("sd1_calm")))
    wide = picture(1, 128, 192)
    options = {"width": 192, "height": 128, "steps": 1}
    other = wide.pixels.clone()
    other[:, :, 128:] = 0
    views = multidiffusion(128, 128, stride=64)
    one, two = (ours(made, views, controls=[controlnet(net, hint)], **options) for hint in (wide, Image(other)))
    assert torch.equal(one[..., :8], two[..., :8])
    assert not torch.allclose(one[..., 16:], two[..., 16:])


def original(net: Path, target: Path) -> Path:
    """A tiny net under the original names."""
    weights = load_file(net / "diffusion_pytorch_model.safetensors")
    save_file({ldm.CONTROL + ldm.controlnet_name(name, 2): tensor for name, tensor in weights.items()}, target)
    return target


def test_original_names_hold_the_same_net(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """With the sizes of published nets in heads and groups, which single files do not tell."""
    from tests.tiny import tiny_sd1, tiny_sdxl

    for family, build in (("sd1", tiny_sd1), ("sdxl", tiny_sdxl)):
        source = tiny_controlnet(tmp_path / f"net-{family}", build(tmp_path / family, single_file=True))
        weights = live(load_controlnet(str(source))).item.state_dict()
        plain = tmp_path / f"{family}.safetensors"
        save_file(load_file(source / "diffusion_pytorch_model.safetensors"), plain)
        files = [plain]
        if family == "sd1":
            files.append(original(source, tmp_path / "original.safetensors"))
        for file in files:
            handle = load_controlnet(str(file))
            assert handle.family == family
            if family == "sdxl":  # the width of a time embedding is not told by a single file
                continue
            item = live(handle).item
            assert all(torch.equal(weights[name], tensor) for name, tensor in item.state_dict().items())
            assert item.config.attention_head_dim == 8


def test_refused(model: Models, nets: Nets, tmp_path: Path) -> None:
    xl, one = load_controlnet(str(nets("sdxl_calm"))), load_controlnet(str(nets("sd1_calm")))
    with pytest.raises(ValueError, match=r"is for SDXL and the model is Stable Diffusion 1\.x"):
        with_net(model("sd1_calm"), controlnet(xl, picture()))
    with pytest.raises(ValueError, match=r"is for Stable Diffusion 1\.x and the model is SDXL"):
        with_net(model("sdxl_calm"), controlnet(one, picture()))
    with pytest.raises(ValueError, match="hint of controlnet is 64 x 128 and the image 128 x 128"):
        with_net(model("sd1_calm"), controlnet(one, picture(1, 128, 64)))
    with pytest.raises(ValueError, match="3 hints of controlnet do not fit a batch of 2"):
        with_net(model("sd1_calm"), controlnet(one, picture(3)), batch=2)
    with pytest.raises(ValueError, match="levels of"):
        with_net(model("sd1_four_calm"), controlnet(one, picture(1, 128, 128)))
    with pytest.raises(ValueError, match="make end at least as large as start"):
        controlnet(one, picture(), start=0.8, end=0.2)


def test_files_that_are_none(nets: Nets, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="pickles"):
        load_controlnet(str(tmp_path / "net.pth"))
    with pytest.raises(ModelError, match=r"a folder or file .*absent"):
        load_controlnet(str(tmp_path / "absent"))
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"is no ControlNet: .* it holds a"):
        load_controlnet(str(tmp_path / "other.safetensors"))
    cut = tmp_path / "cut"
    cut.mkdir()
    source = nets("sd1_calm")
    (cut / "config.json").write_bytes((source / "config.json").read_bytes())
    content = (source / "diffusion_pytorch_model.safetensors").read_bytes()
    (cut / "diffusion_pytorch_model.safetensors").write_bytes(content[:-100])
    with pytest.raises(ModelError, match="truncated"):
        load_controlnet(str(cut))
    weights = load_file(source / "diffusion_pytorch_model.safetensors")
    weights.pop("controlnet_mid_block.weight")
    save_file(weights, cut / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match=r"first controlnet_mid_block\.weight"):
        load_controlnet(str(cut))


def test_check_looks_at_the_file(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with Graph() as graph:
        load_controlnet(str(tmp_path / "other.safetensors"))
    problems = check(graph)
    assert problems[0].code == "bad_value"
    assert "is no ControlNet" in problems[0].message


def test_check_finds_a_window_that_ends_before_it_starts() -> None:
    from weft.nodes import ip_adapter, load_image, load_ip_adapter, load_t2i_adapter, t2i_adapter

    with Graph() as graph:
        hint = load_image("hint.png")
        controlnet(load_controlnet("net"), hint, start=0.8, end=0.2)
        t2i_adapter(load_t2i_adapter("net"), hint, start=0.8, end=0.2)
        ip_adapter(load_ip_adapter("net.safetensors"), hint, start=0.8, end=0.2)
    found = [problem.node for problem in check(graph) if "the window starts at 0.8" in problem.message]
    assert found == ["controlnet", "t2i_adapter", "ip_adapter"]
