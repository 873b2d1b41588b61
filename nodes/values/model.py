"""A diffusion model as a value, and changes to its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weft.engine import value
from weft.nodes.models.families import Family, Prediction
from weft.nodes.values.reprs import short_repr

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts


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

    @property
    def unet_channels(self) -> int:
        """The channels into the denoiser after it, or 0 where it leaves them as they are."""
        return 0

    def touches(self, component: str) -> bool:
        """Whether ``component`` (``unet``, ``vae``, ``text_encoder``, ``tokenizer``, ..._2) must be copied for it."""
        raise NotImplementedError

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Change ``module`` in place. ``parts`` holds the model with the patches that come before this one."""
        raise NotImplementedError


@value("vae")
@dataclass(frozen=True, eq=False)
class Vae:
    """A VAE in place of a model's own, by name: light, as `Model` is.

    source: what ``load_vae`` was given. location: the folder or file it was found at.
    fingerprint: identifies it by content.
    settings: of its configuration, what its files do not say and the model's own VAE has (``scaling_factor``, ...).
    """

    source: str
    location: str
    fingerprint: str
    settings: dict[str, Any] = field(default_factory=dict)


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
    vae: in place of the files' own. What the denoiser computes does not depend on it.
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
    vae: Vae | None = None

    __repr__ = short_repr

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
