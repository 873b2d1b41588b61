"""Train the autoencoder of the bundled model, then whiten its latents.

Factor 8, four latent channels. L1 + L2, edges counted more, since edges are what tells a circle from a
square; averages over 4 and 16 px again, since flat colours are what a short training gets wrong; a small KL
term. First on 64 px crops, which is cheap, then on whole images: group normalisation sees how much of the
picture is background, so a decoder that knew crops only would be off in colour by 3 / 255. Afterwards a rotation and
scaling is folded into the two 1x1 convolutions around the latents (`quant_conv`, `post_quant_conv`) so that
the four channels are uncorrelated and equally spread: otherwise the diffusion loss, which sees latents only,
starves the channel that holds edges.
"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from weft.nodes.shapes.training.common import Checkpoint, Curve, arguments, flatten_optimizer, restore_optimizer
from weft.nodes.shapes.training.schedule import one_cycle
from weft.nodes.shapes.world import Scene, render, sample_scene
from weft.nodes.training.muon import Muon

CROP, CROPS, WHOLES, PEAK_LR, KL = 64, 16, 6, 2.5e-3, 3e-5
CROP_STEPS = 3000
CONFIG = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=4,
    layers_per_block=1,
    norm_num_groups=8,
    block_out_channels=(16, 32, 48, 64),
    mid_block_add_attention=False,
    sample_size=128,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
)


def build() -> AutoencoderKL:
    """The untrained autoencoder."""
    return AutoencoderKL(**CONFIG)


def crops(rng: np.random.Generator) -> torch.Tensor:
    """A batch of crops, (CROPS, 3, CROP, CROP) in [-1, 1]; most of them around an object's edge."""
    batch = np.empty((CROPS, CROP, CROP, 3), np.uint8)
    for k in range(CROPS):
        scene = sample_scene(rng)
        image = _draw(scene, rng)
        limit = image.shape[0] - CROP
        left, top = rng.integers(0, limit + 1, 2)
        if rng.random() < 0.8:
            thing = scene.things[int(rng.integers(len(scene.things)))]
            left, top = (int(np.clip(v - CROP / 2 + rng.integers(-24, 25), 0, limit)) for v in (thing.x, thing.y))
        batch[k] = image[top : top + CROP, left : left + CROP]
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1


def wholes(rng: np.random.Generator) -> torch.Tensor:
    """A batch of whole images, (WHOLES, 3, 128, 128) in [-1, 1]."""
    batch = np.stack([_draw(sample_scene(rng), rng) for _ in range(WHOLES)])
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1


def _draw(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    image = render(scene)
    if rng.random() < 0.1:  # other colours now and then, so that foreign images survive too
        gain, shift = rng.uniform(0.6, 1.1, 3), rng.uniform(-30, 30, 3)
        image = np.clip(image * gain + shift, 0, 255).astype(np.uint8)
    return image


def edges(target: torch.Tensor) -> torch.Tensor:
    """Where colours change within 2 px: (B, 1, H, W) in {0, 1}."""
    spread = F.max_pool2d(target, 5, 1, 2) + F.max_pool2d(-target, 5, 1, 2)
    return (spread.amax(1, keepdim=True) > 0.1).float()


def main() -> None:
    args = arguments(__doc__ or "", steps=CROP_STEPS + 1400)
    torch.manual_seed(args.seed)
    vae = build().to(args.device, memory_format=torch.channels_last)
    optimizer = Muon(vae.parameters(), lr=PEAK_LR, weight_decay=1e-4)
    checkpoint, curve, start = Checkpoint(args.work / "vae.ckpt.safetensors"), Curve(args.work / "vae.jsonl"), 0
    found = checkpoint.load()
    if found:
        tensors, state = found
        vae.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        restore_optimizer(optimizer, tensors)
        start = state["step"]

    def save(step: int) -> None:
        tensors = {f"model.{k}": v for k, v in vae.state_dict().items()} | flatten_optimizer(optimizer)
        checkpoint.save(tensors, {"step": step})
        curve.write()

    saved = time.monotonic()
    for step in range(start, args.steps):
        for group in optimizer.param_groups:
            whole = step - CROP_STEPS
            group["lr"] = PEAK_LR * one_cycle(whole / (args.steps - CROP_STEPS) if whole >= 0 else step / CROP_STEPS)
        rng = np.random.default_rng((args.seed, step))
        target = (wholes(rng) if whole >= 0 else crops(rng)).to(args.device, memory_format=torch.channels_last)
        torch.manual_seed(args.seed + step)
        posterior = vae.encode(target).latent_dist
        output = vae.decode(posterior.sample()).sample
        weight = 1 + 2 * edges(target)
        error = output - target
        pixel = (weight * (error.abs() + error.square())).mean()
        coarse = F.avg_pool2d(error, 4).abs().mean() + F.avg_pool2d(error, 16).abs().mean()
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        optimizer.zero_grad(set_to_none=True)
        (pixel + coarse + KL * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        curve.add(
            step, pixel=pixel.item(), coarse=coarse.item(), error255=127.5 * error.abs().mean().item(), kl=kl.item()
        )
        if time.monotonic() - saved > 60:
            save(step + 1)
            saved = time.monotonic()
    save(args.steps)
    curve.draw(args.work / "vae.png", "VAE")
    whiten(vae, args.seed)
    vae.save_pretrained(args.work / "vae")
    print(f"round trip error {round_trip(vae):.2f} / 255, scaling factor {vae.config.scaling_factor:.4f}")


def images(seed: int, count: int) -> torch.Tensor:
    """Clean renders, (count, 3, 128, 128) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    batch = np.stack([render(sample_scene(rng)) for _ in range(count)])
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def whiten(vae: AutoencoderKL, seed: int, count: int = 512) -> None:
    """Fold the map that makes latents uncorrelated with unit variance into the VAE's 1x1 convolutions."""
    posteriors = [vae.encode(part.to(vae.device)).latent_dist for part in images(seed + 1, count).split(32)]
    mean = torch.cat([p.mean for p in posteriors]).double()
    var = torch.cat([p.var for p in posteriors]).double()
    flat = mean.permute(1, 0, 2, 3).flatten(1)
    center = flat.mean(1)
    values, vectors = torch.linalg.eigh(torch.cov(flat))
    to_white = torch.diag(values.rsqrt()) @ vectors.T
    from_white = vectors @ torch.diag(values.sqrt())
    channels = center.numel()
    # A posterior's variance under a rotation is no function of its log-variances, so it becomes a constant.
    spread = (to_white.square() @ var.mean((0, 2, 3))).log()
    quant, post = vae.quant_conv, vae.post_quant_conv
    weight, bias = quant.weight.double()[:, :, 0, 0], quant.bias.double()
    quant.weight[:channels, :, 0, 0] = to_white @ weight[:channels]
    quant.bias[:channels] = to_white @ (bias[:channels] - center)
    quant.weight[channels:], quant.bias[channels:] = 0, spread
    weight, bias = post.weight.double()[:, :, 0, 0], post.bias.double()
    post.bias[:] = bias + weight @ center
    post.weight[:, :, 0, 0] = weight @ from_white
    vae.register_to_config(scaling_factor=1.0)
    print("latent deviations before whitening", values.sqrt().tolist(), "posterior", spread.exp().sqrt().tolist())


@torch.no_grad()
def round_trip(vae: AutoencoderKL, seed: int = 99, count: int = 64) -> float:
    """Mean absolute error of encode-then-decode on unseen renders, of 255."""
    target = images(seed, count)
    output = torch.cat(
        [vae.decode(vae.encode(p.to(vae.device)).latent_dist.mode()).sample.cpu() for p in target.split(16)]
    )
    return float((output.clamp(-1, 1) - target).abs().mean() * 127.5)


if __name__ == "__main__":
    main()
