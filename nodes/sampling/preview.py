"""Small pictures of the clean latents while a run is under way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from weft.nodes.sampling.vae import decode_latents

# Latents up to this size are decoded by the VAE itself: exact, and as cheap as a step.
SMALL = 24 * 24
SIDE = 512


class Previewer:
    """Turns clean latents into JPEG or PNG bytes.

    Larger latents go through a linear map from channels to RGB. It is fitted at the first preview to what the VAE
    makes of the same latents in small, so that it suits every model, also those that nobody has published a map for.
    """

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self._map: Tensor | None = None

    def __call__(self, clean: Tensor) -> tuple[bytes, str, int, int]:
        """Bytes, MIME type, width and height in pixels of the first image of `clean` (B, C, H, W)."""
        first = clean[:1].detach().float()
        height, width = first.shape[-2:]
        if height * width <= SMALL:
            return encode_picture(decode_latents(self._vae, first, tiled=False)[0])
        if self._map is None:
            self._map = self._fit(first)
        ones = torch.ones_like(first[:, :1])
        rgb = torch.einsum("bchw,cr->bhwr", torch.cat([first, ones], 1).cpu(), self._map).clamp(0, 1)
        larger = max(1, min(8, SIDE // max(height, width)))
        return encode_picture(rgb[0].repeat_interleave(larger, 0).repeat_interleave(larger, 1))

    def _fit(self, first: Tensor) -> Tensor:
        """Least squares from latent channels and 1 to RGB, (C + 1, 3)."""
        small = functional.adaptive_avg_pool2d(first, (24, 24))
        pixels = decode_latents(self._vae, small, tiled=False)
        colours = functional.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2), (24, 24))
        known = torch.cat([small.cpu(), torch.ones_like(small[:, :1]).cpu()], 1)[0].flatten(1).T
        # A little ridge, so that flat latents of the first steps do not give wild maps.
        gram = known.T @ known + 1e-2 * torch.eye(known.shape[1])
        return torch.linalg.solve(gram, known.T @ colours[0].flatten(1).T)


def encode_picture(pixels: Tensor) -> tuple[bytes, str, int, int]:
    """Pixels (H, W, 3) in [0, 1] as bytes: PNG where small, JPEG where large."""
    import cv2

    height, width = pixels.shape[:2]
    kind, mime, options = (".png", "image/png", []) if height * width <= 160 * 160 else (".jpg", "image/jpeg", [1, 80])
    bgr = (pixels.nan_to_num() * 255).round().to(torch.uint8).flip(-1).contiguous().numpy()
    done, data = cv2.imencode(kind, bgr, options)
    if not done:
        raise RuntimeError("the preview could not be encoded")
    return data.tobytes(), mime, int(width), int(height)
