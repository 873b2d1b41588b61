"""Larger images by a net that was trained to make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.nodes.basic.load_model import Dtype
from weft.nodes.models.sources import UPSCALER
from weft.nodes.nets.files import fingerprint
from weft.nodes.nets.handles import Upscaler
from weft.nodes.nets.source import NetSource
from weft.nodes.nets.upscalers import describe_upscaler
from weft.nodes.values import Image

SOURCE = NetSource(UPSCALER, describe_upscaler)
MAX_TILE = 4096


def _fingerprint(source: str, device: str = "auto", ctx: Context | None = None, **_: Any) -> str:
    """The net's content; and what `auto` will mean here, since float16 results are not those of float32."""
    from weft.nodes.models.device import machine_hint

    return f"{SOURCE.fingerprint(source, ctx or Context())}:{machine_hint(device)}"


def _check_source(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.models.device import device_problems

    yield from device_problems(view)
    yield from SOURCE.check(view)


@node("load_upscaler", category="model", resource="io", fingerprint=_fingerprint, check=_check_source)
def load_upscaler(
    source: Annotated[str, Widget("model")],
    dtype: Dtype = "auto",
    device: str = "auto",
    ctx: Context | None = None,
) -> Upscaler:
    """Find an upscaler, check it, and hand it on. Its weights load when `upscale` uses them.

    ESRGAN and Real-ESRGAN (RRDBNet, arXiv 1809.00219 and 2107.10833), in the layouts of BasicSR, of ESRGAN's first
    release and of what came before it, and the compact net of Real-ESRGAN; scales of 1, 2, 4 and 8, and for compact
    ones all from 1 to 8. Safetensors only: .pth files are pickles, which can run any code, and are refused.

    Args:
        source: a .safetensors file, a folder with one in it, a name in a model folder, or a hub id such as owner/name
            that is in the hub's local cache; nothing is downloaded, and none ships with Weft.
        dtype: number format; auto is float32 on the CPU and float16 elsewhere.
        device: auto, cpu, cuda, cuda:N or mps; auto takes the fastest that is there.
    """
    from weft.nodes.models.device import resolve_device, resolve_dtype

    resolve_dtype(dtype, resolve_device(device))  # what cannot be had here is said before anything is read
    description = SOURCE.look(source, (ctx or Context()).resolve_input_path)
    config = description.weights["upscaler"].config
    return Upscaler(
        source=source,
        location=str(description.location),
        fingerprint=fingerprint(description),
        scale=config["scale"],
        multiple=config.get("shuffle", 1),
        dtype_choice=dtype,
        device_choice=device,
    )


def _check_tile(view: NodeView) -> Iterator[Problem]:
    tile, overlap = view.literals.get("tile", 256), view.literals.get("overlap", 32)
    if isinstance(tile, int) and isinstance(overlap, int) and tile <= 2 * (overlap + 3):
        message = (
            f"a tile of {tile} has no room between overlaps of {overlap} at both ends: make it larger than twice that, "
            "and 8 more for nets that fold images"
        )
        yield Problem(
            code="bad_value", node=view.id, input="tile", message=message, given=tile, expected=2 * overlap + 8
        )


@node("upscale", category="image", resource="device", check=_check_tile)
def upscale(
    image: Image,
    upscaler: Upscaler,
    tile: Annotated[int, Range(16, MAX_TILE)] = 256,
    overlap: Annotated[int, Range(0, 512)] = 32,
    ctx: Context | None = None,
) -> Image:
    """Larger images by an upscaler, which adds the detail that `resize` cannot: as many times as its scale says.

    Works in tiles, so that memory does not grow with the image. What overlaps is only looked at: where the overlap is
    as wide as the net sees, tiles give exactly what the whole would. Deep nets see farther (23 blocks about 350
    pixels) but hardly use it; should seams show, a larger overlap takes them away.

    Args:
        image: one image or a batch.
        upscaler: from `load_upscaler`.
        tile: the side in pixels, before enlarging, of what the net is given at a time, overlaps included; larger ones
            are quicker and take more memory. Images no larger go as a whole.
        overlap: how many pixels of its surroundings a tile sees at each side; less than half a tile.
    """
    import torch

    from weft.nodes.images.headers import check_pixels
    from weft.nodes.models.device import resolve_device, resolve_dtype
    from weft.nodes.nets.live import load_net
    from weft.nodes.nets.upscale_nets import make_upscaler, spans, upscale_picture

    ctx = ctx or Context()
    count, height, width, _ = image.pixels.shape
    scale, multiple = upscaler.scale, upscaler.multiple
    check_pixels(width * scale, height * scale, "the upscaled image would have")
    padded = (side + -side % multiple for side in (height, width))
    rows, columns = (len(spans(side, tile, overlap, multiple)) for side in padded)
    where = resolve_device(upscaler.device_choice)
    device, dtype = torch.device(where), getattr(torch, resolve_dtype(upscaler.dtype_choice, where))
    net = load_net(
        upscaler.source,
        upscaler.location,
        upscaler.fingerprint,
        describe_upscaler,
        device,
        dtype,
        make_upscaler,
        kind=UPSCALER,
    )
    finished = 0

    def done() -> None:
        nonlocal finished
        finished += 1
        ctx.progress(finished, count * rows * columns)
        ctx.check_cancelled()

    result = torch.empty(count, height * scale, width * scale, 3)
    with torch.no_grad():
        for picture, place in zip(image.pixels, result, strict=True):
            upscale_picture(net.item, picture, place, scale, multiple, tile, overlap, device, dtype, done)
    if not bool(torch.isfinite(result).all()):
        raise ArithmeticError(
            f"the upscaler {upscaler.source!r} made NaN or infinity in {str(dtype).removeprefix('torch.')}: "
            "set dtype of load_upscaler to float32"
        )
    return Image(result.clamp_(0, 1))
