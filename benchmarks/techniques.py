"""Each technique beside its diffusers pipeline: seconds per image, calls of the denoiser and their rows.

    python benchmarks/techniques.py --steps 10 --repeats 5 [--only sega,pag] [--model shapes]

Prints one JSON line per technique. Both start from text and pictures and end at latents, on the same modules, in turns
in one run. `ratio` is the median over neighbouring runs of our seconds by theirs, `ratio_cpu` the same of processor
time, which other programs on the machine disturb less. `gap_ms` is the time between two forwards of the denoiser. Where
diffusers has no pipeline that works, `diffusers` is null. Networks beside the denoiser (ControlNet and so on) have
random weights, and models with 5 and 8 channels are the model with a wider first layer: neither changes the costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.denoise import Watch, synchronize

Go = Callable[[], Any]
Pair = tuple[Go, Go | None]
PROMPT, NEGATIVE = "a red circle left of a blue square on a white background", "green"
SCALE = 4.0


class Kit:
    """What the cases are made of: the model, its wider kin, networks, pictures, and diffusers' pipelines."""

    def __init__(self, source: str, folder: Path, steps: int) -> None:
        from nodes import load_model
        from tests.tiny import tiny_sd1

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

        from nodes import load_model
        from tests.tiny import copy_model

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

        from nodes.values import Image

        coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        pixels = torch.nn.functional.interpolate(coarse, size=(self.size, self.size), mode="bilinear")
        return Image(pixels.permute(0, 2, 3, 1))

    def pixels(self, seed: int = 3) -> Any:
        """The same as diffusers takes it: (1, 3, size, size)."""
        return self.picture(seed).pixels.permute(0, 3, 1, 2)

    def pipe(self, kind: str, model: Any = None, **more: Any) -> Any:
        """One of diffusers' pipelines on our model's own modules."""
        import diffusers

        from nodes.sampling.schedule import build_scheduler

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
        from nodes.sampling.noise import generators

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
        from nodes import denoise

        model = model or self.model
        settings: dict[str, Any] = {"steps": self.steps, "scheduler": "ddim", "seed": 1} | options
        first = base if base is not None else self.cfg(model)
        return denoise(model, [first, *guidance], list(controls), **settings).latents.samples

    def cfg(self, model: Any = None, prompt: str = PROMPT) -> Any:
        """Classifier-free guidance, the prompts encoded now."""
        from nodes import cfg, encode_prompt

        model = model or self.model
        return cfg(encode_prompt(model, prompt), encode_prompt(model, NEGATIVE), scale=SCALE)


def case_cfg(kit: Kit) -> Pair:
    """Text to image."""
    pipe = kit.pipe("StableDiffusionPipeline")
    return kit.ours, lambda: kit.call(pipe)


def case_sega(kit: Kit) -> Pair:
    """Two concepts."""
    from nodes import encode_prompt, sega

    pipe = kit.pipe("SemanticStableDiffusionPipeline")
    words = ["green", "a large star"]

    def ours() -> Any:
        return kit.ours(*(sega(encode_prompt(kit.model, word), warmup=2) for word in words))

    return ours, lambda: kit.call(pipe, editing_prompt=words, edit_warmup_steps=2, edit_guidance_scale=5)


def case_sag(kit: Kit) -> Pair:
    """Self-attention guidance."""
    from nodes import sag

    pipe = kit.pipe("StableDiffusionSAGPipeline")
    return lambda: kit.ours(sag(0.75)), lambda: kit.call(pipe, sag_scale=0.75)


def case_pag(kit: Kit) -> Pair:
    """Perturbed-attention guidance."""
    from nodes import pag

    pipe = kit.pipe("StableDiffusionPAGPipeline", pag_applied_layers=["mid"])
    return lambda: kit.ours(pag(3.0)), lambda: kit.call(pipe, pag_scale=3.0)


def case_sega_pag(kit: Kit) -> Pair:
    """CFG, two concepts and PAG in one loop: nothing to compare with; its `gap_ms` is to be at most 0.5."""
    from nodes import encode_prompt, pag, sega

    def ours() -> Any:
        words = ("green", "a large star")
        return kit.ours(*(sega(encode_prompt(kit.model, word), warmup=2) for word in words), pag(3.0))

    return ours, None


def case_attend_and_excite(kit: Kit) -> Pair:
    """Two subjects."""
    from nodes import attend_and_excite, cfg, encode_prompt

    pipe = kit.pipe("StableDiffusionAttendAndExcitePipeline")
    tokens = pipe.tokenizer(PROMPT).input_ids
    indices = [tokens.index(pipe.tokenizer.convert_tokens_to_ids(f"{word}</w>")) for word in ("circle", "square")]

    def ours() -> Any:
        prompt = encode_prompt(kit.model, PROMPT)
        base = cfg(prompt, encode_prompt(kit.model, NEGATIVE), scale=SCALE)
        return kit.ours(attend_and_excite(["circle", "square"], resolution=kit.size // 8), base=base)

    side = kit.size // 8
    return ours, lambda: kit.call(pipe, token_indices=indices, attn_res=(side, side), max_iter_to_alter=25)


def case_pix2pix_zero(kit: Kit) -> Pair:
    """A generated picture, from one thing to another."""
    from nodes import cfg, encode_prompt, pix2pix_zero

    source, target = ["a red circle", "a large red circle"], ["a red star", "a large red star"]
    absent = dict.fromkeys(("caption_generator", "caption_processor", "inverse_scheduler"))
    pipe = kit.pipe("StableDiffusionPix2PixZeroPipeline", **absent)

    def ours() -> Any:
        edit = pix2pix_zero(kit.model, encode_prompt(kit.model, PROMPT), source, target, 0.1)
        base = cfg(edit.prompt, encode_prompt(kit.model, NEGATIVE), scale=SCALE)
        return kit.ours(edit.guidance, base=base)

    def theirs() -> Any:
        embeds = {"source_embeds": pipe.get_embeds(source), "target_embeds": pipe.get_embeds(target)}
        with processors_kept(pipe.unet):
            return kit.call(pipe, cross_attention_guidance_amount=0.1, **embeds)

    return ours, theirs


def case_instruct_pix2pix(kit: Kit) -> Pair:
    """An 8-channel model."""
    from nodes import encode_prompt, instruct_pix2pix

    model = kit.wider(8)
    pipe = kit.pipe("StableDiffusionInstructPix2PixPipeline", model)

    def ours() -> Any:
        texts = [encode_prompt(model, text) for text in (PROMPT, NEGATIVE)]
        return kit.ours(model=model, base=instruct_pix2pix(model, kit.picture(), *texts, SCALE, 1.5))

    return ours, lambda: kit.call(pipe, image=kit.pixels(), image_guidance_scale=1.5)


def case_multidiffusion(kit: Kit) -> Pair:
    """A canvas four times as wide as high, views a quarter of their width apart."""
    from nodes import multidiffusion

    side, stride = kit.size // 8, kit.size // 32
    pipe = kit.pipe("StableDiffusionPanoramaPipeline")
    views = type(pipe).get_views
    pipe.get_views = lambda height, width, circular_padding: views(
        pipe, height, width, window_size=side, stride=stride, circular_padding=circular_padding
    )
    size = {"width": 4 * kit.size, "height": kit.size}
    return lambda: kit.ours(multidiffusion(stride=8 * stride), **size), lambda: kit.call(pipe, **size)


def case_prompt_to_prompt(kit: Kit) -> Pair:
    """Replace a word. diffusers has no pipeline for it."""
    from nodes import cfg, encode_prompt, prompt_to_prompt

    def ours() -> Any:
        source, target = (encode_prompt(kit.model, PROMPT.replace("red", word)) for word in ("red", "green"))
        negative = encode_prompt(kit.model, NEGATIVE)
        edit = prompt_to_prompt(source)
        return kit.ours(edit, base=cfg(target, negative, scale=SCALE))

    return ours, None


def case_controlnet(kit: Kit) -> Pair:
    """One hint."""
    from diffusers import ControlNetModel

    from nodes import controlnet, load_controlnet
    from tests.tiny_nets import tiny_controlnet

    folder = tiny_controlnet(kit.folder / "controlnet", kit.base)
    net = load_controlnet(str(folder))
    pipe = kit.pipe("StableDiffusionControlNetPipeline", controlnet=ControlNetModel.from_pretrained(folder))
    size = {"width": kit.size, "height": kit.size}
    return (
        lambda: kit.ours(controls=[controlnet(net, kit.picture(), 0.5)]),
        lambda: kit.call(pipe, image=kit.pixels(), controlnet_conditioning_scale=0.5, **size),
    )


def case_t2i_adapter(kit: Kit) -> Pair:
    """One hint."""
    from diffusers import T2IAdapter

    from nodes import load_t2i_adapter, t2i_adapter
    from tests.tiny_nets import tiny_adapter

    folder = tiny_adapter(kit.folder / "adapter", kit.base)
    net = load_t2i_adapter(str(folder))
    pipe = kit.pipe("StableDiffusionAdapterPipeline", adapter=T2IAdapter.from_pretrained(folder))
    size = {"width": kit.size, "height": kit.size}
    return (
        lambda: kit.ours(controls=[t2i_adapter(net, kit.picture())]),
        lambda: kit.call(pipe, image=kit.pixels(), **size),
    )


def case_ip_adapter(kit: Kit) -> Pair:
    """One picture."""
    from PIL import Image as Pillow

    from nodes import ip_adapter, load_ip_adapter
    from tests.tiny_nets import tiny_image_adapter

    file = tiny_image_adapter(kit.folder / "ip", kit.base)
    net = load_ip_adapter(str(file))
    pipe = kit.pipe("StableDiffusionPipeline")
    picture = Pillow.fromarray((kit.picture().pixels[0] * 255).byte().numpy())

    def theirs() -> Any:
        return kit.call(pipe, ip_adapter_image=picture)

    @contextmanager
    def loaded() -> Iterator[None]:
        place = {"subfolder": "", "weight_name": file.name, "image_encoder_folder": "image_encoder"}
        pipe.load_ip_adapter(str(file.parent), **place, low_cpu_mem_usage=False)
        pipe.set_ip_adapter_scale(0.6)
        try:
            yield
        finally:
            pipe.unload_ip_adapter()

    theirs.around = loaded  # type: ignore[attr-defined]
    return lambda: kit.ours(controls=[ip_adapter(net, kit.picture(), scale=0.6)]), theirs


def case_depth_control(kit: Kit) -> Pair:
    """A 5-channel model, from a picture."""
    from nodes import depth_control, encode_image

    model = kit.wider(5)
    pipe = kit.pipe("StableDiffusionDepth2ImgPipeline", model, depth_estimator=None)

    def ours() -> Any:
        start = encode_image(model, kit.picture())
        return kit.ours(model=model, controls=[depth_control(kit.picture(4))], start=start, strength=0.8)

    depth = kit.picture(4).pixels.mean(-1)
    return ours, lambda: kit.call(pipe, image=kit.pixels() * 2 - 1, depth_map=depth, strength=0.8)


def case_diffedit(kit: Kit) -> Pair:
    """Find the mask, invert, edit."""
    import torch
    from diffusers import DDIMInverseScheduler

    from nodes import cfg, diffedit, diffedit_mask, encode_image, encode_prompt, invert

    pipe = kit.pipe("StableDiffusionDiffEditPipeline", inverse_scheduler=None)
    pipe.register_modules(inverse_scheduler=DDIMInverseScheduler.from_config(pipe.scheduler.config))
    target = PROMPT.replace("red", "green")

    def ours() -> Any:
        model = kit.model
        start = encode_image(model, kit.picture())
        source, other = encode_prompt(model, PROMPT), encode_prompt(model, target)
        mask = diffedit_mask(model, source, other, latents=start, scale=SCALE, steps=kit.steps)
        path = invert(model, [cfg(source, scale=1.0)], latents=start, steps=kit.steps, strength=0.8).trajectory
        return kit.ours(base=cfg(other, scale=SCALE), controls=[diffedit(path, mask)], strength=0.8)

    def theirs() -> Any:
        image = kit.pixels() * 2 - 1
        common = {"num_inference_steps": kit.steps, "guidance_scale": SCALE}
        with torch.no_grad():
            mask = pipe.generate_mask(
                image, source_prompt=PROMPT, target_prompt=target, generator=torch.Generator().manual_seed(1), **common
            )
            path = pipe.invert(
                PROMPT,
                image=image,
                inpaint_strength=0.8,
                num_inference_steps=kit.steps,
                guidance_scale=1.0,
                generator=torch.Generator().manual_seed(1),
            ).latents
        return kit.call(pipe, target, mask_image=mask, image_latents=path, inpaint_strength=0.8, negative_prompt=...)

    return ours, theirs


def case_apply_lora(kit: Kit) -> Pair:
    """Every projection of attention, rank 4; theirs runs unfused, as loaded."""
    import torch
    from safetensors.torch import save_file

    from nodes import apply_lora

    state = {}
    source = torch.Generator().manual_seed(2)
    for name, module in kit.parts.unet.named_modules():
        if name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0")):
            out, into = module.weight.shape
            state[f"unet.{name}.lora_A.weight"] = torch.randn(4, into, generator=source) * 0.02
            state[f"unet.{name}.lora_B.weight"] = torch.randn(out, 4, generator=source) * 0.02
    file = kit.folder / "lora.safetensors"
    save_file(state, file)
    pipe = kit.pipe("StableDiffusionPipeline")

    def theirs() -> Any:
        return kit.call(pipe)

    @contextmanager
    def loaded() -> Iterator[None]:
        pipe.load_lora_weights(str(file.parent), weight_name=file.name)
        try:
            yield
        finally:
            pipe.unload_lora_weights()

    theirs.around = loaded  # type: ignore[attr-defined]

    def ours() -> Any:
        return kit.ours(model=apply_lora(kit.model, str(file)))

    return ours, theirs


CASES: dict[str, Callable[[Kit], Pair]] = {
    name.removeprefix("case_"): item for name, item in list(globals().items()) if name.startswith("case_")
}


@contextmanager
def processors_kept(unet: Any) -> Iterator[None]:
    """Pix2Pix Zero's pipeline leaves its attention processors and asks for gradients of the weights."""
    before = dict(unet.attn_processors)
    try:
        yield
    finally:
        unet.set_attn_processor(before)
        unet.requires_grad_(False)


def measure(name: str, kit: Kit, repeats: int) -> dict[str, Any]:
    """One technique: both in turn, after one round that is not counted."""
    from contextlib import nullcontext

    ours, theirs = CASES[name](kit)
    sides = {"ours": ours} | ({"diffusers": theirs} if theirs else {})
    wall: dict[str, list[float]] = {side: [] for side in sides}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    gaps: dict[str, list[float]] = {side: [] for side in sides}
    rows: dict[str, list[int]] = {}
    for repeat in range(repeats + 1):
        # Whoever runs second finds warmer caches: the order changes.
        for side, go in sorted(sides.items(), reverse=repeat % 2 == 1):
            around = getattr(go, "around", nullcontext)
            with around(), Watch() as watch:
                began, processor = time.perf_counter(), time.process_time()
                go()
                synchronize(kit.parts.unet.device)
                taken, used = time.perf_counter() - began, time.process_time() - processor
            rows[side] = watch.rows
            if repeat:
                wall[side].append(taken)
                cpu[side].append(used)
                gaps[side].extend(watch.between)

    def described(side: str) -> dict[str, Any] | None:
        if side not in sides:
            return None
        return {
            "seconds": round(statistics.median(wall[side]), 4),
            "calls": len(rows[side]),
            "rows": sum(rows[side]),
            "gap_ms": round(statistics.median(gaps[side]) * 1e3, 3),
        }

    def ratio(of: dict[str, list[float]]) -> float | None:
        if theirs is None:
            return None
        return round(statistics.median(a / b for a, b in zip(of["ours"], of["diffusers"], strict=True)), 3)

    return {
        "technique": name,
        "model": kit.model.source if kit.base.name != "tiny" else "tiny",
        "steps": kit.steps,
        "size": kit.size,
        "ours": described("ours"),
        "diffusers": described("diffusers"),
        "ratio": ratio(wall),
        "ratio_cpu": ratio(cpu),
    }


def write_table(page: Path, lines: list[dict[str, Any]]) -> None:
    """The figures as a table, in place of what stands between the page's markers."""
    from nodes.shapes.measure import write_between

    begin, end = "<!-- figures: made by benchmarks/techniques.py -->", "<!-- end of figures -->"
    rows = ["| technique | calls / rows | theirs | seconds | theirs | gap, ms | theirs | ratio |", "|" + "---|" * 8]
    for line in lines:
        ours, theirs = line["ours"], line["diffusers"]
        cells = [f"`{line['technique']}`", f"{ours['calls']} / {ours['rows']}"]
        cells.append(f"{theirs['calls']} / {theirs['rows']}" if theirs else "")
        for what, digits in (("seconds", 3), ("gap_ms", 2)):
            cells += [f"{ours[what]:.{digits}f}", f"{theirs[what]:.{digits}f}" if theirs else ""]
        rows.append("| " + " | ".join([*cells, f"{line['ratio_cpu']:.2f}" if theirs else ""]) + " |")
    write_between(page, begin, end, "\n".join(rows))


def chosen(parser: argparse.ArgumentParser, names: str, known: Collection[str]) -> list[str]:
    """The names in a list with commas, or all; ends the program where there is no such one."""
    found = [name for name in names.split(",") if name] or list(known)
    unknown = sorted(set(found) - set(known))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return found


def main() -> None:
    """Parse, measure, print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", default="shapes", help="as load_model takes it; `tiny` for random weights")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    parser.add_argument("--docs", type=Path, help="page to write the table into, between its markers")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    names = chosen(parser, options.only, CASES)
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(options.model, Path(folder), options.steps)
        lines = []
        for name in names:
            lines.append(measure(name, kit, options.repeats))
            print(json.dumps(lines[-1]), flush=True)
    if options.docs is not None:
        write_table(options.docs, lines)


if __name__ == "__main__":
    main()
