"""A plain training loop as diffusers' example scripts have it, written anew: what ours is compared with.

Each step reads a JPEG, scales it, encodes it with the VAE, encodes the prompt, adds noise, predicts, steps AdamW under
accelerate and logs the loss, which waits for the device. It caches nothing, as the base scripts do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Task = Literal["lora", "textual_inversion", "dreambooth"]
PROMPT = "a photo of the red cat"
TOKEN, WORD = "<new>", "cat"


class Reference:
    """A loop of one task.

    folder: of the model. pictures: of the JPEG files. log: where TensorBoard's file goes.
    """

    def __init__(self, task: Task, folder: Path, pictures: Path, batch: int, log: Path) -> None:
        import torch
        from accelerate import Accelerator
        from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
        from diffusers.optimization import get_scheduler
        from peft import LoraConfig
        from transformers import CLIPTextModel, CLIPTokenizer

        torch.manual_seed(0)
        self.task, self.accelerator = task, Accelerator(cpu=True, log_with="tensorboard", project_dir=str(log))
        self.accelerator.init_trackers(task)
        self.scheduler: Any = DDPMScheduler.from_pretrained(folder / "scheduler")
        self.tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.vae: Any = AutoencoderKL.from_pretrained(folder / "vae").requires_grad_(False)
        self.text: Any = CLIPTextModel.from_pretrained(folder / "text_encoder").requires_grad_(False)
        self.unet: Any = UNet2DConditionModel.from_pretrained(folder / "unet").requires_grad_(task == "dreambooth")
        self.prompt, self.rest = PROMPT, None
        if task == "lora":
            layers = ["to_k", "to_q", "to_v", "to_out.0"]
            self.unet.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=layers))
            learned = [p for p in self.unet.parameters() if p.requires_grad]
        elif task == "textual_inversion":
            self.prompt = PROMPT.replace(WORD, TOKEN)
            self.tokenizer.add_tokens([TOKEN])
            self.text.resize_token_embeddings(len(self.tokenizer))
            table = self.text.get_input_embeddings().weight
            with torch.no_grad():
                table[-1] = table[self.tokenizer(WORD, add_special_tokens=False).input_ids[0]]
            self.rest = table.detach()[:-1].clone()
            learned = [table.requires_grad_(True)]
            self.unet.train()
        else:
            learned = list(self.unet.parameters())
        optimizer = torch.optim.AdamW(learned, lr=1e-4)
        schedule = get_scheduler("constant", optimizer)
        loader = torch.utils.data.DataLoader(_Pictures(pictures, self.vae.config.sample_size), batch, shuffle=True)
        trained: Any = self.text if task == "textual_inversion" else self.unet
        trained, self.optimizer, self.loader, self.schedule = self.accelerator.prepare(
            trained, optimizer, loader, schedule
        )
        self.trained, self.learned, self.number = trained, learned, 0
        self._batches = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self.loader

    def step(self) -> None:
        """One step of the optimizer."""
        import torch
        import torch.nn.functional as F

        pixels = next(self._batches)
        with self.accelerator.accumulate(self.trained):
            latents = self.vae.encode(pixels).latent_dist.sample() * self.vae.config.scaling_factor
            noise = torch.randn_like(latents)
            times = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(latents),)).long()
            noisy = self.scheduler.add_noise(latents, noise, times)
            ids = self.tokenizer(
                [self.prompt] * len(latents),
                padding="max_length",
                max_length=self.tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            states = self.text(ids)[0]
            predicted = self.unet(noisy, times, states).sample
            loss = F.mse_loss(predicted.float(), noise.float())
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients and self.rest is None:
                self.accelerator.clip_grad_norm_(self.learned, 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
            if self.rest is not None:
                with torch.no_grad():
                    self.learned[0][: len(self.rest)] = self.rest
        self.number += 1
        self.accelerator.log({"loss": loss.detach().item(), "lr": self.schedule.get_last_lr()[0]}, step=self.number)


class _Pictures:
    """JPEG files as (3, side, side) in [-1, 1]."""

    def __init__(self, folder: Path, side: int) -> None:
        self.files, self.side = sorted(folder.glob("*.jpg")), side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Any:
        import numpy as np
        import PIL.Image
        import torch

        image = PIL.Image.open(self.files[number]).convert("RGB")
        small = image.resize((self.side, self.side), PIL.Image.Resampling.LANCZOS)
        return torch.from_numpy(np.asarray(small, np.float32).transpose(2, 0, 1) / 127.5 - 1)
