"""Schedulers by name, and one neutral view of their noise levels.

diffusers' schedulers keep the latents in two kinds of coordinates: x = sqrt(a) x0 + sqrt(1 - a) e (DDIM, PNDM, LCM,
DPM++, UniPC) or x = x0 + sigma e (Euler, Heun). `Schedule` writes both as x = alpha x0 + sigma e with one pair of
numbers per call, so that a technique turns a prediction into x0 and back without knowing the scheduler.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.schedulers import SCHEDULERS, SUPPORTED, scheduler_class, scheduler_misfit
from weft.nodes.sampling.history import Marks
from weft.nodes.sampling.levels import DEFAULT, Levels, level_changes, level_misfits, takes_sigmas_itself
from weft.nodes.sampling.steps import fast_steps

Prediction = Literal["epsilon", "v_prediction", "sample", "preconditioned"]
"""`preconditioned`: of EDM's kind, whose clean latents are a mix of the latents and the prediction."""

_DIVIDES_BY_SIGMA = frozenset(
    {
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LMSDiscreteScheduler",
    }
)


def build_scheduler(name: str, config: Mapping[str, Any], levels: Levels = DEFAULT) -> Any:
    """A fresh diffusers scheduler.

    name: a key of `SCHEDULERS`, or "default" for the class that the model's own configuration names.
    config: the model's scheduler configuration (`scheduler_config.json`).
    levels: how its noise levels will lie; `Schedule` is to be given the same.
    Raises ValueError for an unknown name, a default class that does not step Stable Diffusion, or levels that it cannot
    have.
    """
    if name != "default" and name not in SCHEDULERS:
        raise ValueError(f"unknown scheduler {name!r}: one of default, {', '.join(SCHEDULERS)}")
    wanted = scheduler_class(name, config)
    misfit = scheduler_misfit(wanted)
    if misfit is not None:
        raise ValueError(f"{misfit}: choose one of {', '.join(SCHEDULERS)}")
    misfits = [found.message for found in level_misfits(name, config, levels)]
    if misfits:
        raise ValueError("; ".join(misfits))
    changes = (SCHEDULERS[name][1] if name in SCHEDULERS else {}) | level_changes(wanted, levels)
    with IMPORTING:
        import diffusers

        cls = getattr(diffusers, wanted)
    # Making one takes a millisecond, most of it for looking at signatures; a copy of a fresh one takes little.
    try:
        return copy.deepcopy(_fresh(cls, json.dumps([dict(config), changes], sort_keys=True)))
    except TypeError:  # a configuration that is no JSON
        return _make(cls, config, changes)


@functools.lru_cache(maxsize=32)
def _fresh(cls: Any, settings: str) -> Any:
    return _make(cls, *json.loads(settings))


def _make(cls: Any, config: Mapping[str, Any], changes: Mapping[str, Any]) -> Any:
    # Keys that only another class knows would each be warned about.
    known = set(inspect.signature(cls.__init__).parameters) | {"_class_name", "_diffusers_version"}
    known.add("_use_default_values")
    settings = {key: value for key, value in config.items() if key in known}
    # Latents are not bounded by 1 as pixels are; some classes clip them unless the configuration says otherwise.
    if "clip_sample" in known:
        settings.setdefault("clip_sample", False)
    if unknown := changes.keys() - known:
        raise ValueError(f"{cls.__name__} of this version of diffusers has no {', '.join(sorted(unknown))}")
    return cls.from_config(settings, **changes)


def corrected(config: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's configuration as diffusers' pipelines of Stable Diffusion 1 and 2 correct it on load.

    Folders of the first months have `clip_sample: true`, which latents must not be, and `steps_offset: 0`, or leave
    them out where a class has these as its defaults. Pipelines of SDXL correct nothing.
    """
    with IMPORTING:
        import diffusers

    name = str(config.get("_class_name", "DDIMScheduler"))
    cls = getattr(diffusers, name) if name in SUPPORTED else None
    offset = "steps_offset" in config or (cls is not None and "steps_offset" in inspect.signature(cls).parameters)
    return {**config, "clip_sample": False, **({"steps_offset": 1} if offset else {})}


class Schedule:
    """A scheduler made ready for one run: its calls, its levels, and its step.

    A *call* is one evaluation of the denoiser: most schedulers make one a step, Heun two, PNDM one more in all.
    Level i is the noise level at which call i sees the latents; level `calls` is the end, without noise.

    scheduler: a diffusers scheduler, not used elsewhere.
    steps: 1 to 1000; not read where the levels are by hand, which make one step each.
    levels: as the scheduler was built for.
    strength: 0 to 1; below 1 the first steps are left out, as image-to-image does. Nothing is left below 1/steps.
    spread: models distilled for few steps make them all, over the remaining part, where `strength` leaves some of the
        way out (only the scheduler `lcm` can).
    device: where the denoiser wants its timesteps.
    """

    def __init__(
        self,
        scheduler: Any,
        steps: int,
        *,
        levels: Levels = DEFAULT,
        strength: float = 1.0,
        eta: float = 0.0,
        spread: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        # The scheduler's own tensors stay on the CPU: its look-ups then never wait for the device.
        spread = spread and 0 < strength < 1 and "strength" in inspect.signature(scheduler.set_timesteps).parameters
        if levels.by_hand:
            steps = _set_by_hand(scheduler, levels)
        elif spread:
            scheduler.set_timesteps(steps, device="cpu", strength=strength)
            strength = 1.0
        else:
            scheduler.set_timesteps(steps, device="cpu")
        self.scheduler = scheduler
        self.order = int(getattr(scheduler, "order", 1))
        kept = min(int(steps * strength), steps)
        first = (steps - kept) * self.order
        # PNDM has a call more than steps, which would be left over when none is to be done.
        timesteps = scheduler.timesteps[first:] if kept else scheduler.timesteps[:0]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        self.calls = len(timesteps)
        self.timesteps: list[Tensor] = list(timesteps)
        self.on_device: list[Tensor] = list(timesteps.to(_device_dtype(timesteps, device)).to(device))
        own = hasattr(scheduler, "precondition_outputs")
        self.prediction: Prediction = "preconditioned" if own else scheduler.config.get("prediction_type", "epsilon")
        self.init_noise_sigma = scheduler.init_noise_sigma
        self.alphas, self.sigmas = self._levels(first)
        # x0 = skip x + out prediction, at each level but the last, which is clean.
        zero, one = torch.tensor(0.0), torch.tensor(1.0)
        self._mixes = [
            (scheduler.precondition_outputs(one, zero, sigma), scheduler.precondition_outputs(zero, one, sigma))
            for sigma in (self.sigmas[:-1] if own else ())
        ]
        accepted = inspect.signature(scheduler.step).parameters
        self._options: dict[str, Any] = {"return_dict": False}
        if "eta" in accepted:
            self._options["eta"] = eta
        self._takes_generator = "generator" in accepted
        self._fast = fast_steps(scheduler, first, self.calls, eta)
        # Looked up for the usual ones, which divide by sqrt(sigma^2 + 1); all others are asked.
        usual = type(scheduler).__name__ in _DIVIDES_BY_SIGMA
        self._divisors = [(sigma**2 + 1) ** 0.5 for sigma in self.sigmas] if usual else None
        self._marks = Marks(self._stepper)

    def _levels(self, first: int) -> tuple[list[Tensor], list[Tensor]]:
        """alpha and sigma of levels 0 to `calls`, as float32 0-dim tensors (the scheduler's own arithmetic)."""
        scheduler, one, zero = self.scheduler, torch.tensor(1.0), torch.tensor(0.0)
        sigmas = getattr(scheduler, "sigmas", None)
        if sigmas is not None and len(sigmas) >= first + self.calls:
            levels = [sigma.to(torch.float32) for sigma in sigmas[first : first + self.calls]]
            # The second stage of KDPM2's steps is between two levels; the ancestral form stores that one place earlier.
            between = getattr(scheduler, "sigmas_interpol", None)
            if between is not None:
                place = first if hasattr(scheduler, "sigmas_up") else first + 1
                levels[1::2] = between[place : first + self.calls : 2].to(torch.float32)[: len(levels) // 2].unbind()
            if float(scheduler.init_noise_sigma) != 1.0:
                return [one] * (self.calls + 1), [*levels, zero]
            alphas = [1 / ((sigma**2 + 1) ** 0.5) for sigma in levels]
            return [*alphas, one], [*(s * a for s, a in zip(levels, alphas, strict=True)), zero]
        products = [scheduler.alphas_cumprod[int(t)] for t in self.timesteps]
        return [*(p**0.5 for p in products), one], [*((1 - p) ** 0.5 for p in products), zero]

    def bind(self, generators: Sequence[torch.Generator]) -> None:
        """Let the noise of stochastic steps come from these generators, one per image."""
        if self._takes_generator:
            self._options["generator"] = list(generators)

    def fork(self) -> Schedule:
        """The same schedule once more, for a second trajectory beside the first: with its own history of steps.

        To be taken before the first step.
        """
        other = copy.copy(self)
        other.scheduler = copy.deepcopy(self.scheduler)
        other._fast = copy.deepcopy(self._fast)
        other._options = dict(self._options)
        other._marks = Marks(other._stepper, besides=self.snapshot())
        return other

    @property
    def _stepper(self) -> Any:
        """What remembers the steps before."""
        return self.scheduler if self._fast is None else self._fast

    def snapshot(self) -> dict[str, Any]:
        """What `step` remembers of the calls so far."""
        return self._marks.changed(self._stepper)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Remember what an equal schedule did. To be done before the first step."""
        for name, value in snapshot.items():
            setattr(self._stepper, name, value)

    def signature(self) -> tuple[Any, ...]:
        """What every step depends on, by content."""
        scheduler = self.scheduler
        options = {name: value for name, value in self._options.items() if name != "generator"}
        kind = (type(self).__qualname__, type(scheduler).__qualname__, dict(scheduler.config), self.prediction, options)
        if self._fast is not None:
            return kind
        # Its own step may look at any part of the whole schedule.
        whole = [value for value in vars(scheduler).values() if isinstance(value, Tensor)]
        return *kind, self.order, self.calls, scheduler.num_inference_steps, self.timesteps, whole

    def step_signature(self, index: int) -> Any:
        """What step `index` depends on beside its timestep and its levels, by content."""
        return None if self._fast is None else self._fast.signature(index)

    def scale(self, latents: Tensor, index: int) -> Tensor:
        """The latents as call `index` of the denoiser wants them, which is the call that the next step ends."""
        if self._divisors is not None:
            return latents / self._divisors[index]
        scaled: Tensor = self.scheduler.scale_model_input(latents, self.timesteps[index])
        return scaled

    def step(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        """From level `index` to the next, by the scheduler. To be called once per call, in order."""
        if self._fast is not None:
            return self._fast.step(prediction, index, latents, self._options.get("generator"))
        if hasattr(self.scheduler, "is_scale_input_called"):
            # It wants to see the scaling call once; looked up, or asked of another one by a fork, it does not.
            self.scheduler.is_scale_input_called = True
        return self.scheduler.step(prediction, self.timesteps[index], latents, **self._options)[0]

    def whole(self, index: int) -> bool:
        """Whether call `index` ends a whole step (Heun: every second call, and the last)."""
        return index == self.calls - 1 or (index + 1) % self.order == 0

    def renoise(self, clean: Tensor, noise: Tensor, index: int) -> Tensor:
        """Clean latents with `noise` added up to level `index`; at the last level the clean latents themselves."""
        if index >= self.calls:
            return clean
        return self.alphas[index] * clean + self.sigmas[index] * noise

    def x0(self, prediction: Tensor, latents: Tensor, index: int) -> Tensor:
        """The clean latents that a prediction at level `index` means."""
        alpha, sigma = self.alphas[index], self.sigmas[index]
        if self.prediction == "sample":
            return prediction
        if self.prediction == "preconditioned":
            skip, out = self._mixes[index]
            return skip * latents + out * prediction
        if self.prediction == "epsilon":
            return (latents - sigma * prediction) / alpha
        square = alpha**2 + sigma**2
        return alpha / square * latents - sigma / square**0.5 * prediction

    def epsilon(self, prediction: Tensor, latents: Tensor, index: int) -> Tensor:
        """The noise that a prediction at level `index` means."""
        if self.prediction == "epsilon":
            return prediction
        alpha, sigma = self.alphas[index], self.sigmas[index]
        if self.prediction in ("sample", "preconditioned"):
            return (latents - alpha * self.x0(prediction, latents, index)) / sigma
        square = alpha**2 + sigma**2
        return sigma / square * latents + alpha / square**0.5 * prediction

    def from_x0(self, clean: Tensor, latents: Tensor, index: int) -> Tensor:
        """The prediction, in the model's own form, that means these clean latents: the inverse of `x0`."""
        if self.prediction == "sample":
            return clean
        alpha, sigma = self.alphas[index], self.sigmas[index]
        if self.prediction == "preconditioned":
            skip, out = self._mixes[index]
            return (clean - skip * latents) / out
        if self.prediction == "epsilon":
            return (latents - alpha * clean) / sigma
        square = alpha**2 + sigma**2
        return (alpha / square * latents - clean) * square**0.5 / sigma

    def from_epsilon(self, noise: Tensor, latents: Tensor, index: int) -> Tensor:
        """The prediction, in the model's own form, that means this noise: the inverse of `epsilon`."""
        if self.prediction == "epsilon":
            return noise
        alpha, sigma = self.alphas[index], self.sigmas[index]
        return self.from_x0((latents - sigma * noise) / alpha, latents, index)


def _set_by_hand(scheduler: Any, levels: Levels) -> int:
    """Give a scheduler the timesteps or sigmas that were given by hand; how many steps these are."""
    if levels.timesteps:
        scheduler.set_timesteps(timesteps=list(levels.timesteps), device="cpu")
        return len(levels.timesteps)
    sigmas = levels.noisy
    if takes_sigmas_itself(type(scheduler).__name__):
        scheduler.set_timesteps(sigmas=[*sigmas, 0.0], device="cpu")
    else:
        # `build_scheduler` has set the spacing of Karras et al.: here it gives these numbers. All else that follows
        # from sigmas, such as timesteps and the middles of KDPM2's steps, diffusers then makes in its own way.
        scheduler._convert_to_karras = lambda *_, **__: np.array(sigmas)
        try:
            scheduler.set_timesteps(len(sigmas), device="cpu")
        finally:
            del scheduler._convert_to_karras
    found = list(dict.fromkeys(scheduler.sigmas.tolist()))
    if found != [*torch.tensor(sigmas).tolist(), 0.0]:
        raise ValueError(f"{type(scheduler).__name__} of this version of diffusers does not take sigmas by hand")
    return len(sigmas)


def _device_dtype(timesteps: Tensor, device: torch.device | str) -> torch.dtype:
    """float64 timesteps exist (Heun, UniPC) but not on Apple's devices."""
    double_missing = torch.device(device).type == "mps" and timesteps.dtype == torch.float64
    return torch.float32 if double_missing else timesteps.dtype
