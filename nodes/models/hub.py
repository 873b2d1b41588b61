"""Models of the Hugging Face hub: the local cache first, the network only when it is needed and allowed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import describe_folder, weight_choice

log = logging.getLogger("weft.models")

Access = Literal["local", "ask", "download"]

_FOLDERS = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
_SMALL = (".json", "merges.txt")


def cached(name: str, kind: str) -> Path | None:
    """The folder of a hub id (owner/name or owner/name@revision) in the hub's local cache, or None. Asks nobody.

    kind: what is looked for, for messages. Raises ModelError for what is no hub id.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, local_files_only=True))
    except HFValidationError as error:
        raise ModelError(f"no {kind} {name!r}: as a hub id: {error}") from error
    except (LocalEntryNotFoundError, OSError):
        return None


def find(repository: str, revision: str | None, *, access: Access, also: str) -> tuple[Path, str]:
    """The folder of a hub model on this machine, and the commit it is of.

    Unless it may download, a model that is absent here is an error when offline, and otherwise has no folder yet:
    then the folder given does not exist, and only the commit can be used (not even that when nothing may be asked).

    Args:
        repository: ``owner/name``. revision: branch, tag or commit; None is the main branch.
        access: ``local`` asks nobody, ``ask`` asks the hub which commit it is, ``download`` fetches.
        also: where was looked before, for the message.

    Raises:
        ModelError: it is neither here nor can be had; the message says where was looked.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    cache = Path(constants.HF_HUB_CACHE)
    looked = f"looked for {also}, and for {repository!r} in the hub's local cache {cache}"
    lacking: ModelError | None = None
    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        try:
            describe_folder(folder)
            return folder, folder.name
        except ModelError as error:
            lacking = error  # perhaps only a part was downloaded
    except HFValidationError as error:
        raise ModelError(f"no model {repository!r}: {looked}; as a hub id: {error}") from error
    except (LocalEntryNotFoundError, OSError):
        pass
    if constants.HF_HUB_OFFLINE:
        if lacking is not None:
            raise ModelError(f"{lacking} (in the hub's local cache, and HF_HUB_OFFLINE forbids to fetch the rest)")
        raise ModelError(f"no model {repository!r}: {looked}; HF_HUB_OFFLINE is set, so the hub was not asked")
    absent = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
    if access == "local":
        if lacking is not None:
            raise lacking
        return absent / "unknown", "unknown"
    return _remote(repository, revision, absent, looked, lacking, access == "download")


def _remote(
    repository: str, revision: str | None, absent: Path, looked: str, lacking: ModelError | None, download: bool
) -> tuple[Path, str]:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi().model_info(repository, revision=revision, timeout=20, files_metadata=download)
        names = {sibling.rfilename for sibling in info.siblings or []}
        commit = str(info.sha)
        wanted = wanted_files(repository, names)
        if lacking is not None and not download:
            raise lacking
        if not download:
            return absent / commit, commit
        size = sum(sibling.size or 0 for sibling in info.siblings or [] if sibling.rfilename in wanted)
        log.info("downloading %s: %d files, %.1f MB, to %s", repository, len(wanted), size / 1e6, absent.parent)
        with _no_bars():
            folder = Path(snapshot_download(repository, revision=commit, allow_patterns=wanted))
    except ModelError:
        raise
    except GatedRepoError as error:
        raise ModelError(
            f"{repository!r} is gated: accept its terms on the hub and log in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{repository!r} has no revision {revision!r} on the hub; {looked}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"no model {repository!r}: {looked}; the hub has none of that name (or it is private)"
        ) from error
    except Exception as error:  # the network fails in many classes: httpx, requests, OSError, hub errors
        if lacking is not None:
            raise ModelError(
                f"{lacking} (in the hub's local cache; the rest could not be fetched: {_line(error)})"
            ) from error
        raise ModelError(f"no model {repository!r}: {looked}; the hub could not be reached ({_line(error)})") from error
    return folder, commit


def wanted_files(repository: str, names: set[str]) -> list[str]:
    """Of a repository's files, those that a model needs.

    Raises:
        ModelError: it holds no diffusers model.
    """
    if "model_index.json" not in names:
        single = sorted(name for name in names if name.endswith(".safetensors") and "/" not in name)
        hint = f"; it holds {single[0]}: download that file and give its path" if single else ""
        raise ModelError(f"{repository!r} on the hub is no diffusers model: model_index.json is missing{hint}")
    wanted = ["model_index.json"]
    for folder in _FOLDERS:
        inside = {PurePosixPath(name).name for name in names if str(PurePosixPath(name).parent) == folder}
        base = "model" if folder.startswith("text_encoder") else "diffusion_pytorch_model"
        chosen = weight_choice(inside, base)
        plain = {name for name in inside if name.endswith(_SMALL) and ".index." not in name}
        if chosen is not None:
            plain.add(chosen)
            if not chosen.endswith(".safetensors"):
                variant = ".fp16" if "fp16" in chosen else ""
                plain |= {n for n in inside if n.startswith(f"{base}{variant}-") and n.endswith(".safetensors")}
                plain |= {n for n in inside if n.startswith(f"{base}-") and n.endswith(f"{variant}.safetensors")}
        wanted += sorted(f"{folder}/{name}" for name in plain)
    return wanted


@contextmanager
def _no_bars() -> Iterator[None]:
    """The hub's progress bars would fight with ours over the terminal."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before: Any = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
