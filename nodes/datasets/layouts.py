"""What lies where: pictures with captions beside them, in tables, and in pairs. Light at import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from weft.nodes.datasets.files import (
    CAPTIONS,
    MASK,
    PICTURES,
    Resolve,
    caption_in,
    files_in,
    has_suffix,
    is_mask,
    listed,
    pictures_among,
    stem_in,
)
from weft.nodes.datasets.inputs import Missing
from weft.nodes.datasets.items import Entry, Source
from weft.nodes.datasets.tables import Row, chosen, columns_of, rows_of, text_of
from weft.nodes.training.errors import TrainingError

PICTURE_COLUMNS = ("file_name", "image", "picture", "path")
CAPTION_COLUMNS = ("text", "caption", "prompt")
TARGET_COLUMNS = ("edited_image", "target_image", "image", "target", "file_name")
CONDITION_COLUMNS = ("conditioning_image", "original_image", "input_image", "source_image", "condition", "source")
INSTRUCTION_COLUMNS = ("edit_prompt", "text", "caption", "prompt")


@dataclass
class Layout:
    """What a folder or a table has. passed: what is not used, and why. lacking: what goes with nothing."""

    entries: list[Entry] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def settled(self, missing: Missing) -> Layout:
        """What lacks its other half is refused, all of it at once, or passed over.

        Raises:
            TrainingError: some of it, and `missing` is refuse.
        """
        if self.lacking and missing == "refuse":
            raise TrainingError(
                f"{len(self.lacking)} pictures or captions have nothing that they go with: {listed(self.lacking, 12)}. "
                "Complete them, or set `missing` to skip to do without them"
            )
        return Layout(self.entries, [*self.passed, *self.lacking])

    def add_captioned(self, entry: Entry) -> None:
        """An entry, where it has a caption; one without is lacking it."""
        if entry.caption:
            self.entries.append(entry)
        else:
            self.lacking.append(f"{entry.name} has no caption")

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Around one picture or row: what is wrong with it is noted, and the next one follows."""
        try:
            yield
        except _LackingError as error:
            self.lacking.append(str(error))
        except TrainingError as error:
            self.passed.append(str(error))


def plain(folder: Path, caption: str, recursive: bool, masks: Path | None = None) -> Layout:
    """All pictures of a folder, with one caption."""
    files = _files(folder, recursive, masks)
    pictures, others = pictures_among(folder, files)
    mask_of = _masks(folder, files, masks, recursive)
    entries = [Entry(_name(folder, path), path, caption, mask=mask_of.get(stem_in(folder, path))) for path in pictures]
    return Layout(entries, others)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _files(folder: Path, recursive: bool, but: Path | None) -> list[Path]:
    """The files of a folder, without those of another one within it, such as one of masks."""
    files = files_in(folder, recursive)
    if but is None or folder not in but.parents:
        return files
    return [path for path in files if but not in path.parents]


def _masks(folder: Path, files: Iterable[Path], masks: Path | None, recursive: bool) -> dict[str, Path]:
    """Masks by the stem of their pictures: those beside them, and those of a folder of their own."""
    beside = [path for path in files if has_suffix(path, PICTURES) and is_mask(path)]
    by_stem = {stem_in(folder, path)[: -len(MASK)]: path for path in beside}
    if masks is not None:
        by_stem |= {stem_in(masks, path): path for path in files_in(masks, recursive) if has_suffix(path, PICTURES)}
    return by_stem


def captioned(folder: Path, caption: str, recursive: bool, resolve: Resolve, masks: Path | None = None) -> Layout:
    """Pictures with captions in text files of the same name. caption: for those without one."""
    files = _files(folder, recursive, masks)
    pictures, others = pictures_among(folder, files)
    layout = Layout(passed=others)
    mask_of = _masks(folder, files, masks, recursive)
    texts = {stem_in(folder, path): path for path in reversed(files) if has_suffix(path, CAPTIONS)}
    for path in pictures:
        stem, name = stem_in(folder, path), _name(folder, path)
        with layout.noting():
            own = caption_in(texts[stem], _name(folder, texts[stem]), resolve) if stem in texts else ""
            layout.add_captioned(Entry(name, path, own or caption, mask=mask_of.get(stem)))
    known = {stem_in(folder, path) for path in pictures}
    lonely = [path for stem, path in texts.items() if stem not in known]
    layout.lacking.extend(f"{_name(folder, path)} has no picture" for path in sorted(lonely))
    return layout


def in_table(
    folder: Path,
    files: Sequence[Path],
    columns: tuple[str, str],
    caption: str,
    recursive: bool,
    masks: Path | None = None,
) -> Layout:
    """Pictures and captions by a table. columns: of pictures and of captions, "" for the usual ones."""
    names, table = columns_of(files), files[0].name
    of_pictures = chosen(names, columns[0], PICTURE_COLUMNS, "pictures", table)
    of_captions = chosen(names, columns[1], CAPTION_COLUMNS, "captions", table)
    layout, used = Layout(), set()
    mask_of = _masks(folder, files_in(folder, recursive), masks, recursive)
    for row in rows_of(files, (of_pictures, of_captions)):
        with layout.noting():
            source, name = _source(folder, row, of_pictures)
            text = text_of(row, of_captions) or caption
            mask = None
            if isinstance(source, Path):
                used.add(source)
                mask = mask_of.get(stem_in(folder, source))
            layout.add_captioned(Entry(name, source, text, mask=mask))
    if used:
        rest = _files(folder, recursive, masks)
        spare = [path for path in rest if has_suffix(path, PICTURES) and not is_mask(path) and path not in used]
        layout.lacking.extend(f"{_name(folder, path)} is not in {table}" for path in spare)
    return layout


class _LackingError(TrainingError):
    """A row whose picture is not there."""


def _source(folder: Path, row: Row, column: str) -> tuple[Source, str]:
    """The picture of a row: a file below the folder, or bytes; and its name for messages.

    Raises:
        TrainingError: the cell is neither. _LackingError: the file is not there.
    """
    cell: Any = row.cells.get(column)
    if isinstance(cell, Mapping):
        data, path = cell.get("bytes"), cell.get("path")
        if isinstance(data, bytes):
            return data, f"{row.where} ({path})" if isinstance(path, str) and path else row.where
        cell = path
    if isinstance(cell, bytes):
        return cell, row.where
    if cell is None or cell == "":
        raise _LackingError(f"{row.where} has no {column}")
    if not isinstance(cell, str) or "\0" in cell:
        raise TrainingError(f"{row.where}: {column} is neither the name of a file nor a picture")
    relative = PurePosixPath(cell.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or ":" in relative.parts[0]:
        raise TrainingError(f"{row.where}: {cell} does not lie in the folder of the table")
    path = folder / relative
    if not path.is_file():
        raise _LackingError(f"{row.where}: there is no file {cell}")
    return path, relative.as_posix()


def paired(folder: Path, conditions: Path, caption: str, recursive: bool, resolve: Resolve) -> Layout:
    """Pairs by the names of their files, in two folders, with captions beside the pictures or one for all."""
    if folder == conditions:
        raise TrainingError("pictures and conditions lie in one folder: give each a folder of its own, or a table")
    files = _files(folder, recursive, conditions)
    pictures, others = pictures_among(folder, files)
    hints, more = pictures_among(conditions, _files(conditions, recursive, folder))
    layout = Layout(passed=[*others, *more])
    texts = {stem_in(folder, path): path for path in reversed(files) if has_suffix(path, CAPTIONS)}
    beside = {stem_in(conditions, p): p for p in files_in(conditions, recursive) if has_suffix(p, CAPTIONS)}
    texts = beside | texts
    _refuse_twins(folder, pictures)
    _refuse_twins(conditions, hints)
    by_stem = {stem_in(conditions, path): path for path in hints}
    mask_of = _masks(folder, files, None, recursive)
    for path in pictures:
        stem, name = stem_in(folder, path), _name(folder, path)
        hint = by_stem.pop(stem, None)
        if hint is None:
            layout.lacking.append(f"{name} has no condition of that name")
            continue
        with layout.noting():
            own = caption_in(texts[stem], texts[stem].name, resolve) if stem in texts else ""
            layout.entries.append(Entry(name, path, own or caption, hint, mask_of.get(stem)))
    layout.lacking.extend(f"{conditions.name}/{_name(conditions, path)} has no picture" for path in by_stem.values())
    return layout


def _refuse_twins(folder: Path, pictures: Iterable[Path]) -> None:
    """Two files of one name but the suffix: nobody could say which of them is meant."""
    seen: dict[str, Path] = {}
    twins = []
    for path in pictures:
        other = seen.setdefault(stem_in(folder, path), path)
        if other != path:
            twins.append(f"{_name(folder, other)} and {_name(folder, path)}")
    if twins:
        raise TrainingError(f"{folder.name} has pictures of the same name: {listed(twins)}. Rename one of each")


def paired_in_table(folder: Path, files: Sequence[Path], columns: tuple[str, str, str], caption: str) -> Layout:
    """Pairs by a table. columns: of pictures, conditions and captions, "" for the usual ones."""
    names, table = columns_of(files), files[0].name
    of_conditions = chosen(names, columns[1], CONDITION_COLUMNS, "conditions", table)
    rest = [name for name in names if name != of_conditions]
    of_pictures = chosen(rest, columns[0], TARGET_COLUMNS, "pictures", table)
    of_captions = ""
    if columns[2] or not caption:
        of_captions = chosen(names, columns[2], INSTRUCTION_COLUMNS, "captions", table)
    layout = Layout()
    wanted = (of_pictures, of_conditions, *([of_captions] if of_captions else []))
    for row in rows_of(files, wanted):
        with layout.noting():
            picture, name = _source(folder, row, of_pictures)
            condition, _ = _source(folder, row, of_conditions)
            text = (text_of(row, of_captions) if of_captions else "") or caption
            layout.entries.append(Entry(name, picture, text, condition))
    return layout
