"""Tables of pictures and captions: metadata.csv and metadata.jsonl as Hugging Face's imagefolder has them, and parquet.

Light at import. Limits are looked at before anything is read whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.graphs.problems import near
from weft.nodes.datasets.files import MAX_PICTURES, has_suffix, listed
from weft.nodes.training.errors import TrainingError

MAX_TABLE_BYTES = 256 * 1024 * 1024
"""Largest table of text that is read."""
MAX_PARQUET_BYTES = 4 * 1024 * 1024 * 1024
"""Most bytes, unpacked, of the columns that are read of a parquet table: the data set holds its pictures."""
MAX_CAPTION = 16_384
"""Characters of a caption in a table."""
LINES = (".jsonl", ".json")
NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
PARQUET = ".parquet"


@dataclass(frozen=True)
class Row:
    """A row of a table. where: for messages, such as ``metadata.csv, line 3``. cells: of the columns asked for."""

    where: str
    cells: dict[str, Any]


def table_files(folder: Path, name: str) -> list[Path]:
    """The files of a table: the one that is named, or what a folder has; none where it has no table.

    Of several parquet files each holds a part of the rows, in the order of their names.

    Raises:
        TrainingError: the named one is not there, or the folder has several tables.
    """
    if name:
        path = folder / name
        if not path.is_file():
            names = [p.name for p in folder.iterdir() if p.suffix.lower() in (".csv", *LINES, PARQUET)]
            hint = near(name, names)
            there = f"did you mean {hint}?" if hint else f"tables in it: {listed(sorted(names)) or 'none'}"
            raise TrainingError(f"{folder.name} has no file {name}: {there}")
        return [path]
    files = [folder / usual for usual in NAMES if (folder / usual).is_file()]
    if len(files) > 1:
        raise TrainingError(f"{folder.name} has {' and '.join(p.name for p in files)}: name one of them in `table`")
    return files or sorted(p for p in folder.iterdir() if has_suffix(p, (PARQUET,)) and p.is_file())


def columns_of(files: Sequence[Path]) -> list[str]:
    """The names of a table's columns.

    Raises:
        TrainingError: it cannot be read.
    """
    first = files[0]
    if has_suffix(first, (PARQUET,)):
        return list(_parquet(first).schema_arrow.names)
    if has_suffix(first, LINES):
        return list(dict.fromkeys(name for _, line in _lines(first) for name in line))
    reader = _csv(first)
    return list(reader.fieldnames or [])


def chosen(columns: Sequence[str], column: str, usual: Sequence[str], what: str, table: str) -> str:
    """The column that is named, or the first of the usual ones that there is.

    Raises:
        TrainingError: there is none.
    """
    if column:
        if column in columns:
            return column
        hint = near(column, columns)
        raise TrainingError(
            f"{table} has no column {column!r} of {what}: "
            + (f"did you mean {hint!r}? " if hint else "")
            + f"it has {listed(columns, 12)}"
        )
    for name in usual:
        for form in (name, f"{name}_file_name"):
            if form in columns:
                return form
    raise TrainingError(
        f"{table} has no column of {what}: none is called {', '.join(usual)}; name one of {listed(columns, 12)}"
    )


def rows_of(files: Sequence[Path], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, with these columns.

    Raises:
        TrainingError: it cannot be read, or has too many rows or bytes.
    """
    for number, row in enumerate(_rows(files, columns)):
        if number == MAX_PICTURES:
            raise TrainingError(f"{files[0].name} has more than {MAX_PICTURES:,} rows: use a part of it")
        yield row


def _rows(files: Sequence[Path], columns: Sequence[str]) -> Iterator[Row]:
    if has_suffix(files[0], (PARQUET,)):
        total = 0
        for path in files:
            total = _check_parquet(path, columns, total)
        for path in files:
            yield from _parquet_rows(path, columns)
    elif has_suffix(files[0], LINES):
        for number, line in _lines(files[0]):
            yield Row(f"{files[0].name}, line {number}", {name: line.get(name) for name in columns})
    else:
        reader = _csv(files[0])
        try:
            for line in reader:
                yield Row(f"{files[0].name}, line {reader.line_num}", {name: line.get(name) for name in columns})
        except csv.Error as error:
            raise TrainingError(f"{files[0].name}, line {reader.line_num}: {error}") from error


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_TABLE_BYTES:
            raise TrainingError(f"{path.name} has {size:,} bytes; at most {MAX_TABLE_BYTES:,} are read")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path.name} is no UTF-8 text: byte {error.start:,} is wrong") from None
    except OSError as error:
        raise TrainingError(f"{path.name} cannot be read: {error.strerror or error}") from error


def _csv(path: Path) -> csv.DictReader[str]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        names = reader.fieldnames
    except csv.Error as error:
        raise TrainingError(f"{path.name}: {error}") from error
    if not names:
        raise TrainingError(f"{path.name} is empty: its first line has to name the columns, such as file_name,text")
    return reader


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a file with one on each line, by the number of the line."""
    lines, wrong = [], []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            wrong.append(f"line {number} is no JSON ({error})")
            continue
        if isinstance(item, dict):
            lines.append((number, item))
        else:
            wrong.append(f"line {number} is no object")
    if wrong:
        raise TrainingError(f"{path.name} has to hold one JSON object on each line: {listed(wrong, 5)}")
    if not lines:
        raise TrainingError(f"{path.name} has no rows")
    return lines


def _parquet(path: Path) -> Any:
    try:
        from pyarrow.lib import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise TrainingError(
            f"{path.name}: reading parquet needs the package pyarrow, which is not installed; or save the table as "
            "metadata.csv or metadata.jsonl beside picture files"
        ) from error
    try:
        return ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise TrainingError(f"{path.name} cannot be read as parquet: {error}") from error


def _check_parquet(path: Path, columns: Sequence[str], before: int) -> int:
    """Bytes of the columns, unpacked, together with those of the files before."""
    data = _parquet(path).metadata
    total = before
    for group in range(data.num_row_groups):
        one = data.row_group(group)
        for number in range(one.num_columns):
            column = one.column(number)
            if column.path_in_schema.split(".")[0] in columns:
                total += column.total_uncompressed_size
    if data.num_rows > MAX_PICTURES:
        raise TrainingError(f"{path.name} has {data.num_rows:,} rows; at most {MAX_PICTURES:,} are read")
    if total > MAX_PARQUET_BYTES:
        raise TrainingError(
            f"{path.name}: the columns {', '.join(columns)} hold {total:,} bytes unpacked; the limit is "
            f"{MAX_PARQUET_BYTES:,}: save the pictures as files with a metadata.jsonl"
        )
    return total


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    from pyarrow.lib import ArrowException

    number = 0
    try:
        for batch in _parquet(path).iter_batches(batch_size=64, columns=list(dict.fromkeys(columns))):
            for cells in batch.to_pylist():
                number += 1
                yield Row(f"{path.name}, row {number}", cells)
    except (ArrowException, OSError) as error:
        raise TrainingError(f"{path.name} cannot be read after row {number}: {error}") from error


def text_of(row: Row, column: str) -> str:
    """A caption, on one line; "" where there is none.

    Raises:
        TrainingError: it is no text, or a too long one.
    """
    cell = row.cells.get(column)
    if cell is None:
        return ""
    if isinstance(cell, list) and all(isinstance(part, str) for part in cell):  # several captions: the first counts
        cell = cell[0] if cell else ""
    if not isinstance(cell, str):
        raise TrainingError(f"{row.where}: {column} is no text")
    if len(cell) > MAX_CAPTION:
        raise TrainingError(f"{row.where}: {column} has {len(cell):,} characters; at most {MAX_CAPTION:,} are allowed")
    return " ".join(cell.split())
