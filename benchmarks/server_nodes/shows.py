"""Nodes that tell of what they do, for `benchmarks/editor.py`: what is measured is the page that shows it."""

from __future__ import annotations

import io
import time

from weft.engine import Context, node


@node("bench.steps", output=True, cache="never")
def steps(ctx: Context, count: int = 200, rate: float = 20.0) -> int:
    """Steps at a rate."""
    for step in range(count):
        ctx.progress(step + 1, count)
        time.sleep(1 / rate)
    return count


@node("bench.pictures", output=True, cache="never")
def pictures(ctx: Context, count: int = 3, size: int = 256, seconds: float = 0.05) -> int:
    """Real pictures as previews."""
    from PIL import Image

    for at in range(count):
        body = io.BytesIO()
        Image.effect_noise((size, size), 20 + at).convert("RGB").save(body, "JPEG")
        ctx.preview(body.getvalue(), "image/jpeg", size, size)
        time.sleep(seconds)
    return count
