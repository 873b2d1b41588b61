"""Images onto the disk, each carrying the workflow that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from weft.engine import Context, Files, NodeView, Problem, Range, node
from weft.nodes.values import Image

if TYPE_CHECKING:
    from pathlib import Path


def _check_name(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.naming import Name

    name, format = view.literals.get("name"), view.literals.get("format", "auto")
    message = Name.of(name, format).problem() if isinstance(name, str) and isinstance(format, str) else None
    if message:
        yield Problem(code="bad_value", node=view.id, input="name", message=message, given=name)


def _names_were_plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Braces in names were braces, and every file was a PNG file."""
    from weft.nodes.images.naming import escaped

    name = inputs.get("name")
    if isinstance(name, str):
        name = escaped(name)
    elif isinstance(name, list):
        name = [escaped(item) if isinstance(item, str) else item for item in name]
    return {**inputs, "name": name, "format": "png"}


def _only_png_carried_it(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """JPEG and WebP files carried neither workflow nor settings: one of whose format that is known stays so."""
    from weft.nodes.images.naming import Name

    name, format = inputs.get("name"), inputs.get("format", "auto")
    if not isinstance(format, str):
        return dict(inputs)
    if format == "auto" and isinstance(name, str):
        format = Name.of(name).format
    return {**inputs, "metadata": False} if format in ("jpeg", "webp") else dict(inputs)


@node(
    "save_image",
    version=3,  # 2: names have places in braces, and their suffixes say the format; 3: JPEG and WebP carry the workflow
    category="image",
    resource="io",
    output=True,
    side_files=True,
    check=_check_name,
    migrations={1: _names_were_plain, 2: _only_png_carried_it},
)
def save_image(
    image: Image,
    name: str,
    only: Annotated[int, Range(0, 2**31 - 1)] = 0,
    format: Literal["auto", "png", "jpeg", "webp"] = "auto",
    quality: Annotated[int, Range(1, 100)] = 90,
    metadata: bool = True,
    ctx: Context | None = None,
) -> Files:
    """Save images as 8-bit PNG, JPEG or WebP files in the output folder.

    An image that exists is never overwritten: the first free one of name.png, name_2.png, name_3.png ... is taken, and
    a batch takes one each. A file of these names that holds the very same bytes already is used again. A file appears
    whole or not at all. Files carry the workflow (weft_workflow) and what it ran with (weft_run): PNG as text, JPEG and
    WebP in their EXIF data. A JPEG file has room for 64 KiB of these: where both are larger it carries the workflow
    alone, where that is larger neither, and a warning says so.

    Args:
        image: one image or a batch.
        name: the file's name; may hold folders, as in night/owl. {seed} becomes the seed, where the run has one
            alone, {denoise.seed} that of the node denoise, and {counter} the first free number of 0001, 0002, 0003 and
            so on. A brace itself is written twice.
        only: which image of the batch to save, from 1; 0 saves all. The workflow in a picture of a batch says its
            number here, so that running the picture makes this one alone.
        format: auto takes the one that the name ends in (.png, .jpg, .jpeg, .webp), and PNG where it ends in none.
        quality: of JPEG and WebP files; PNG has no loss, and WebP of quality 100 has none.
        metadata: whether files carry the workflow and what it ran with.
    """
    import json

    import PIL.Image

    from weft.graphs.png import embed
    from weft.nodes.images.encoding import encode
    from weft.nodes.images.naming import Name
    from weft.nodes.images.saving import save_new
    from weft.nodes.values.pixels import eight_bit

    ctx = ctx or Context()
    count = len(image.pixels)
    if only > count:
        raise ValueError(f"only is {only}, but the batch has {count} {'image' if count == 1 else 'images'}")
    named = Name.of(name, format)
    if (problem := named.problem()) is not None:
        raise ValueError(problem)
    paths: list[Path] = []
    for number, pixels in enumerate(eight_bit(image.pixels), 1):
        if only not in (0, number):
            continue
        ctx.check_cancelled()
        texts = ctx.provenance(number, count, only=number)
        seeds = json.loads(texts.get("weft_run", "{}")).get("seeds", {}) if named.needs_seeds else {}
        exif = _exif(texts, named.format, ctx) if metadata and named.format != "png" else b""
        data = encode(PIL.Image.fromarray(pixels), named.format, quality, exif)
        if metadata and named.format == "png":
            data = embed(data, texts)
        paths.append(save_new(data, ctx.out, named.with_seeds(seeds), named.suffix, taken=paths))
    return Files.of(*paths)


def _exif(texts: Mapping[str, str], format: str, ctx: Context) -> bytes:
    """The texts as EXIF data, as far as the format has room for them; nothing where there are none."""
    from weft.graphs.exif import JPEG_ROOM, packed

    if not texts:
        return b""
    whole = packed(texts)
    if format != "jpeg" or len(whole) <= JPEG_ROOM:
        return whole
    workflow = packed({name: text for name, text in texts.items() if name == "weft_workflow"})
    fits = len(workflow) <= JPEG_ROOM
    missing = "what it ran with is" if fits else "the workflow is"
    ctx.log.warning(
        "%s left out of the JPEG file, which has room for %s bytes of metadata, not %s: png and webp have room for all",
        missing, f"{JPEG_ROOM:,}", f"{len(whole):,}",
    )  # fmt: skip
    return workflow if fits else b""
