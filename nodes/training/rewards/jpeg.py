"""How large pictures are as JPEG files."""

from __future__ import annotations

from io import BytesIO

import PIL.Image
import torch
from torch import Tensor

QUALITY = 95


def kilobytes(images: Tensor) -> Tensor:
    """The size of each picture (n, H, W, 3) in [0, 1] as a JPEG file of quality 95, in kB of 1000 bytes: (n,)."""
    sizes = []
    for pixels in (images.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy():
        file = BytesIO()
        PIL.Image.fromarray(pixels).save(file, format="JPEG", quality=QUALITY)
        sizes.append(file.tell() / 1000)
    return torch.tensor(sizes, dtype=torch.float32)
