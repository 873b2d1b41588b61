"""IP-Adapter (arXiv 2308.06721): a picture as a prompt, through keys and values of its own in each cross-attention.

Cost: no rows; the image encoder runs once a run. Text attention is left as it is: what the picture gives is added to
its output, after every rule that looks into text probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import check_net, described_model, runs_with, same_size
from weft.nodes.checks.tags import run_input
from weft.nodes.models.sources import IMAGE_ADAPTER, existing, weights_in
from weft.nodes.nets.handles import ImageAdapter, window_problems
from weft.nodes.nets.image_prompt import describe_image_adapter, describe_image_encoder
from weft.nodes.technique import AttentionRule, Site, Technique
from weft.nodes.technique.layers import absent, attention_places, layer_problem, share, twice
from weft.nodes.techniques.load_ip_adapter import encoder_now
from weft.nodes.values import Control, Image, Mask

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.description import Description
    from weft.nodes.nets.live import LoadedNet
    from weft.nodes.sampling.run import Run, Step


@value("control.ip_adapter")
@dataclass(frozen=True, eq=False, kw_only=True)
class ImagePrompt(Control):
    """output += scale * attention(query, K image, V image) at every cross-attention.

    layers: by part of the denoiser, its share of the scale (see `weft.nodes.technique.layers.share`); none is 1 in all.

    Rows that are to see no pictures (`Branch.sees_pictures`) attend to what stands for none. Several pictures' tokens
    stand side by side; with a mask for each, each is attended to by itself and counts within its mask.
    """

    counts_calls: ClassVar[bool] = False

    net: ImageAdapter
    image: Image
    scale: float = 1.0
    mask: Mask | None = None
    layers: tuple[tuple[str, float], ...] = ()

    def expand(self) -> Sequence[Technique]:
        """Nothing at scale 0, or where no layer has a share."""
        return (self,) if self.scale != 0 and (not self.layers or any(part for _, part in self.layers)) else ()

    def setup(self, run: Run) -> None:
        """Encode the pictures; a net or a mask that does not fit is found here."""
        run.derived(self, lambda: _Live(self, run))

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        """One rule for all rows; each says itself whether it sees the pictures."""
        live = step.run.derived(self, lambda: _Live(self, step.run))
        return (AttentionRule("add", live.acts, step.branches, live.adder(step)),) if step.branches else ()


class _Live:
    """What a run keeps: the net, the tokens (groups, 1, n, width) of pictures and of none, and the masks."""

    def __init__(self, control: ImagePrompt, run: Run) -> None:
        import torch

        from weft.nodes.nets.fit import image_adapter_misfit, other_layers
        from weft.nodes.nets.image_prompt import encode_pictures, make_image_adapter
        from weft.nodes.nets.live import load_net
        from weft.nodes.nets.wired import describe_wired
        from weft.nodes.sampling.attention import sites

        net = control.net
        places = sites(run.unet, *run.shape[-2:])
        names = [name for name, (site, _) in places.items() if site.kind == "cross"]
        self._number = {name: number for number, name in enumerate(names)}
        misfit = image_adapter_misfit(net.source, net.sites, net.width, len(names), run.unet.config)
        if misfit is not None:
            raise ValueError(misfit)
        for layer, _ in control.layers:
            if (message := absent("ip_adapter", "cross", layer, names)) is not None:
                raise ValueError(message)
        self._run = run
        # By cross-attention; those that have no part in it are left to themselves.
        self._scales = {name: control.scale * (share(control.layers, name) if control.layers else 1) for name in names}
        pictures = control.image.pixels
        self._masks = self._fitting_masks(control.mask, pictures.shape[0])
        self._loaded: LoadedNet = load_net(
            net.source,
            net.location,
            net.fingerprint,
            describe_image_adapter,
            run.device,
            run.dtype,
            make_image_adapter,
            IMAGE_ADAPTER,
            net.adapter,
        )
        self._net: Any = self._loaded.item
        inner = [module.to_q.weight.shape[0] for site, module in places.values() if site.kind == "cross"]
        if [weight.shape[0] for weight in self._net.to_k] != inner:
            raise ValueError(other_layers(net.source, net.sites, net.width, len(names), run.unet.config))
        encoder = load_net(
            net.source, encoder_now(net), net.encoder_fingerprint, describe_image_encoder, run.device, run.dtype
        )
        if net.adapter is not None:
            description = describe_wired(net.adapter, "ip_adapter")
        else:
            description = describe_image_adapter(existing(net.location, net.source, IMAGE_ADAPTER))
        states = encode_pictures(encoder.item, pictures, description.weights["ip_adapter"].config["kind"])
        with torch.no_grad():
            # (pictures, tokens, width); one group for each mask, or all in one.
            none, seen = self._net.projection(torch.cat(states[::-1]).to(run.dtype)).chunk(2)
        groups = 1 if self._masks is None else self._masks.shape[0]
        self._tokens = {
            plain: tokens.reshape(groups, 1, -1, tokens.shape[-1]) for plain, tokens in ((False, seen), (True, none))
        }
        self._projected: dict[tuple[str, bool], tuple[Tensor, Tensor]] = {}
        self._spread: dict[tuple[str, tuple[bool, ...], int], tuple[Tensor, Tensor]] = {}

    def _fitting_masks(self, mask: Mask | None, pictures: int) -> Tensor | None:
        """(groups, 1, 1, h, w) at pixel or latent size."""
        if mask is None:
            return None
        pixels, size = mask.pixels, tuple(self._run.shape[-2:])
        full = tuple(side * self._run.scale_factor for side in size)
        if tuple(pixels.shape[1:]) not in (full, size):
            raise ValueError(
                f"the mask of ip_adapter is {pixels.shape[2]} x {pixels.shape[1]} and the image {full[1]} x {full[0]}: "
                "make them equal, for instance with resize_mask"
            )
        if pixels.shape[0] not in (1, pictures):
            raise ValueError(f"{pixels.shape[0]} masks do not fit {pictures} pictures: one for all, or one for each")
        return pixels[:, None, None].to(self._run.device, self._run.dtype)

    def acts(self, site: Site) -> bool:
        """Whether it adds anything at a site."""
        return self._scales.get(site.name, 0) != 0

    def adder(self, step: Step) -> Any:
        """What the rule adds: (site, queries (n, heads, q, d)) -> (n, heads, q, d)."""
        from torch.nn.functional import scaled_dot_product_attention

        branches = step.branches

        def add(site: Site, queries: Tensor) -> Tensor:
            assert step.rows is not None
            there = set(step.rows.branches)
            plain = tuple(not branch.sees_pictures for branch in branches if branch in there)
            scale, total = self._scales[site.name], None
            keys, values = self._rows(site, plain, queries.shape[0])
            for group, (key, item) in enumerate(zip(keys, values, strict=True)):
                found = scaled_dot_product_attention(queries, key, item)
                if self._masks is not None:
                    found = found * self._weights(step, site, self._masks[group], queries.shape[0])
                total = scale * found if total is None else total + scale * found
            assert total is not None
            return total

        return add

    def _rows(self, site: Site, plain: tuple[bool, ...], count: int) -> tuple[Tensor, Tensor]:
        """Keys and values (groups, count, heads, n, d): of none for branches that are plain, of the pictures else."""
        import torch

        at = (site.name, plain, count)
        if at not in self._spread:
            pairs = [self._keys(site, one) for one in plain]
            each = count // len(plain)
            keys, values = (
                torch.cat([pair[part].expand(-1, each, -1, -1, -1) for pair in pairs], dim=1) for part in (0, 1)
            )
            self._spread[at] = keys, values
        return self._spread[at]

    def _keys(self, site: Site, plain: bool) -> tuple[Tensor, Tensor]:
        """Keys and values of a site, (groups, 1, heads, n, d), made once a run."""
        if (site.name, plain) not in self._projected:
            number, tokens = self._number[site.name], self._tokens[plain]
            key, item = (
                (tokens @ weight.T).unflatten(-1, (site.heads, -1)).transpose(2, 3)
                for weight in (self._net.to_k[number], self._net.to_v[number])
            )
            self._projected[site.name, plain] = key, item
        return self._projected[site.name, plain]

    def _weights(self, step: Step, site: Site, mask: Tensor, count: int) -> Tensor:
        """A mask at a site's resolution, (1 or n, 1, q, 1); views take their part of it."""
        from torch.nn.functional import interpolate

        if self._run.views and step.rows is not None:
            factor = mask.shape[-1] // self._run.shape[-1]
            parts = step.rows.units.take(mask, factor)
            mask = parts.repeat(count // parts.shape[0], 1, 1, 1)
        return interpolate(mask, size=site.resolution, mode="bicubic").flatten(2)[..., None]


def _misfit(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.fit import image_adapter_misfit

    file = weights_in(path, IMAGE_ADAPTER) if path.is_dir() else path
    own = describe_image_adapter(file).weights["ip_adapter"].config
    unet = model.weights["unet"]
    # The same in diffusers' and in the original names.
    count = sum(name.endswith(".attn2.to_k.weight") for name in unet.tensors)
    return image_adapter_misfit(source, own["sites"], own["width"], count, unet.config)


def _check_control(view: NodeView) -> Iterator[Problem]:
    yield from window_problems(view)
    yield from check_net(view, "ip_adapter", _misfit)
    layers = view.literals.get("layers")
    names = [name for name in layers if isinstance(name, str)] if isinstance(layers, dict) else []
    for message, layer, suggestion in _wrong_layers(view, names):
        yield Problem(
            code="bad_value", node=view.id, input="layers", message=message, given=layer, suggestion=suggestion
        )


def _wrong_layers(view: NodeView, layers: list[str]) -> Iterator[tuple[str, str, str | None]]:
    """What is wrong with layers' names, at all or in the models of the runs: message, name and the nearest."""
    for layer in layers:
        if (wrong := layer_problem(layer)) is not None:
            yield wrong[0], layer, wrong[1]
    if (pair := twice(layers)) is not None:
        yield _one_part(pair), pair[1], None
    sound = [layer for layer in layers if layer_problem(layer) is None]
    told: set[str] = set()
    for run in runs_with(view) if sound else ():
        model = described_model(run, run_input(run.type, "model"))
        places = attention_places(model.weights["unet"].config) if model is not None else None
        for layer in sound if places else ():
            # What lies deeper than a place is left to the run.
            message = absent("ip_adapter", "cross", ".".join(layer.split(".")[:4]), places or [])
            if message is not None and message not in told:
                told.add(message)
                yield message, layer, None


def _one_part(pair: tuple[str, str]) -> str:
    return f"ip_adapter: {pair[0]} and {pair[1]} name one part of the denoiser: give it one share"


@node("ip_adapter", category="control", tags=(same_size("mask", or_latents=True),), check=_check_control)
def ip_adapter(
    net: ImageAdapter,
    image: Image,
    scale: Annotated[float, Range(-10.0, 10.0, usual=(0.0, 1.5))] = 0.6,
    mask: Mask | None = None,
    start: Annotated[float, Range(0.0, 1.0)] = 0.0,
    end: Annotated[float, Range(0.0, 1.0)] = 1.0,
    layers: dict[str, float] = {},  # noqa: B006 - the signature is the schema; it is never changed
) -> Control:
    """Let pictures say what to draw, beside the prompt (IP-Adapter, arXiv 2308.06721). Several add up.

    Args:
        net: the adapter; of the model's family.
        image: the picture, of any size (its middle square is seen), or several, which are mixed.
        scale: how strongly; 1 is what it was trained with, 0 is off.
        mask: where it acts, 1; of the made image's size. One for all pictures, or one for each.
        start: the fraction of the steps from which on it acts.
        end: the fraction of the steps up to which it acts; not below start.
        layers: by part of the denoiser, its share of `scale`; parts that are not named get none, and without any name
            all get 1. A part is mid, down or up, one block (down_blocks.1), or one place in it
            (up_blocks.0.attentions.1), and the longest name that fits counts. With SDXL, {"up_blocks.0.attentions.1":
            1} takes the picture's style alone, and {"down_blocks.2.attentions.1": 1} its layout (InstantStyle, arXiv
            2404.02733); that is diffusers' {"up": {"block_0": [0, 1, 0]}} and {"down": {"block_2": [0, 1]}}.
    """
    for layer in layers:
        if (wrong := layer_problem(layer)) is not None:
            raise ValueError(wrong[0])
    if (pair := twice(layers)) is not None:
        raise ValueError(_one_part(pair))
    shares = tuple(sorted(layers.items()))
    return ImagePrompt(net=net, image=image, scale=scale, mask=mask, window=(start, end), layers=shares)
