"""Low-rank adapters on a model (LoRA, arXiv 2106.09685): no cost per step, since the weights themselves change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from weft.engine import Context, NodeView, Problem, Range, Widget, node, value
from weft.nodes.checks import described_model, model_of
from weft.nodes.models.bundled import LORAS
from weft.nodes.models.sources import LORA, existing, find, problems, renamed
from weft.nodes.values import Model, Patch
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import Origin, one_problem, origin, require, require_one

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from weft.nodes.models.headers import Header
    from weft.nodes.models.parts import Parts
    from weft.nodes.weights.lora import Layer
    from weft.nodes.weights.peft_layers import PeftLayer

    LayerOf = Layer | PeftLayer

Strength = Annotated[float, Range(-10.0, 10.0, usual=(-2.0, 2.0))]
Share = Annotated[float, Range(0.0, 10.0)]


@value("patch.lora", version=3)
@dataclass(frozen=True, eq=False, kw_only=True)
class LoraPatch(Patch):
    """W + strength (sum over files of weight (alpha / rank) up down), for each layer that the files name.

    Of other adapters than plain LoRAs, such as DoRA, it is what PEFT makes of W less W, in place of the product.

    paths, digests: one per file. settings: digests of what PEFT keeps beside them. adapters: after the files, those
    that came by wire. weights: of all, in this order. merge: ``sum`` adds the products, ``linear`` the factors.
    components: those that they name. strengths: by component, and ``down``, ``mid``, ``up`` of the UNet. sources: as
    given, for files that were moved since.
    """

    paths: tuple[str, ...]
    digests: tuple[str, ...]
    weights: tuple[float, ...]
    components: tuple[str, ...]
    strengths: dict[str, float]
    merge: str = "sum"
    settings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    adapters: tuple[Adapter, ...] = ()

    @property
    def key(self) -> str:
        """By content: files, adapters, weights and strengths."""
        from weft.nodes.weights.files import digest_of

        digests = (*self.digests, *(f"adapter:{adapter.digest}" for adapter in self.adapters))
        return digest_of("lora", digests, self.weights, self.strengths, self.merge, self.settings)

    def touches(self, component: str) -> bool:
        """Components at strength 0 stay those of the model before."""
        return component in self.components and self.strengths[component] != 0 and any(self.weights)

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Add to the weights, in float32, rounding once."""
        import torch

        from weft.nodes.weights import lora

        names = {component: lora.layer_names(component, module, lora.config_of(module))}
        terms: dict[str, list[_Term]] = {}
        for place, weight in zip(self._origins(), self.weights, strict=True):
            layers, _ = lora.match(place.where, place.header, names, strict=False, partial=True)
            tensors = place.read()
            for (_, name), layer in layers.items():
                terms.setdefault(name, []).append(_Term(place, layer, tensors, weight))
        with torch.no_grad():
            for name, own in terms.items():
                strength = self._strength(component, name)
                if strength == 0:
                    continue
                layer = module.get_submodule(name)
                change = _linear(own, layer, name) if self.merge == "linear" else _sum(own, layer, name)
                layer.weight.copy_(layer.weight.float() + strength * change.to(layer.weight.device))

    def _origins(self) -> Iterator[Origin]:
        """The files, where they lie now, and the adapters."""
        from weft.nodes.weights.files import header_of, read_tensors

        for place, source, digest in zip(self.paths, self.sources or [""] * len(self.paths), self.digests, strict=True):
            path = existing(place, source, LORA)
            yield Origin(path, header_of(path), partial(read_tensors, str(path), digest))
        yield from map(origin, self.adapters)

    def _strength(self, component: str, name: str) -> float:
        block = name.partition("_block")[0] if component == "unet" else ""
        return self.strengths[component] * self.strengths.get(block, 1.0)


@dataclass(frozen=True)
class _Term:
    """What one file or adapter does to a layer, and how much of it."""

    origin: Origin
    layer: LayerOf
    tensors: Mapping[str, Tensor]
    weight: float


def _sum(terms: list[_Term], layer: Any, name: str) -> Tensor:
    """The changes of a layer's weight added up, float32."""
    from weft.nodes.weights import lora, peft_layers

    changes = []
    for term in terms:
        if isinstance(term.layer, lora.Layer):
            whole = lora.change(term.layer, term.tensors, layer.weight.shape)
            changes.append(term.weight * lora.factor(term.layer, term.tensors) * whole)
        else:
            whole = peft_layers.weight_change(str(term.origin.where), name, term.layer, term.tensors, layer)
            changes.append(term.weight * whole)
    return sum(changes[1:], start=changes[0])


def _linear(terms: list[_Term], layer: Any, name: str) -> Tensor:
    """The factors added up."""
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights import lora

    pairs = [(t.layer, t.tensors, t.weight) for t in terms if isinstance(t.layer, lora.Layer)]
    if len(pairs) < len(terms):
        raise ModelError(f"linear merging needs plain LoRAs; at {name} one is of another kind. Use sum")
    return lora.linear_merge(pairs, layer.weight.shape, name)


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.weights.files import header_of
    from weft.nodes.weights.lora import EXPECTED_FILE, described_layers, match, roles

    model = described_model(view)
    names = described_layers(model) if model is not None else None
    strict = view.literals.get("strict") is not False

    def look(source: str) -> None:
        if not source and "source" in view.type.inputs:
            return  # an adapter may come by wire
        path = find(source, LORA, view.resolve)
        header = header_of(path)
        roles(path, header)
        if names is not None:
            match(path, header, names, strict)

    yield from problems(view, "sources" if "sources" in view.type.inputs else "source", look, EXPECTED_FILE)


def _check_one(view: NodeView) -> Iterator[Problem]:
    yield from one_problem(view)
    yield from _check(view)


def _check_merge(view: NodeView) -> Iterator[Problem]:
    yield from _check(view)
    sources, weights = view.literals.get("sources"), view.literals.get("weights")
    wired = len(view.sources("adapters"))
    if sources == [] and not wired:
        message = "no LoRA is given to merge: name at least one, or wire what a training gave"
        yield Problem(code="bad_value", node=view.id, input="sources", message=message, given=sources)
    elif isinstance(sources, list) and isinstance(weights, list) and weights and len(weights) != len(sources) + wired:
        named = f"{len(sources)} sources" + (f" and {wired} adapters" if wired else "")
        message = f"{len(weights)} weights are given for {named}: give one each, or none"
        yield Problem(code="bad_value", node=view.id, input="weights", message=message, given=weights)


def _fingerprint(source: str, ctx: Context) -> str:
    """The file's content, and that of the settings beside it."""
    from weft.nodes.weights.files import content
    from weft.nodes.weights.lora import sidecar

    if not source:
        return ""
    file = find(source, LORA, ctx.resolve_input_path)
    beside = sidecar(file)
    return content(file) + (content(beside) if beside else "")


def _fingerprints(sources: Sequence[str], ctx: Context) -> str:
    return " ".join(_fingerprint(source, ctx) for source in sources)


@dataclass(frozen=True)
class Amount:
    """How much of LoRAs is added, and how several are merged; see `apply_lora` and `merge_loras`.

    weights: of each, files before adapters. strengths: by component, and ``down``, ``mid``, ``up`` of the UNet.
    """

    weights: tuple[float, ...] = (1.0,)
    strengths: dict[str, float] = field(default_factory=dict)
    merge: str = "sum"
    strict: bool = True


def with_loras(
    ctx: Context, model: Model, sources: Sequence[str], adapters: Sequence[Adapter], amount: Amount
) -> Model:
    """The model with a patch of LoRAs from files and from trainings, once all are known to fit it.

    Raises:
        ModelError: one does not.
    """
    from weft.nodes.weights import lora
    from weft.nodes.weights.files import content, header_of

    paths = [find(source, LORA, ctx.resolve_input_path) for source in sources]
    for adapter in adapters:
        require(adapter, ("lora",), model)
    headers: list[tuple[Path | str, Header]] = [(path, header_of(path)) for path in paths]
    headers += [(place.where, place.header) for place in map(origin, adapters)]
    names = lora.layers_of(model.parts())
    components: set[str] = set()
    for where, header in headers:
        layers, unknown = lora.match(where, header, names, amount.strict)
        components |= {component for component, _ in layers}
        if unknown:
            name = where.name if not isinstance(where, str) else where
            ctx.log.warning("%s: %d layers match nothing: %s ...", name, len(unknown), ", ".join(unknown[:3]))
    patch = LoraPatch(
        paths=tuple(str(path) for path in paths),
        digests=tuple(content(path) for path in paths),
        weights=amount.weights,
        components=tuple(sorted(components)),
        strengths={**dict.fromkeys(("unet", "text_encoder", "text_encoder_2"), 1.0), **amount.strengths},
        merge=amount.merge,
        sources=tuple(sources),
        settings=tuple(content(beside) if (beside := lora.sidecar(path)) else "" for path in paths),
        adapters=tuple(adapters),
    )
    return dataclasses.replace(model, patches=(*model.patches, patch))


@node(
    "apply_lora",
    version=2,
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("model"),),
    check=_check_one,
    migrations={1: renamed("path", "source")},
)
def apply_lora(
    model: Model,
    source: Annotated[str, Widget("model", names=tuple(LORAS))] = "",
    strength: Strength = 1.0,
    unet: Share = 1.0,
    text_encoder: Share = 1.0,
    text_encoder_2: Share | None = None,
    down: Share = 1.0,
    mid: Share = 1.0,
    up: Share = 1.0,
    strict: bool = True,
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> Model:
    """Add a LoRA to a model: linear and convolution layers of the denoiser and of the text encoders.

    Diffusers, PEFT and kohya (also LyCORIS' LoCon) names, .safetensors; DoRA, LoHa, LoKr and OFT in PEFT's names. Chain
    several nodes for several adapters. The model that comes in stays as it is; use the one that goes out for prompts
    too, since text encoders may change.

    Args:
        model: the model to change, other adapters on it included.
        source: "shapes-heart" or "shapes-frame" (ship with Weft, for the model "shapes"), the adapter's file, a folder
            as diffusers (pytorch_lora_weights.safetensors) or PEFT (adapter_model.safetensors) saves it, a name in a
            model folder, or a hub id such as owner/name that is in the hub's local cache; nothing is downloaded.
            Layers that this model lacks are an error. Empty where `adapter` is wired.
        strength: how much of the adapter: 0 is none of it, 1 as it was trained.
        unet: share of the strength for the denoiser.
        text_encoder: share of the strength for the (first) text encoder.
        text_encoder_2: share of the strength for SDXL's second text encoder; without it, as the first.
        down: share of the denoiser's share for its down blocks.
        mid: likewise for its mid block.
        up: likewise for its up blocks.
        strict: off, layers that this model lacks are passed over with a warning, as long as some match.
        adapter: what a training gave, in place of a source.
    """
    require_one(source, adapter)
    second = text_encoder if text_encoder_2 is None else text_encoder_2
    strengths = {
        "unet": strength * unet,
        "text_encoder": strength * text_encoder,
        "text_encoder_2": strength * second,
    }
    amount = Amount(strengths={**strengths, "down": down, "mid": mid, "up": up}, strict=strict)
    wired = [adapter] if adapter is not None else []
    return with_loras(ctx or Context(), model, [source] if source else [], wired, amount)


def _pairs_are_lists(inputs: dict[str, Any]) -> dict[str, Any]:
    """Version 1 took two files and a weight for each."""
    new = {name: item for name, item in inputs.items() if name.partition("_")[0] not in ("first", "second")}
    sources = [inputs[name] for name in ("first", "second") if name in inputs]
    weights = [inputs.get(name, 0.5) for name in ("first_weight", "second_weight")]
    return new | {"sources": sources, "weights": weights}


@node(
    "merge_loras",
    version=2,
    category="model",
    resource="io",
    fingerprint=_fingerprints,
    tags=(model_of("model"),),
    check=_check_merge,
    migrations={1: _pairs_are_lists},
)
def merge_loras(
    model: Model,
    sources: Annotated[list[str], Widget("model", names=tuple(LORAS))] = [],  # noqa: B006
    weights: list[Annotated[float, Range(0.0, 10.0)]] = [],  # noqa: B006 - the signature is the schema
    merge: Literal["sum", "linear"] = "sum",
    strength: Strength = 1.0,
    strict: bool = True,
    adapters: list[Adapter] = [],  # noqa: B006
    ctx: Context | None = None,
) -> Model:
    """Merge LoRAs with weights, and add the merged one to a model.

    Args:
        model: the model to change.
        sources: the adapters, each as apply_lora takes it: "shapes-heart" or "shapes-frame" (ship with Weft, for the
            model "shapes"), a file, a folder, a name in a model folder, or a hub id in the hub's local cache.
        weights: how much of each, in the same order, sources before adapters; without any, an equal share that
            adds up to 1.
        merge: sum adds what the adapters do, which is also what chaining them does. linear adds their factors, as PEFT
            does: it mixes them more, and needs one rank.
        strength: how much of the merged adapter.
        strict: off, layers that this model lacks are passed over with a warning, as long as some match.
        adapters: what trainings gave, beside the sources or in place of them.
    """
    count = len(sources) + len(adapters)
    if not count:
        raise ValueError("no LoRA is given to merge: name at least one, or wire what a training gave")
    if weights and len(weights) != count:
        named = f"{len(sources)} sources" + (f" and {len(adapters)} adapters" if adapters else "")
        raise ValueError(f"{len(weights)} weights are given for {named}: give one each, or none")
    shares = tuple(weights) or (1.0 / count,) * count
    strengths = dict.fromkeys(("unet", "text_encoder", "text_encoder_2"), strength)
    return with_loras(ctx or Context(), model, sources, adapters, Amount(shares, strengths, merge, strict))
