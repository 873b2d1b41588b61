"""diffusers' own pipelines on the same tiny models, to compare with, live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

diffusers.utils.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()

# Written down a second time on purpose: what each of our names has to mean.
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_3m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", {}),
    "dpmpp_2s_sde": ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "kdpm2": ("KDPM2DiscreteScheduler", {}),
    "kdpm2_ancestral": ("KDPM2AncestralDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
SCHEDULERS = ["default", *CLASSES]


def pipeline(kind: str, folder: Path) -> Any:
    """A pipeline class's instance on the CPU in float32."""
    extra = {} if "XL" in kind else {"safety_checker": None, "requires_safety_checker": False}
    pipe = getattr(diffusers, kind).from_pretrained(folder, **extra)
    pipe.set_progress_bar_config(disable=True)
    pipe.own_scheduler = pipe.scheduler
    return pipe


def set_scheduler(pipe: Any, name: str) -> None:
    """A fresh scheduler for a pipeline, by our name."""
    if name == "default":
        pipe.scheduler = type(pipe.own_scheduler).from_config(pipe.own_scheduler.config)
        return
    cls, changes = CLASSES[name]
    config = {"clip_sample": False, **pipe.own_scheduler.config}
    pipe.scheduler = getattr(diffusers, cls).from_config(config, **changes)


def seeded(seed: int, count: int) -> list[torch.Generator]:
    """One generator per image."""
    return [torch.Generator("cpu").manual_seed(seed + number) for number in range(count)]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest absolute difference. Most cases give 0."""
    assert ours.shape == theirs.shape, f"{ours.shape} is not {theirs.shape}"
    assert bool(torch.isfinite(theirs).all()), "the oracle's result is not finite"
    return float((ours - theirs).abs().max())
