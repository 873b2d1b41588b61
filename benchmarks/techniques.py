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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.denoise import Watch, synchronize
from benchmarks.kit import NEGATIVE, PROMPT, SCALE, Kit, chosen, processors_kept

Go = Callable[[], Any]
Pair = tuple[Go, Go | None]


def case_cfg(kit: Kit) -> Pair:
    """Text to image."""
    pipe = kit.pipe("StableDiffusionPipeline")
    return kit.ours, lambda: kit.call(pipe)


def case_sega(kit: Kit) -> Pair:
    """Two concepts."""
    from weft.nodes import encode_prompt, sega

    pipe = kit.pipe("SemanticStableDiffusionPipeline")
    words = ["green", "a large star"]

    def ours() -> Any:
        return kit.ours(*(sega(encode_prompt(kit.model, word), warmup=2) for word in words))

    return ours, lambda: kit.call(pipe, editing_prompt=words, edit_warmup_steps=2, edit_guidance_scale=5)


def case_sag(kit: Kit) -> Pair:
    """Self-attention guidance."""
    from weft.nodes import sag

    pipe = kit.pipe("StableDiffusionSAGPipeline")
    return lambda: kit.ours(sag(0.75)), lambda: kit.call(pipe, sag_scale=0.75)


def case_pag(kit: Kit) -> Pair:
    """Perturbed-attention guidance."""
    from weft.nodes import pag

    pipe = kit.pipe("StableDiffusionPAGPipeline", pag_applied_layers=["mid"])
    return lambda: kit.ours(pag(3.0)), lambda: kit.call(pipe, pag_scale=3.0)


def case_sega_pag(kit: Kit) -> Pair:
    """CFG, two concepts and PAG in one loop: nothing to compare with; its `gap_ms` is to be at most 0.5."""
    from weft.nodes import encode_prompt, pag, sega

    def ours() -> Any:
        words = ("green", "a large star")
        return kit.ours(*(sega(encode_prompt(kit.model, word), warmup=2) for word in words), pag(3.0))

    return ours, None


def case_attend_and_excite(kit: Kit) -> Pair:
    """Two subjects."""
    from weft.nodes import attend_and_excite, cfg, encode_prompt

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
    from weft.nodes import cfg, encode_prompt, pix2pix_zero

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
    from weft.nodes import encode_prompt, instruct_pix2pix

    model = kit.wider(8)
    pipe = kit.pipe("StableDiffusionInstructPix2PixPipeline", model)

    def ours() -> Any:
        texts = [encode_prompt(model, text) for text in (PROMPT, NEGATIVE)]
        return kit.ours(model=model, base=instruct_pix2pix(model, kit.picture(), *texts, SCALE, 1.5))

    return ours, lambda: kit.call(pipe, image=kit.pixels(), image_guidance_scale=1.5)


def case_multidiffusion(kit: Kit) -> Pair:
    """A canvas four times as wide as high, views a quarter of their width apart."""
    from weft.nodes import multidiffusion

    pipe = kit.panorama()
    size = {"width": 4 * kit.size, "height": kit.size}
    return lambda: kit.ours(multidiffusion(stride=kit.size // 4), **size), lambda: kit.call(pipe, **size)


def case_prompt_to_prompt(kit: Kit) -> Pair:
    """Replace a word. diffusers has no pipeline for it."""
    from weft.nodes import cfg, encode_prompt, prompt_to_prompt

    def ours() -> Any:
        source, target = (encode_prompt(kit.model, PROMPT.replace("red", word)) for word in ("red", "green"))
        negative = encode_prompt(kit.model, NEGATIVE)
        edit = prompt_to_prompt(source)
        return kit.ours(edit, base=cfg(target, negative, scale=SCALE))

    return ours, None


def case_controlnet(kit: Kit) -> Pair:
    """One hint."""
    from diffusers import ControlNetModel

    from tests.tiny_nets import tiny_controlnet
    from weft.nodes import controlnet, load_controlnet

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

    from tests.tiny_nets import tiny_adapter
    from weft.nodes import load_t2i_adapter, t2i_adapter

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

    from tests.tiny_nets import tiny_image_adapter
    from weft.nodes import ip_adapter, load_ip_adapter

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
    from weft.nodes import depth_control, encode_image

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

    from weft.nodes import cfg, diffedit, diffedit_mask, encode_image, encode_prompt, invert

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

    from weft.nodes import apply_lora

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
    from weft.nodes.shapes.measure import write_between

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
    if options.docs is not None and len(names) < len(CASES):
        parser.error("--docs writes the whole table, of one run: leave --only away")
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
