"""Pictures in pairs as a data set: with a hint each, or before and after an edit."""

from __future__ import annotations

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
    folder_check,
)
from weft.nodes.values.training import Dataset


def _fingerprint(folder: str, conditions: str) -> str:
    from weft.nodes.datasets.files import contents

    return contents(folder, conditions)


def _look(text: str, view: NodeView) -> None:
    from weft.nodes.datasets.files import files_in, folder_at, pictures_among
    from weft.nodes.datasets.layouts import CONDITION_COLUMNS, TARGET_COLUMNS
    from weft.nodes.datasets.tables import chosen, columns_of, table_files
    from weft.nodes.training.errors import TrainingError

    folder = folder_at(text, view.resolve)
    if any(name not in view.literals for name in ("table", "conditions", "image_column", "condition_column")):
        return
    if view.literals["conditions"]:
        pictures_among(folder, files_in(folder, view.literals.get("recursive") is not False))
        return
    files = table_files(folder, str(view.literals["table"]))
    if not files:
        raise TrainingError(_nothing(folder.name))
    names = columns_of(files)
    hints = chosen(names, str(view.literals["condition_column"]), CONDITION_COLUMNS, "conditions", files[0].name)
    rest = [name for name in names if name != hints]
    chosen(rest, str(view.literals["image_column"]), TARGET_COLUMNS, "pictures", files[0].name)


def _nothing(name: str) -> str:
    return f"{name} has no table of pairs: name the folder of the second pictures in `conditions`, or a table"


@node(
    "dataset_paired",
    category="training",
    resource="io",
    fingerprint=_fingerprint,
    check=folder_check(_look),
    content_key=True,
)
def dataset_paired(
    folder: Folder,
    conditions: Folder = "",
    table: str = "",
    image_column: str = "",
    condition_column: str = "",
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
    ctx: Context | None = None,
) -> Dataset:
    """A data set of pictures with a second picture each, from two folders or a table.

    For a ControlNet or a T2I-Adapter, `folder` has the pictures that are to come out, `conditions` the hints (edges,
    depth, poses). For InstructPix2Pix, `folder` has the pictures after the edit, `conditions` those before it, and the
    captions say what to do. Of two folders, pictures with the same name belong together (`7.jpg` and `7.png` too),
    and `7.txt` is their caption. Both are cut and mirrored alike.

    Args:
        folder: with the pictures that are to come out, or with a table.
        conditions: a folder with the pictures that they are made from; empty where a table says which they are.
        table: the name of its file in the folder (.csv, .jsonl, .json with an object on each line, .parquet); empty for
            metadata.csv, metadata.jsonl, metadata.parquet, or all parquet files of the folder.
        image_column: of the table; empty for edited_image, target_image, image, target or file_name.
        condition_column: of the table; empty for conditioning_image, original_image, input_image, source_image,
            condition or source.
        caption_column: of the table; empty for edit_prompt, text, caption or prompt.
        caption: for pairs that have none of their own.
        recursive: look into the folders in them too.
        missing: refuse the data set when a picture lacks its other half, or skip these.
        role: instance pictures are learned, class pictures keep what the model knew, validation pictures are measured
            and never learned from.
        repeats: how often each one comes in an epoch.
        width: in pixels that they are trained at, a multiple of 8; 0 and 0 is the model's own size.
        height: likewise.
        crops: places at which a picture of another shape is cut, the middle first; each step takes one of them.
        flip: half of the steps see both pictures mirrored, left to right.
        small: pictures with fewer pixels than that: enlarge them and say so, skip them, or refuse all.
    """
    from weft.nodes.datasets.files import folder_at
    from weft.nodes.datasets.items import dataset_of
    from weft.nodes.datasets.layouts import paired, paired_in_table
    from weft.nodes.datasets.tables import table_files
    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    place = folder_at(folder, ctx.resolve_input_path)
    if conditions:
        if table:
            raise TrainingError("a folder of conditions and a table are given: the table says which they are, so one")
        layout = paired(
            place, folder_at(conditions, ctx.resolve_input_path), caption, recursive, ctx.resolve_input_path
        )
    else:
        files = [ctx.resolve_input_path(path) for path in table_files(place, table)]
        if not files:
            raise TrainingError(_nothing(place.name))
        layout = paired_in_table(place, files, (image_column, condition_column, caption_column), caption)
    layout = layout.settled(missing)
    options = ItemOptions(role, 0, repeats, (width, height), crops, flip, small)
    return dataset_of(layout.entries, options, ctx, layout.passed)
