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
class State:
    """A training after some steps. meta: plain data. folder: where it lies. digest: of the tensors' file."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    folder: Path
    digest: str


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
                return read_state(self.folder / f"step-{step:08d}")
            except TrainingError as error:
                log.warning("%s: the training goes on from an earlier one", error)
        return None

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], final: bool = False) -> State:
        """Write one and remove those that are no longer wanted.

        final: it is what somebody asked for, and stays.

        Raises:
            OSError: it cannot be written, as when the disk is full; those before it are as they were.
        """
        from safetensors.torch import save

        target = self.folder / f"step-{step:08d}"
        aside = self.folder / f".step-{step:08d}.{os.getpid()}"
        self._sweep()
        try:
            aside.mkdir(parents=True)
            data = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
            digest = hashlib.blake2b(data, digest_size=20).hexdigest()
            _write(aside / TENSORS, data)
            full = {"format": FORMAT, "step": step, "digest": digest, "final": final, **meta}
            _write(aside / META, json.dumps(full).encode())
            shutil.rmtree(target, ignore_errors=True)
            os.rename(aside, target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        self._remove_old()
        return State(step, dict(tensors), dict(full), target, digest)

    def _remove_old(self) -> None:
        steps = self.steps()
        for step in steps[:-KEEP]:
            if self._keep_every and step % self._keep_every == 0:
                continue
            folder = self.folder / f"step-{step:08d}"
            if not self._is_final(folder):
                shutil.rmtree(folder, ignore_errors=True)

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
            with open(self.folder / CURVE, encoding="utf-8") as file:
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
    from safetensors.torch import load

    try:
        meta = json.loads((folder / META).read_bytes())
        step, digest = int(meta["step"]), str(meta["digest"])
        if meta["format"] != FORMAT:
            raise TrainingError(f"the checkpoint {folder} has the format {meta['format']}; {FORMAT} is read here")
        data = (folder / TENSORS).read_bytes()
        if hashlib.blake2b(data, digest_size=20).hexdigest() != digest:
            raise TrainingError(f"the checkpoint {folder} is damaged: {TENSORS} is not what was written")
        tensors = load(data)
    except FileNotFoundError as error:
        raise TrainingError(f"the checkpoint {folder} is not there: {Path(error.filename or '').name}") from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(f"the checkpoint {folder} cannot be read: {error}") from error
    return State(step, tensors, meta, folder, digest)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
