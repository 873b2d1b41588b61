"""Train the bundled model's decoder on, with the encoder fixed: sharper pictures, the same latents.

It may run beside the training of the UNet, which sees latents only. A little noise on the latents makes the
decoder forgive what a denoiser gets slightly wrong.
"""

from __future__ import annotations

import shutil
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from weft.nodes.shapes.training.common import Checkpoint, Curve, arguments, flatten_optimizer, restore_optimizer
from weft.nodes.shapes.training.schedule import one_cycle
from weft.nodes.shapes.training.vae import edges, round_trip, wholes
from weft.nodes.training.muon import Muon

PEAK_LR, NOISE = 2e-3, 0.06


def main() -> None:
    args = arguments(__doc__ or "", steps=4000)
    vae = AutoencoderKL.from_pretrained(args.work / "vae").to(args.device, memory_format=torch.channels_last)
    vae.requires_grad_(False)
    trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = Muon(trained, lr=PEAK_LR, weight_decay=1e-4)
    checkpoint, curve, start = Checkpoint(args.work / "decoder.ckpt.safetensors"), Curve(args.work / "decoder.jsonl"), 0
    found = checkpoint.load()
    if found:
        tensors, state = found
        vae.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        restore_optimizer(optimizer, tensors)
        start = state["step"]
    print(f"round trip error {round_trip(vae):.2f} / 255", flush=True)
    saved = time.monotonic()
    for step in range(start, args.steps + 1):
        if step == args.steps or time.monotonic() - saved > 120:
            tensors = {f"model.{k}": v for k, v in vae.state_dict().items()} | flatten_optimizer(optimizer)
            checkpoint.save(tensors, {"step": step})
            curve.write()
            saved = time.monotonic()
        if step == args.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * one_cycle(step / args.steps)
        target = wholes(np.random.default_rng((args.seed, 3, step))).to(args.device, memory_format=torch.channels_last)
        with torch.no_grad():
            code = vae.encode(target).latent_dist.mode()
            code = code + NOISE * torch.randn(code.shape, generator=torch.Generator().manual_seed(step)).to(code)
        output = vae.decode(code).sample
        error = output - target
        pixel = ((1 + 2 * edges(target)) * (error.abs() + error.square())).mean()
        coarse = F.avg_pool2d(error, 4).abs().mean() + F.avg_pool2d(error, 16).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        (pixel + coarse).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        curve.add(step, pixel=pixel.item(), coarse=coarse.item(), error255=127.5 * error.detach().abs().mean().item())
        if step % 500 == 499:
            print(f"round trip error {round_trip(vae):.2f} / 255", flush=True)
    curve.draw(args.work / "decoder.png", "decoder")
    new = args.work / "vae.new"
    vae.save_pretrained(new)
    shutil.rmtree(args.work / "vae")
    new.rename(args.work / "vae")
    print(f"round trip error {round_trip(vae):.2f} / 255")


if __name__ == "__main__":
    main()
