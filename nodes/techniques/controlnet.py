"""ControlNet (arXiv 2302.05543): a copy of the denoiser's first half that reads a hint and adds to its inner states.

Cost: no rows; the network itself runs once a step on every row (with guess mode on all but unconditional ones), and
not at all outside its window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from weft.engine import Context, NodeView, Problem, Range, Widget, node, value
from weft.nodes.checks import check_net, names_net, same_size
from weft.nodes.models.bundled import CONTROLNETS
from weft.nodes.models.sources import CONTROLNET
from weft.nodes.nets.files import describe_controlnet, family_of, fingerprint
from weft.nodes.nets.handles import ControlNet, other_family, window_problems
from weft.nodes.nets.source import NetSource
from weft.nodes.technique import Residuals, Technique
from weft.nodes.values import Control, Image
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, require_one

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.description import Description
    from weft.nodes.nets.live import LoadedNet
    from weft.nodes.sampling.run import Run, Step
    from weft.nodes.technique.layout import Rows


@value("control.controlnet")
@dataclass(frozen=True, eq=False, kw_only=True)
class ControlNetControl(Control):
    """residuals = scale * net(x, t, text, hint), for every row.

    guess: rows with role `uncond` get zeros and do not run, and levels are weighted 0.1 to 1, deeper ones more. Nets
    that pool over space (shuffle) always work so, without the weights.
    """

    counts_calls: ClassVar[bool] = False

    net: ControlNet
    hint: Image
    scale: float = 1.0
    guess: bool = False

    def expand(self) -> Sequence[Technique]:
        """Nothing at scale 0."""
        return (self,) if self.scale != 0 else ()

    def setup(self, run: Run) -> None:
        """Load the net; a net or a hint that does not fit is found here."""
        run.derived(self, lambda: _Live(self, run))

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        """The net's additions to the skip connections and the middle."""
        live = step.run.derived(self, lambda: _Live(self, step.run))
        guess = self.guess or bool(live.net.config.global_pool_conditions)
        kept = [row for b in rows.branches if not (guess and b.role == "uncond") for row in _range(rows.span(b))]
        total = rows.sample.shape[0]
        if not kept:
            return Residuals()
        hint = rows.spread(live.hint, step.run.scale_factor)

        def some(tensor: Tensor) -> Tensor:
            return tensor if len(kept) == total else tensor[kept]

        down, mid = live.net(
            some(rows.sample),
            rows.timestep,
            encoder_hidden_states=some(rows.text),
            controlnet_cond=some(hint),
            conditioning_scale=self.scale,
            guess_mode=guess,
            added_cond_kwargs=None if rows.added is None else {name: some(t) for name, t in rows.added.items()},
            return_dict=False,
        )
        if len(kept) == total:
            return Residuals(down, mid)
        return Residuals([_among(part, kept, total) for part in down], _among(mid, kept, total))


def _range(span: slice) -> range:
    return range(span.start, span.stop)


def _among(part: Tensor, kept: list[int], total: int) -> Tensor:
    """The rows that ran among zeros for the others."""
    import torch

    whole = part.new_zeros(total, *part.shape[1:])
    return whole.index_copy(0, torch.tensor(kept, device=part.device), part)


class _Live:
    """What a run keeps: the net, and the hint (1 or B, 3, H*8, W*8)."""

    def __init__(self, control: ControlNetControl, run: Run) -> None:
        from weft.nodes.nets.fit import controlnet_misfit
        from weft.nodes.nets.hints import hint_tensor
        from weft.nodes.nets.live import load_net

        net, family = control.net, family_of(run.unet.config)
        if family != net.family:  # before anything is loaded
            raise ValueError(other_family("ControlNet", net.source, net.family, family))
        self.hint = hint_tensor(control.hint.pixels, run, "controlnet")
        self._loaded: LoadedNet = load_net(
            net.source, net.location, net.fingerprint, describe_controlnet, run.device, run.dtype, kind=CONTROLNET,
            adapter=net.adapter,
        )  # fmt: skip
        self.net: Any = self._loaded.item
        own = self.net.config
        misfit = controlnet_misfit(net.source, net.family, own, run.unet.config)
        if misfit is not None:
            raise ValueError(misfit)
        if own.conditioning_channels != 3:
            raise ValueError(f"the ControlNet {net.source!r} reads {own.conditioning_channels} channels, not 3")


SOURCE = NetSource(CONTROLNET, describe_controlnet)


@node(
    "load_controlnet",
    category="model",
    resource="io",
    fingerprint=SOURCE.fingerprint,
    tags=(names_net("controlnet", "source"),),
    check=SOURCE.check,
)
def load_controlnet(
    source: Annotated[str, Widget("model", names=tuple(CONTROLNETS))] = "",
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> ControlNet:
    """Find a ControlNet, check it, and hand it on. Its weights load when a denoise uses them.

    For Stable Diffusion 1.x, 2.x and SDXL; safetensors only. It takes the number format and the device of the model.

    Args:
        source: "shapes-edges" (ships with Weft, for the model "shapes"), a diffusers folder, a single .safetensors
            file (diffusers' names or the original ones), a name in a model folder, or a hub id such as owner/name that
            is in the hub's local cache; nothing is downloaded. Empty where `adapter` is wired.
        adapter: what a training gave, in place of a source.
    """
    from weft.nodes.nets.live import verify
    from weft.nodes.nets.wired import describe_wired

    require_one(source, adapter)
    if adapter is not None:
        description = describe_wired(adapter, "controlnet")
        verify(description)
        return ControlNet(called(adapter), "", adapter.digest, description.family, adapter)
    description = SOURCE.look(source, (ctx or Context()).resolve_input_path)
    verify(description)
    return ControlNet(source, str(description.location), fingerprint(description), description.family)


def _misfit(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.fit import controlnet_misfit

    net = describe_controlnet(path)
    return controlnet_misfit(source, net.family, net.weights["controlnet"].config, model.weights["unet"].config)


def _check_control(view: NodeView) -> Iterator[Problem]:
    yield from window_problems(view)
    yield from check_net(view, "controlnet", _misfit)


@node("controlnet", category="control", tags=(same_size("hint"),), check=_check_control)
def controlnet(
    net: ControlNet,
    hint: Image,
    scale: Annotated[float, Range(0.0, 10.0, usual=(0.0, 2.0))] = 1.0,
    start: Annotated[float, Range(0.0, 1.0)] = 0.0,
    end: Annotated[float, Range(0.0, 1.0)] = 1.0,
    guess_mode: bool = False,
) -> Control:
    """Follow a hint (edges, depth, a pose) with a ControlNet (arXiv 2302.05543). Several add up.

    Args:
        net: the ControlNet; of the model's family.
        hint: what the net was trained to read, of the image's size; one for all images, or one for each.
        scale: how strongly; 0 is off.
        start: the fraction of the steps from which on it acts; outside its window it does not run.
        end: the fraction of the steps up to which it acts; not below start.
        guess_mode: let the hint alone say what the picture is: unconditional rows go without it, and deeper levels
            count more. Works with an empty prompt, at a guidance scale of 3 to 5.
    """
    return ControlNetControl(net=net, hint=hint, scale=scale, guess=guess_mode, window=(start, end))
