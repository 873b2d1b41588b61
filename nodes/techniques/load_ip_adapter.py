"""IP-Adapters (arXiv 2308.06721) and their image encoders: found, checked, and handed on. No cost per step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, NodeView, Widget, node
from weft.nodes.checks import names_net
from weft.nodes.models.bundled import IMAGE_ENCODERS, IMAGE_PROMPTS
from weft.nodes.models.errors import ModelError
from weft.nodes.models.sources import IMAGE_ADAPTER, IMAGE_ENCODER, PathRule, existing, problems, weights_in
from weft.nodes.nets.files import fingerprint
from weft.nodes.nets.handles import ImageAdapter
from weft.nodes.nets.image_prompt import WIDTHS, describe_image_adapter, describe_image_encoder
from weft.nodes.nets.source import NetSource
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, require_one

if TYPE_CHECKING:
    from weft.engine import Problem
    from weft.nodes.models.description import Description

SOURCE = NetSource(IMAGE_ADAPTER, describe_image_adapter)
ENCODER = NetSource(IMAGE_ENCODER, describe_image_encoder)


def _encoder(source: str, file: Path, given: str, allowed: PathRule | None = None) -> Description:
    """An adapter's image encoder: the one given, or the usual one."""
    if given:
        return ENCODER.look(given, allowed)
    if source.strip() in IMAGE_PROMPTS:
        return ENCODER.look(next(iter(IMAGE_ENCODERS)))
    beside = file.parent / "image_encoder"
    if not beside.exists():
        raise ModelError(
            f"no image encoder is given, and there is no folder {beside}: an IP-Adapter needs the one that it was "
            "trained with, for instance models/image_encoder of h94/IP-Adapter"
        )
    return describe_image_encoder(beside)


def encoder_now(net: ImageAdapter) -> str:
    """Where an adapter's image encoder lies now. A cached adapter may come from before it was moved."""
    if Path(net.encoder).exists() or net.adapter is not None:
        return net.encoder
    try:
        place = existing(net.location, net.source, IMAGE_ADAPTER)
        return str(_encoder(net.source, weights_in(place, IMAGE_ADAPTER) if place.is_dir() else place, "").location)
    except ModelError:
        return net.encoder


def _fingerprint(source: str, image_encoder: str, ctx: Context) -> str:
    allowed = ctx.resolve_input_path
    if not source:
        return fingerprint(ENCODER.look(image_encoder, allowed)) if image_encoder else ""
    adapter = SOURCE.look(source, allowed)
    return f"{fingerprint(adapter)}:{fingerprint(_encoder(source, adapter.location, image_encoder, allowed))}"


def _check(view: NodeView) -> Iterator[Problem]:
    found = list(SOURCE.check(view))
    yield from found
    if view.literals.get("image_encoder"):
        yield from ENCODER.check(view, "image_encoder")
    elif not found and view.literals.get("source") and "image_encoder" in view.literals:

        def look(text: str) -> None:
            _encoder(text, SOURCE.look(text, view.resolve).location, "")

        expected = "an adapter beside its folder image_encoder, or that folder in image_encoder"
        yield from problems(view, "source", look, expected)


@node(
    "load_ip_adapter",
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(names_net("ip_adapter", "source"),),
    check=_check,
)
def load_ip_adapter(
    source: Annotated[str, Widget("model", names=tuple(IMAGE_PROMPTS))] = "",
    image_encoder: Annotated[str, Widget("model", names=tuple(IMAGE_ENCODERS))] = "",
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> ImageAdapter:
    """Find an IP-Adapter and its image encoder, check them, and hand them on. Weights load when a denoise uses them.

    Plain, Plus and Full adapters as published (h94/IP-Adapter), for Stable Diffusion 1.x and SDXL; safetensors only.
    FaceID adapters are not supported: they read face embeddings rather than pictures.

    Args:
        source: "shapes-image" (ships with Weft, for the model "shapes"), the adapter's .safetensors file or a folder
            with no other in it, a name in a model folder, or a hub id of such a folder that is in the hub's local
            cache; nothing is downloaded. Empty where `adapter` is wired.
        image_encoder: the CLIP vision model that it was trained with, a folder or named like a source, or
            "shapes-clip"; empty is the folder image_encoder beside the file, and shapes-clip for shapes-image. Of a
            wired adapter, empty is the one that the training used.
        adapter: what a training gave, in place of a source.
    """
    from weft.nodes.nets.live import verify
    from weft.nodes.nets.wired import describe_wired

    require_one(source, adapter)
    allowed = (ctx or Context()).resolve_input_path
    if adapter is not None:
        net, source = describe_wired(adapter, "ip_adapter"), called(adapter)
        encoder = ENCODER.look(image_encoder or _encoder_of(adapter), allowed)
    else:
        net = SOURCE.look(source, allowed)
        encoder = _encoder(source, net.location, image_encoder, allowed)
    folder = encoder.location
    verify(encoder)
    config, own = net.weights["ip_adapter"].config, encoder.weights["image_encoder"].config
    gives = int(own.get("projection_dim", 512) if config["kind"] == "plain" else own.get("hidden_size", 768))
    if gives != config["reads"]:
        raise ValueError(
            f"the IP-Adapter {source!r} reads image states {config['reads']} wide and the encoder {folder} gives "
            f"{gives}: it was trained with another, name it in image_encoder"
        )
    return ImageAdapter(
        source=source,
        location="" if adapter is not None else str(net.location),
        fingerprint=adapter.digest if adapter is not None else fingerprint(net),
        family=WIDTHS.get(config["width"], ""),
        encoder=str(folder),
        encoder_fingerprint=fingerprint(encoder),
        sites=config["sites"],
        width=config["width"],
        adapter=adapter,
    )


def _encoder_of(adapter: Adapter) -> str:
    """The source of the image encoder that a training used. Raises ValueError where it does not say."""
    config = adapter.settings.get("config")
    source = config.get("image_encoder") if isinstance(config, dict) else None
    if not isinstance(source, str) or not source:
        raise ValueError(f"{called(adapter)} does not say which image encoder it was trained with: give image_encoder")
    return source
