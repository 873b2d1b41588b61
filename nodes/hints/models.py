"""Models that look at pictures (depth, keypoints): found on this machine, checked, and held by the residency manager.

They are transformers folders: config.json, preprocessor_config.json and safetensors. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES
from weft.nodes.models.headers import read_header

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
PathRule = Callable[[str], Path]


def find(source: str, example: str, allowed: PathRule | None = None) -> Path:
    """The folder of the model that `source` names: a path, or a hub id (id@revision) in the hub's local cache.

    Args:
        example: a hub id that would do, for messages.
        allowed: turns a path as given into an absolute one, or raises when it may not be read.

    Raises:
        ModelError: it is not there or incomplete; the message says what to put where.
    """
    name = source.strip()
    if "\0" in name:
        raise ModelError(f"{name!r} is no path: it holds a zero byte")
    is_id = _HUB_ID.fullmatch(name) is not None
    given = Path(name).expanduser()
    if (name and given.exists()) or not is_id:
        folder = allowed(name) if allowed is not None and name else given.absolute()
        if not name or not folder.is_dir():
            raise ModelError(f"no model {name!r}: {_advice(folder if name else None, example)}")
    else:
        folder = _cached(name, example)
    _check_files(folder, example)
    return folder


def fingerprint(folder: Path) -> str:
    """Identifies a model by the content of what is read of it."""
    from weft.engine.filehash import content_hash

    table = sorted((path.name, content_hash(path)) for path in _files(folder))
    return hashlib.blake2b(json.dumps(table).encode(), digest_size=20).hexdigest()


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


def _cached(name: str, example: str) -> Path:
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = name.partition("@")
    try:
        found = try_to_load_from_cache(repository, "config.json", revision=revision or None)
    except HFValidationError as error:
        raise ModelError(f"no model {name!r}: as a hub id: {error}") from error
    if not isinstance(found, str):
        raise ModelError(
            f"no model {name!r}: there is no folder {Path(name).absolute()}, and it is not in the hub's local cache "
            f"{constants.HF_HUB_CACHE}; {_advice(None, example)}"
        )
    return Path(found).parent


def _advice(folder: Path | None, example: str) -> str:
    absent = f"{folder} is no folder; " if folder is not None else ""
    return (
        f"{absent}put config.json, preprocessor_config.json and model.safetensors of a model such as {example} into a "
        f"folder and give its path, or fetch it with `hf download {example}` and give that id"
    )


def _check_files(folder: Path, example: str) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder / 'config.json'} is missing: {_advice(None, example)}")
    if not _weights(folder):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise ModelError(f"{folder} holds {pickles[0]} and no safetensors file: {PICKLE_REASON}")
        raise ModelError(f"{folder / 'model.safetensors'} is missing: {_advice(None, example)}")
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
