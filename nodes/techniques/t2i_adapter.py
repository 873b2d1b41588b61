"""T2I-Adapter (arXiv 2302.08453): a small network whose features of a hint join the denoiser's first half.

Cost: no rows; the network runs once a run (once for each view of a panorama), not once a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from weft.engine import Context, NodeView, Output, Problem, Range, Widget, node, value
from weft.nodes.checks import check_net, names_net, same_size
from weft.nodes.models.bundled import ADAPTERS
from weft.nodes.models.sources import ADAPTER
from weft.nodes.nets.files import describe_adapter, fingerprint
from weft.nodes.nets.handles import T2IAdapter, window_problems
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
    from weft.nodes.technique.layout import Rows, Units


@value("control.t2i_adapter")
@dataclass(frozen=True, eq=False, kw_only=True)
class AdapterControl(Control):
    """residuals = scale * features(hint) for every row, one per block of the first half."""

    counts_calls: ClassVar[bool] = False

    net: T2IAdapter
    hint: Image
    scale: float = 1.0

    def expand(self) -> Sequence[Technique]:
        """Nothing at scale 0."""
        return (self,) if self.scale != 0 else ()

    def setup(self, run: Run) -> None:
        """Load the net; a net or a hint that does not fit is found here."""
        run.derived(self, lambda: _Live(self, run))

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        """The features of every row's part of the hint."""
        import torch

        features = step.run.derived(self, lambda: _Live(self, step.run)).features(rows.units)
        return Residuals(intra=[torch.cat([feature] * len(rows.branches)) for feature in features])


class _Live:
    """What a run keeps: the net until its features are known, and these."""

    def __init__(self, control: AdapterControl, run: Run) -> None:
        from weft.nodes.nets.fit import adapter_misfit
        from weft.nodes.nets.hints import hint_tensor
        from weft.nodes.nets.live import load_net

        net = control.net
        if (misfit := adapter_misfit(net.source, net.family, (), run.unet.config)) is not None:
            raise ValueError(misfit)
        self._scale, self._run, self._source, self._family = control.scale, run, net.source, net.family
        hint = hint_tensor(control.hint.pixels, run, "t2i_adapter")
        self._hint = hint.mean(dim=1, keepdim=True) if net.channels == 1 else hint
        self._loaded: LoadedNet = load_net(
            net.source, net.location, net.fingerprint, describe_adapter, run.device, run.dtype, kind=ADAPTER,
            adapter=net.adapter,
        )  # fmt: skip
        # One row for each image, or a single one for all; views have rows of their own.
        self._whole: list[Tensor] = [] if run.views else self._evaluate(self._hint)
        self._by_units: dict[Units, list[Tensor]] = {}

    def features(self, units: Units) -> list[Tensor]:
        """The features of these units, a row for each."""
        if units not in self._by_units:
            self._by_units[units] = (
                self._evaluate(units.take(self._hint, self._run.scale_factor))
                if self._run.views
                else [units.take(feature) for feature in self._whole]
            )
        return self._by_units[units]

    def _evaluate(self, hint: Tensor) -> list[Tensor]:
        import torch

        from weft.nodes.nets.fit import adapter_misfit

        net: Any = self._loaded.item
        factor = int(net.config.downscale_factor)
        if hint.shape[-1] % factor or hint.shape[-2] % factor:
            raise ValueError(
                f"the T2I-Adapter {self._source!r} reads hints whose sides are multiples of {factor}; this one is "
                f"{hint.shape[-1]} x {hint.shape[-2]}"
            )
        with torch.no_grad():
            features = [feature * self._scale for feature in net(hint)]
        widths = [feature.shape[1] for feature in features]
        misfit = adapter_misfit(self._source, self._family, widths, self._run.unet.config)
        if misfit is not None:
            raise ValueError(misfit)
        return features


SOURCE = NetSource(ADAPTER, describe_adapter)


@node(
    "load_t2i_adapter",
    category="model",
    resource="io",
    fingerprint=SOURCE.fingerprint,
    tags=(names_net("t2i_adapter", "source"),),
    check=SOURCE.check,
)
def load_t2i_adapter(
    source: Annotated[str, Widget("model", names=tuple(ADAPTERS))] = "",
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> Annotated[T2IAdapter, Output("adapter")]:
    """Find a T2I-Adapter, check it, and hand it on. Its weights load when a denoise uses them.

    For Stable Diffusion 1.x and SDXL; safetensors only. It takes the number format and the device of the model.

    Args:
        source: "shapes-regions" (ships with Weft, for the model "shapes"), a diffusers folder, a name in a
            model folder, or a hub id such as owner/name that is in the hub's local cache; nothing is downloaded. Empty
            where `adapter` is wired.
        adapter: what a training gave, in place of a source.
    """
    from weft.nodes.nets.live import verify
    from weft.nodes.nets.wired import describe_wired

    require_one(source, adapter)
    if adapter is not None:
        description, source = describe_wired(adapter, "t2i_adapter"), called(adapter)
    else:
        description = SOURCE.look(source, (ctx or Context()).resolve_input_path)
    verify(description)
    channels = int(description.weights["t2i_adapter"].config.get("in_channels", 3))
    if channels not in (1, 3):
        raise ValueError(f"the T2I-Adapter {source!r} reads {channels} channels; 1 and 3 are supported")
    if adapter is not None:
        return T2IAdapter(source, "", adapter.digest, description.family, channels, adapter)
    return T2IAdapter(source, str(description.location), fingerprint(description), description.family, channels)


def _misfit(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.fit import adapter_channels, adapter_misfit

    net = describe_adapter(path)
    channels = adapter_channels(net.weights["t2i_adapter"].config)
    return adapter_misfit(source, net.family, channels, model.weights["unet"].config)


def _check_control(view: NodeView) -> Iterator[Problem]:
    yield from window_problems(view)
    yield from check_net(view, "t2i_adapter", _misfit)


@node("t2i_adapter", category="control", tags=(same_size("hint"),), check=_check_control)
def t2i_adapter(
    net: T2IAdapter,
    hint: Image,
    scale: Annotated[float, Range(0.0, 10.0, usual=(0.0, 2.0))] = 1.0,
    start: Annotated[float, Range(0.0, 1.0)] = 0.0,
    end: Annotated[float, Range(0.0, 1.0)] = 1.0,
) -> Control:
    """Follow a hint (edges, depth, a pose) with a T2I-Adapter (arXiv 2302.08453). Several add up.

    It costs next to nothing: the network reads the hint once, not in every step.

    Args:
        net: the adapter; of the model's family.
        hint: what the adapter was trained to read, of the image's size; one for all images, or one for each. Adapters
            of one channel read its brightness.
        scale: how strongly; 0 is off.
        start: the fraction of the steps from which on it acts.
        end: the fraction of the steps up to which it acts; not below start.
    """
    return AdapterControl(net=net, hint=hint, scale=scale, window=(start, end))
