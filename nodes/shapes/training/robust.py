"""Make the latents of the bundled model robust: every channel used, each tolerant of noise.

A small KL weight gives sharp pictures and bad latents: two of the four channels carried everything, at a
precision of 0.3 % of their spread, so that a denoiser's errors broke colours and shapes. Here the
latents are held at unit variance and uncorrelated while noise of up to 40 % of their spread is
added before decoding. The encoder then has to spread what matters over all channels, smoothly.
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
from weft.nodes.shapes.training.vae import edges, round_trip, whiten, wholes
from weft.nodes.training.muon import Muon

PEAK_LR, NOISE, MEMORY = 2.5e-3, 0.4, 0.95


def main() -> None:
    args = arguments(__doc__ or "", steps=1000)
    vae = AutoencoderKL.from_pretrained(args.work / "vae").to(args.device, memory_format=torch.channels_last)
    trained = list(vae.parameters())
    optimizer = Muon(trained, lr=PEAK_LR, weight_decay=1e-4)
    checkpoint, curve, start = Checkpoint(args.work / "robust.ckpt.safetensors"), Curve(args.work / "robust.jsonl"), 0
    mean, var = torch.zeros(4), torch.ones(4)
    found = checkpoint.load()
    if found:
        tensors, state = found
        vae.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        restore_optimizer(optimizer, tensors)
        start, mean, var = state["step"], tensors["mean"], tensors["var"]
    saved = time.monotonic()
    for step in range(start, args.steps + 1):
        if step == args.steps or time.monotonic() - saved > 60:
            tensors = {f"model.{k}": v for k, v in vae.state_dict().items()} | flatten_optimizer(optimizer)
            checkpoint.save(tensors | {"mean": mean, "var": var}, {"step": step})
            curve.write()
            saved = time.monotonic()
        if step == args.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * one_cycle(step / args.steps)
        target = wholes(np.random.default_rng((args.seed, 4, step))).to(args.device, memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(step)
        code = vae.encode(target).latent_dist.mode()
        flat = code.permute(1, 0, 2, 3).flatten(1)
        covariance = torch.cov(flat)
        with torch.no_grad():
            mean = MEMORY * mean + (1 - MEMORY) * flat.mean(1)
            var = MEMORY * var + (1 - MEMORY) * covariance.diag()
        spread = var.sqrt()
        correlation = covariance / (spread[:, None] * spread)
        off = (correlation - torch.eye(4)).square().sum()
        level = NOISE * torch.rand(len(code), 1, 1, 1, generator=generator)
        code = (code - mean.view(1, 4, 1, 1)) / spread.view(1, 4, 1, 1)
        code = code + level * torch.randn(code.shape, generator=generator)
        output = vae.decode(code).sample
        error = output - target
        pixel = ((1 + 2 * edges(target)) * (error.abs() + error.square())).mean()
        coarse = F.avg_pool2d(error, 4).abs().mean() + F.avg_pool2d(error, 16).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        (pixel + coarse + 0.01 * off).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        curve.add(
            step,
            pixel=pixel.item(),
            coarse=coarse.item(),
            off=off.item(),
            error255=127.5 * error.detach().abs().mean().item(),
        )
        if step % 100 == 99:
            print("spread", spread.tolist(), flush=True)
    curve.draw(args.work / "robust.png", "robust latents")
    # The decoder expects normalised latents: fold the normalisation into the encoder's side, then whiten exactly.
    with torch.no_grad():
        vae.quant_conv.weight[:4] /= var.sqrt().view(4, 1, 1, 1)
        vae.quant_conv.bias[:4] = (vae.quant_conv.bias[:4] - mean) / var.sqrt()
        vae.quant_conv.bias[4:] = 2 * np.log(0.1)
    whiten(vae, args.seed)
    new = args.work / "vae.new"
    vae.save_pretrained(new)
    shutil.rmtree(args.work / "vae")
    new.rename(args.work / "vae")
    print(f"round trip error {round_trip(vae):.2f} / 255")


if __name__ == "__main__":
    main()
