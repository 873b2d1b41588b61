"""The live modules of a model."""

from __future__ import annotations

import dataclasses
import json
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from weft.nodes.models import build
from weft.nodes.models.description import REQUIRED, Description
from weft.nodes.models.device import component_dtype
from weft.nodes.models.errors import ModelError
from weft.nodes.models.locate import Located, describe, locate, weights_fingerprint
from weft.nodes.models.residency import Lease, Residency, default_residency
from weft.nodes.models.sources import VAE, existing, files_fingerprint
from weft.nodes.models.tokenizers import load_tokenizer
from weft.nodes.models.vae import describe_vae

if TYPE_CHECKING:
    # Not from ``diffusers`` itself: there, type checkers see the stand-ins for a machine without torch.
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    from weft.nodes.values.model import Model

_TOKENIZER_BYTES = 8 << 20


class Parts:
    """The modules of a model on its device: eval mode, no gradients, loaded when first asked for.

    What was asked for stays on the device as long as this object lives, so keep it while you use its modules:
    ``parts = model.parts()``, not ``model.parts().unet`` alone. ``with model.parts() as parts:`` gives back at once.

    Modules are shared with every other user of the same model: leave them as they are (patches get copies).
    """

    def __init__(self, model: Model, residency: Residency | None = None) -> None:
        self.model = model
        self.device = torch.device(model.device)
        self.dtype: torch.dtype = getattr(torch, model.dtype)
        self._residency = residency or default_residency()
        self._leases: dict[str, Lease] = {}
        self._finalizer = weakref.finalize(self, _release, self._leases)

    @property
    def unet(self) -> UNet2DConditionModel:
        """The denoiser."""
        return self.component("unet")

    @property
    def vae(self) -> AutoencoderKL:
        """The autoencoder; its dtype may be wider than ``dtype`` (``parts.vae.dtype``)."""
        return self.component("vae")

    @property
    def text_encoders(self) -> list[CLIPTextModel | CLIPTextModelWithProjection]:
        """One, or for SDXL two."""
        return [self.component(name) for name in REQUIRED[self.model.family] if name.startswith("text_encoder")]

    @property
    def tokenizers(self) -> list[CLIPTokenizer]:
        """One per text encoder."""
        return [self.component(name) for name in REQUIRED[self.model.family] if name.startswith("tokenizer")]

    def component(self, name: str) -> Any:
        """A component by its diffusers name: unet, vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2.

        Raises:
            ModelError: its files are gone, changed or unsound.
        """
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = self._acquire(name)
        return lease.item

    @property
    def description(self) -> Description:
        """What the model's files are, without its patches, and with the VAE that it was given."""
        if self.model.vae is None:
            return self._description
        vae = self._vae_description.weights["vae"]
        return dataclasses.replace(self._description, weights={**self._description.weights, "vae": vae})

    def shell(self, name: str) -> torch.nn.Module:
        """A component's module without memory behind its parameters: names and shapes, no weights.

        The denoiser takes the channels that it has after the patches.
        """
        described = self._described(name)
        channels = [patch.unet_channels for patch in self.model.patches if patch.unet_channels]
        if name == "unet" and channels:
            own = described.weights[name]
            wider = dataclasses.replace(own, config={**own.config, "in_channels": channels[-1]})
            described = dataclasses.replace(described, weights={**described.weights, name: wider})
        return build.build_shell(described, name)

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components that have weights."""
        return tuple(name for name in REQUIRED[self.model.family] if not name.startswith("tokenizer"))

    def close(self) -> None:
        """Give the modules back now rather than when this object is dropped."""
        self._finalizer()
        self._residency.trim()

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @cached_property
    def _description(self) -> Description:
        """Read again from the files, which must be those that ``load_model`` saw."""
        model = self.model
        located = Located(_existing(model), model.fingerprint[4:] if model.fingerprint.startswith("hub:") else None)
        description = describe(located, model.prediction)
        if weights_fingerprint(located, description) != model.fingerprint:
            raise ModelError(f"the files of {model.source!r} in {located.path} changed since it was loaded: run again")
        return description

    @cached_property
    def _vae_description(self) -> Description:
        """Likewise of the VAE that stands in place of the files' own."""
        vae = self.model.vae
        assert vae is not None
        description = describe_vae(existing(vae.location, vae.source, VAE), vae.settings)
        if files_fingerprint(description.files, description.location) != vae.fingerprint:
            raise ModelError(f"the files of {vae.source!r} in {vae.location} changed since it was loaded: run again")
        return description

    def _described(self, name: str) -> Description:
        """The description of the files that a component lies in."""
        return self._vae_description if name == "vae" and self.model.vae is not None else self._description

    def _identity(self, name: str) -> str:
        """Identifies these files, by content, and how they are read."""
        vae = self.model.vae
        if name != "vae" or vae is None:
            return self.model.fingerprint
        return f"{vae.fingerprint}:{json.dumps(vae.settings, sort_keys=True)}"

    def _acquire(self, name: str) -> Lease:
        model, files = self.model, self._identity(name)
        patches = tuple(patch.key for patch in model.patches if patch.touches(name))
        if name.startswith("tokenizer"):
            key = (files, name, patches, "", "cpu")
            return self._residency.acquire(key, "cpu", _TOKENIZER_BYTES, lambda: self._load(name, torch.float32))
        device = str(self.device)
        known = _sizes.get((files, name))
        config = known[1] if known else self._described(name).weights[name].config
        dtype: torch.dtype = getattr(torch, component_dtype(name, model.family, config, model.dtype))
        shell = None
        if known is None:
            shell = build.build_shell(self._described(name), name)  # to be filled from the files, before any patch
            known = _sizes[files, name] = (build.elements(shell), config)
        key = (files, name, patches, str(dtype), device)
        size = known[0] * dtype.itemsize
        return self._residency.acquire(key, device, size, lambda: self._load(name, dtype, shell))

    def _load(self, name: str, dtype: torch.dtype, shell: torch.nn.Module | None = None) -> Any:
        description = self._described(name)
        if name.startswith("tokenizer"):
            encoder = description.weights[name.replace("tokenizer", "text_encoder")]
            item: Any = load_tokenizer(description.tokenizers[name], encoder.config)
        else:
            item = build.load(description, name, dtype, self.device, shell)
        # The copy just made belongs to this key alone, so patching it leaves the base model as it is.
        for index, patch in enumerate(self.model.patches):
            if patch.touches(name):
                before = dataclasses.replace(self.model, patches=self.model.patches[:index])
                patch.apply(name, item, Parts(before, self._residency))
        return item


# Elements and configuration per component, so that a component that is resident costs no look at its files.
_sizes: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}


def _release(leases: dict[str, Lease]) -> None:
    for lease in leases.values():
        lease.release()
    leases.clear()


def _existing(model: Model) -> Any:
    """Where the model lies now. A cached handle may come from an installation that has moved."""
    from pathlib import Path

    path = Path(model.location)
    return path if path.exists() else locate(model.source, access="download").path


def place_of(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and dtype of a module. What diffusers' properties of these names say, which walk every module for it."""
    first = next(module.parameters())
    return first.device, first.dtype
