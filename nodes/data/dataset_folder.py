"""All pictures of a folder as a data set, with one caption."""

from __future__ import annotations

from weft.engine import Context, NodeView, node
from weft.nodes.datasets.inputs import (
    Crops,
    Folder,
    ItemOptions,
    Repeats,
    RoleName,
    Side,
    Small,
    contents_with_masks,
    folder_check,
)
from weft.nodes.values.training import Dataset


def _look(text: str, view: NodeView) -> None:
    from weft.nodes.datasets.files import folder_at
    from weft.nodes.datasets.layouts import plain

    plain(folder_at(text, view.resolve), "", recursive=view.literals.get("recursive") is not False)


@node(
    "dataset_folder",
    category="training",
    resource="io",
    fingerprint=contents_with_masks,
    check=folder_check(_look),
    content_key=True,
)
def dataset_folder(
    folder: Folder,
    caption: str = "",
    recursive: bool = False,
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
    """A data set of all PNG, JPEG and WebP pictures in a folder, with one caption for all of them.

    A picture that cannot be read is named in the log and passed over. A mask beside a picture, `dog.mask.png` for
    `dog.png`, says what counts in the loss: white counts, black does not.

    Args:
        folder: with pictures in it.
        caption: of each picture, such as DreamBooth's "a photo of sks dog"; empty for none.
        recursive: look into the folders in it too.
        role: instance pictures are learned, class pictures keep what the model knew, validation pictures are measured
            and never learned from.
        repeats: how often each one comes in an epoch.
        width: in pixels that they are trained at, a multiple of 8; 0 and 0 is the model's own size. Pictures of another
            shape are cut.
        height: likewise.
        crops: places at which a picture of another shape is cut, the middle first; each step takes one of them.
        flip: half of the steps see a picture mirrored, left to right.
        small: pictures with fewer pixels than that: enlarge them and say so, skip them, or refuse all.
        masks: a folder of masks with the pictures' names, in place of masks beside them.
    """
    from weft.nodes.datasets.files import folder_at
    from weft.nodes.datasets.items import dataset_of
    from weft.nodes.datasets.layouts import plain

    ctx = ctx or Context()
    place = folder_at(folder, ctx.resolve_input_path)
    layout = plain(place, caption, recursive, folder_at(masks, ctx.resolve_input_path) if masks else None)
    options = ItemOptions(role, 0, repeats, (width, height), crops, flip, small)
    return dataset_of(layout.entries, options, ctx, layout.passed)
