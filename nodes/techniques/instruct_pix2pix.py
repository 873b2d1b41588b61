"""InstructPix2Pix (arXiv 2211.09800): edit an image as a sentence says, with a model trained for it (8 channels).

Cost: three rows in the one forward, or one where guidance is off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Context, Range, node, value
from weft.nodes.checks import BASE, adds_channels, same_size
from weft.nodes.technique import Branch, Order, Predictions
from weft.nodes.values import Conditioning, Guidance, Image, Latents, Model

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("guidance.instruct_pix2pix")
@dataclass(frozen=True, eq=False, kw_only=True)
class InstructPix2Pix(Guidance):
    """e = e_u + scale (e_t - e_i) + image_scale (e_i - e_u), rows [text, image, uncond].

    Every row, of other techniques too, reads the image's latents in four more channels; rows with role `uncond` read
    zeros. With scale <= 1 or image_scale < 1, and outside the window, e = e_t and one row.
    image: latents of the VAE, without the scaling factor (n, C, H, W).
    """

    order: ClassVar[int] = Order.BASE
    base: ClassVar[bool] = True
    counts_calls: ClassVar[bool] = False

    prompt: Conditioning
    image: Latents
    negative: Conditioning | None = None
    scale: float = 7.5
    image_scale: float = 1.5

    def setup(self, run: Run) -> None:
        """An image that does not fit is found before the first step."""
        run.derived(self, lambda: _Prepared(self, run))

    def branches(self, step: Step) -> Iterable[Branch]:
        """Text, image and unconditional rows; of the latter two those that are used."""
        prepared = step.run.derived(self, lambda: _Prepared(self, step.run))
        if self._guides() and self.inside(step.index, step.calls):
            return (prepared.text, *prepared.others(step.run))
        return (prepared.text, prepared.others(step.run)[1]) if "uncond" in step.wanted else (prepared.text,)

    def channels(self, step: Step, branch: Branch) -> Tensor | None:
        """The image's latents; nothing, which is zeros, for unconditional rows."""
        if branch.role == "uncond":
            return None
        return step.run.derived(self, lambda: _Prepared(self, step.run)).image

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """Both guidance terms."""
        if not self._guides():
            return prediction
        image, uncond = predictions.role("image"), predictions.role("uncond")
        return uncond + self.scale * (prediction - image) + self.image_scale * (image - uncond)

    def _guides(self) -> bool:
        return self.scale > 1 and self.image_scale >= 1


class _Prepared:
    """What a run keeps: the branches, and the image (1 or B, C, H, W)."""

    def __init__(self, technique: InstructPix2Pix, run: Run) -> None:
        from weft.nodes.nets.hints import per_image

        samples, scale = technique.image.samples, run.scale_factor
        channels = int(run.unet.config.in_channels)
        if channels != samples.shape[1] + run.shape[1]:
            raise ValueError(
                f"instruct_pix2pix needs a model trained for it, with {samples.shape[1] + run.shape[1]} channels: "
                f"this one takes {channels}"
            )
        given, wanted = samples.shape[-2:], run.shape[-2:]
        if given != wanted:
            raise ValueError(
                f"the image to edit is {given[1] * scale} x {given[0] * scale} and denoise makes {wanted[1] * scale} x "
                f"{wanted[0] * scale}: give denoise the image's width and height, or resize the image"
            )
        self.image = per_image(samples.to(run.device, run.dtype), run, "images to edit")
        self.text = Branch("text", "cond", technique.prompt)
        self._negative = technique.negative
        self._others: tuple[Branch, Branch] | None = None

    def others(self, run: Run) -> tuple[Branch, Branch]:
        """The image row and the unconditional one."""
        if self._others is None:
            negative = self._negative if self._negative is not None else run.empty_conditioning()
            # Both see no picture that serves as a prompt: where they are compared, the image to edit alone differs.
            self._others = Branch("image", "image", negative, pictures=False), Branch("uncond", "uncond", negative)
        return self._others


@node(
    "instruct_pix2pix",
    category="guidance",
    resource="device",
    tags=(BASE, adds_channels("latents"), same_size("image")),
)
def instruct_pix2pix(
    model: Model,
    image: Image,
    prompt: Conditioning,
    negative: Conditioning | None = None,
    scale: Annotated[float, Range(0.0, 100.0, usual=(1.0, 12.0))] = 7.5,
    image_scale: Annotated[float, Range(0.0, 100.0, usual=(1.0, 3.0))] = 1.5,
    ctx: Context | None = None,
) -> Guidance:
    """Edit an image as an instruction says (InstructPix2Pix, arXiv 2211.09800), with a model of 8 channels.

    It is a base term, in place of `cfg`: it has a guidance of its own for the text and for the image. The image needs
    no `start`; `denoise` begins from noise, at the image's width and height.

    Args:
        model: trained for this, such as timbrooks/instruct-pix2pix.
        image: what to edit; one for all images of the batch, or one for each. Sides are multiples of 8 pixels.
        prompt: the instruction, such as "make it winter".
        negative: what the result should not show; without it, an empty prompt.
        scale: how strongly to follow the instruction, 5 to 10 is usual. At 1 or less there is no guidance.
        image_scale: how strongly to keep to the image, 1 to 2.5 is usual. Below 1 there is no guidance.
    """
    from weft.nodes.sampling.begin import encoded

    ctx = ctx or Context()
    wanted = 2 * model.latent_channels
    if model.unet_channels != wanted:
        raise ValueError(
            f"instruct_pix2pix needs a model trained for it, with {wanted} channels such as "
            f"timbrooks/instruct-pix2pix; {model.source!r} takes {model.unet_channels}"
        )
    latents = encoded(model, image.pixels, None, ctx).samples / model.scaling_factor
    return InstructPix2Pix(
        prompt=prompt, image=Latents(latents), negative=negative, scale=scale, image_scale=image_scale
    )
