"""Pictures with captions of their own as a data set."""

from __future__ import annotations

from pathlib import Path

from weft.engine import Context, NodeView, node
from weft.nodes.datasets.inputs import (
    Crops,
    Folder,
    ItemOptions,
    Missing,
    Repeats,
    RoleName,
    Side,
    Small,
    contents_with_masks,
    folder_check,
)
from weft.nodes.values.training import Dataset


def _look(text: str, view: NodeView) -> None:
    """What can be told before the run: folder, table and columns, or pictures."""
    from weft.nodes.datasets.files import files_in, folder_at, pictures_among
    from weft.nodes.datasets.layouts import CAPTION_COLUMNS, PICTURE_COLUMNS
    from weft.nodes.datasets.tables import chosen, columns_of, table_files

    folder = folder_at(text, view.resolve)
    texts = {name: str(view.literals.get(name, "")) for name in ("table", "image_column", "caption_column")}
    if "table" not in view.literals:
        return
    if files := table_files(folder, texts["table"]):
        names = columns_of(files)
        chosen(names, texts["image_column"], PICTURE_COLUMNS, "pictures", files[0].name)
        chosen(names, texts["caption_column"], CAPTION_COLUMNS, "captions", files[0].name)
    else:
        pictures_among(folder, files_in(folder, view.literals.get("recursive") is not False))


@node(
    "dataset_captioned",
    category="training",
    resource="io",
    fingerprint=contents_with_masks,
    check=folder_check(_look),
    content_key=True,
)
def dataset_captioned(
    folder: Folder,
    table: str = "",
    image_column: str = "",
    caption_column: str = "",
    caption: str = "",
    recursive: bool = False,
    missing: Missing = "refuse",
    role: RoleName = "instance",
    repeats: Repeats = 1,
    width: Side = 0,
    height: Side = 0,
    crops: Crops = 1,
    flip: bool = False,
    small: Small = "enlarge",
    masks: Folder = "",
    ctx: Context | None = None,
) -> Dataset:
    """A data set of pictures with a caption each: from text files beside them, or from a table.

    Without a table in the folder, the caption of `dog.png` is the text of `dog.txt` or `dog.caption`. A table is
    metadata.csv or metadata.jsonl, as Hugging Face's imagefolder has it (columns file_name and text), or parquet as
    its data sets are saved (pictures in a column image, captions in a column text). Parquet needs the package pyarrow.

    Pictures without a caption and captions without a picture are told all at once. A picture or a caption that cannot
    be read is named in the log and passed over.

    Args:
        folder: with pictures, or with a table.
        table: the name of its file in the folder (.csv, .jsonl, .parquet); empty for metadata.csv, metadata.jsonl,
            metadata.parquet, or all parquet files of the folder, or, without any, text files beside the pictures.
        image_column: of the table; empty for file_name, image, picture or path.
        caption_column: of the table; empty for text, caption or prompt.
        caption: for pictures that have none of their own.
        recursive: look into the folders in it too.
        missing: refuse the data set when a picture has no caption or a caption no picture, or skip these.
        role: instance pictures are learned, class pictures keep what the model knew, validation pictures are measured
            and never learned from.
        repeats: how often each one comes in an epoch.
        width: in pixels that they are trained at, a multiple of 8; 0 and 0 is the model's own size.
        height: likewise.
        crops: places at which a picture of another shape is cut, the middle first; each step takes one of them.
        flip: half of the steps see a picture mirrored, left to right.
        small: pictures with fewer pixels than that: enlarge them and say so, skip them, or refuse all.
        masks: a folder of masks with the pictures' names, in place of masks beside them (`dog.mask.png`).
    """
    from weft.nodes.datasets.files import folder_at
    from weft.nodes.datasets.items import dataset_of
    from weft.nodes.datasets.layouts import captioned, in_table
    from weft.nodes.datasets.tables import table_files

    ctx = ctx or Context()
    place = folder_at(folder, ctx.resolve_input_path)
    masks_at: Path | None = folder_at(masks, ctx.resolve_input_path) if masks else None
    files = [ctx.resolve_input_path(path) for path in table_files(place, table)]
    if files:
        layout = in_table(place, files, (image_column, caption_column), caption, recursive, masks_at)
    else:
        layout = captioned(place, caption, recursive, ctx.resolve_input_path, masks_at)
    layout = layout.settled(missing)
    options = ItemOptions(role, 0, repeats, (width, height), crops, flip, small)
    return dataset_of(layout.entries, options, ctx, layout.passed)
