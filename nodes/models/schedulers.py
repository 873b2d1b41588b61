"""Which of diffusers' schedulers there are by name, and which a model may come with. No torch: checks ask, too."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

_MULTISTEP, _SINGLESTEP = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
_PLAIN, _SDE = {"algorithm_type": "dpmsolver++"}, {"algorithm_type": "sde-dpmsolver++"}

# Keys that mean "as the model's own configuration says, except". DPM++ SDE is the multistep form
# (`sde-dpmsolver++`, one evaluation a step): DPMSolverSDEScheduler needs torchsde, and its Brownian tree would
# not draw from the generators that make image k of a batch equal to the same seed alone.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": (_MULTISTEP, {**_PLAIN, "use_karras_sigmas": False}),
    "dpmpp_2m_karras": (_MULTISTEP, {**_PLAIN, "use_karras_sigmas": True}),
    "dpmpp_sde": (_MULTISTEP, _SDE),
    "dpmpp_3m_sde": (_MULTISTEP, {**_SDE, "solver_order": 3}),
    "dpmpp_2s": (_SINGLESTEP, {**_PLAIN, "solver_order": 2}),
    "dpmpp_2s_sde": (_SINGLESTEP, {**_SDE, "solver_order": 2}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {"algorithm_type": "deis"}),
    "heun": ("HeunDiscreteScheduler", {}),
    "kdpm2": ("KDPM2DiscreteScheduler", {}),
    "kdpm2_ancestral": ("KDPM2AncestralDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
"""Names for `denoise.scheduler`: diffusers' class, and what it is configured with beside the model's own settings."""

SUPPORTED = (
    "DDIMParallelScheduler",
    "DDIMScheduler",
    "DDPMParallelScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EDMDPMSolverMultistepScheduler",
    "EDMEulerScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "SASolverScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
"""Classes that the denoise loop steps as diffusers' own pipelines of Stable Diffusion do; tests compare each."""

_REASONS = {
    "CMStochasticIterativeScheduler": "it is of consistency models, whose denoiser predicts neither noise nor v",
    "DPMSolverSDEScheduler": (
        "it needs torchsde, and its noise would not come from each image's seed; dpmpp_sde is its multistep form"
    ),
    "IPNDMScheduler": "its timesteps go from 1 to 0, and Stable Diffusion was trained with 999 to 0",
}


def scheduler_misfit(name: str) -> str | None:
    """Why a model's own scheduler, by its class, cannot step its denoiser; None where it can."""
    if name in SUPPORTED:
        return None
    if name in _REASONS:
        return f"the model's scheduler {name!r} does not work here: {_REASONS[name]}"
    message = f"the model's scheduler {name!r} is not in diffusers, or not one that steps Stable Diffusion"
    # Nearly the same alone: FlowMatchEulerDiscreteScheduler is no misspelt EulerDiscreteScheduler.
    closest = difflib.get_close_matches(name, SUPPORTED, 1, 0.9)
    return f"{message}; is it {closest[0]}?" if closest else message


def scheduler_class(name: str, config: Mapping[str, Any]) -> str:
    """The class of a key of `SCHEDULERS`; for "default", the one that a model's own configuration names."""
    return SCHEDULERS[name][0] if name in SCHEDULERS else str(config.get("_class_name", "DDIMScheduler"))
