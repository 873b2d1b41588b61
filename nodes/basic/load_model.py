"""The node that names a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from weft.engine import Context, NodeView, Problem, Widget, node
from weft.nodes.checks import model_named
from weft.nodes.models.bundled import MODELS
from weft.nodes.models.sources import MODEL, problems
from weft.nodes.values import Model

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
PredictionChoice = Literal["auto", "epsilon", "v_prediction"]


def _fingerprint(source: str, device: str = "auto", ctx: Context | None = None, **_: Any) -> str:
    """The model's content; and what ``auto`` will mean here, since float16 results are not those of float32."""
    from weft.nodes.models.device import machine_hint
    from weft.nodes.models.locate import locate, weights_fingerprint

    located = locate(source, allowed=(ctx or Context()).resolve_input_path)
    return f"{weights_fingerprint(located)}:{machine_hint(device)}"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.models.device import device_problems
    from weft.nodes.models.locate import describe, locate

    literals = view.literals
    yield from device_problems(view)

    def look(source: str) -> None:
        located = locate(source, access="local", allowed=view.resolve)
        if located.path.exists():
            describe(located, str(literals.get("prediction", "auto")))

    yield from problems(view, "source", look, MODEL.expected.replace("a hub id in the local cache", "a hub id"))


@node(
    "load_model", category="model", resource="io", fingerprint=_fingerprint, tags=(model_named("source"),), check=_check
)
def load_model(
    source: Annotated[str, Widget("model", names=tuple(MODELS))],
    dtype: Dtype = "auto",
    device: str = "auto",
    prediction: PredictionChoice = "auto",
    ctx: Context | None = None,
) -> Model:
    """Find a diffusion model, check it, and hand it on. Its weights load when something uses them.

    Stable Diffusion 1.x, 2.x and SDXL, with epsilon or v prediction; safetensors only.

    Args:
        source: "shapes" (ships with Weft, as do "shapes-depth", which reads depth, and "shapes-edit", which edits as it
            is told), a diffusers folder, a single .safetensors checkpoint, a name in a model folder, or a hub id such
            as owner/name or owner/name@revision. A folder called like a bundled model is ./shapes.
        dtype: number format; auto is float32 on the CPU and float16 elsewhere.
        device: auto, cpu, cuda, cuda:N or mps; auto takes the fastest that is there.
        prediction: what the denoiser predicts, where the files are silent or wrong. Single files of SD 2.x do not say:
            auto takes v_prediction for them.
    """
    from weft.nodes.models.build import verify
    from weft.nodes.models.device import resolve_device, resolve_dtype
    from weft.nodes.models.locate import describe, locate, weights_fingerprint

    ctx = ctx or Context()
    located = locate(source, access="download", allowed=ctx.resolve_input_path)
    resolve_dtype(dtype, resolve_device(device))  # what cannot be had here is said before anything is read
    description = describe(located, prediction)
    ctx.check_cancelled()
    verify(description)
    for note in description.notes:
        ctx.log.warning(note)
    return Model(
        source=source,
        location=str(located.path),
        fingerprint=weights_fingerprint(located, description),
        family=description.family,
        prediction=description.prediction,
        dtype_choice=dtype,
        device_choice=device,
        size=description.size,
        unet_channels=description.unet_channels,
        latent_channels=description.latent_channels,
        scale_factor=description.scale_factor,
        scaling_factor=description.scaling_factor,
        scheduler=description.scheduler,
        zero_empty=description.zero_empty,
    )
