"""T2I-Adapter: parity with diffusers (SD 1.x, XL, several), cost, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, ours
from tests.nodes.techniques.measure import counted, relative
from tests.tiny_nets import tiny_adapter
from weft.nodes import load_t2i_adapter, multidiffusion, t2i_adapter
from weft.nodes.models.errors import ModelError
from weft.nodes.nets.files import describe_adapter
from weft.nodes.nets.handles import T2IAdapter
from weft.nodes.nets.live import LoadedNet, load_net
from weft.nodes.values import Image, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
Nets = Callable[..., T2IAdapter]


@pytest.fixture(scope="module")
def nets(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Nets:
    """A tiny adapter by model, seed and kind."""
    root = tmp_path_factory.mktemp("adapters")

    @cache
    def make(name: str, seed: int = 0, kind: str | None = None, channels: int = 3) -> T2IAdapter:
        target = root / f"{name}-{seed}-{kind}-{channels}"
        return load_t2i_adapter(str(tiny_adapter(target, folder(name), seed, kind=kind, channels=channels)))

    return make


def picture(count: int = 1, height: int = 128, width: int = 128, seed: int = 3) -> Image:
    return Image(torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed)))


def live(net: T2IAdapter) -> LoadedNet:
    return load_net(net.source, net.location, net.fingerprint, describe_adapter, torch.device("cpu"), torch.float32)


def theirs(
    model: Model,
    pipe: Pipes,
    name: str,
    held: list[LoadedNet],
    hints: list[Image],
    scheduler: str,
    batch: int,
    **options: Any,
) -> Tensor:
    xl = model.family == "sdxl"
    source = pipe(name, "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline")
    items = [one.item for one in held]
    adapter = items[0] if len(items) == 1 else diffusers.MultiAdapter(items)
    parts = {key: part for key, part in source.components.items() if key not in ("image_encoder", "feature_extractor")}
    if not xl:
        parts |= {"feature_extractor": None, "requires_safety_checker": False}
    kind = "StableDiffusionXLAdapterPipeline" if xl else "StableDiffusionAdapterPipeline"
    made = getattr(diffusers, kind)(**parts, adapter=adapter)
    made.set_progress_bar_config(disable=True)
    made.own_scheduler = source.own_scheduler
    set_scheduler(made, scheduler)
    images = [hint.pixels.permute(0, 3, 1, 2) for hint in hints]
    return made(
        PROMPT,
        image=images[0] if len(images) == 1 else images,
        negative_prompt=NEGATIVE,
        guidance_scale=5.0,
        num_inference_steps=4,
        num_images_per_prompt=batch,
        generator=seeded(7, batch),
        height=128,
        width=128,
        output_type="latent",
        **options,
    ).images


@pytest.mark.parametrize(
    ("name", "kind", "scheduler", "batch", "mine", "other"),
    [
        ("sd1_calm", None, "ddim", 1, {}, {}),
        ("sd1_calm", "light_adapter", "euler_ancestral", 2, {"scale": 0.6}, {"adapter_conditioning_scale": 0.6}),
        ("sd1_four_calm", None, "pndm", 1, {"scale": 1.5}, {"adapter_conditioning_scale": 1.5}),
        ("sdxl_calm", None, "default", 1, {}, {}),
        (
            "sdxl_calm",
            None,
            "ddim",
            2,
            {"scale": 0.7, "end": 0.5},
            {"adapter_conditioning_scale": 0.7, "adapter_conditioning_factor": 0.5},
        ),
    ],
)
def test_parity(
    model: Models,
    pipe: Pipes,
    nets: Nets,
    name: str,
    kind: str | None,
    scheduler: str,
    batch: int,
    mine: dict[str, Any],
    other: dict[str, Any],
) -> None:
    made, net, hint = model(name), nets(name, 0, kind), picture()
    held = live(net)
    expected = theirs(made, pipe, name, [held], [hint], scheduler, batch, **other)
    got = ours(made, controls=[t2i_adapter(net, hint, **mine)], scheduler=scheduler, batch=batch)
    assert relative(got, expected) <= 1e-4
    assert relative(got, ours(made, scheduler=scheduler, batch=batch)) > 1e-3


def test_several_equal_diffusers(model: Models, pipe: Pipes, nets: Nets) -> None:
    made, first, second = model("sd1_calm"), nets("sd1_calm"), nets("sd1_calm", 1)
    hints = [picture(), picture(seed=4)]
    expected = theirs(
        made,
        pipe,
        "sd1_calm",
        [live(first), live(second)],
        hints,
        "ddim",
        1,
        adapter_conditioning_scale=[1.0, 0.5],
    )
    controls = [t2i_adapter(first, hints[0]), t2i_adapter(second, hints[1], scale=0.5)]
    assert relative(ours(made, controls=controls), expected) <= 1e-4


def test_features_are_made_once(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), nets("sd1_calm")
    held, parts = live(net), made.parts()
    calls: list[int] = []
    handle = held.item.register_forward_hook(lambda module, args, output: calls.append(args[0].shape[0]))
    try:
        with counted(parts.unet) as rows:
            ours(made, controls=[t2i_adapter(net, picture())], batch=2)
            assert (rows, calls) == ([4] * 4, [1])
            calls.clear()
            ours(made, controls=[t2i_adapter(net, picture(), scale=0.0)])
            assert calls == []
    finally:
        handle.remove()


def test_off_is_absent(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), nets("sd1_calm")
    plain = ours(made)
    assert torch.equal(ours(made, controls=[t2i_adapter(net, picture(), scale=0.0)]), plain)
    assert torch.equal(ours(made, controls=[t2i_adapter(net, picture(), start=0.5, end=0.5)]), plain)


def test_image_k_equals_its_own_seed(model: Models, nets: Nets) -> None:
    made, net, hints = model("sd1_calm"), nets("sd1_calm"), picture(2)
    batch = ours(made, controls=[t2i_adapter(net, hints)], batch=2, scheduler="euler_ancestral")
    for number in range(2):
        hint = Image(hints.pixels[number : number + 1])
        alone = ours(made, controls=[t2i_adapter(net, hint)], seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_views_see_their_part_of_the_hint(model: Models, nets: Nets) -> None:
    made, net, wide = model("sd1_calm"), nets("sd1_calm"), picture(1, 128, 192)
    other = wide.pixels.clone()
    other[:, :, 128:] = 0
    views = multidiffusion(128, 128, stride=64)
    one, two = (
        ours(made, views, controls=[t2i_adapter(net, hint)], width=192, steps=1) for hint in (wide, Image(other))
    )
    assert torch.equal(one[..., :8], two[..., :8])
    assert not torch.allclose(one[..., 16:], two[..., 16:])


def test_one_channel_reads_brightness(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), nets("sd1_calm", 0, None, 1)
    hint = picture()
    grey = Image(hint.pixels.mean(dim=-1, keepdim=True).expand(-1, -1, -1, 3).contiguous())
    one, two = (ours(made, controls=[t2i_adapter(net, item)], steps=1) for item in (hint, grey))
    assert relative(one, two) <= 1e-4


def test_refused(model: Models, nets: Nets, tmp_path: Path) -> None:
    xl, one = nets("sdxl_calm"), nets("sd1_calm")
    with pytest.raises(ValueError, match=r"is for SDXL and the model is Stable Diffusion 1\.x"):
        ours(model("sd1_calm"), controls=[t2i_adapter(xl, picture())])
    with pytest.raises(ValueError, match=r"is for Stable Diffusion 1\.x and the model is SDXL"):
        ours(model("sdxl_calm"), controls=[t2i_adapter(one, picture())])
    with pytest.raises(ValueError, match="it is for another model"):
        ours(model("sd1_four_calm"), controls=[t2i_adapter(one, picture())])
    with pytest.raises(ValueError, match="hint of t2i_adapter is 64 x 128 and the image 128 x 128"):
        ours(model("sd1_calm"), controls=[t2i_adapter(one, picture(1, 128, 64))])
    with pytest.raises(ValueError, match="multiples of 16; this one is 120 x 120"):
        ours(model("sdxl_calm"), controls=[t2i_adapter(xl, picture(1, 120, 120))], width=120, height=120)
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load_t2i_adapter(str(tmp_path))
    with pytest.raises(ModelError, match="pickles"):
        load_t2i_adapter("t2iadapter_canny.pth")
