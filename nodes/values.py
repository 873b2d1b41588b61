"""The values that flow between nodes. Frozen; tensors in them are never changed in place.

Nothing here imports torch: a cached value passes through a process that never needs its tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from weft.engine import value
from weft.nodes.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.parts import Parts

Family = Literal["sd1", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Patch:
    """A change to a model's weights or tokenizer, applied to a private copy of the parts that it names.

    The base model is never written to, so undoing a patch is taking a model without it.
    Subclasses are values (``@value``) and hold parameters and paths, not modules.
    """

    @property
    def key(self) -> str:
        """Identifies the patch's content; equal keys share one patched copy."""
        raise NotImplementedError

    def touches(self, component: str) -> bool:
        """Whether ``component`` (``unet``, ``vae``, ``text_encoder``, ``tokenizer``, ..._2) must be copied for it."""
        raise NotImplementedError

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Change ``module`` in place. ``parts`` holds the model with the patches that come before this one."""
        raise NotImplementedError


@value("model")
@dataclass(frozen=True, eq=False)
class Model:
    """A diffusion model by name: light, can be written to disk, and costs nothing until ``parts`` are used.

    source: what ``load_model`` was given. location: the folder or file it was found at.
    fingerprint: identifies the weights by content.
    family, prediction: what the denoiser is and what it predicts.
    dtype_choice, device_choice: as asked for, ``auto`` included; ``dtype`` and ``device`` resolve them here.
    size: native side in pixels. unet_channels, latent_channels: channels into the denoiser, and of its latents.
    scale_factor: pixels per latent pixel. scaling_factor: VAE latents times this are the denoiser's latents.
    scheduler: the scheduler's configuration, with ``_class_name``.
    zero_empty: an absent negative prompt means zeros rather than the encoding of "".
    patches: applied in order.
    """

    source: str
    location: str
    fingerprint: str
    family: Family
    prediction: Prediction
    dtype_choice: str = "auto"
    device_choice: str = "auto"
    size: int = 512
    unet_channels: int = 4
    latent_channels: int = 4
    scale_factor: int = 8
    scaling_factor: float = 0.18215
    scheduler: dict[str, Any] = field(default_factory=dict)
    zero_empty: bool = False
    patches: tuple[Patch, ...] = ()

    @property
    def device(self) -> str:
        """The device on this machine: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
        from weft.nodes.models.device import resolve_device

        return resolve_device(self.device_choice)

    @property
    def dtype(self) -> str:
        """The denoiser's number format on this machine: ``float32``, ``float16`` or ``bfloat16``."""
        from weft.nodes.models.device import resolve_dtype

        return resolve_dtype(self.dtype_choice, self.device)

    def parts(self) -> Parts:
        """The live modules, each loaded when first asked for, held on the device while the result is referenced."""
        from weft.nodes.models.parts import Parts

        return Parts(self)


@value("conditioning")
@dataclass(frozen=True, eq=False)
class Conditioning:
    """An encoded prompt.

    text: (B, L, D) states, in the text encoder's dtype. pooled: (B, P) or None.
    prompt: the text. tokens: the L tokens as strings, start, end and padding included.
    spans: (word, start, end) of each word in ``tokens``, end exclusive.
    """

    text: Tensor
    pooled: Tensor | None = None
    prompt: str = ""
    tokens: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()


@value("latents")
@dataclass(frozen=True, eq=False)
class Latents:
    """Latents as the denoiser sees them (VAE latents times the scaling factor).

    samples: (B, C, H, W) float32 on the CPU.
    """

    samples: Tensor


@value("image")
@dataclass(frozen=True, eq=False)
class Image:
    """Images. pixels: (B, H, W, 3) float32 in [0, 1] on the CPU."""

    pixels: Tensor


@value("mask")
@dataclass(frozen=True, eq=False)
class Mask:
    """Where to change: 1 = change here, 0 = keep. pixels: (B, H, W) float32 in [0, 1] on the CPU."""

    pixels: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Guidance(Technique):
    """A technique that shapes the prediction: goes into ``denoise.guidance``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Control(Technique):
    """A technique that adds to the denoiser's input or inner states: goes into ``denoise.controls``."""


@value("trajectory")
@dataclass(frozen=True, eq=False)
class Trajectory:
    """The way a denoise went.

    scheduler: its name. seeds: one per image. timesteps: one per step taken.
    sigmas: noise level (sigma / alpha) at each step's start, and the level reached at the end: one more than steps.
    latents: the start latents, then those after each step, (B, C, H, W) float32 on the CPU.
    """

    scheduler: str
    seeds: tuple[int, ...]
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...] = ()
    latents: tuple[Tensor, ...] = ()
