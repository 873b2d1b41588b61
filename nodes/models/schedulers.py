"""Which of diffusers' schedulers a model may come with. No torch: checks ask, too."""

from __future__ import annotations

import difflib

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
