"""IP-Adapter: parity with diffusers' load_ip_adapter (its kinds, SD 1.x, XL, several, masks), cost, refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.nodes.techniques.guided import cost, ours
from tests.nodes.techniques.guided import theirs as by_diffusers
from tests.nodes.techniques.measure import relative
from tests.tiny_nets import tiny_image_adapter
from weft.nodes import ip_adapter, load_ip_adapter, multidiffusion, pag
from weft.nodes.models.errors import ModelError
from weft.nodes.values import Image, Mask, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
Nets = Callable[..., Path]


@pytest.fixture(scope="module")
def nets(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Nets:
    """The file of a tiny IP-Adapter by model, kind and seed. All have the same image encoder by model."""
    root = tmp_path_factory.mktemp("image-adapters")

    @cache
    def make(name: str, kind: str, seed: int) -> Path:
        return tiny_image_adapter(root / f"{name}-{kind}-{seed}", folder(name), seed, kind=kind)

    return lambda name, kind="plain", seed=0: make(name, kind, seed)


def picture(count: int = 1, height: int = 48, width: int = 40, seed: int = 3) -> Image:
    """Exact in 8 bits."""
    levels = torch.randint(0, 256, (count, height, width, 3), generator=torch.Generator().manual_seed(seed))
    return Image(levels / 255)


def pillow(image: Image) -> list[Any]:
    return [Pillow.fromarray((pixels * 255).round().to(torch.uint8).numpy()) for pixels in image.pixels]


def half(left: bool = True) -> Mask:
    pixels = torch.zeros(1, 128, 128)
    pixels[:, :, : 64 if left else 128] = 1
    return Mask(pixels if left else 1 - half().pixels)


def theirs(
    pipe: Pipes, name: str, files: list[Path], images: list[Any], scales: list[Any], scheduler: str, **options: Any
) -> Tensor:
    made = pipe(name, "StableDiffusionXLPipeline" if "xl" in name else "StableDiffusionPipeline")
    made.load_ip_adapter(
        [str(file.parent) for file in files],
        subfolder=[""] * len(files),
        weight_name=[file.name for file in files],
        image_encoder_folder="image_encoder",
        low_cpu_mem_usage=False,
    )
    try:
        made.set_ip_adapter_scale(scales)
        return by_diffusers(made, scheduler, ip_adapter_image=images, **options)
    finally:
        made.unload_ip_adapter()


@pytest.mark.parametrize(
    ("name", "kind", "scheduler", "options"),
    [
        ("sd1_calm", "plain", "ddim", {}),
        ("sd1_calm", "plus", "euler_ancestral", {"batch": 2}),
        ("sd1_calm", "full", "dpmpp_2m", {}),
        ("sd1_calm", "plain", "pndm", {"scale": 1.0}),
        ("sdxl_calm", "plain", "default", {}),
        ("sdxl_calm", "plus", "ddim", {"batch": 2}),
    ],
)
def test_parity(
    model: Models, pipe: Pipes, nets: Nets, name: str, kind: str, scheduler: str, options: dict[str, Any]
) -> None:
    made, file, image = model(name), nets(name, kind), picture()
    expected = theirs(pipe, name, [file], pillow(image), [0.6], scheduler, **options)
    control = ip_adapter(load_ip_adapter(str(file)), image, scale=0.6)
    got = ours(made, controls=[control], scheduler=scheduler, **options)
    assert relative(got, expected) <= 1e-4
    assert relative(got, ours(made, scheduler=scheduler, **options)) > 1e-3


def test_several_adapters_and_pictures(model: Models, pipe: Pipes, nets: Nets) -> None:
    files, images = [nets("sd1_calm"), nets("sd1_calm", "plus")], [picture(2), picture(seed=4)]
    expected = theirs(pipe, "sd1_calm", files, [pillow(images[0]), pillow(images[1])], [0.5, 0.8], "ddim")
    controls = [
        ip_adapter(load_ip_adapter(str(file)), image, scale=scale)
        for file, image, scale in zip(files, images, (0.5, 0.8), strict=True)
    ]
    assert relative(ours(model("sd1_calm"), controls=controls), expected) <= 1e-4


def test_masks(model: Models, pipe: Pipes, nets: Nets) -> None:
    """Two pictures, each within its half."""
    file, images = nets("sd1_calm"), picture(2)
    masks = torch.cat([half().pixels, half(False).pixels])
    expected = theirs(
        pipe,
        "sd1_calm",
        [file],
        [pillow(images)],
        [[0.7, 0.7]],
        "ddim",
        cross_attention_kwargs={"ip_adapter_masks": [masks[None]]},
    )
    control = ip_adapter(load_ip_adapter(str(file)), images, scale=0.7, mask=Mask(masks))
    assert relative(ours(model("sd1_calm"), controls=[control]), expected) <= 1e-4


def test_masks_are_cropped_with_views(model: Models, nets: Nets) -> None:
    """One step: a view that the mask does not touch is that of a run without the picture."""
    made, net, views = model("sd1_calm"), load_ip_adapter(str(nets("sd1_calm"))), multidiffusion(128, 128, stride=64)
    pixels = torch.zeros(1, 128, 192)
    pixels[:, :, 128:] = 1
    control = ip_adapter(net, picture(), mask=Mask(pixels))
    options: dict[str, Any] = {"width": 192, "steps": 1}
    got, plain = ours(made, views, controls=[control], **options), ours(made, views, **options)
    assert relative(got[..., :8], plain[..., :8]) <= 1e-5
    assert relative(got[..., 16:], plain[..., 16:]) > 1e-3


def test_off_is_absent_and_costs_nothing(model: Models, nets: Nets) -> None:
    made, net = model("sd1_calm"), load_ip_adapter(str(nets("sd1_calm")))
    plain = ours(made)
    assert torch.equal(ours(made, controls=[ip_adapter(net, picture(), scale=0.0)]), plain)
    assert torch.equal(ours(made, controls=[ip_adapter(net, picture(), start=0.5, end=0.5)]), plain)
    assert cost(made, controls=[ip_adapter(net, picture())], batch=2) == [4] * 4


def test_image_k_equals_its_own_seed(model: Models, nets: Nets) -> None:
    made, control = model("sd1_calm"), ip_adapter(load_ip_adapter(str(nets("sd1_calm"))), picture())
    batch = ours(made, pag(), controls=[control], batch=2, scheduler="euler_ancestral")
    for number in range(2):
        alone = ours(made, pag(), controls=[control], seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_refused(model: Models, nets: Nets, tmp_path: Path) -> None:
    net = load_ip_adapter(str(nets("sd1_calm")))
    with pytest.raises(ValueError, match=r"IP-Adapter .* cross-attention layers, .* and the model is SDXL"):
        ours(model("sdxl_calm"), controls=[ip_adapter(net, picture())])
    with pytest.raises(ValueError, match="the mask of ip_adapter is 64 x 64 and the image 128 x 128"):
        ours(model("sd1_calm"), controls=[ip_adapter(net, picture(), mask=Mask(torch.ones(1, 64, 64)))])
    with pytest.raises(ValueError, match="2 masks do not fit 1 pictures"):
        ours(model("sd1_calm"), controls=[ip_adapter(net, picture(), mask=Mask(torch.ones(2, 128, 128)))])
    state = load_file(nets("sd1_calm"))
    save_file({"a": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match=r"is no IP-Adapter: .* it holds a"):
        load_ip_adapter(str(tmp_path / "none.safetensors"))
    state.pop("ip_adapter.3.to_v_ip.weight")
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(ModelError, match=r"lacks 1 tensors, first ip_adapter\.3\.to_v_ip\.weight"):
        load_ip_adapter(str(tmp_path / "part.safetensors"))
    lonely = tmp_path / "lonely.safetensors"
    save_file(load_file(nets("sd1_calm")), lonely)
    with pytest.raises(ModelError, match="no image encoder"):
        load_ip_adapter(str(lonely))
    assert load_ip_adapter(str(lonely), str(nets("sd1_calm").parent / "image_encoder")).sites == net.sites
