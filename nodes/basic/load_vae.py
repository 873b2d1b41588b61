"""Another VAE for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node
from weft.nodes.checks import described_model, model_of
from weft.nodes.models.sources import VAE, PathRule, files_fingerprint, find, problems
from weft.nodes.values import Model, Vae

if TYPE_CHECKING:
    from weft.nodes.models.description import Description


def _look(source: str, allowed: PathRule | None) -> Description:
    """What the files say, as far as it can be told without the model."""
    from weft.nodes.models.vae import describe_vae

    return describe_vae(find(source, VAE, allowed), {})


def _fingerprint(source: str, ctx: Context | None = None, **_: Any) -> str:
    description = _look(source, (ctx or Context()).resolve_input_path)
    return files_fingerprint(description.files, description.location)


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.vae import vae_misfit

    def look(source: str) -> None:
        vae, model = _look(source, view.resolve), described_model(view)
        misfit = vae_misfit(source, vae, model.latent_channels, model.scale_factor) if model is not None else None
        if misfit is not None:
            raise ModelError(misfit)

    yield from problems(view, "source", look, VAE.expected)


@node("load_vae", category="model", resource="io", fingerprint=_fingerprint, tags=(model_of("model"),), check=_check)
def load_vae(
    model: Model,
    source: Annotated[str, Widget("model", names=tuple(VAE.bundled))],
    ctx: Context | None = None,
) -> Model:
    """Give a model another VAE, which turns its latents into images and back.

    Wire the model that goes out to `decode` and `encode_image`. `denoise` uses a VAE for previews alone: it may have
    either model, and with another VAE no step is made again.

    Args:
        model: whose denoiser the latents are for; a VAE that it was given before is replaced.
        source: a diffusers folder of an AutoencoderKL or an AutoencoderTiny (TAESD), or of a model that has one; a
            .safetensors file in the original layout, of a VAE or a whole checkpoint; a name in a model folder; a hub id
            such as owner/name that is in the hub's local cache, nothing is downloaded; "shapes" (ships with Weft). Its
            scaling is that of its config.json; where a file has none, that of the model's own VAE.
    """
    from weft.nodes.models import build
    from weft.nodes.models.description import TINY
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.vae import SETTINGS, describe_vae, says_settings, vae_misfit

    ctx = ctx or Context()
    path = find(source, VAE, ctx.resolve_input_path)
    settings: dict[str, Any] = {}
    if not says_settings(path):
        own = dataclasses.replace(model, vae=None).parts().description.weights["vae"].config
        settings = {name: own[name] for name in SETTINGS if own.get(name) is not None}
        settings.setdefault("scaling_factor", model.scaling_factor)
    description = describe_vae(path, settings)
    misfit = vae_misfit(source, description, model.latent_channels, model.scale_factor)
    if misfit is not None:
        raise ModelError(misfit)
    build.verify(description)
    scaling = description.scaling_factor
    if description.weights["vae"].config.get("_class_name") != TINY and scaling != model.scaling_factor:
        ctx.log.warning(
            "the VAE %r has a scaling factor of %g and the model's own %g: it may be for another family of models",
            source,
            scaling,
            model.scaling_factor,
        )
    vae = Vae(
        source=source,
        location=str(description.location),
        fingerprint=files_fingerprint(description.files, description.location),
        settings=settings,
    )
    return dataclasses.replace(model, vae=vae)
