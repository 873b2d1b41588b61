"""Images to latents and back, in tiles where the whole would need too much memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

# Latents of more than 128 x 128 (1024 x 1024 pixels) are decoded in tiles.
WHOLE = 128 * 128
TILE = 64
OVERLAP = 16
MARGIN = 8
"""Columns of the other side beside each edge of a circular image, as diffusers' panorama has."""


def decode_latents(
    vae: Any,
    samples: Tensor,
    *,
    tiled: bool | None = None,
    circular: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """Pixels (B, 8H, 8W, 3) in [0, 1], float32 on the CPU, from denoiser latents (B, C, H, W).

    tiled: None tiles when an image is larger than `WHOLE`. check: called between pieces, to be cancelled.
    circular: the right edge goes on at the left one; each side is decoded with a part of the other beside it.
    """
    pieces = []
    margin = min(MARGIN, samples.shape[-1]) if circular else 0
    for sample in samples.split(1):
        check()
        if margin:
            sample = torch.cat([sample[..., -margin:], sample, sample[..., :margin]], dim=-1)
        latents = unscale(vae, sample.to(vae.device, torch.float32)).to(vae.dtype)
        big = sample.shape[-2] * sample.shape[-1] > WHOLE if tiled is None else tiled
        image = (
            in_tiles(lambda part: vae.decode(part, return_dict=False)[0], latents, TILE, OVERLAP, check)
            if big
            else (vae.decode(latents, return_dict=False)[0])
        )
        if margin:
            cut = margin * image.shape[-1] // sample.shape[-1]
            image = image[..., cut:-cut]
        pieces.append((image.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu())
    return torch.cat(pieces)


def encode_pixels(
    vae: Any,
    pixels: Tensor,
    *,
    sources: list[torch.Generator] | None = None,
    tiled: bool | None = None,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """Denoiser latents (B, C, H/8, W/8), float32 on the CPU, from pixels (B, H, W, 3) in [0, 1].

    sources: one generator per image, to sample the posterior as diffusers does; None takes its mean. A VAE that gives
        no distribution has nothing to sample.
    """
    pieces = []
    for number, picture in enumerate(pixels.split(1)):
        check()
        signal = (picture.permute(0, 3, 1, 2) * 2 - 1).to(vae.device, vae.dtype)
        scale = 2 ** (len(vae.config.block_out_channels) - 1)
        big = signal.shape[-2] * signal.shape[-1] > WHOLE * scale**2 if tiled is None else tiled
        if big:
            moments = in_tiles(lambda part: _moments(vae, part), signal, TILE * scale, OVERLAP * scale, check)
        else:
            moments = _moments(vae, signal)
        # Tiny VAEs (TAESD) give latents, and no distribution of them.
        mean, *log_variance = moments.float().split(vae.config.latent_channels, dim=1)
        if sources is not None and log_variance:
            noise = torch.randn(mean.shape, generator=sources[number]).to(mean.device)
            mean = mean + torch.exp(0.5 * log_variance[0].clamp(-30.0, 20.0)) * noise
        pieces.append(rescale(vae, mean).cpu())
    return torch.cat(pieces)


@torch.no_grad()
def posterior(vae: Any, pixels: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean and standard deviation (B, C, h, w) float32 of VAE latents, from pixels (B, H, W, 3) in [0, 1].

    None for a VAE that gives latents without a distribution.
    """
    signal = (pixels.permute(0, 3, 1, 2) * 2 - 1).to(vae.device, vae.dtype)
    mean, *log_variance = _moments(vae, signal).float().split(vae.config.latent_channels, dim=1)
    return (mean, torch.exp(0.5 * log_variance[0].clamp(-30.0, 20.0))) if log_variance else None


def unscale(vae: Any, samples: Tensor) -> Tensor:
    """VAE latents from denoiser latents."""
    statistics = _statistics(vae, samples)
    if statistics is not None:
        mean, spread = statistics
        return samples * spread / vae.config.scaling_factor + mean
    latents = samples / vae.config.scaling_factor
    return latents + shift if (shift := _shift(vae)) else latents


def rescale(vae: Any, latents: Tensor) -> Tensor:
    """Denoiser latents from VAE latents."""
    statistics = _statistics(vae, latents)
    if statistics is not None:
        mean, spread = statistics
        return (latents - mean) * vae.config.scaling_factor / spread
    if shift := _shift(vae):
        latents = latents - shift
    return vae.config.scaling_factor * latents


def _shift(vae: Any) -> float:
    """What is taken off VAE latents before they are scaled; 0 for nearly all."""
    return float(vae.config.get("shift_factor") or 0.0)


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor] | None:
    mean, spread = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if mean is None or spread is None:
        return None
    return like.new_tensor(mean).view(1, -1, 1, 1), like.new_tensor(spread).view(1, -1, 1, 1)


def _moments(vae: Any, signal: Tensor) -> Tensor:
    """Mean and log variance of the posterior, (B, 2C, h, w); of a tiny VAE its latents, (B, C, h, w)."""
    encoded = vae.encode(signal)
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.parameters


def in_tiles(
    function: Callable[[Tensor], Tensor], whole: Tensor, tile: int, overlap: int, check: Callable[[], None]
) -> Tensor:
    """`function` of `whole` (1, C, H, W), tile by tile; seams are mixed over the overlap by linear ramps.

    The result's size is that of the input times a whole number, or divided by one.
    """
    height, width = whole.shape[-2:]
    total: Tensor | None = None
    weights: Tensor | None = None
    for top, bottom in _spans(height, tile, overlap):
        for left, right in _spans(width, tile, overlap):
            check()
            part = function(whole[..., top:bottom, left:right]).float()
            up = part.shape[-2] / (bottom - top)
            if total is None or weights is None:
                total = part.new_zeros(*part.shape[:2], round(height * up), round(width * up))
                weights = total.new_zeros(1, 1, *total.shape[-2:])
            rows = slice(round(top * up), round(top * up) + part.shape[-2])
            columns = slice(round(left * up), round(left * up) + part.shape[-1])
            ramp = max(1, round(overlap * up))
            weight = (
                _ramp(part.shape[-2], ramp, top > 0, bottom < height)[:, None]
                * _ramp(part.shape[-1], ramp, left > 0, right < width)[None, :]
            ).to(part.device)
            total[..., rows, columns] += part * weight
            weights[..., rows, columns] += weight
    assert total is not None
    assert weights is not None
    return total / weights


def _spans(length: int, tile: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Spans of at most `tile` that cover `length`; neighbours share at least `overlap`. The last is shifted back."""
    if length <= tile:
        yield 0, length
        return
    stride = tile - overlap
    for start in range(0, length - overlap, stride):
        start = min(start, length - tile)
        yield start, start + tile


def _ramp(length: int, ramp: int, before: bool, after: bool) -> Tensor:
    """Weights along one side: rising over `ramp` where a neighbour lies before, falling where one lies after."""
    weights = torch.ones(length)
    slope = (torch.arange(ramp) + 1) / (ramp + 1)
    if before:
        weights[:ramp] *= slope
    if after:
        weights[-ramp:] *= slope.flip(0)
    return weights
