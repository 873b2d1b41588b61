"""The same prompts and seeds with and without what was learned, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from weft.engine import Context, NodeView, Problem, Range, node
from weft.nodes.values import Image, Model
from weft.nodes.values.training import Adapter


class Comparison(NamedTuple):
    """What is compared.

    Args:
        image: a sheet with a row for each prompt and seed: without any adapter, and with each.
        table: by adapter and row, how far the picture is from the one without, tab-separated.
        images: the pictures of the sheet, row by row.
    """

    image: Image
    table: str
    images: list[Image]


def _check(view: NodeView) -> Iterator[Problem]:
    for name in ("prompts", "seeds"):
        if view.literals.get(name) == []:
            message = f"no {name} are given: give at least one."
            yield Problem(code="bad_value", node=view.id, input=name, message=message, given=[])


@node("compare_adapters", category="training", resource="device", check=_check)
def compare_adapters(
    model: Model,
    adapters: list[Adapter],
    prompts: list[str],
    seeds: list[Annotated[int, Range(0, 2**63 - 1)]] = [0],  # noqa: B006 - the signature is the schema
    labels: list[str] = [],  # noqa: B006
    strength: Annotated[float, Range(-10.0, 10.0, usual=(0.0, 1.5))] = 1.0,
    negative: str = "",
    steps: Annotated[int, Range(1, 1000, usual=(10, 100))] = 30,
    scale: Annotated[float, Range(0.0, 100.0, usual=(1.0, 15.0))] = 7.5,
    width: Annotated[int, Range(0, 16384)] = 0,
    height: Annotated[int, Range(0, 16384)] = 0,
    ctx: Context | None = None,
) -> Comparison:
    """Make the same pictures without any adapter and with each of several, on one sheet.

    Args:
        model: without adapters; each is applied to it by itself.
        adapters: what trainings gave, such as the steps of one or several ranks; of kinds that change a model.
        prompts: what is drawn. A learned word in it is letters to the model that lacks it.
        seeds: each prompt is drawn with each of these.
        labels: what to call the adapters, one each; without them they are numbered.
        strength: of all adapters but learned words, which have none.
        negative: what pictures should not show.
        steps: of each picture.
        scale: of the guidance.
        width: of each picture in pixels; 0 is the model's own.
        height: likewise.
    """
    from weft.nodes.images.colour import parse_colour
    from weft.nodes.images.sheets import Labels, sheet
    from weft.nodes.techniques.wired import applied

    ctx = ctx or Context()
    if not prompts or not seeds:
        raise ValueError("there is nothing to draw: give at least one prompt and one seed")
    if labels and len(labels) != len(adapters):
        raise ValueError(f"there are {len(labels)} labels for {len(adapters)} adapters: give one each, or none")
    names = ["without", *(labels or [f"adapter {number}" for number in range(1, len(adapters) + 1)])]
    own = [1.0 if adapter.kind == "embedding" else strength for adapter in adapters]
    models = [model, *(applied(model, one, share, ctx) for one, share in zip(adapters, own, strict=True))]
    cells = [(prompt, seed) for prompt in prompts for seed in seeds]
    columns: list[list[Image]] = []
    for changed in models:  # one model after another, so that each is loaded once
        with changed.parts():
            column: list[Image] = []
            for prompt, seed in cells:
                ctx.check_cancelled()
                ctx.progress(len(columns) * len(cells) + len(column), len(models) * len(cells))
                column.append(_picture(changed, prompt, negative, seed, scale, steps, (width, height), ctx))
            columns.append(column)
    rows = [[column[place] for column in columns] for place in range(len(cells))]
    beside = [f"{prompt}, seed {seed}" if len(seeds) > 1 else prompt for prompt, seed in cells]
    drawn = sheet(
        [[image.pixels[0] for image in row] for row in rows],
        4,
        parse_colour("white"),
        Labels(rows=beside, columns=names),
    )
    return Comparison(Image(drawn[None]), _table(names, cells, rows), [image for row in rows for image in row])


def _picture(
    model: Model, prompt: str, negative: str, seed: int, scale: float, steps: int, size: tuple[int, int], ctx: Context
) -> Image:
    from weft.nodes.basic.decode import decode
    from weft.nodes.basic.denoise import denoise
    from weft.nodes.basic.encode_prompt import encode_prompt
    from weft.nodes.techniques.cfg import cfg

    texts = [encode_prompt.node_type.fn(model, text, ctx=ctx) for text in (prompt, negative)]
    guidance = cfg.node_type.fn(*texts, scale=scale)
    done = denoise.node_type.fn(model, [guidance], steps=steps, seed=seed, width=size[0], height=size[1], ctx=ctx)
    picture: Image = decode.node_type.fn(model, done.latents, ctx=ctx)
    return picture


def _table(names: list[str], cells: list[tuple[str, int]], rows: list[list[Image]]) -> str:
    """Mean absolute differences of pixels in levels of 0 to 255, each picture from the first of its row."""
    lines = ["\t".join(("prompt", "seed", *names[1:]))]
    for (prompt, seed), row in zip(cells, rows, strict=True):
        first = row[0].pixels
        numbers = [f"{float((image.pixels - first).abs().mean()) * 255:.2f}" for image in row[1:]]
        lines.append("\t".join((" ".join(prompt.split()), str(seed), *numbers)))
    return "\n".join(lines)
