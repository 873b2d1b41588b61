"""Checkpoints of one training in a folder: each is safetensors and JSON, written aside and renamed.

`step-00000500/state.safetensors` holds tensors, `meta.json` the rest; `curve.jsonl` beside them has a line a step.
Whatever ends the process, what has its final name is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from weft.nodes.training.errors import TrainingError

log = logging.getLogger("weft.training")

FORMAT = 1
KEEP = 2
"""How many of the newest stay."""
_FOLDER = re.compile(r"step-(\d{8})")
TENSORS, META, CURVE = "state.safetensors", "meta.json", "curve.jsonl"


@dataclass(frozen=True)
class Saved:
    """A checkpoint in a folder. step: after which it was made. digest: of the tensors' file. final: it stays."""

    step: int
    folder: Path
    digest: str
    final: bool = False


@dataclass(frozen=True)
class State:
    """A training after some steps, as a checkpoint has it. meta: plain data."""

    saved: Saved
    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """How many steps were done."""
        return self.saved.step

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.saved.folder


class Checkpoints:
    """The checkpoints of one training.

    folder: for them alone, with one user at a time. keep_every: those of every so many steps stay for good, 0 for none.
    """

    def __init__(self, folder: Path, keep_every: int = 0) -> None:
        self.folder = folder
        self._keep_every = keep_every

    def steps(self) -> list[int]:
        """Those that there are, in order."""
        with contextlib.suppress(OSError):
            return sorted(int(found[1]) for path in self.folder.iterdir() if (found := _FOLDER.fullmatch(path.name)))
        return []

    def newest(self, most: int) -> State | None:
        """The one after most steps, of at most so many; one that is damaged is passed over."""
        for step in reversed([step for step in self.steps() if step <= most]):
            try:
                return read_state(self._at(step))
            except TrainingError as error:
                log.warning("%s: the training goes on from an earlier one", error)
        return None

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], final: bool = False) -> Saved:
        """Write one and remove those that are no longer wanted.

        final: it is what somebody asked for, and stays.

        Raises:
            OSError: it cannot be written, as when the disk is full; those before it are as they were.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        target, aside = self._at(step), self._aside(step)
        self._sweep()
        try:
            aside.mkdir(parents=True)
            try:
                save_file({name: _whole(tensor) for name, tensor in tensors.items()}, aside / TENSORS)
            except SafetensorError as error:  # its own word for an OSError
                raise OSError(str(error)) from error
            _sync(aside / TENSORS)
            digest = _digest(aside / TENSORS)
            _write_meta(aside, {"format": FORMAT, "step": step, "digest": digest, "final": final, **meta})
            if target.exists():
                os.rename(target, self._aside(step, "old"))
            os.rename(aside, target)
            _sync(self.folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        with contextlib.suppress(OSError):
            _sync(self.folder / CURVE)
        self._remove_old(step)
        return Saved(step, target, digest, final)

    def keep(self, saved: Saved) -> Saved:
        """Let one stay for good: it is what somebody asked for. Raises OSError when that cannot be written."""
        meta = json.loads((saved.folder / META).read_bytes())
        _write_meta(saved.folder, {**meta, "final": True})
        return Saved(saved.step, saved.folder, saved.digest, True)

    def _at(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _aside(self, step: int, what: str = "new") -> Path:
        return self.folder / f".step-{step:08d}.{os.getpid()}.{what}"

    def _remove_old(self, newest: int) -> None:
        """Those before the newest; what a longer training left, whose steps are others, is not touched."""
        before = [step for step in self.steps() if step <= newest]
        for step in before[:-KEEP]:
            if self._keep_every and step % self._keep_every == 0:
                continue
            if not self._is_final(self._at(step)):
                # Under its own name it would be half a checkpoint for a while.
                aside = self._aside(step, "old")
                with contextlib.suppress(OSError):
                    os.rename(self._at(step), aside)
                shutil.rmtree(aside, ignore_errors=True)

    def _is_final(self, folder: Path) -> bool:
        try:
            return bool(json.loads((folder / META).read_bytes()).get("final"))
        except (OSError, ValueError, AttributeError):
            return False

    def _sweep(self) -> None:
        """Remove what a process left that was killed as it wrote."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(".step-"):
                    shutil.rmtree(path, ignore_errors=True)

    def read_curve(self, most: int) -> list[dict[str, float]]:
        """The lines of the curve up to a step, in order; a line that was cut off is left away."""
        rows: dict[int, dict[str, float]] = {}
        try:
            with open(self.folder / CURVE, encoding="utf-8", errors="replace") as file:
                for line in file:
                    with contextlib.suppress(ValueError, TypeError, KeyError):
                        row = json.loads(line)
                        if int(row["step"]) <= most:
                            rows.setdefault(int(row["step"]), {}).update(row)
        except OSError:
            return []
        return [rows[step] for step in sorted(rows)]

    def add_to_curve(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Append lines. Raises OSError when they cannot be written."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if text:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / CURVE, "a", encoding="utf-8") as file:
                # A process that was killed may have left half a line.
                if file.tell() and not _ends_with_newline(self.folder / CURVE):
                    file.write("\n")
                file.write(text)


def read_state(folder: Path) -> State:
    """A checkpoint.

    Raises:
        TrainingError: it is not there, damaged, or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        meta = json.loads((folder / META).read_bytes())
        step, digest = int(meta["step"]), str(meta["digest"])
        if meta["format"] != FORMAT:
            raise TrainingError(f"the checkpoint {folder} has the format {meta['format']}; {FORMAT} is read here")
        if _digest(folder / TENSORS) != digest:
            raise TrainingError(f"the checkpoint {folder} is damaged: {TENSORS} is not what was written")
        tensors = load_file(folder / TENSORS)
    except FileNotFoundError as error:
        raise TrainingError(f"the checkpoint {folder} is not there: {Path(error.filename or '').name}") from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(f"the checkpoint {folder} cannot be read: {error}") from error
    return State(Saved(step, folder, digest, bool(meta.get("final"))), tensors, meta)


def _whole(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    aside = folder / f"{META}.new"
    aside.write_bytes(json.dumps(meta).encode())
    _sync(aside)
    os.replace(aside, folder / META)
    _sync(folder)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
