"""DreamBooth (arXiv 2208.12242): a whole model trained on, or its trained parts over a base. No cost per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.checks import model_named, model_of, model_unknown_with
from weft.nodes.models.bundled import MODELS
from weft.nodes.models.sources import MODEL, Kind, PathRule, files_fingerprint, find, problems
from weft.nodes.values import Model, Patch
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import one_problem, require, require_one

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.headers import TensorInfo
    from weft.nodes.models.parts import Parts


EXAMPLE = "build/variants/out/dreambooth"
RECIPE = "python -m weft.nodes.shapes.training.dreambooth"
"""Makes what the example loads."""
TRAINED = Kind("UNet")
"""What is loaded over a base: a UNet, and text encoders beside it."""


@value("patch.weights", version=3)
@dataclass(frozen=True, eq=False, kw_only=True)
class WeightsPatch(Patch):
    """Whole components, replaced by those of other files, or by what a training gave.

    files: the safetensors files of each component. digests: of each file, in the same order. source: as given, for
    files that were moved since. adapter: in place of files. channels: into the denoiser, where the adapter's takes
    others than the model's. strength: 1 replaces the weights, 0.5 is the mean of both.
    """

    files: dict[str, tuple[str, ...]]
    digests: dict[str, tuple[str, ...]]
    source: str = ""
    adapter: Adapter | None = None
    channels: int = 0
    strength: float = 1.0

    @property
    def key(self) -> str:
        """By content and strength."""
        from weft.nodes.weights.files import digest_of

        if self.adapter is None:
            return digest_of("weights", self.digests)
        return digest_of("weights", self.adapter.digest, self.channels, self.strength)

    @property
    def unet_channels(self) -> int:
        """Those of an adapter that takes others than the model."""
        return self.channels

    def touches(self, component: str) -> bool:
        """The components that it has files or tensors for."""
        if self.adapter is None:
            return component in self.files
        return any(name.startswith(f"{component}.") for name in self.adapter.tensors)

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Write over all weights of the component."""
        if self.adapter is None:
            self._apply_files(component, module, parts)
        else:
            self._apply_adapter(self.adapter, component, module)

    def _apply_adapter(self, adapter: Adapter, component: str, module: Any) -> None:
        import torch

        from weft.nodes.weights.adapters import of_component
        from weft.nodes.weights.files import write

        if self.channels and component == "unet":
            _widen(module, self.channels)
        source = _named_as(module, of_component(adapter, component))
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if name in source:
                    # Learned words may have made the table of embeddings longer: they stay.
                    own = tensor[: source[name].shape[0]] if tensor.ndim else tensor
                    write(own, source[name], self.strength)

    def _apply_files(self, component: str, module: Any, parts: Parts) -> None:
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


def _widen(unet: Any, channels: int) -> None:
    """Let a denoiser take so many channels; those that are new count nothing until weights are written."""
    import torch

    old = unet.conv_in
    if old.in_channels == channels:
        return
    weight = old.weight.new_zeros(old.out_channels, channels, *old.kernel_size)
    shared = min(channels, old.in_channels)
    weight[:, :shared] = old.weight[:, :shared]
    with torch.device("meta"):
        new = torch.nn.Conv2d(channels, old.out_channels, old.kernel_size, padding=old.padding)
    new.weight, new.bias = torch.nn.Parameter(weight, requires_grad=False), old.bias
    unet.conv_in = new
    unet.register_to_config(in_channels=channels)


def _named_as(module: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names of a module: text encoders are written with text_model. before them, and without."""
    names = set(module.state_dict())
    if any(name in names for name in tensors):
        return tensors
    bare = {name.removeprefix("text_model."): item for name, item in tensors.items()}
    return {name: bare[stem] for name in names if (stem := name.removeprefix("text_model.")) in bare}


def _over(parts: Parts, component: str, tensors: dict[str, TensorInfo], channels: int = 0) -> Any:
    """The base's description with other files for one component."""
    from weft.nodes.models.description import Weights

    base = parts.description
    config = base.weights[component].config
    weights = Weights({**config, "in_channels": channels} if channels else config, tensors)
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

    if not source:
        return machine_hint("auto")
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
        if not source:
            return  # an adapter may come by wire
        if based:
            _components(_find(source, view.resolve))
            return
        located = locate(source, access="local", allowed=view.resolve)
        if located.path.exists():
            describe(located)

    yield from one_problem(view)
    if view.sources("adapter") and not based:
        message = "an adapter changes a model: wire the one that it was trained on to base"
        yield Problem(code="missing_input", node=view.id, input="base", message=message)
    yield from problems(view, "source", look, (TRAINED if based else MODEL).expected)


@node(
    "load_dreambooth",
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("base"), model_named("source"), model_unknown_with("adapter")),
    check=_check,
)
def load_dreambooth(
    source: Annotated[str, Widget("model", names=tuple(MODELS))] = "",
    base: Model | None = None,
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> Model:
    """Load what DreamBooth trained: a whole model, or a UNet (and text encoders, if they are there) over a base.

    Args:
        source: without a base, all that load_model takes. With one, a folder that holds unet and perhaps text_encoder
            folders, a UNet's own folder, or its .safetensors file, in diffusers' names; by its path, by its name in a
            model folder, or as a hub id such as owner/name that is in the hub's local cache.
            Empty where `adapter` is wired.
        base: the model that it was trained on. What was not trained is taken from it.
        adapter: what a training gave, in place of a source.
    """
    from weft.nodes.basic.load_model import load_model
    from weft.nodes.models import build
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights.files import content

    ctx = ctx or Context()
    require_one(source, adapter)
    if adapter is not None:
        if base is None:
            raise ValueError("an adapter changes a model: wire the one that it was trained on to base")
        require(adapter, ("weights",), base)
        return with_weights(base, adapter)
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


def with_weights(model: Model, adapter: Adapter, strength: float = 1.0) -> Model:
    """The model with components that a training gave, a denoiser that takes other channels among them.

    Raises:
        ModelError: they do not fit the model.
    """
    from weft.nodes.models import build
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights.adapters import called, infos, of_component

    parts = model.parts()
    names = dict.fromkeys(name.partition(".")[0] for name in adapter.tensors)
    extra = [name for name in names if name not in parts.components]
    if extra or not names:
        lack = f"has a {extra[0]}, which this model lacks" if extra else "is empty"
        raise ModelError(f"{called(adapter)} {lack}. Is it for another model family?")
    entry = adapter.tensors.get("unet.conv_in.weight")
    own = int(parts.description.weights["unet"].config.get("in_channels", 4))
    channels = int(entry.shape[1]) if adapter.kind == "unet_delta" and entry is not None and entry.ndim == 4 else 0
    for component in names:
        wider = channels if component == "unet" and channels != own else 0
        described = _over(parts, component, infos(adapter, of_component(adapter, component)), wider)
        build.match(described, component, build.build_shell(described, component))
    patch = WeightsPatch(files={}, digests={}, adapter=adapter, channels=channels, strength=strength)
    changed = dataclasses.replace(model, patches=(*model.patches, patch))
    return dataclasses.replace(changed, unet_channels=channels) if channels else changed
