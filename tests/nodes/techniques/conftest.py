"""The tiny models and pipelines of the loop's tests, and models whose attention is less sharp.

Batches of other sizes round differently, and the sharp attention of the tiny models makes much of it in a few steps:
where ours puts into one forward what diffusers puts into several, both run on a calm model.
"""

from __future__ import annotations

from pathlib import Path

from tests.nodes.sampling.conftest import BUILDERS, folder, model, one_thread, pipe
from tests.tiny import _liven, _seeded, tiny_sd1, tiny_sd2, tiny_sdxl

__all__ = ["folder", "model", "one_thread", "pipe"]


def _calm(folder: Path, by: float = 0.3) -> Path:
    """The model of a folder with its queries and keys made smaller."""
    from safetensors.torch import load_file, save_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    for name in weights:
        if name.endswith(("to_q.weight", "to_k.weight")):
            weights[name] *= by
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def _distilled(folder: Path) -> Path:
    """A model that takes the guidance scale as an embedding, as latent consistency models do."""
    import json

    from diffusers import LCMScheduler, UNet2DConditionModel

    tiny_sd1(folder)
    config = json.loads((folder / "unet" / "config.json").read_text("utf-8"))
    with _seeded(1):
        unet = UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 32})
        _liven(unet)
        unet.time_embedding.cond_proj.weight.data *= 20  # else the scale hardly matters
        unet.save_pretrained(folder / "unet")
    settings = json.loads((folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    LCMScheduler.from_config(settings, clip_sample=False).save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    index |= {"_class_name": "LatentConsistencyModelPipeline", "scheduler": ["diffusers", "LCMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


BUILDERS["lcm"] = _distilled
BUILDERS["sd1_calm"] = lambda folder: _calm(tiny_sd1(folder))
BUILDERS["sd2_calm"] = lambda folder: _calm(tiny_sd2(folder))
BUILDERS["sd1_four_calm"] = lambda folder: _calm(tiny_sd1(folder, levels=4, sample_size=32))
# More attention than the others have: at 0.3 the rounding of some processors, and not of others, grows past 1e-4.
BUILDERS["sdxl_calm"] = lambda folder: _calm(tiny_sdxl(folder), by=0.2)
