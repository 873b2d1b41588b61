"""Seconds per image of our loop beside diffusers' pipeline and beside the bare denoiser, alternating in one run.

    python benchmarks/denoise.py --model shapes --steps 25 --repeats 5

Prints one JSON object. Times are medians; ratios are medians of the ratios of neighbouring runs, so that a machine
that slows down slows all three. `gap_ms` is the time between the end of one forward of the denoiser and the beginning
of the next: everything that is not the denoiser. All three use the same modules, prompts, noise and scheduler, and
end at latents; the largest difference between the two results is given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PROMPT, NEGATIVE = "a red circle left of a blue square on a white background", ""


class Watch:
    """Forwards of every denoiser there is, copies for patches among them: their rows, and the time between them."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.between: list[float] = []
        self._ended: float | None = None

    def __enter__(self) -> Watch:
        from diffusers import UNet2DConditionModel

        watch, self._cls, self._forward = self, UNet2DConditionModel, UNet2DConditionModel.forward

        def timed(unet: Any, *args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            if watch._ended is not None:
                watch.between.append(began - watch._ended)
            watch.rows.append((args[0] if args else options["sample"]).shape[0])
            result = watch._forward(unet, *args, **options)
            synchronize(result[0].device)
            watch._ended = time.perf_counter()
            return result

        self._cls.forward = timed
        return self

    def __exit__(self, *error: object) -> None:
        self._cls.forward = self._forward


def synchronize(device: Any) -> None:
    """Wait for an accelerator."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", default="", help="as load_model takes it; default: the bundled one, else a tiny one")
    parser.add_argument("--scheduler", default="ddim")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=0, help="pixels; 0 is the model's own")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    print(json.dumps(measure(parser.parse_args()), indent=2))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all three in turn, after one round that is not counted."""
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = find_model(options.model, Path(folder))
        parts = model.parts()
        runs = three(model, parts, options)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        gaps: dict[str, list[float]] = {name: [] for name in runs}
        results: dict[str, Any] = {}
        for repeat in range(options.repeats + 1):
            for name, go in runs.items():
                with Watch() as watch:
                    began = time.perf_counter()
                    results[name] = go()
                    synchronize(parts.unet.device)
                    taken = time.perf_counter() - began
                if repeat:
                    seconds[name].append(taken)
                    gaps[name].extend(watch.between)
    middle = {name: statistics.median(values) for name, values in seconds.items()}

    def ratio(over: str) -> float:
        return round(statistics.median(a / b for a, b in zip(seconds["ours"], seconds[over], strict=True)), 4)

    return {
        "model": model.source if options.model or model.source == "shapes" else "tiny (random weights)",
        "size": options.size or model.size,
        "scheduler": options.scheduler,
        "steps": options.steps,
        "batch": options.batch,
        "repeats": options.repeats,
        "device": str(parts.unet.device),
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 5) for name, value in middle.items()},
        "ratio_to_diffusers": ratio("diffusers"),
        "ratio_to_bare_unet": ratio("unet"),
        "gap_ms": {name: round(statistics.median(values) * 1e3, 4) for name, values in gaps.items() if values},
        "difference": float((results["ours"] - results["diffusers"]).abs().max()),
    }


def find_model(source: str, folder: Path) -> Any:
    """The model asked for; else the bundled one; else a tiny one with random weights."""
    from weft.nodes import load_model

    if source:
        return load_model(source)
    try:
        return load_model("shapes")
    except ValueError:
        from tests.tiny import tiny_sd1

        return load_model(str(tiny_sd1(folder / "tiny")), dtype="float32", device="cpu")


def three(model: Any, parts: Any, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """The three contestants, each a function of nothing that returns latents."""
    import diffusers
    import torch

    from weft.nodes import cfg, denoise, encode_prompt
    from weft.nodes.sampling.noise import generators
    from weft.nodes.sampling.schedule import Schedule, build_scheduler

    if model.family == "sdxl":
        raise SystemExit("this benchmark compares with StableDiffusionPipeline: give a model of SD 1.x or 2.x")
    prompt, negative = encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE)
    guidance = cfg(prompt, negative, scale=4.0)
    size = options.size or model.size
    unet, device = parts.unet, parts.unet.device
    pipeline = diffusers.StableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoders[0],
        tokenizer=parts.tokenizers[0],
        unet=unet,
        scheduler=build_scheduler(options.scheduler, model.scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)

    def ours() -> Any:
        return denoise(
            model,
            [guidance],
            steps=options.steps,
            scheduler=options.scheduler,
            seed=1,
            batch=options.batch,
            width=size,
            height=size,
        ).latents.samples

    def theirs() -> Any:
        return (
            pipeline(
                prompt_embeds=prompt.text.to(device, unet.dtype),
                negative_prompt_embeds=negative.text.to(device, unet.dtype),
                guidance_scale=4.0,
                num_inference_steps=options.steps,
                num_images_per_prompt=options.batch,
                width=size,
                height=size,
                generator=generators(1, options.batch),
                output_type="latent",
            )
            .images.float()
            .cpu()
        )

    schedule = Schedule(build_scheduler(options.scheduler, model.scheduler), options.steps, device=device)
    rows = torch.cat([negative.text] * options.batch + [prompt.text] * options.batch).to(device, unet.dtype)
    side = size // model.scale_factor
    latents = torch.randn(2 * options.batch, model.unet_channels, side, side).to(device, unet.dtype)

    def bare() -> Any:
        with torch.no_grad():
            for timestep in schedule.on_device:
                unet(latents, timestep, encoder_hidden_states=rows, return_dict=False)

    return {"ours": ours, "diffusers": theirs, "unet": bare}


if __name__ == "__main__":
    main()
