"""What the variants of the bundled model share: pools of pictures, the loss, a loop that resumes, half precision out.

Each variant is a file beside this one, says what it trains and on what, and writes to nodes/shapes/variants. The base
model is read from its folder and stays as it is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from transformers import CLIPTextModel, CLIPTokenizer

from weft.nodes.shapes.training.common import Checkpoint, Curve, asked_to_stop, flatten_optimizer, restore_optimizer
from weft.nodes.shapes.training.common import arguments as common_arguments
from weft.nodes.shapes.training.schedule import one_cycle
from weft.nodes.training.muon import Muon

Pictures = NDArray[np.uint8]


def arguments(
    description: str, steps: int, batch: int, pool: int = 4096, out: str = "nodes/shapes/variants"
) -> argparse.Namespace:
    """The command line of a fine-tune."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--base", type=Path, default=Path("nodes/shapes/model"), help="the model to start from")
        parser.add_argument("--out", type=Path, default=Path(out), help="where the result goes")
        parser.add_argument("--batch", type=int, default=batch)
        parser.add_argument("--pool", type=int, default=pool, help="pictures to train on")

    return common_arguments(description, steps, "build/variants", more)


@dataclass
class Base:
    """The bundled model's parts in float32, frozen."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer
    device: torch.device
    scheduler: DDIMScheduler

    @property
    def alphas(self) -> torch.Tensor:
        """The share of the signal's variance at each timestep: (1000,)."""
        return self.scheduler.alphas_cumprod

    @classmethod
    def load(cls, folder: Path, device: str) -> Base:
        def part(kind: Any, name: str) -> Any:
            module = kind.from_pretrained(folder / name, torch_dtype=torch.float32)
            return module.eval().requires_grad_(False).to(device)

        unet = part(UNet2DConditionModel, "unet").to(memory_format=torch.channels_last)
        return cls(
            unet=unet,
            vae=part(AutoencoderKL, "vae").to(memory_format=torch.channels_last),
            text=part(CLIPTextModel, "text_encoder"),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            device=torch.device(device),
            scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        )

    @torch.no_grad()
    def encode(self, pictures: Pictures) -> torch.Tensor:
        """Scaled latents (n, 4, 16, 16) of pictures (n, 128, 128, 3)."""
        parts = []
        for start in range(0, len(pictures), 32):
            pixels = torch.from_numpy(pictures[start : start + 32]).permute(0, 3, 1, 2).float() / 127.5 - 1
            pixels = pixels.to(self.device, memory_format=torch.channels_last)
            parts.append(self.vae.encode(pixels).latent_dist.mode() * self.vae.config.scaling_factor)
        return torch.cat(parts)

    def ids(self, texts: Iterable[str]) -> torch.Tensor:
        """Token ids (n, 32), padded as the pipelines pad."""
        length = self.tokenizer.model_max_length
        padded = self.tokenizer(
            list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return padded.input_ids.to(self.device)

    @torch.no_grad()
    def states(self, texts: list[str]) -> torch.Tensor:
        """Text states (n, 32, 96); each different text is encoded once."""
        unique = {text: k for k, text in enumerate(dict.fromkeys(texts))}
        ids = self.ids(unique)
        found = torch.cat([self.text(ids[k : k + 256]).last_hidden_state for k in range(0, len(ids), 256)])
        return found[[unique[text] for text in texts]]


@dataclass(frozen=True)
class Example:
    """A picture (128, 128, 3) and its caption; a hint of any kind, and a picture to start from, where there are."""

    picture: Pictures
    caption: str
    hint: NDArray[Any] | None = None
    source: Pictures | None = None


@dataclass
class Pool:
    """Examples ready for training. objects (n, 1, 16, 16): where there are some. The rest as in `Example`."""

    latents: torch.Tensor
    objects: torch.Tensor
    captions: list[str]
    states: torch.Tensor
    hints: torch.Tensor | None
    sources: torch.Tensor | None
    empty: torch.Tensor

    @classmethod
    def make(cls, base: Base, seed: int, count: int, draw: Callable[[np.random.Generator], Example]) -> Pool:
        """The same pool for the same seed: nothing of it is stored."""
        started = time.monotonic()
        rng = np.random.default_rng((seed, 7))
        examples = [draw(rng) for _ in range(count)]
        pictures = np.stack([e.picture for e in examples])
        away = np.abs(pictures.astype(np.int16) - pictures[:, :1, :1]).max(axis=3) > 8
        marked = torch.from_numpy(away)[:, None].float()
        captions = [e.caption for e in examples]
        hints = [e.hint for e in examples if e.hint is not None]
        sources = [e.source for e in examples if e.source is not None]
        pool = cls(
            latents=base.encode(pictures),
            objects=F.max_pool2d(F.max_pool2d(marked, 8), 3, 1, 1).to(base.device),
            captions=captions,
            states=base.states(captions),
            hints=torch.from_numpy(np.stack(hints)) if hints else None,
            sources=base.encode(np.stack(sources)) if sources else None,
            empty=base.states([""]),
        )
        print(f"{count} examples in {time.monotonic() - started:.0f} s", flush=True)
        return pool


def v_loss(
    base: Base,
    rng: np.random.Generator,
    progress: float,
    pool: Pool,
    chosen: NDArray[np.int64],
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Mean square error of v for some of the pool at random timesteps, near objects counted up to three times.

    Half of the timesteps are uniform; the others lean to the noisier middle at first, then to the cleaner one.
    """
    count, clean = len(chosen), pool.latents[chosen]
    lean = rng.beta(3, 2, count) if progress < 0.6 else rng.beta(2, 3, count)
    t = torch.from_numpy((np.where(rng.random(count) < 0.5, rng.random(count), lean) * 1000).astype(np.int64))
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32)).to(base.device)
    a = base.alphas[t].view(-1, 1, 1, 1).to(base.device)
    noisy, target = a.sqrt() * clean + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * clean
    weight = 1 + 2 * pool.objects[chosen] * (1 - t.view(-1, 1, 1, 1).to(base.device) / 1000)
    output = predict(noisy.contiguous(memory_format=torch.channels_last), t.to(base.device))
    return (weight * (output - target).square()).mean()


@dataclass
class Task:
    """One fine-tune: the parameters that learn, by name, and the loss of a step.

    loss: of (generator of this step, progress in [0, 1]). slow, plain: factors on the learning rate, and whether AdamW
    rather than Muon takes a parameter, by a piece of its name.
    """

    name: str
    parameters: dict[str, torch.nn.Parameter]
    loss: Callable[[np.random.Generator, float], torch.Tensor]
    lr: float
    ema: float = 0.99
    rates: dict[str, float] = field(default_factory=dict)
    plain: tuple[str, ...] = ()
    weight_decay: float = 1e-2

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer."""
        found: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(True)
            scale = next((rate for piece, rate in self.rates.items() if piece in name), 1.0)
            found.setdefault((scale, any(piece in name for piece in self.plain)), []).append(parameter)
        return [{"params": own, "scale": scale, "plain": plain} for (scale, plain), own in found.items()]


def train(task: Task, args: argparse.Namespace) -> None:
    """Train, from a checkpoint where there is one; leaves the averaged weights in the task's parameters."""
    optimizer = Muon(task.groups(), lr=task.lr, weight_decay=task.weight_decay)
    checkpoint, curve = (
        Checkpoint(args.work / f"{task.name}.ckpt.safetensors"),
        Curve(args.work / f"{task.name}.jsonl", 20),
    )
    average = {name: parameter.detach().clone() for name, parameter in task.parameters.items()}
    step, elapsed, found = 0, 0.0, checkpoint.load()
    if found:
        tensors, state = found
        for name, parameter in task.parameters.items():
            parameter.data.copy_(tensors[f"model.{name}"])
            average[name].copy_(tensors[f"average.{name}"])
        restore_optimizer(optimizer, tensors)
        step, elapsed = state["step"], state["elapsed"]
        print(f"goes on at step {step}", flush=True)

    def save() -> None:
        tensors = {f"model.{k}": v for k, v in task.parameters.items()} | flatten_optimizer(optimizer)
        checkpoint.save(
            tensors | {f"average.{k}": v for k, v in average.items()}, {"step": step, "elapsed": round(elapsed, 1)}
        )
        curve.write()

    with asked_to_stop() as asked:
        saved = before = time.monotonic()
        while True:
            progress = elapsed / (60 * args.minutes) if args.minutes else step / args.steps
            if progress >= 1:
                break
            if asked:
                save()
                raise SystemExit(f"stopped after {step} steps; run again to go on")
            for group in optimizer.param_groups:
                group["lr"] = task.lr * group["scale"] * one_cycle(progress)
            loss = task.loss(np.random.default_rng((args.seed, 2, step)), progress)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(task.parameters.values(), 1.0)
            optimizer.step()
            decay = min(task.ema, (1 + step) / (10 + step))
            with torch.no_grad():
                for name, parameter in task.parameters.items():
                    average[name].lerp_(parameter, 1 - decay)
            step += 1
            now = time.monotonic()
            elapsed, before = elapsed + now - before, now
            curve.add(step, loss=loss.item(), lr=task.lr * one_cycle(progress))
            if now - saved > 60:
                save()
                saved = now
    save()
    curve.draw(args.work / f"{task.name}.png", task.name)
    print(f"{task.name}: {step} steps in {elapsed / 60:.1f} minutes", flush=True)
    with torch.no_grad():
        for name, parameter in task.parameters.items():
            parameter.copy_(average[name])


def save_module(module: Any, folder: Path) -> None:
    """A diffusers module in half precision, its configuration without a path of the machine that trained."""
    module.half().save_pretrained(folder)
    config = folder / "config.json"
    kept = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
    config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder}: {size / 1e6:.2f} MB", flush=True)
