"""Pictures that a model makes of a class, each kept by its prompt and seed in a folder that outlives the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from weft.engine import Context
from weft.nodes.basic.decode import decode
from weft.nodes.basic.denoise import SchedulerName, denoise
from weft.nodes.basic.encode_prompt import encode_prompt
from weft.nodes.images.encoding import encode
from weft.nodes.sampling.content import Contents, code, machine
from weft.nodes.techniques.cfg import cfg
from weft.nodes.training.denoiser import model_identity
from weft.nodes.training.pictures import digest_of
from weft.nodes.values.model import Model
from weft.nodes.values.training import Item, Picture

SEEDS = 2**63
"""Seeds go on at 0 after the largest."""
BEGIN, END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Drawing:
    """How a picture is made. width, height: in pixels, 0 for the model's own."""

    negative: str = ""
    steps: int = 25
    guidance_scale: float = 7.5
    scheduler: SchedulerName = "default"
    width: int = 0
    height: int = 0


def class_items(
    model: Model, prompts: Sequence[str], seeds: Sequence[int], how: Drawing, batch: int, ctx: Context
) -> list[Item]:
    """A class image of each prompt and seed; those that were made before are not made again.

    Raises:
        Cancelled: the run was cancelled; pictures that were made are kept.
    """
    items: list[Item] = []
    size = (how.width, how.height)
    for number, prompt in enumerate(prompts):

        def tell(done: int, before: int = number * len(seeds)) -> None:
            ctx.progress(before + done, len(prompts) * len(seeds), "class images")

        pictures = _pictures(model, prompt, seeds, how, batch, ctx, tell)
        items.extend(
            Item(
                picture=Picture(f"class image {prompt!r} {seed}", digest_of(data), data=data),
                caption=prompt,
                role="class",
                size=size,
            )
            for seed, data in zip(seeds, pictures, strict=True)
        )
    return items


def pictures_key(model: Model, prompt: str, how: Drawing) -> str:
    """Identifies what a seed gives: model, prompt, steps, code and machine."""
    parts = (code(), machine(torch.device(model.device)), model_identity(model), prompt, asdict(how))
    return Contents().key(("class images", *parts)).hex()


def _pictures(
    model: Model,
    prompt: str,
    seeds: Sequence[int],
    how: Drawing,
    batch: int,
    ctx: Context,
    tell: Callable[[int], None],
) -> list[bytes]:
    """PNG files, one for each seed."""
    key = pictures_key(model, prompt, how)
    files: dict[int, bytes] = {}

    def read(folder: Path, wanted: Sequence[int]) -> None:
        files.update((seed, data) for seed in wanted if (data := _read(folder / f"{seed}.png")) is not None)

    with ctx.shared_workspace(key) as folder:
        read(folder, seeds)
    tell(len(files))
    while missing := [seed for seed in dict.fromkeys(seeds) if seed not in files][:batch]:
        # The folder is let go before the device is: who waits for the one while it has the other would wait for ever.
        with ctx.shared_workspace(key) as folder:
            read(folder, missing)
            for first, count in _stretches([seed for seed in missing if seed not in files]):
                for seed, data in enumerate(_draw(model, prompt, first, count, how, ctx), first):
                    files[seed] = data
                    _write(folder / f"{seed}.png", data)
        tell(len(files))
        with ctx.yield_device():
            pass
    return [files[seed] for seed in seeds]


def _stretches(seeds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First seed and length of those that follow one another."""
    start = 0
    for place in range(1, len(seeds) + 1):
        if place == len(seeds) or seeds[place] != seeds[place - 1] + 1:
            yield seeds[start], place - start
            start = place


def _draw(model: Model, prompt: str, seed: int, count: int, how: Drawing, ctx: Context) -> list[bytes]:
    """Files of a batch whose image k is drawn with seed + k."""
    # Its own progress and its steps of earlier runs are not this node's; its end is.
    inner = Context(cancel=ctx.token)
    guidance = cfg(encode_prompt(model, prompt), encode_prompt(model, how.negative), scale=how.guidance_scale)
    latents = denoise(
        model,
        [guidance],
        steps=how.steps,
        scheduler=how.scheduler,
        seed=seed,
        batch=count,
        width=how.width,
        height=how.height,
        ctx=inner,
    ).latents
    image = decode(model, latents, ctx=inner)
    return [encode(image.pil(number), "png") for number in range(count)]


def _read(path: Path) -> bytes | None:
    """A file that was written whole; others are made anew."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if data.startswith(BEGIN) and data.endswith(END) else None


def _write(path: Path, data: bytes) -> None:
    """Under a name of its own first. What cannot be kept is made again the next time."""
    aside = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            aside.write_bytes(data)
            os.replace(aside, path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
