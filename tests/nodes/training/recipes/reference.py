"""What the training scripts among diffusers' examples do in a step, written anew: with diffusers' own modules, and with
noise, timesteps and order that are handed in.

See train_dreambooth.py, train_dreambooth_lora.py, train_text_to_image_lora.py, train_dreambooth_lora_sdxl.py and
train_instruct_pix2pix.py.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.nodes.training.recipes.pictures_of import pixels
from weft.nodes.training.draws import Draws
from weft.nodes.values.training import Dataset, Item, Picture

RATE = 1e-3


class Reference:
    """A model as a script has it.

    folder: of the model. data: the pictures. seed: of the random numbers that ours would draw.
    """

    def __init__(self, folder: Path, data: Dataset, seed: int) -> None:
        import transformers
        from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

        self.data, self.draws = data, Draws(seed)
        self.unet: Any = _own(UNet2DConditionModel.from_pretrained(folder, subfolder="unet"))
        self.vae: Any = AutoencoderKL.from_pretrained(folder, subfolder="vae").eval()
        self.scheduler: Any = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
        self.encoders: dict[str, Any] = {}
        self.tokenizers: dict[str, Any] = {}
        index = json.loads((folder / "model_index.json").read_text("utf-8"))
        for name in ("text_encoder", "text_encoder_2"):
            if name in index:
                kind = getattr(transformers, index[name][1])
                self.encoders[name] = _own(kind.from_pretrained(folder, subfolder=name))
                own = name.replace("text_encoder", "tokenizer")
                self.tokenizers[name] = transformers.CLIPTokenizer.from_pretrained(folder, subfolder=own)
        self.sdxl = "text_encoder_2" in self.encoders

    # What is random in a script, in the numbers that ours draws

    def batch(self, step: int, size: int) -> tuple[list[int], list[Item], list[Item]]:
        """Numbers of the samples of a step, their pictures, and the class images beside them."""
        numbers = list(range(step * size, (step + 1) * size))
        return numbers, self._items("instance", "order", numbers), self._items("class", "class order (64, 64)", numbers)

    def _items(self, role: Any, purpose: str, numbers: Iterable[int]) -> list[Item]:
        items = self.data.of(role)
        if not items:
            return []
        return [
            items[self.draws.order(purpose, number // len(items), len(items))[number % len(items)]]
            for number in numbers
        ]

    def noise_and_times(self, numbers: Sequence[int], shape: Sequence[int], purpose: str = "") -> tuple[Tensor, Tensor]:
        noise = self.draws.normal(f"{purpose}noise", numbers, shape)
        count = self.scheduler.config.num_train_timesteps
        return noise, (self.draws.uniform(f"{purpose}timestep", numbers) * count).long()

    # What a script computes

    def latents(self, items: Sequence[Item], numbers: Sequence[int], purpose: str = "") -> Tensor:
        """A sample of each picture's latents, scaled."""
        found = self.distribution([item.picture for item in items])
        drawn = self.draws.normal(f"{purpose}posterior", numbers, found.mean.shape[1:])
        return (found.mean + found.std * drawn) * self.vae.config.scaling_factor

    @torch.no_grad()
    def distribution(self, pictures: Sequence[Picture]) -> Any:
        # One by one: the VAE's convolutions round by the batch.
        signal = torch.stack([torch.tensor(pixels(item)).float() / 127.5 - 1 for item in pictures]).permute(0, 3, 1, 2)
        parts = [self.vae.encode(one).latent_dist for one in signal.split(1)]
        return type(parts[0])(torch.cat([part.parameters for part in parts]))

    def text(self, captions: Sequence[str]) -> tuple[Tensor, dict[str, Tensor] | None]:
        """States of captions, and what SDXL is told beside them."""
        states, pooled = [], None
        for name, encoder in self.encoders.items():
            tokenizer = self.tokenizers[name]
            length = tokenizer.model_max_length
            ids = tokenizer(
                list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            )
            found = encoder(ids.input_ids, output_hidden_states=True)
            states.append(found.hidden_states[-2] if self.sdxl else found[0])
            pooled = found[0]
        if not self.sdxl:
            return states[0], None
        assert pooled is not None
        sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).repeat(len(captions), 1)
        return torch.cat(states, dim=-1), {"text_embeds": pooled, "time_ids": sizes}

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        if self.scheduler.config.prediction_type == "epsilon":
            return noise
        return self.scheduler.get_velocity(clean, noise, times)

    def loss(self, step: int, size: int, prior_weight: float = 1.0) -> Tensor:
        """The mean square error of the pictures, and of class images where there are some, all in one forward."""
        numbers, items, others = self.batch(step, size)
        clean = self.latents(items, numbers)
        noise, times = self.noise_and_times(numbers, clean.shape[1:])
        if others:
            own = self.latents(others, numbers, "class ")
            more = self.noise_and_times(numbers, own.shape[1:], "class ")
            clean, noise, times = torch.cat([clean, own]), torch.cat([noise, more[0]]), torch.cat([times, more[1]])
        states, added = self.text([item.caption for item in (*items, *others)])
        noisy = self.scheduler.add_noise(clean, noise, times)
        prediction = self.unet(noisy, times, encoder_hidden_states=states, added_cond_kwargs=added).sample
        target = self.target(clean, noise, times)
        if not others:
            return F.mse_loss(prediction, target)
        prediction, prior = prediction.chunk(2)
        target, prior_target = target.chunk(2)
        return F.mse_loss(prediction, target) + prior_weight * F.mse_loss(prior, prior_target)

    def edit_loss(self, step: int, size: int, dropout: float) -> Tensor:
        """Of InstructPix2Pix; the denoiser takes eight channels."""
        numbers, items, _ = self.batch(step, size)
        clean = self.latents(items, numbers)
        noise, times = self.noise_and_times(numbers, clean.shape[1:])
        u = self.draws.uniform("conditioning dropout", numbers)
        states, _ = self.text([item.caption for item in items])
        states = torch.where((u < 2 * dropout).view(-1, 1, 1), self.text([""])[0], states)
        before = self.distribution([item.condition for item in items if item.condition is not None]).mode()
        before = before * (1 - ((u >= dropout) & (u < 3 * dropout)).float()).view(-1, 1, 1, 1)
        noisy = torch.cat([self.scheduler.add_noise(clean, noise, times), before], dim=1)
        return F.mse_loss(self.unet(noisy, times, states).sample, self.target(clean, noise, times))


def _own(module: Any) -> Any:
    """In memory of its own: in a file's, weights begin at odd addresses, and are multiplied in another order."""
    return copy.deepcopy(module).train().requires_grad_(False)


def trained(
    parameters: Iterable[Tensor], loss: Callable[[int], Tensor], steps: int, rate: float = RATE, clip: float = 1.0
) -> list[float]:
    """A script's loop: AdamW with torch's own settings, and gradients clipped to a norm. Returns the losses."""
    listed: Any = list(parameters)
    optimizer = torch.optim.AdamW(listed, lr=rate, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    losses = []
    for step in range(steps):
        found = loss(step)
        found.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(listed, clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(found.detach()))
    return losses


def widened(unet: Any) -> None:
    """As the script does it, but for the bias, which the script forgets to copy."""
    old = unet.conv_in
    new = torch.nn.Conv2d(8, old.out_channels, old.kernel_size, old.stride, old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :4].copy_(old.weight)
        new.bias.copy_(old.bias)  # type: ignore[union-attr]
    unet.conv_in = new
    unet.register_to_config(in_channels=8)
