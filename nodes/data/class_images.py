"""Pictures of a class that the model makes itself, so that it keeps what it knew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from weft.engine import Context, NodeView, Output, Problem, Range, Widget, node
from weft.nodes.basic.denoise import SchedulerName
from weft.nodes.checks import model_of
from weft.nodes.datasets.inputs import Side, size_problems
from weft.nodes.training.inputs import Seed
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset

MAX_IMAGES = 20_000


def _faults(prompt: object, more: object, count: object) -> Iterator[tuple[str, str]]:
    if not isinstance(prompt, str) or not isinstance(more, (list, tuple)) or not isinstance(count, int):
        return
    prompts = [prompt, *map(str, more)]
    if len(set(prompts)) < len(prompts):
        yield "more_prompts", "a prompt is given twice: its pictures would be the same ones again"
    if len(prompts) * count > MAX_IMAGES:
        yield "count", f"{len(prompts) * count:,} pictures are asked for; at most {MAX_IMAGES:,} are made"


def _check(view: NodeView) -> Iterator[Problem]:
    yield from size_problems(view)
    literals = (view.literals.get(name) for name in ("prompt", "more_prompts", "count"))
    for input, message in _faults(*literals):
        yield Problem(code="bad_value", node=view.id, input=input, message=message, given=view.literals.get(input))


@node("class_images", category="training", resource="device", tags=(model_of("model"),), check=_check)
def class_images(
    model: Model,
    prompt: Annotated[str, Widget("textarea")],
    count: Annotated[int, Range(1, MAX_IMAGES, usual=(1, 400))] = 100,
    steps: Annotated[int, Range(1, 1000, usual=(10, 100))] = 25,
    guidance_scale: Annotated[float, Range(0.0, 100.0, usual=(0.0, 20.0))] = 7.5,
    negative: Annotated[str, Widget("textarea")] = "",
    scheduler: SchedulerName = "default",
    width: Side = 0,
    height: Side = 0,
    batch: Annotated[int, Range(1, 64)] = 4,
    more_prompts: list[str] = [],  # noqa: B006 - the signature is the schema; it is never changed
    seed: Seed = 0,
    ctx: Context | None = None,
) -> Annotated[Dataset, Output("dataset")]:
    """Let a model draw pictures of a class, for prior preservation (DreamBooth, arXiv 2208.12242): what it makes of "a
    dog" before it learns one dog is what it should make of it afterwards.

    Each picture is kept by its prompt and seed: 200 after 100 make 100 more, also when a run was cancelled on the way.
    Join them with the pictures to learn from (`join_datasets`).

    Args:
        model: that will be trained, before its training.
        prompt: of the class, such as "a photo of a dog"; it is the pictures' caption.
        count: how many pictures of each prompt.
        steps: of the denoising.
        guidance_scale: see `cfg`.
        negative: see `cfg`.
        scheduler: see `denoise`.
        width: in pixels, a multiple of 8; 0 and 0 is the model's own size. They are trained at this size too.
        height: likewise.
        batch: how many are made at once; more take more memory.
        more_prompts: of each of these there are `count` pictures too.
        seed: picture k of a prompt is drawn with seed + k.
    """
    from weft.nodes.datasets.class_pictures import SEEDS, Drawing, class_items
    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    prompts = [prompt, *more_prompts]
    if wrong := [message for _, message in _faults(prompt, more_prompts, count)]:
        raise TrainingError("; ".join(wrong))
    how = Drawing(negative, steps, guidance_scale, scheduler, width, height)
    seeds = [(seed + number) % SEEDS for number in range(count)]
    return Dataset(tuple(class_items(model, prompts, seeds, how, batch, ctx)))
