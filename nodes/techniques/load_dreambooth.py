"""DreamBooth (arXiv 2208.12242): a whole model trained on, or its trained parts over a base. No cost per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.checks import model_named, model_of
from weft.nodes.models.bundled import MODELS
from weft.nodes.models.sources import MODEL, Kind, PathRule, files_fingerprint, find, problems
from weft.nodes.values import Model, Patch

if TYPE_CHECKING:
    from weft.nodes.models.headers import TensorInfo
    from weft.nodes.models.parts import Parts


EXAMPLE = "build/variants/out/dreambooth"
RECIPE = "python -m weft.nodes.shapes.training.dreambooth"
"""Makes what the example loads."""
TRAINED = Kind("UNet")
"""What is loaded over a base: a UNet, and text encoders beside it."""


@value("patch.weights", version=2)
@dataclass(frozen=True, eq=False, kw_only=True)
class WeightsPatch(Patch):
    """Whole components, replaced by those of other files.

    files: the safetensors files of each component. digests: of each file, in the same order. source: as given, for
    files that were moved since.
    """

    files: dict[str, tuple[str, ...]]
    digests: dict[str, tuple[str, ...]]
    source: str = ""

    @property
    def key(self) -> str:
        """By content."""
        from weft.nodes.weights.files import digest_of

        return digest_of("weights", self.digests)

    def touches(self, component: str) -> bool:
        """The components that it has files for."""
        return component in self.files

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Write over all weights of the component."""
        import torch

        from weft.nodes.models import build
        from weft.nodes.models.errors import ModelError
        from weft.nodes.models.headers import read_header
        from weft.nodes.models.parts import place_of
        from weft.nodes.weights.files import content

        tensors: dict[str, TensorInfo] = {}
        for file, digest in zip(self._existing(component), self.digests[component], strict=True):
            if content(file) != digest:
                raise ModelError(f"{file} changed since it was checked: run again")
            tensors |= read_header(file).tensors
        description = _over(parts, component, tensors)
        device, dtype = place_of(module)
        source = build.load(description, component, dtype, device).state_dict()
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                # Learned words may have made the table of embeddings longer: they stay.
                if name in source:
                    tensor[: source[name].shape[0]].copy_(source[name]) if tensor.ndim else tensor.copy_(source[name])

    def _existing(self, component: str) -> list[Path]:
        """Where the component's files lie now."""
        files = [Path(file) for file in self.files[component]]
        if not self.source or all(file.exists() for file in files):
            return files
        found = _components(find(self.source, TRAINED)).get(component, {})
        moved = sorted({info.file for info in found.values()})
        return moved if len(moved) == len(files) else files


def _over(parts: Parts, component: str, tensors: dict[str, TensorInfo]) -> Any:
    """The base's description with other files for one component."""
    from weft.nodes.models.description import Weights

    base = parts.description
    weights = Weights(base.weights[component].config, tensors)
    return dataclasses.replace(base, weights={**base.weights, component: weights})


def _components(path: Path) -> dict[str, dict[str, TensorInfo]]:
    """Tensors by component of what was given: a UNet's file or folder, or a folder that holds component folders."""
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.folder import component_tensors
    from weft.nodes.weights.files import header_of

    if path.is_file():
        return {"unet": header_of(path).tensors}
    if (path / "config.json").exists() and not (path / "unet").is_dir():
        return {"unet": component_tensors(path, "unet")}
    if not (path / "unet").is_dir():
        raise ModelError(f"{path} holds no UNet: neither unet/config.json nor config.json is there")
    names = ("unet", "text_encoder", "text_encoder_2")
    return {name: component_tensors(path / name, name) for name in names if (path / name).is_dir()}


def _find(source: str, allowed: PathRule) -> Path:
    """Where the trained weights lie; of those of the example, which do not ship, how they are made."""
    from weft.nodes.models.errors import ModelError

    try:
        return find(source, TRAINED, allowed)
    except ModelError as error:
        if not source.rstrip("/").endswith(EXAMPLE):
            raise
        raise ModelError(f"{str(error).rstrip('.')}. These weights do not ship: `{RECIPE}` makes them") from None


def _fingerprint(source: str, ctx: Context) -> str:
    """The content of the files; and what ``auto`` will mean here, as load_model has it."""
    from weft.engine.filehash import folder_hash
    from weft.nodes.models.device import machine_hint
    from weft.nodes.models.locate import locate, weights_fingerprint

    located = locate(source, allowed=ctx.resolve_input_path)
    if located.path.is_dir() and located.commit is None and source.strip() not in MODEL.bundled:
        # With a base or without one, other files are read of a folder.
        return f"{folder_hash(located.path, ('.safetensors', '.json', '.txt'))}:{machine_hint('auto')}"
    if located.path.is_file():
        return f"{files_fingerprint([located.path], located.path)}:{machine_hint('auto')}"
    return f"{weights_fingerprint(located)}:{machine_hint('auto')}"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.models.locate import describe, locate

    based = bool(view.sources("base"))

    def look(source: str) -> None:
        if based:
            _components(_find(source, view.resolve))
            return
        located = locate(source, access="local", allowed=view.resolve)
        if located.path.exists():
            describe(located)

    yield from problems(view, "source", look, (TRAINED if based else MODEL).expected)


@node(
    "load_dreambooth",
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("base"), model_named("source")),
    check=_check,
)
def load_dreambooth(
    source: Annotated[str, Widget("model", names=tuple(MODELS))], base: Model | None = None, ctx: Context | None = None
) -> Model:
    """Load what DreamBooth trained: a whole model, or a UNet (and text encoders, if they are there) over a base.

    Args:
        source: without a base, all that load_model takes. With one, a folder that holds unet and perhaps text_encoder
            folders, a UNet's own folder, or its .safetensors file, in diffusers' names; by its path, by its name in a
            model folder, or as a hub id such as owner/name that is in the hub's local cache.
        base: the model that it was trained on. What was not trained is taken from it.
    """
    from weft.nodes.basic.load_model import load_model
    from weft.nodes.models import build
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights.files import content

    ctx = ctx or Context()
    if base is None:
        return load_model.node_type.fn(source, ctx=ctx)
    found = _components(_find(source, ctx.resolve_input_path))
    parts = base.parts()
    extra = [name for name in found if name not in parts.components]
    if extra:
        raise ModelError(f"{source} has a {extra[0]}, which this base lacks. Is it for another model family?")
    for component, tensors in found.items():
        build.match(_over(parts, component, tensors), component, parts.shell(component))
    files = {name: tuple(sorted({info.file for info in tensors.values()})) for name, tensors in found.items()}
    patch = WeightsPatch(
        files={name: tuple(str(file) for file in own) for name, own in files.items()},
        digests={name: tuple(content(file) for file in own) for name, own in files.items()},
        source=source,
    )
    return dataclasses.replace(base, patches=(*base.patches, patch))
