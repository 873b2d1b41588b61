"""Mixing and resizing latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from weft.engine import Range, node
from weft.nodes.checks import size_of
from weft.nodes.values import Latents, Mask

if TYPE_CHECKING:
    from torch import Tensor


@node("blend", category="latents", tags=(size_of("a"),))
def blend(
    a: Latents,
    b: Latents,
    amount: Annotated[float, Range(0.0, 1.0)] = 0.5,
    mode: Literal["linear", "spherical"] = "linear",
    mask: Mask | None = None,
) -> Latents:
    """Between two latents: a at amount 0, b at amount 1.

    Linear mixing of two noises has too little variance in the middle (a half at 0.5); spherical turns from one to the
    other at even length, which keeps noise being noise.

    Args:
        a: latents (B,C,H,W).
        b: latents of the same channels, height and width; a batch of 1 goes with any batch.
        amount: how much of b.
        mode: linear, or spherical per image.
        mask: where to mix at all: 1 takes the mix, 0 keeps a. Any size; averaged down to the latents' size.
    """
    import torch

    one, other = a.samples, b.samples
    if one.shape[1:] != other.shape[1:]:
        raise ValueError(f"the latents differ in shape: a is {tuple(one.shape)}, b is {tuple(other.shape)}")
    one, other = _paired(one, other, "b")
    mixed = torch.lerp(one, other, amount) if mode == "linear" else _spherical(one, other, amount)
    if mask is not None:
        from weft.nodes.images.scaling import resize_pixels

        weight = resize_pixels(mask.pixels, one.shape[3], one.shape[2], "bilinear")[:, None]
        weight, mixed = _paired(weight, mixed, "the mask")
        one = one.expand_as(mixed)
        mixed = torch.lerp(one, mixed, weight)
    return Latents(mixed.contiguous())


@node("resize_latents", category="latents")
def resize_latents(
    latents: Latents,
    width: Annotated[int, Range(1, 2048)],
    height: Annotated[int, Range(1, 2048)],
    method: Literal["nearest", "bilinear", "bicubic"] = "bilinear",
) -> Latents:
    """Latents at another size, to denoise further from there.

    Args:
        latents: latents (B,C,H,W).
        width: in latent pixels: an image's width over the model's scale (8).
        height: in latent pixels.
        method: nearest keeps the statistics of noise; bilinear and bicubic are smoother, and average when shrinking.
    """
    from torch.nn.functional import interpolate

    smooth: dict[str, bool] = {} if method == "nearest" else {"align_corners": False, "antialias": True}
    size = (height, width)
    mode = "nearest-exact" if method == "nearest" else method
    return Latents(interpolate(latents.samples, size=size, mode=mode, **smooth))


def _paired(one: Tensor, other: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Both with the same batch: one of them may have a single image for all."""
    batch = max(len(one), len(other))
    if len(one) not in (1, batch) or len(other) not in (1, batch):
        raise ValueError(f"the batches differ: {len(one)} images, and {what} has {len(other)}")
    return one.expand(batch, *one.shape[1:]), other.expand(batch, *other.shape[1:])


def _spherical(one: Tensor, other: Tensor, amount: float) -> Tensor:
    """Turn each image of `one` towards `other` by the fraction `amount` of the angle between them."""
    import torch

    u, v = one.flatten(1).double(), other.flatten(1).double()
    length_u, length_v = u.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True)
    cosine = ((u * v).sum(1, keepdim=True) / (length_u * length_v).clamp_min(1e-30)).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    # Parallel, opposite or zero latents have no arc between them that is theirs alone: mix them linearly.
    straight = (sine < 1e-6) | (length_u * length_v == 0)
    safe = torch.where(straight, torch.ones_like(sine), sine)
    weight_u = torch.where(straight, torch.full_like(sine, 1 - amount), torch.sin((1 - amount) * angle) / safe)
    weight_v = torch.where(straight, torch.full_like(sine, amount), torch.sin(amount * angle) / safe)
    return (weight_u * u + weight_v * v).to(one.dtype).reshape(one.shape)
