"""Train the text encoder and UNet of the bundled model jointly, on precomputed latents.

v-prediction, linear betas 1e-4 .. 2e-2 (terminal SNR almost but not exactly zero), prompt dropout 10 %,
EMA. Timesteps lean towards the noisier middle in the first half, where layout, colour and shape are decided,
and towards the cleaner middle in the second, where outlines are; there latents near objects count more, since a
flat background teaches nothing.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from weft.nodes.shapes.judge import agreement, judge
from weft.nodes.shapes.training.common import (
    Checkpoint,
    Curve,
    arguments,
    asked_to_stop,
    flatten_optimizer,
    restore_optimizer,
)
from weft.nodes.shapes.training.schedule import one_cycle
from weft.nodes.shapes.training.text import LENGTH, WIDTH
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, Thing, caption, render, sample_scene
from weft.nodes.training.muon import Muon

SCENES, BATCH, PEAK_LR, TEXT_LR, EMA = 24_000, 64, 2.5e-3, 0.3, 0.998
CHANNELS = (48, 96, 128)
SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=1e-4,
    beta_end=2e-2,
    beta_schedule="linear",
    prediction_type="v_prediction",
    clip_sample=False,
    set_alpha_to_one=True,
    steps_offset=1,
    timestep_spacing="trailing",
)


def build() -> UNet2DConditionModel:
    """The untrained denoiser: attention at 16x16, 8x8 and in the mid block."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )


@torch.no_grad()
def latents_of_world(vae: AutoencoderKL, path: Path, seed: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Latents (SCENES, 4, 16, 16) in half precision, where objects are (SCENES, 16, 16), and captions; remembered."""
    captions_path = path.with_suffix(".json")
    store = Checkpoint(path)
    found = store.load()
    if found and captions_path.exists():
        return found[0]["latents"], found[0]["objects"], json.loads(captions_path.read_text())
    rng = np.random.default_rng((seed, 1))
    latents = torch.empty(SCENES, 4, 16, 16, dtype=torch.float16)
    objects = torch.empty(SCENES, 16, 16, dtype=torch.float16)
    captions: list[str] = []
    for start in range(0, SCENES, 50):
        scenes = [sample_scene(rng) for _ in range(50)]
        batch = np.stack([render(s) for s in scenes])
        pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
        code = vae.encode(pixels.to(vae.device, memory_format=torch.channels_last)).latent_dist.mode()
        latents[start : start + 50] = (code * vae.config.scaling_factor).half().cpu()
        away = (pixels - pixels[:, :, :1, :1]).abs().amax(1, keepdim=True) > 0.05
        objects[start : start + 50] = F.max_pool2d(F.max_pool2d(away.float(), 8), 3, 1, 1)[:, 0].half()
        captions += [s.caption for s in scenes]
    store.save({"latents": latents, "objects": objects}, {})
    captions_path.write_text(json.dumps(captions))
    return latents, objects, captions


def timesteps(rng: np.random.Generator, count: int, progress: float) -> torch.Tensor:
    """(count,) in 0..999: half uniform, half in the noisier middle at first (layout), in the cleaner one later."""
    uniform = rng.random(count) < 0.5
    lean = rng.beta(3, 2, count) if progress < 0.5 else rng.beta(2, 3, count)
    return torch.from_numpy((np.where(uniform, rng.random(count), lean) * 1000).astype(np.int64))


def held_out(count: int, two: bool) -> list[Scene]:
    """The prompts that are judged: every colour, shape and background in turn, in a fixed order."""
    rng = np.random.default_rng(2024 + two)
    scenes = []
    for k in range(count):
        background = list(BACKGROUNDS)[k % len(BACKGROUNDS)]
        things = [Thing(SHAPES[k % 4], list(COLORS)[(k // 4) % 8], 0, 0, 0)]
        relation = ""
        if two:
            color = str(rng.choice([c for c in COLORS if c != things[0].color]))
            things.append(Thing(SHAPES[int(rng.integers(4))], color, 0, 0, 0))
            relation = ("left of", "right of", "above", "below")[(k // 2) % 4]
        scenes.append(Scene(tuple(things), background, caption(things, background, relation)))
    return scenes


@torch.no_grad()
def evaluate(pipe: StableDiffusionPipeline, count: int, guidance: float = 4.0) -> dict[str, float]:
    """Shares of judged facts over ``count`` single and ``count`` two-object prompts, DDIM 25 steps."""
    result = {}
    for two in (False, True):
        rows = []
        for start in range(0, count, 16):
            scenes = held_out(count, two)[start : start + 16]
            images = pipe(
                [s.caption for s in scenes],
                num_inference_steps=25,
                guidance_scale=guidance,
                output_type="np",
                generator=[torch.Generator().manual_seed(start + k) for k in range(len(scenes))],
            ).images
            for scene, image in zip(scenes, images, strict=True):
                rows.append(agreement(judge((image * 255).round().astype(np.uint8)), scene.things, scene.background))
        for key in rows[0]:
            result[f"{'two' if two else 'one'}.{key}"] = sum(r[key] for r in rows) / len(rows)
    return result


def pipeline(work: Path, unet: UNet2DConditionModel, text: CLIPTextModel) -> StableDiffusionPipeline:
    """diffusers' own pipeline around the given parts."""
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae"),
        text_encoder=text,
        unet=unet,
        tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        scheduler=DDIMScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(unet.device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def main() -> None:
    args = arguments(__doc__ or "", steps=4500)
    torch.manual_seed(args.seed)
    vae = AutoencoderKL.from_pretrained(args.work / "vae").to(args.device).eval()
    latents, objects, captions = latents_of_world(vae, args.work / "latents.safetensors", args.seed)
    tokenizer = CLIPTokenizer.from_pretrained(args.work / "tokenizer")
    encoded = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    empty = tokenizer("", padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids[0]

    unet = build().to(args.device, memory_format=torch.channels_last)
    text = CLIPTextModel.from_pretrained(args.work / "text_encoder").to(args.device).train()
    models: Any = torch.nn.ModuleDict({"unet": unet, "text": text})
    embeddings = {id(m.weight) for m in text.modules() if isinstance(m, torch.nn.Embedding)}
    edge = {id(p) for p in (*unet.conv_in.parameters(), *unet.conv_out.parameters())} | embeddings
    groups = [
        {"params": [p for p in unet.parameters() if id(p) not in edge], "scale": 1.0},
        {"params": [p for p in models.parameters() if id(p) in edge], "scale": TEXT_LR, "plain": True},
        {"params": [p for p in text.parameters() if id(p) not in edge], "scale": TEXT_LR},
    ]
    optimizer = Muon(groups, lr=PEAK_LR)
    checkpoint, curve, start, elapsed = (
        Checkpoint(args.work / "unet.ckpt.safetensors"),
        Curve(args.work / "unet.jsonl"),
        0,
        0.0,
    )
    average = copy.deepcopy(models).requires_grad_(False)
    found = checkpoint.load()
    if found:
        tensors, state = found
        models.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        average.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("average.")})
        restore_optimizer(optimizer, tensors)
        start, elapsed = state["step"], state["elapsed"]

    def save(step: int) -> None:
        tensors = {f"model.{k}": v for k, v in models.state_dict().items()} | flatten_optimizer(optimizer)
        tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
        checkpoint.save(tensors, {"step": step, "elapsed": elapsed})
        curve.write()

    alphas = DDIMScheduler(**SCHEDULER).alphas_cumprod
    judged = saved = before = time.monotonic()
    step = start
    with asked_to_stop() as asked:
        while True:
            if asked:
                save(step)
                raise SystemExit(f"stopped after {step} steps; run again to go on")
            progress = elapsed / (60 * args.minutes) if args.minutes else step / args.steps
            if progress >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = PEAK_LR * group["scale"] * one_cycle(progress, warm=0.04)
            rng = np.random.default_rng((args.seed, 2, step))
            chosen = torch.from_numpy(rng.integers(0, SCENES, BATCH))
            ids = encoded.input_ids[chosen]
            ids[torch.from_numpy(rng.random(BATCH) < 0.1)] = empty
            t = timesteps(rng, BATCH, progress)
            noise = torch.from_numpy(rng.standard_normal((BATCH, 4, 16, 16), dtype=np.float32))
            clean = latents[chosen].float()
            a = alphas[t].view(-1, 1, 1, 1)
            noisy, target = a.sqrt() * clean + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * clean
            weight = 1 + 2 * objects[chosen].float()[:, None] * (1 - t.view(-1, 1, 1, 1) / 1000)
            noisy, target, weight, ids = (v.to(args.device) for v in (noisy, target, weight, ids))
            states = text(ids).last_hidden_state
            output = unet(noisy.contiguous(memory_format=torch.channels_last), t.to(args.device), states).sample
            square = (output - target).square()
            loss = (weight * square).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(models.parameters(), 1.0)
            optimizer.step()
            decay = min(EMA, (1 + step) / (10 + step))
            with torch.no_grad():
                for kept, live in zip(average.parameters(), models.parameters(), strict=True):
                    kept.lerp_(live, 1 - decay)
            step += 1
            now = time.monotonic()
            elapsed, before = elapsed + now - before, now
            curve.add(step, v=square.mean().item(), weighted=loss.item(), lr=optimizer.param_groups[0]["lr"])
            if now - saved > 120:
                save(step)
                saved = now
            if now - judged > 600:
                average.eval()
                shares = evaluate(pipeline(args.work, average.unet, average.text), 32)
                print(step, {k: round(v, 2) for k, v in shares.items()}, flush=True)
                judged = before = time.monotonic()
    save(step)
    curve.draw(args.work / "unet.png", "text encoder + UNet")
    average.eval()
    average.unet.save_pretrained(args.work / "unet")
    average.text.save_pretrained(args.work / "text_encoder_joint")
    print(evaluate(pipeline(args.work, average.unet, average.text), 64))


if __name__ == "__main__":
    main()
