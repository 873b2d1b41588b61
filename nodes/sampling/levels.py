"""How the noise levels of a run lie: named spacings and levels by hand, and which scheduler can have which. No torch.

The names are those of diffusers: `use_karras_sigmas` and its like, `timestep_spacing`, `timesteps` and `sigmas` of
its pipelines. A scheduler that cannot have what is asked for is refused, here for checks and runs alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Literal

from weft.nodes.models.schedulers import SCHEDULERS, SUPPORTED, scheduler_class

SpacingName = Literal["default", "uniform", "karras", "exponential", "beta", "lu"]
TimestepSpacing = Literal["default", "leading", "trailing", "linspace"]

MAX_LEVELS = 1000
MIN_SIGMA, MAX_SIGMA = 1e-4, 1e4
MAX_TIMESTEP = 9_999
_APART = 1e-6
"""The part of a sigma that the next one has to lie below it: nearer ones are one number in float32."""

_FLAGS = {
    "karras": "use_karras_sigmas",
    "exponential": "use_exponential_sigmas",
    "beta": "use_beta_sigmas",
    "lu": "use_lu_lambdas",
}
_FOUR = ("uniform", "karras", "exponential", "beta")
SPACINGS: dict[str, tuple[str, ...]] = {
    "DEISMultistepScheduler": _FOUR,
    "DPMSolverMultistepScheduler": (*_FOUR, "lu"),
    "DPMSolverSinglestepScheduler": _FOUR,
    "EDMDPMSolverMultistepScheduler": ("karras", "exponential"),
    "EDMEulerScheduler": ("karras", "exponential"),
    "EulerDiscreteScheduler": _FOUR,
    "HeunDiscreteScheduler": _FOUR,
    "KDPM2AncestralDiscreteScheduler": _FOUR,
    "KDPM2DiscreteScheduler": _FOUR,
    "LMSDiscreteScheduler": _FOUR,
    "SASolverScheduler": _FOUR,
    "UniPCMultistepScheduler": _FOUR,
}
"""By class, the spacings of its sigmas that can be chosen."""

_OWN_TIMESTEPS = ("DPMSolverSinglestepScheduler", "EDMDPMSolverMultistepScheduler", "EDMEulerScheduler")
SPACES_TIMESTEPS = frozenset(SUPPORTED) - {*_OWN_TIMESTEPS, "LCMScheduler", "TCDScheduler"}
"""Classes whose timesteps can be spaced in one of diffusers' three ways."""

TAKES_TIMESTEPS = frozenset(
    {
        "DDPMParallelScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LCMScheduler",
        "TCDScheduler",
    }
)
"""Classes that take timesteps by hand."""

# Two others space their sigmas, and do not end at 0: DEIS and SA-Solver stay where the last number is.
TAKES_SIGMAS = frozenset(
    cls
    for cls, spacings in SPACINGS.items()
    if "uniform" in spacings and cls not in ("DEISMultistepScheduler", "SASolverScheduler")
)
"""Classes that take sigmas by hand. diffusers itself takes them for EulerDiscreteScheduler."""

_NAMED_SPACING = {"dpmpp_2m_karras": "karras"}
_NEED_SCIPY = frozenset({"LMSDiscreteScheduler"})


@dataclass(frozen=True)
class Levels:
    """What shapes the noise levels of a run, beside its scheduler and its number of steps.

    Args:
        spacing: of the sigmas; "default" is as the scheduler is configured.
        timestep_spacing: of the timesteps, from which most spacings take their ends; "default" likewise.
        sigmas: the noise levels by hand, downwards; the 0 at the end may be left out.
        timesteps: the timesteps by hand, downwards.
    """

    spacing: str = "default"
    timestep_spacing: str = "default"
    sigmas: tuple[float, ...] = ()
    timesteps: tuple[int, ...] = ()

    @property
    def noisy(self) -> tuple[float, ...]:
        """The sigmas by hand without the 0 at the end: one for each step."""
        return self.sigmas[:-1] if self.sigmas and self.sigmas[-1] == 0 else self.sigmas

    @property
    def by_hand(self) -> bool:
        """Whether the levels are a list, which then says how many steps there are."""
        return bool(self.sigmas or self.timesteps)


DEFAULT = Levels()


@dataclass(frozen=True)
class Misfit:
    """Why a run cannot have the levels that are asked for. expected: what can be had instead."""

    input: str
    message: str
    given: Any = None
    expected: Any = None


def level_misfits(name: str, config: Mapping[str, Any] | None, levels: Levels) -> Iterator[Misfit]:
    """Everything that is wrong with levels for a scheduler.

    name: a key of `SCHEDULERS`, or "default".
    config: the model's own scheduler configuration; None where it is not known, which leaves out what depends on it.
    """
    yield from _contradictions(levels)
    yield from _numbers(levels, config)
    if name == "default" and config is None:
        return
    cls = scheduler_class(name, config or {})
    who = name if name in SCHEDULERS else f"the model's own scheduler {cls}"
    if cls in _NEED_SCIPY and not _installed("scipy"):
        message = f"{who} needs scipy, which is not installed: pip install scipy, or choose another scheduler"
        yield Misfit("scheduler", message, name)
    if levels.spacing != "default" and levels.spacing not in (own := _spacings(name, cls)):
        others = [other for other in SCHEDULERS if levels.spacing in _spacings(other, SCHEDULERS[other][0])]
        takes = f"it takes {_listed(own)}" if own else "it has no other than its own"
        message = f"{who} cannot have the spacing {levels.spacing}: {takes}; {levels.spacing} can be had with "
        yield Misfit("spacing", message + _listed(others), levels.spacing, ["default", *own])
    if levels.spacing == "beta" and not _installed("scipy"):
        message = "the spacing beta needs scipy, which is not installed: pip install scipy, or choose another spacing"
        yield Misfit("spacing", message, levels.spacing, ["default", *(s for s in _spacings(name, cls) if s != "beta")])
    for input, what, able in (
        ("timestep_spacing", f"the timestep spacing {levels.timestep_spacing}", SPACES_TIMESTEPS),
        ("sigmas", "sigmas by hand", TAKES_SIGMAS),
        ("timesteps", "timesteps by hand", TAKES_TIMESTEPS),
    ):
        asked = getattr(levels, input)
        if asked in ("default", ()) or _able(name, cls, able, input):
            continue
        others = [other for other, (kind, _) in SCHEDULERS.items() if _able(other, kind, able, input)]
        message = f"{who} cannot have {what}, which can be had with {_listed(others)}"
        yield Misfit(input, message, asked if isinstance(asked, str) else list(asked), others)


def level_changes(cls: str, levels: Levels) -> dict[str, Any]:
    """What a scheduler of a class is configured with for levels that fit it, beside the settings that it has."""
    changes: dict[str, Any] = {}
    if levels.timestep_spacing != "default":
        changes["timestep_spacing"] = levels.timestep_spacing
    spacings = SPACINGS.get(cls, ())
    if cls.startswith("EDM"):
        return changes | ({"sigma_schedule": levels.spacing} if levels.spacing != "default" else {})
    wanted = levels.spacing
    if levels.by_hand:
        wanted = "karras" if levels.sigmas and not takes_sigmas_itself(cls) else "uniform"
    if wanted != "default":
        changes |= {_FLAGS[spacing]: spacing == wanted for spacing in spacings if spacing in _FLAGS}
    if levels.sigmas and cls in (
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
    ):
        changes["final_sigmas_type"] = "zero"
    return changes


def takes_sigmas_itself(cls: str) -> bool:
    """Whether diffusers' class has an argument for sigmas by hand; the others are given them as a spacing of theirs."""
    return cls == "EulerDiscreteScheduler"


def _contradictions(levels: Levels) -> Iterator[Misfit]:
    if levels.sigmas and levels.timesteps:
        message = "sigmas and timesteps are two ways of saying the same: give one of them"
        yield Misfit("timesteps", message, list(levels.timesteps), [])
    given = "sigmas" if levels.sigmas else "timesteps"
    for input in ("spacing", "timestep_spacing"):
        if levels.by_hand and getattr(levels, input) != "default":
            message = f"{given} by hand leave nothing to space: leave {input} at default, or {given} empty"
            yield Misfit(input, message, getattr(levels, input), ["default"])


def _numbers(levels: Levels, config: Mapping[str, Any] | None) -> Iterator[Misfit]:
    """What is wrong with numbers by hand."""
    trained = None if config is None else config.get("num_train_timesteps", 1000)
    last = trained - 1 if isinstance(trained, int) and not isinstance(trained, bool) else MAX_TIMESTEP
    sigmas, timesteps = levels.noisy, levels.timesteps
    if levels.sigmas and not sigmas:
        yield Misfit("sigmas", "sigmas has no level with noise: there has to be one above 0", list(levels.sigmas))
    for input, numbers, low, high in (("sigmas", sigmas, MIN_SIGMA, MAX_SIGMA), ("timesteps", timesteps, 0, last)):
        if len(numbers) > MAX_LEVELS:
            message = f"{input} has {len(numbers):,} numbers; there can be {MAX_LEVELS:,}, one for each step"
            yield Misfit(input, message, len(numbers), MAX_LEVELS)
            continue
        outside = next((number for number in numbers if not (math.isfinite(number) and low <= number <= high)), None)
        if outside is not None:
            message = f"{input} has {outside:g}, and each has to lie within {low:g} to {high:g}"
            yield Misfit(input, message, outside, {"low": low, "high": high})
            continue
        for place, (before, after) in enumerate(pairwise(numbers), 2):
            if after > before * (1 - _APART):
                message = f"{input} have to go down: number {place}, {after:g}, is not below the one before, {before:g}"
                yield Misfit(input, message, list(numbers))
                break


def _spacings(name: str, cls: str) -> Sequence[str]:
    """The spacings of a scheduler; one with a spacing in its name has that one."""
    return (_NAMED_SPACING[name],) if name in _NAMED_SPACING else SPACINGS.get(cls, ())


def _able(name: str, cls: str, classes: frozenset[str], input: str) -> bool:
    return cls in classes and (name not in _NAMED_SPACING or input == "timestep_spacing")


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)
