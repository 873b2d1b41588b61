"""The nets of upscalers as modules, and an image through one of them in tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from weft.nodes.models.description import Description
from weft.nodes.models.errors import ModelError

SLOPE = 0.2
"""Of the leaky ReLUs of an RRDBNet."""
RESIDUAL = 0.2
"""What a block, and a block of blocks, adds of what it makes."""


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads the input and all that the ones before it made."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            out = growth if number < 5 else channels
            self.add_module(f"conv{number}", nn.Conv2d(channels + (number - 1) * growth, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for number in range(1, 5):
            made = functional.leaky_relu(self.get_submodule(f"conv{number}")(seen), SLOPE, inplace=True)
            seen = torch.cat((seen, made), 1)
        return self.get_submodule("conv5")(seen) * RESIDUAL + x


class ResidualBlock(nn.Module):
    """RRDB: three dense blocks, and a residual around them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL + x


class RRDBNet(nn.Module):
    """The net of ESRGAN (arXiv 1809.00219), and with folding of Real-ESRGAN (2107.10833, section 3.4).

    ups: doublings after the blocks. shuffle: the image is folded to so small a part of its sides first, its pixels
    become channels. The scale is 2**ups / shuffle.
    """

    def __init__(self, channels: int, growth: int, blocks: int, ups: int, shuffle: int) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.ups = ups
        self.conv_first = nn.Conv2d(3 * shuffle**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        for up in range(1, ups + 1):
            self.add_module(f"conv_up{up}", nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(functional.pixel_unshuffle(x, self.shuffle))
        x = x + self.conv_body(self.body(x))
        for up in range(1, self.ups + 1):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = functional.leaky_relu(self.get_submodule(f"conv_up{up}")(x), SLOPE, inplace=True)
        return self.conv_last(functional.leaky_relu(self.conv_hr(x), SLOPE, inplace=True))


class CompactNet(nn.Module):
    """SRVGGNetCompact of Real-ESRGAN: convolutions at the image's own size, unfolded at the end, added to the image."""

    def __init__(self, channels: int, convolutions: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for number in range(convolutions):
            layers += [nn.Conv2d(channels if number else 3, channels, 3, padding=1), nn.PReLU(channels)]
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, 3 * scale**2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        base = functional.interpolate(x, scale_factor=self.scale, mode="nearest")
        return functional.pixel_shuffle(self.body(x), self.scale) + base


def make_upscaler(description: Description) -> nn.Module:
    """The net of a description of `describe_upscaler`, float32 on the CPU.

    Raises:
        ModelError: its file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    config: Mapping[str, Any] = description.weights["upscaler"].config
    with torch.device("meta"):
        if config["kind"] == "compact":
            net: nn.Module = CompactNet(config["channels"], config["convolutions"], config["scale"])
        else:
            sizes = (config[name] for name in ("channels", "growth", "blocks", "ups", "shuffle"))
            net = RRDBNet(*sizes)
    try:
        with safe_open(description.location, framework="pt", device="cpu") as file:
            # A copy, also where nothing changes: the file's memory map must not live on in the module.
            state = {
                name: file.get_tensor(place).to(torch.float32, copy=True) for name, place in config["stored"].items()
            }
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{description.location} cannot be read: {error}") from error
    net.load_state_dict(state, assign=True, strict=True)
    return net


def upscale_picture(
    net: Callable[[Tensor], Tensor],
    picture: Tensor,
    result: Tensor,
    scale: int,
    multiple: int,
    tile: int,
    overlap: int,
    device: torch.device,
    dtype: torch.dtype,
    done: Callable[[], None] = lambda: None,
) -> None:
    """One picture, (H, W, 3) in [0, 1], into `result`, (H*scale, W*scale, 3) float32 on the CPU; it is not clamped.

    What lies in the overlap around a tile is seen by the net and then cut off: where the overlap is as wide as the net
    looks, tiles change nothing.

    multiple: of which the net's sides have to be; the picture is mirrored at the right and below to get there.
    tile, overlap: as counted by `spans`. done: called after each tile.
    """
    whole = _padded(picture.permute(2, 0, 1)[None], multiple)
    rows, columns = (spans(side, tile, overlap, multiple) for side in whole.shape[-2:])
    for (top, bottom, above, below), (left, right, before, after) in product(rows, columns):
        part = net(whole[..., above:below, before:after].to(device, dtype))[0]
        core = part[:, (top - above) * scale : (bottom - above) * scale, (left - before) * scale :]
        core = core[..., : (right - left) * scale].permute(1, 2, 0).float().cpu()
        # Sides that were padded end where the picture does.
        room = result[top * scale : bottom * scale, left * scale : right * scale]
        room.copy_(core[: room.shape[0], : room.shape[1]])
        done()


def spans(length: int, tile: int, overlap: int, multiple: int = 1) -> list[tuple[int, int, int, int]]:
    """Start and end of each tile's own part of a side, and of what it sees: `overlap` more at both ends, if there is.

    A tile sees at most `tile`, and all of a side that is no longer. All begin at multiples of `multiple`, for which the
    overlap is widened and a tile's own part made smaller.

    Raises:
        ValueError: nothing of the tile is left beside its overlaps.
    """
    if length <= tile:
        return [(0, length, 0, length)]
    margin = -(-overlap // multiple) * multiple
    own = (tile - 2 * margin) // multiple * multiple
    if own < 1:
        raise ValueError(f"a tile of {tile} has no room between overlaps of {margin}: make it larger than twice that")
    starts = range(0, length, own)
    return [
        (start, min(start + own, length), max(0, start - margin), min(start + own + margin, length)) for start in starts
    ]


def _padded(whole: Tensor, multiple: int) -> Tensor:
    height, width = whole.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not (down or right):
        return whole
    # A picture of one or two pixels has not enough to mirror.
    mode = "reflect" if down < height and right < width else "replicate"
    return functional.pad(whole, (0, right, 0, down), mode=mode)
