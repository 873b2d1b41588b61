"""A small call of every node that trains, for tests that hold for all of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from tests.nodes.training.train_case import dataset, picture
from weft import nodes
from weft.engine import Context, value
from weft.nodes.training.rewards import people
from weft.nodes.values import Model
from weft.nodes.values.rewards import Reward
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Dataset

COUNT = 5
"""Pictures: no batch of 2 divides them."""
Call = Callable[[Model, TrainOptions, Context, int], Trained]
"""Of a model, options, a Context and a number of steps."""


def captioned(caption: str | None = None) -> Dataset:
    """Pictures, with captions of their own or one for all."""
    own = dataset(COUNT)
    if caption is None:
        return own
    return Dataset(tuple(dataclasses.replace(item, caption=caption) for item in own.items))


def paired() -> Dataset:
    """Pictures with a condition each."""
    items = dataset(COUNT).items
    return Dataset(tuple(dataclasses.replace(item, condition=picture(50 + k)) for k, item in enumerate(items)))


def prior() -> Dataset:
    """Pictures, and class images beside them."""
    classes = [dataclasses.replace(item, role="class", caption="a dog") for item in dataset(COUNT + 3).items[COUNT:]]
    return Dataset((*captioned().items, *classes))


def _lora(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_lora(model, prior(), steps, 1e-3, 2, text_encoder=True, options=options, ctx=ctx)


def _lora_8bit(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    options = dataclasses.replace(options, optimizer="adamw_8bit")
    # Of this rank many matrices are large enough for 8 bits.
    return nodes.train_lora(model, captioned(), steps, 1e-3, 2, rank=128, options=options, ctx=ctx)


def _lora_averaged(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    options = dataclasses.replace(options, ema=0.9, schedule="cosine", horizon=20, precision="fp16", noise_offset=0.1)
    return nodes.train_lora(model, captioned(), steps, 1e-3, 2, kind="dora", options=options, ctx=ctx)


def _lora_free(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    options = dataclasses.replace(options, optimizer="schedule_free_adamw", caption_dropout=0.3)
    return nodes.train_lora(model, captioned(), steps, 1e-3, 2, kind="lokr", options=options, ctx=ctx)


def _dreambooth(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_dreambooth(model, prior(), steps, 1e-5, 2, text_encoder=True, options=options, ctx=ctx)


def _instruct(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_instruct_pix2pix(model, paired(), steps, 1e-5, 2, dropout=0.2, options=options, ctx=ctx)


def _inversion(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    own = captioned("a photo of <it>")
    return nodes.train_textual_inversion(
        model, own, ["<it>"], ["cat"], steps=steps, learning_rate=1e-2, batch=2, vectors=2, options=options, ctx=ctx
    )


def _custom(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    own = captioned("a photo of <it>")
    return nodes.train_custom_diffusion(
        model, own, ["<it>"], ["cat"], steps, 1e-4, 1e-2, batch=2, options=options, ctx=ctx
    )


def _controlnet(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_controlnet(model, paired(), steps, 1e-3, 2, options=options, ctx=ctx)


def _t2i(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_t2i_adapter(model, paired(), steps, 1e-3, 2, size="light", options=options, ctx=ctx)


def _ip(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_ip_adapter(model, captioned(), steps, 1e-3, 2, image_dropout=0.2, options=options, ctx=ctx)


@value("test_training.red")
@dataclass(frozen=True, eq=False)
class Red(Reward):
    """How much redder than blue pictures are."""

    differentiable: ClassVar[bool] = True

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.score_tensor(images, prompts)

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return (images[..., 0] - images[..., 2]).mean(dim=(1, 2))


def _dpo(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    return nodes.train_dpo(model, paired(), steps, 1e-3, 2, options=options, ctx=ctx)


def _ddpo(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    prompts = ["a red circle", "a cat"]
    return nodes.train_ddpo(
        model, prompts, Red(), steps, 1e-3, 2, pictures=4, sampling_steps=2, guidance=1.0, options=options, ctx=ctx
    )


def _ddpo_people(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    """Each process asks in an output folder of its own, as the jobs of a server do: beside the cache, by its number."""
    assert ctx._workspaces is not None
    cache = ctx._workspaces.folder
    out = cache.with_name(f"{cache.name}-out") / str(os.getpid())
    over = threading.Event()
    person = threading.Thread(target=rate, args=(out / "ratings", over))
    person.start()
    before, people.POLL_SECONDS = people.POLL_SECONDS, 0.01
    try:
        reward = nodes.reward_sum([nodes.reward_human(ctx=Context(out=out)), Red()])
        prompts = ["a red circle", "a cat"]
        return nodes.train_ddpo(
            model, prompts, reward, steps, 1e-3, 2, pictures=4, sampling_steps=2, guidance=1.0, options=options, ctx=ctx
        )
    finally:
        over.set()
        person.join()
        people.POLL_SECONDS = before


def rate(folder: Path, over: threading.Event) -> None:
    """What a person does who goes by the picture alone; `said.json` comes to name all that were asked for."""
    said: dict[str, float] = {}
    while not over.wait(0.005):
        if (folder / "asked.json").exists():
            asked = [entry["id"] for entry in json.loads((folder / "asked.json").read_text())]
            if not said.keys() >= set(asked):
                said |= {own: int(own[:4], 16) / 65535 for own in asked}
                (folder / "new.txt").write_text(json.dumps(said))
                (folder / "new.txt").rename(folder / "said.json")


def _backprop(model: Model, options: TrainOptions, ctx: Context, steps: int) -> Trained:
    prompts = ["a red circle", "a cat"]
    return nodes.train_reward_backprop(
        model, prompts, Red(), steps, 1e-3, 2, sampling_steps=2, guidance=1.0, options=options, ctx=ctx
    )


CALLS: dict[str, tuple[str, Call]] = {
    "lora": ("train_lora", _lora),
    "lora, 8 bits": ("train_lora", _lora_8bit),
    "lora, averaged": ("train_lora", _lora_averaged),
    "lora, schedule-free": ("train_lora", _lora_free),
    "dreambooth": ("train_dreambooth", _dreambooth),
    "instruct_pix2pix": ("train_instruct_pix2pix", _instruct),
    "textual_inversion": ("train_textual_inversion", _inversion),
    "custom_diffusion": ("train_custom_diffusion", _custom),
    "controlnet": ("train_controlnet", _controlnet),
    "t2i_adapter": ("train_t2i_adapter", _t2i),
    "ip_adapter": ("train_ip_adapter", _ip),
    "dpo": ("train_dpo", _dpo),
    "ddpo": ("train_ddpo", _ddpo),
    "ddpo, people": ("train_ddpo", _ddpo_people),
    "reward_backprop": ("train_reward_backprop", _backprop),
}
"""By a name for the test, the node and a small call of it."""


WARM = (
    "bitsandbytes",
    "peft",
    "schedulefree",
    "diffusers.optimization",
    "diffusers.models.adapter",
    "diffusers.models.controlnets.controlnet",
    "weft.nodes.training.running",
    *(f"weft.nodes.training.recipes.{name}" for name in ("lora", "dreambooth", "custom_diffusion", "controlnet")),
)


def warm(model: Model) -> None:
    """Import what the calls will, so that no child of this process does it anew."""
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    model.parts()
