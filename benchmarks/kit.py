"""What benchmarks of techniques share: a model and diffusers' pipelines on the same modules, and command lines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

PROMPT, NEGATIVE = "a red circle left of a blue square on a white background", "green"
SCALE = 4.0


class Kit:
    """What the cases are made of: the model, its wider kin, networks, pictures, and diffusers' pipelines."""

    def __init__(self, source: str, folder: Path, steps: int) -> None:
        from tests.tiny import tiny_sd1
        from weft.nodes import load_model

        self.folder, self.steps = folder, steps
        if source == "tiny":
            source = str(tiny_sd1(folder / "tiny"))
        self.model = load_model(source, dtype="float32", device="cpu")
        self.parts = self.model.parts()
        self.size = self.model.size
        self._held: list[Any] = []

    @cached_property
    def base(self) -> Path:
        """The model's folder."""
        return Path(self.model.location)

    def wider(self, channels: int) -> Any:
        """The model with more channels into its denoiser."""
        import torch
        from safetensors.torch import load_file, save_file

        from tests.tiny import copy_model
        from weft.nodes import load_model

        target = copy_model(self.base, self.folder / f"wide-{channels}")
        config = target / "unet" / "config.json"
        text = json.loads(config.read_text()) | {"in_channels": channels}
        config.unlink()
        config.write_text(json.dumps(text))
        file = next((target / "unet").glob("*.safetensors"))
        state = load_file(file)
        first = state["conv_in.weight"]
        state["conv_in.weight"] = torch.cat([first, first[:, :1].repeat(1, channels - first.shape[1], 1, 1) * 0.1], 1)
        file.unlink()
        save_file(state, file)
        made = load_model(str(target), dtype="float32", device="cpu")
        self._held.append(made.parts())
        return made

    def picture(self, seed: int = 3) -> Any:
        """(1, size, size, 3), smooth."""
        import torch

        from weft.nodes.values import Image

        coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        pixels = torch.nn.functional.interpolate(coarse, size=(self.size, self.size), mode="bilinear")
        return Image(pixels.permute(0, 2, 3, 1))

    def pixels(self, seed: int = 3) -> Any:
        """The same as diffusers takes it: (1, 3, size, size)."""
        return self.picture(seed).pixels.permute(0, 3, 1, 2)

    def pipe(self, kind: str, model: Any = None, **more: Any) -> Any:
        """One of diffusers' pipelines on our model's own modules."""
        import diffusers

        from weft.nodes.sampling.schedule import build_scheduler

        model = model or self.model
        parts = model.parts()
        cls = getattr(diffusers, kind)
        wanted = {
            "vae": parts.vae,
            "text_encoder": parts.text_encoders[0],
            "tokenizer": parts.tokenizers[0],
            "unet": parts.unet,
            "scheduler": build_scheduler("ddim", model.scheduler),
            "safety_checker": None,
            "feature_extractor": None,
            "image_encoder": None,
            "requires_safety_checker": False,
        }
        import inspect

        names = inspect.signature(cls.__init__).parameters
        made = cls(**({name: part for name, part in wanted.items() if name in names} | more))
        made.set_progress_bar_config(disable=True)
        return made

    def call(self, pipe: Any, prompt: str = PROMPT, **options: Any) -> Any:
        """Latents of a pipeline."""
        from weft.nodes.sampling.noise import generators

        settings: dict[str, Any] = {
            "negative_prompt": NEGATIVE,
            "guidance_scale": SCALE,
            "num_inference_steps": self.steps,
            "generator": generators(1, 1),
            "output_type": "latent",
        }
        settings |= options
        return pipe(prompt, **{name: item for name, item in settings.items() if item is not ...}).images

    def ours(self, *guidance: Any, controls: Any = (), model: Any = None, base: Any = None, **options: Any) -> Any:
        """Latents of ours."""
        from weft.nodes import denoise

        model = model or self.model
        settings: dict[str, Any] = {"steps": self.steps, "scheduler": "ddim", "seed": 1} | options
        first = base if base is not None else self.cfg(model)
        return denoise(model, [first, *guidance], list(controls), **settings).latents.samples

    def cfg(self, model: Any = None, prompt: str = PROMPT) -> Any:
        """Classifier-free guidance, the prompts encoded now."""
        from weft.nodes import cfg, encode_prompt

        model = model or self.model
        return cfg(encode_prompt(model, prompt), encode_prompt(model, NEGATIVE), scale=SCALE)

    def panorama(self) -> Any:
        """The pipeline for wide canvases, its views a quarter of their width apart, however small the model."""
        pipe = self.pipe("StableDiffusionPanoramaPipeline")
        views, side = type(pipe).get_views, self.size // 8
        pipe.get_views = lambda height, width, circular_padding: views(
            pipe, height, width, window_size=side, stride=side // 4, circular_padding=circular_padding
        )
        return pipe


@contextmanager
def processors_kept(unet: Any) -> Iterator[None]:
    """Pix2Pix Zero's pipeline leaves its attention processors and asks for gradients of the weights."""
    before = dict(unet.attn_processors)
    try:
        yield
    finally:
        unet.set_attn_processor(before)
        unet.requires_grad_(False)


def chosen(parser: argparse.ArgumentParser, names: str, known: Collection[str]) -> list[str]:
    """The names in a list with commas, or all; ends the program where there is no such one."""
    found = [name for name in names.split(",") if name] or list(known)
    unknown = sorted(set(found) - set(known))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return found
