"""Low-rank adapters on a model (LoRA, arXiv 2106.09685): no cost per step, since the weights themselves change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from weft.engine import Context, NodeView, Problem, Range, Widget, node, value
from weft.nodes.checks import described_model, model_of
from weft.nodes.models.bundled import LORAS
from weft.nodes.models.sources import LORA, existing, find, problems, renamed
from weft.nodes.values import Model, Patch

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts

Strength = Annotated[float, Range(-10.0, 10.0, usual=(-2.0, 2.0))]
Share = Annotated[float, Range(0.0, 10.0)]


@value("patch.lora", version=2)
@dataclass(frozen=True, eq=False, kw_only=True)
class LoraPatch(Patch):
    """W + strength (sum over files of weight (alpha / rank) up down), for each layer that the files name.

    paths, digests, weights: one per file. settings: digests of what PEFT keeps beside them. merge: ``sum`` adds the
    products, ``linear`` the factors. components: those that the files name. strengths: by component, and ``down``,
    ``mid``, ``up`` of the UNet. sources: as given, for files that were moved since.
    """

    paths: tuple[str, ...]
    digests: tuple[str, ...]
    weights: tuple[float, ...]
    components: tuple[str, ...]
    strengths: dict[str, float]
    merge: str = "sum"
    settings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """By content: files, weights and strengths."""
        from weft.nodes.weights.files import digest_of

        return digest_of("lora", self.digests, self.weights, self.strengths, self.merge, self.settings)

    def touches(self, component: str) -> bool:
        """Components at strength 0 stay those of the model before."""
        return component in self.components and self.strengths[component] != 0 and any(self.weights)

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Add to the weights, in float32, rounding once."""
        import torch

        from weft.nodes.weights import lora
        from weft.nodes.weights.files import header_of, read_tensors

        names = {component: lora.layer_names(component, module, _config(module))}
        found: dict[str, list[tuple[lora.Layer, dict[str, torch.Tensor], float]]] = {}
        files = zip(self.paths, self.sources or [""] * len(self.paths), self.digests, self.weights, strict=True)
        for place, source, digest, weight in files:
            path = existing(place, source, LORA)
            layers, _ = lora.match(path, header_of(path), names, strict=False, partial=True)
            tensors = read_tensors(str(path), digest)
            for (_, name), layer in layers.items():
                found.setdefault(name, []).append((layer, tensors, weight))
        with torch.no_grad():
            for name, terms in found.items():
                strength = self._strength(component, name)
                if strength == 0:
                    continue
                weight = module.get_submodule(name).weight
                if self.merge == "linear":
                    change = lora.linear_merge(terms, weight.shape, name)
                else:
                    changes = [
                        share * lora.factor(layer, tensors) * lora.change(layer, tensors, weight.shape)
                        for layer, tensors, share in terms
                    ]
                    change = sum(changes[1:], start=changes[0])
                weight.copy_(weight.float() + strength * change.to(weight.device))

    def _strength(self, component: str, name: str) -> float:
        block = name.partition("_block")[0] if component == "unet" else ""
        return self.strengths[component] * self.strengths.get(block, 1.0)


def _config(module: Any) -> dict[str, Any]:
    return dict(module.config) if hasattr(module.config, "items") else {}


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.weights.files import header_of
    from weft.nodes.weights.lora import EXPECTED_FILE, described_layers, match, roles

    model = described_model(view)
    names = described_layers(model) if model is not None else None
    strict = view.literals.get("strict") is not False

    def look(source: str) -> None:
        path = find(source, LORA, view.resolve)
        header = header_of(path)
        roles(path, header)
        if names is not None:
            match(path, header, names, strict)

    yield from problems(view, "sources" if "sources" in view.type.inputs else "source", look, EXPECTED_FILE)


def _check_merge(view: NodeView) -> Iterator[Problem]:
    yield from _check(view)
    sources, weights = view.literals.get("sources"), view.literals.get("weights")
    if sources == []:
        message = "no LoRA is given to merge: name at least one"
        yield Problem(code="bad_value", node=view.id, input="sources", message=message, given=sources)
    elif isinstance(sources, list) and isinstance(weights, list) and weights and len(weights) != len(sources):
        message = f"{len(weights)} weights are given for {len(sources)} sources: give one each, or none"
        yield Problem(code="bad_value", node=view.id, input="weights", message=message, given=weights)


def _fingerprint(source: str, ctx: Context) -> str:
    """The file's content, and that of the settings beside it."""
    from weft.nodes.weights.files import content
    from weft.nodes.weights.lora import sidecar

    file = find(source, LORA, ctx.resolve_input_path)
    beside = sidecar(file)
    return content(file) + (content(beside) if beside else "")


def _fingerprints(sources: Sequence[str], ctx: Context) -> str:
    return " ".join(_fingerprint(source, ctx) for source in sources)


def _patched(
    ctx: Context,
    model: Model,
    files: list[tuple[str, float]],
    merge: str,
    strengths: dict[str, float],
    unet_blocks: dict[str, float],
    strict: bool,
) -> Model:
    """The model with a patch, once all files are known to fit it."""
    from weft.nodes.weights import lora
    from weft.nodes.weights.files import content, header_of

    paths = [find(source, LORA, ctx.resolve_input_path) for source, _ in files]
    headers = [header_of(path) for path in paths]
    parts = model.parts()
    names = {}
    for component in parts.components:
        if component != "vae":
            shell = parts.shell(component)
            names[component] = lora.layer_names(component, shell, _config(shell))
    components: set[str] = set()
    for path, header in zip(paths, headers, strict=True):
        layers, unknown = lora.match(path, header, names, strict)
        components |= {component for component, _ in layers}
        if unknown:
            ctx.log.warning("%s: %d layers match nothing: %s ...", path.name, len(unknown), ", ".join(unknown[:3]))
    patch = LoraPatch(
        paths=tuple(str(path) for path in paths),
        digests=tuple(content(path) for path in paths),
        weights=tuple(weight for _, weight in files),
        components=tuple(sorted(components)),
        strengths={**strengths, **unet_blocks},
        merge=merge,
        sources=tuple(source for source, _ in files),
        settings=tuple(content(beside) if (beside := lora.sidecar(path)) else "" for path in paths),
    )
    return dataclasses.replace(model, patches=(*model.patches, patch))


@node(
    "apply_lora",
    version=2,
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("model"),),
    check=_check,
    migrations={1: renamed("path", "source")},
)
def apply_lora(
    model: Model,
    source: Annotated[str, Widget("model", names=tuple(LORAS))],
    strength: Strength = 1.0,
    unet: Share = 1.0,
    text_encoder: Share = 1.0,
    text_encoder_2: Share | None = None,
    down: Share = 1.0,
    mid: Share = 1.0,
    up: Share = 1.0,
    strict: bool = True,
    ctx: Context | None = None,
) -> Model:
    """Add a LoRA to a model: linear and convolution layers of the denoiser and of the text encoders.

    Diffusers, PEFT and kohya (also LyCORIS' LoCon) names, .safetensors. Chain several nodes for several adapters. The
    model that comes in stays as it is; use the one that goes out for prompts too, since text encoders may change.

    Args:
        model: the model to change, other adapters on it included.
        source: "shapes-heart" or "shapes-frame" (ship with Weft, for the model "shapes"), the adapter's file, a folder
            as diffusers (pytorch_lora_weights.safetensors) or PEFT (adapter_model.safetensors) saves it, a name in a
            model folder, or a hub id such as owner/name that is in the hub's local cache; nothing is downloaded.
            Layers that this model lacks are an error.
        strength: how much of the adapter: 0 is none of it, 1 as it was trained.
        unet: share of the strength for the denoiser.
        text_encoder: share of the strength for the (first) text encoder.
        text_encoder_2: share of the strength for SDXL's second text encoder; without it, as the first.
        down: share of the denoiser's share for its down blocks.
        mid: likewise for its mid block.
        up: likewise for its up blocks.
        strict: off, layers that this model lacks are passed over with a warning, as long as some match.
    """
    second = text_encoder if text_encoder_2 is None else text_encoder_2
    strengths = {
        "unet": strength * unet,
        "text_encoder": strength * text_encoder,
        "text_encoder_2": strength * second,
    }
    blocks = {"down": down, "mid": mid, "up": up}
    return _patched(ctx or Context(), model, [(source, 1.0)], "sum", strengths, blocks, strict)


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
    sources: Annotated[list[str], Widget("model", names=tuple(LORAS))],
    weights: list[Annotated[float, Range(0.0, 10.0)]] = [],  # noqa: B006 - the signature is the schema
    merge: Literal["sum", "linear"] = "sum",
    strength: Strength = 1.0,
    strict: bool = True,
    ctx: Context | None = None,
) -> Model:
    """Merge LoRAs with weights, and add the merged one to a model.

    Args:
        model: the model to change.
        sources: the adapters, each as apply_lora takes it: "shapes-heart" or "shapes-frame" (ship with Weft, for the
            model "shapes"), a file, a folder, a name in a model folder, or a hub id in the hub's local cache.
        weights: how much of each, in the same order; without any, an equal share that adds up to 1.
        merge: sum adds what the adapters do, which is also what chaining them does. linear adds their factors, as PEFT
            does: it mixes them more, and needs one rank.
        strength: how much of the merged adapter.
        strict: off, layers that this model lacks are passed over with a warning, as long as some match.
    """
    if not sources:
        raise ValueError("no LoRA is given to merge: name at least one")
    if weights and len(weights) != len(sources):
        raise ValueError(f"{len(weights)} weights are given for {len(sources)} sources: give one each, or none")
    shares = list(weights) or [1.0 / len(sources)] * len(sources)
    strengths = dict.fromkeys(("unet", "text_encoder", "text_encoder_2"), strength)
    files = list(zip(sources, shares, strict=True))
    return _patched(ctx or Context(), model, files, merge, strengths, {}, strict)
