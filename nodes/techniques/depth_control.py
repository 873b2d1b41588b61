"""Depth for models that read it in a fifth channel, such as stable-diffusion-2-depth. Cost: none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from weft.engine import node, value
from weft.nodes.checks import adds_channels, same_size
from weft.nodes.technique import Branch
from weft.nodes.values import Control, Image

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("control.depth")
@dataclass(frozen=True, eq=False, kw_only=True)
class DepthControl(Control):
    """One more channel for every row: depth at latent size (bicubic), stretched per image to [-1, 1].

    The model reads the channel in every step: outside the window it holds 0, which is a flat map's.
    """

    counts_calls: ClassVar[bool] = False

    depth: Image

    def inside(self, index: int, calls: int) -> bool:
        """Everywhere."""
        return True

    def identity(self, index: int, calls: int) -> tuple[Any, ...]:
        """The depth, or that there is none."""
        return (self.depth,) if super().inside(index, calls) else (None,)

    def setup(self, run: Run) -> None:
        """A map that does not fit is found before the first step."""
        run.derived(self, lambda: [self._channel(run)])

    def channels(self, step: Step, branch: Branch) -> Tensor:
        """The same depth for every branch."""
        depth = step.run.derived(self, lambda: [self._channel(step.run)])[0]
        return depth if super().inside(step.index, step.calls) else depth.new_zeros(depth.shape)

    def _channel(self, run: Run) -> Tensor:
        import torch
        from torch.nn import functional

        from weft.nodes.nets.hints import per_image

        wanted = int(run.unet.config.in_channels)
        if wanted != run.shape[1] + 1:
            raise ValueError(
                f"depth_control needs a model that reads depth, with {run.shape[1] + 1} channels; this one takes "
                f"{wanted}"
            )
        pixels, size = self.depth.pixels, tuple(run.shape[-2:])
        full = tuple(side * run.scale_factor for side in size)
        if tuple(pixels.shape[1:3]) not in (full, size):
            raise ValueError(
                f"the depth is {pixels.shape[2]} x {pixels.shape[1]} and the image {full[1]} x {full[0]}: make them "
                "equal, for instance with resize_to, or with width and height of denoise"
            )
        grey = pixels.mean(dim=-1)[:, None].float()
        small = functional.interpolate(grey, size=size, mode="bicubic", align_corners=False)
        low, high = small.amin(dim=(1, 2, 3), keepdim=True), small.amax(dim=(1, 2, 3), keepdim=True)
        # A flat map has no far and no near: all of it lies in the middle.
        span = high - low
        stretched = torch.where(span > 0, 2 * (small - low) / span.clamp(min=1e-12) - 1, torch.zeros_like(small))
        return per_image(stretched.to(run.device, run.dtype), run, "depth maps")


@node("depth_control", category="control", tags=(adds_channels(1), same_size("depth", or_latents=True)))
def depth_control(depth: Image) -> Control:
    """Give depth to a model that was trained to read it (5 channels, such as sd2-community/stable-diffusion-2-depth).

    For image to image with kept depth, link `denoise.start` too and set `strength`, 0.8 is usual.

    Args:
        depth: nearness as brightness, such as the node `depth` makes, one for all images or one for each. Best of
            an eighth of the image's size (`depth.size` latents), which is read as it is; a map of the image's size is
            resized to that. Each is stretched to the full range.
    """
    return DepthControl(depth=depth)
