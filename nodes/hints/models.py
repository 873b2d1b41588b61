"""Models that look at pictures (depth, keypoints): found on this machine, checked, and held by the residency manager.

They are transformers folders: config.json, preprocessor_config.json and safetensors. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weft.nodes.lazy import IMPORTING
from weft.nodes.models import sources
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES
from weft.nodes.models.headers import read_header
from weft.nodes.models.sources import PathRule


def find(source: str, example: str, allowed: PathRule | None = None) -> Path:
    """The folder of the model that `source` names; see `sources.find`.

    Args:
        example: a hub id that would do, for messages.
        allowed: turns a path as given into an absolute one, or raises when it may not be read.

    Raises:
        ModelError: it is not there or incomplete; the message says what to put where.
    """
    folder = sources.find(source, sources.Kind("model", advice=_advice(example)), allowed)
    if not folder.is_dir():
        raise ModelError(f"no model {source!r}: {folder} is no folder; {_advice(example)}")
    _check_files(folder, example)
    return folder


def fingerprint(folder: Path) -> str:
    """Identifies a model by the content of what is read of it."""
    return sources.files_fingerprint(_files(folder), folder)


@contextmanager
def loaded(folder: Path, kind: str, device: str) -> Iterator[Any]:
    """A model of transformers' class `kind` on a device in float32, for as long as the block runs.

    Raises:
        ModelError: the files do not hold such a model.
    """
    from weft.nodes.models.residency import default_residency

    size = 0
    for path in _weights(folder):
        size += sum(4 * info.elements for info in read_header(path).tensors.values())
    key = (fingerprint(folder), kind, "float32", device)
    lease = default_residency().acquire(key, device, size, lambda: _load(folder, kind, device))
    try:
        yield lease.item
    finally:
        lease.release()


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON file of a model's folder; empty where there is none.

    Raises:
        ModelError: it is no JSON object.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object")
    return content


def _load(folder: Path, kind: str, device: str) -> Any:
    import torch

    with IMPORTING:
        import transformers
        from transformers.utils import logging

        found = getattr(transformers, kind, None)
    if found is None:
        raise ModelError(f"transformers {transformers.__version__} has no {kind}, which {folder} is of")
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # what it would warn of is raised below
    try:
        model, info = found.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises many classes for a folder that does not hold what it says
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ModelError(f"{folder} does not load as a model of the kind {kind}: {text}") from error
    finally:
        logging.set_verbosity(before)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder} does not hold the model that its config.json describes: {len(missing)} tensors are missing, "
            f"first {', '.join(missing[:3])}"
        )
    return model.eval().requires_grad_(False).to(device)


def _advice(example: str) -> str:
    return (
        f"put config.json, preprocessor_config.json and model.safetensors of a model such as {example} into a "
        f"folder and give its path, or fetch it with `hf download {example}` and give that id"
    )


def _check_files(folder: Path, example: str) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder / 'config.json'} is missing: {_advice(example)}")
    if not _weights(folder):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise ModelError(f"{folder} holds {pickles[0]} and no safetensors file: {PICKLE_REASON}")
        raise ModelError(f"{folder / 'model.safetensors'} is missing: {_advice(example)}")
    for path in _weights(folder):
        read_header(path)


def _weights(folder: Path) -> list[Path]:
    """The plain file where there is one, else the parts that an index names."""
    plain = folder / "model.safetensors"
    if plain.is_file():
        return [plain]
    table = read_config(folder, "model.safetensors.index.json").get("weight_map")
    names = set(table.values()) if isinstance(table, dict) else set()
    for name in names:
        if not isinstance(name, str) or "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(f"{folder / 'model.safetensors.index.json'} names {name!r}, which is no file beside it")
        if not (folder / name).is_file():
            raise ModelError(f"{folder} lacks {name}, which model.safetensors.index.json names")
    return [folder / name for name in sorted(names)]


def _files(folder: Path) -> list[Path]:
    names = ("config.json", "preprocessor_config.json", "model.safetensors.index.json")
    return [*(folder / name for name in names if (folder / name).is_file()), *_weights(folder)]
