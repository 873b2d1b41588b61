"""Low-rank adapters (LoRA, arXiv 2106.09685): the names that files give to layers, and what a file does to a layer.

`where` is the file, or the words for a training's result, in messages.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.graphs.problems import near
from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import Header
from weft.nodes.weights import peft_layers
from weft.nodes.weights.peft_layers import PeftLayer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from weft.nodes.models.description import Description
    from weft.nodes.models.parts import Parts

_ROLE = re.compile(
    r"(?P<base>.+?)"
    r"(?:(?:\.lora_linear_layer|\.lora|_lora)\.(?P<old>down|up)\.weight"
    r"|\.lora_(?P<kohya>down|up|mid)\.weight"
    r"|\.lora_(?P<peft>[AB])(?:\.[^.]+)?\.weight"
    rf"|\.(?P<other>{peft_layers.ROLES})(?:\.weight)?"
    r"|(?:_lora)?\.(?P<alpha>alpha))"
)
_PEFT = {"A": "down", "B": "up"}
_KOHYA = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
# Pieces of keys that tell a file's kind, where it is another one.
_OTHERS = {
    "dora_scale": "a DoRA in kohya's names; those in PEFT's (lora_magnitude_vector) are read",
    "oft_blocks": "an OFT in kohya's names; those in PEFT's (oft_R) are read",
    "oft_diag": "an OFT in LyCORIS' names; those in PEFT's (oft_R) are read",
    "emb_params": "a textual inversion: use load_textual_inversion",
    "custom_diffusion": "Custom Diffusion's weights: use load_custom_diffusion",
    "model.diffusion_model.": "a whole checkpoint: use load_model",
    "ip_adapter": "an IP-Adapter",
    "controlnet": "a ControlNet",
}
_EXPECTED = (
    "diffusers (unet.down_blocks.0...to_q.lora.down.weight), PEFT (unet...to_q.lora_A.weight) or "
    "kohya names (lora_unet_down_blocks_0_..._to_q.lora_down.weight)"
)
EXPECTED_FILE = f"a .safetensors file with {_EXPECTED}"


def sidecar(path: Path) -> Path | None:
    """PEFT's settings beside a file that it wrote, or None."""
    settings = path.parent / "adapter_config.json"
    return settings if path.name == "adapter_model.safetensors" and settings.is_file() else None


@dataclass(frozen=True)
class Layer:
    """What a file holds for one layer: names of its tensors, and the factor on up times down."""

    down: str
    up: str
    mid: str | None
    alpha: str | None
    scale: float


@dataclass(frozen=True)
class Names:
    """The adaptable layers of one component: shape of the weight by module path, and module path by every alias."""

    shapes: dict[str, tuple[int, ...]]
    aliases: dict[str, str]


def roles(where: Path | str, header: Header) -> dict[str, dict[str, str]]:
    """The tensors' names by layer, as the file calls it, and by role: down, up, mid, alpha.

    Raises:
        ModelError: it is another kind of file.
    """
    for piece, what in _OTHERS.items():
        if any(piece in name for name in header.tensors):
            raise ModelError(f"{where} is {what}, not a LoRA; expected {_EXPECTED}")
    found: dict[str, dict[str, str]] = {}
    strange: list[str] = []
    for name in header.tensors:
        match = _ROLE.fullmatch(name)
        if match is None:
            strange.append(name)
            continue
        role = match["old"] or match["kohya"] or _PEFT.get(match["peft"] or "") or match["other"] or "alpha"
        found.setdefault(match["base"], {})[role] = name
    if strange or not found:
        first = ", ".join(strange[:3]) or "no tensors"
        raise ModelError(f"{where} holds {first}, which a LoRA does not have; expected {_EXPECTED}")
    for base, own in found.items():
        kind = peft_layers.kind_of(own)
        if kind is not None and base.startswith((*_KOHYA, "lycoris_")):
            name = peft_layers.NAMES[kind]
            raise ModelError(
                f"{where} is a {name} in LyCORIS' names; those as PEFT saves them are read, {base} is none"
            )
        lost = set(peft_layers.missing(kind, own)) if kind is not None else {"down", "up"} - own.keys()
        if lost:
            raise ModelError(f"{where} is incomplete: the layer {base} lacks its {' and '.join(sorted(lost))} tensor")
    return found


def layer_names(component: str, module: torch.nn.Module, config: Mapping[str, Any]) -> Names:
    """The names under which files may mean a component's layers."""
    kinds = ("Linear", "Conv2d", "LoRACompatibleLinear", "LoRACompatibleConv")
    parts = [(name, part) for name, part in module.named_modules() if type(part).__name__ in kinds]
    return named_layers(component, {name: tuple(part.weight.shape) for name, part in parts}, config)


def layers_of(parts: Parts) -> dict[str, Names]:
    """Those of a model's denoiser and text encoders, by component."""
    names = {}
    for component in parts.components:
        if component != "vae":
            shell = parts.shell(component)
            names[component] = layer_names(component, shell, config_of(shell))
    return names


def config_of(module: Any) -> dict[str, Any]:
    """A module's configuration as plain data, where it has one of diffusers'."""
    return dict(module.config) if hasattr(module.config, "items") else {}


def named_layers(component: str, shapes: dict[str, tuple[int, ...]], config: Mapping[str, Any]) -> Names:
    """The same from the shapes of the layers' weights, by module path."""
    aliases: dict[str, str] = {}
    plain_up = frozenset(i for i, kind in enumerate(config.get("up_block_types", ())) if kind == "UpBlock2D")
    for name in shapes:
        bare = name.removeprefix("text_model.")
        known = [bare]
        if component == "unet":
            known.append(ldm.unet_name(f"{name}.weight", int(config["layers_per_block"]), plain_up)[: -len(".weight")])
        known += [alias.removesuffix(".0") for alias in known if alias.endswith(".to_out.0")]
        for alias in known:
            aliases[alias] = aliases[alias.replace(".", "_")] = name
    return Names(shapes, aliases)


def described_layers(description: Description) -> dict[str, Names] | None:
    """Those of a model by component, from its files' headers; None where these have other names for them."""
    found = {}
    for component, weights in description.weights.items():
        if component == "vae":
            continue
        if weights.layout != "diffusers":
            return None
        # Tables of embeddings are among them, which no adapter names.
        shapes = {
            name.removesuffix(".weight"): info.shape
            for name, info in weights.tensors.items()
            if name.endswith(".weight") and len(info.shape) in (2, 4)
        }
        found[component] = named_layers(component, shapes, {"layers_per_block": 2, **weights.config})
    return found


def _component(base: str) -> tuple[str, str]:
    """The component that a layer's name in a file belongs to, and the name within it."""
    for prefix, component in _KOHYA.items():
        if base.startswith(prefix):
            return component, base.removeprefix(prefix).removeprefix("text_model_")
    base = base.removeprefix("base_model.model.")
    for component in ("text_encoder_2", "text_encoder", "unet"):
        if base.startswith(f"{component}."):
            break
    else:
        component = "text_encoder" if base.startswith("text_model.") else "unet"
    rest = base.removeprefix(f"{component}.").removeprefix("base_model.model.").removeprefix("text_model.")
    return component, rest.replace(".processor.", ".")


def match(
    where: Path | str, header: Header, names: Mapping[str, Names], strict: bool = True, partial: bool = False
) -> tuple[dict[tuple[str, str], Layer | PeftLayer], list[str]]:
    """What a file holds for each (component, module path), and the layers that it names and the model lacks.

    Args:
        strict: one layer that matches nothing is an error.
        partial: ``names`` are not of the whole model, and the file has been matched with that already.

    Raises:
        ModelError: it is no LoRA, or for another model.
    """
    scales = _Scales(where, header)
    layers: dict[tuple[str, str], Layer | PeftLayer] = {}
    unknown: list[str] = []
    for base, own in roles(where, header).items():
        component, name = _component(base)
        module = names[component].aliases.get(name) if component in names else None
        if module is None:
            unknown.append(base)
            continue
        shape = names[component].shapes[module]
        if (kind := peft_layers.kind_of(own)) is not None:
            settings = scales.settings(component, module)
            layers[component, module] = _peft_layer(where, header, base, kind, own, shape, settings)
            continue
        if scales.settings(component, module).get("use_dora"):
            raise ModelError(f"{where} is a DoRA by its settings, and {base} lacks its lora_magnitude_vector")
        rank = _fit(where, header, own, shape)
        alpha = own.get("alpha")
        scale = 1.0 / rank if alpha else scales.of(component, module, rank)
        layers[component, module] = Layer(own["down"], own["up"], own.get("mid"), alpha, scale)
    if unknown and not partial and (strict or not layers):
        raise ModelError(_unmatched(where, unknown, len(layers), names))
    return layers, unknown


def _peft_layer(
    where: Path | str,
    header: Header,
    base: str,
    kind: peft_layers.Kind,
    own: Mapping[str, str],
    shape: tuple[int, ...],
    settings: dict[str, Any],
) -> PeftLayer:
    """A layer of another kind, which has to fit the weight."""
    if kind == "dora":
        _fit(where, header, own, shape)
    elif not settings or (kind != "oft" and not {"r", "alpha"} <= settings.keys()):
        raise ModelError(
            f"{where} is a {peft_layers.NAMES[kind]} without PEFT's settings: it has to be a file "
            "adapter_model.safetensors with an adapter_config.json beside it"
        )
    shapes = {role: header.tensors[name].shape for role, name in own.items()}
    if (wrong := peft_layers.misfit(kind, shapes, shape)) is not None:
        raise ModelError(
            f"{where}: {wrong} of {base} does not fit this model's weight of {list(shape)}. "
            "Is it for another model family?"
        )
    renamed = {"down": "lora_A", "up": "lora_B"}
    return PeftLayer(kind, {renamed.get(role, role): name for role, name in own.items()}, settings)


def _unmatched(where: Path | str, unknown: Sequence[str], matched: int, names: Mapping[str, Names]) -> str:
    component, name = _component(unknown[0])
    aliases = names[component].aliases if component in names else {}
    close = near(name, list(aliases)) if aliases else None
    example = close or next((alias for alias in aliases if alias.endswith("attn1.to_q")), next(iter(aliases), None))
    lacks = "" if component in names else f" (this model has no {component})"
    return (
        f"{where}: {len(unknown)} of {len(unknown) + matched} layers match nothing in this model{lacks}, first "
        f"{', '.join(unknown[:3])}; expected {_EXPECTED} of layers such as {example or ', '.join(names)}. "
        "Is it for another model family?"
    )


def _fit(where: Path | str, header: Header, own: Mapping[str, str], shape: tuple[int, ...]) -> int:
    """The rank of a layer's pair, which has to fit the weight."""
    down, up = header.tensors[own["down"]].shape, header.tensors[own["up"]].shape
    middle = header.tensors[own["mid"]].shape if "mid" in own else None
    rank = down[0] if down else 0
    wanted = math.prod(shape[1:])
    reach = math.prod(down[1:]) * (math.prod(middle[2:]) if middle else 1)
    fits = len(up) >= 2 and up[0] == shape[0] and math.prod(up[1:]) == rank > 0 and reach == wanted
    if not fits or (middle is not None and middle[:2] != (rank, rank)):
        raise ModelError(
            f"{where}: {own['up']} {list(up)} times {own['down']} {list(down)} does not fit this model's weight of "
            f"{list(shape)}. Is it for another model family?"
        )
    return rank


class _Scales:
    """PEFT's settings of layers: of a LoRA the factor alpha / rank where it is not stored as tensors, else 1."""

    def __init__(self, where: Path | str, header: Header) -> None:
        try:
            self._settings: Any = json.loads(header.metadata.get("lora_adapter_metadata", "{}"))
            if not self._settings and isinstance(where, Path) and (beside := sidecar(where)):
                self._settings = json.loads(beside.read_text("utf-8"))
        except (ValueError, OSError, RecursionError) as error:
            raise ModelError(f"the settings of {where} cannot be read: {error}") from error
        if not isinstance(self._settings, dict):
            raise ModelError(f"the settings of {where} are no JSON object")

    def settings(self, component: str, module: str) -> dict[str, Any]:
        """PEFT's configuration of one layer, ``r`` and ``alpha`` by its patterns, of which numbers only."""
        own = dict(self._settings)
        own |= {k.removeprefix(f"{component}."): v for k, v in self._settings.items() if k.startswith(f"{component}.")}
        plain = {key: item for key, item in own.items() if isinstance(item, (int, float)) and math.isfinite(item)}
        for name, key in (("r", "r"), ("alpha", "lora_alpha" if "lora_alpha" in own else "alpha")):
            wanted = _by_pattern(own.get("rank_pattern" if name == "r" else "alpha_pattern"), module, own.get(key))
            if wanted is None:
                plain.pop(name, None)
            elif not isinstance(wanted, (int, float)) or not math.isfinite(wanted):
                raise ModelError(f"{key} is {wanted!r}, which is no number")
            else:
                plain[name] = wanted
        return plain

    def of(self, component: str, module: str, rank: int) -> float:
        """The factor of one layer."""

        def get(name: str, default: Any) -> Any:
            return self._settings.get(f"{component}.{name}", self._settings.get(name, default))

        alpha = _by_pattern(get("alpha_pattern", None), module, get("lora_alpha", rank))
        if not isinstance(alpha, (int, float)):
            raise ModelError(f"lora_alpha is {alpha!r}, which is no number")
        return alpha / math.sqrt(rank) if get("use_rslora", False) else alpha / rank


def _by_pattern(patterns: Any, module: str, usual: Any) -> Any:
    """The setting of a module: by the end of its name where that is listed, else the usual one."""
    for pattern, own in patterns.items() if isinstance(patterns, dict) else ():
        if module == pattern or module.endswith(f".{pattern}"):
            usual = own
    return usual


def factor(layer: Layer, tensors: Mapping[str, Tensor]) -> float:
    """Alpha over rank of one layer, from the file's tensors."""
    return layer.scale * (float(tensors[layer.alpha].float().reshape(-1)[0]) if layer.alpha else 1.0)


def change(layer: Layer, tensors: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor:
    """Up times down, (out, in, ...) float32, without any factor."""
    down, up = tensors[layer.down].float(), tensors[layer.up].float()
    if layer.mid is None:
        return (up.flatten(1) @ down.flatten(1)).reshape(tuple(shape))
    # LoCon's third factor carries the kernel: out x rank, rank x rank x kernel, rank x in.
    inner = tensors[layer.mid].float().flatten(2).permute(2, 0, 1)
    whole = up.flatten(1) @ inner @ down.flatten(1)
    return whole.permute(1, 2, 0).reshape(tuple(shape))


def linear_merge(
    layers: Sequence[tuple[Layer, Mapping[str, Tensor], float]], shape: Sequence[int], module: str
) -> Tensor:
    """Pairs merged factor by factor: (sum of sqrt(w a) up) times (sum of sqrt(w a) down), as PEFT's "linear".

    layers: each with its file's tensors and its weight, 0 or more.

    Raises:
        ModelError: the ranks differ.
    """
    if len({(tuple(tensors[layer.down].shape), layer.mid) for layer, tensors, _ in layers}) > 1 or layers[0][0].mid:
        raise ModelError(f"linear merging needs adapters of one rank; they differ at {module}. Use sum")
    roots = [math.sqrt(max(weight * factor(layer, tensors), 0.0)) for layer, tensors, weight in layers]

    def mixed(names: Sequence[str]) -> Tensor:
        terms = [
            root * tensors[name].float().flatten(1)
            for root, name, (_, tensors, _) in zip(roots, names, layers, strict=True)
        ]
        return sum(terms[1:], start=terms[0])

    product = mixed([layer.up for layer, _, _ in layers]) @ mixed([layer.down for layer, _, _ in layers])
    return product.reshape(tuple(shape))
