"""From the `source` of a loader to a file or folder: one order of looking, one error, one check, one fingerprint.

A source is, in this order: the name of a bundled model; a file or folder; a name in a model folder; a hub id that is in
the hub's local cache. Light: no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weft.engine import InputPathError, NodeView, Problem
from weft.engine.declaring.called import raised_by_node
from weft.engine.declaring.file_store import is_content_id
from weft.engine.declaring.model_folders import model_folders
from weft.graphs.problems import near
from weft.nodes.models import bundled
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES

PathRule = Callable[[str], Path]
"""Turns a path as given into an absolute one, or raises InputPathError when it may not be read."""

SUFFIX = ".safetensors"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
_MAX_DEPTH, _MAX_ENTRIES = 6, 100_000
"""How deep a model folder is listed, and how many files and folders of it at most."""


@dataclass(frozen=True)
class Kind:
    """What a loader looks for.

    Attributes:
        noun: what a person calls it, for messages.
        bundled: those that ship with Weft: name, and place below the package.
        single: it is one file, so that a folder stands for the file in it.
        inside: what that file is called, as diffusers and PEFT save it; a single .safetensors file will do too.
        advice: what to do where there is none, for the message.
        conversion: how a pickle of it becomes a .safetensors file, for the message that refuses one.
    """

    noun: str
    bundled: Mapping[str, str] = field(default_factory=dict)
    single: bool = False
    inside: tuple[str, ...] = ()
    advice: str = ""
    conversion: str = ""

    @property
    def expected(self) -> str:
        """What a source may be, in a sentence's words."""
        names = f"{', '.join(self.bundled)}, " if self.bundled else ""
        return f"{names}a {SUFFIX} file or a folder, a name in a model folder, or a hub id in the local cache"


MODEL = Kind("model", bundled.MODELS)
VAE = Kind("VAE", {"shapes": bundled.MODEL})
CONTROLNET = Kind("ControlNet", bundled.CONTROLNETS)
ADAPTER = Kind("T2I-Adapter", bundled.ADAPTERS)
IMAGE_ADAPTER = Kind("IP-Adapter", bundled.IMAGE_PROMPTS, single=True)
IMAGE_ENCODER = Kind("image encoder", bundled.IMAGE_ENCODERS)
LORA = Kind(
    "LoRA", bundled.LORAS, single=True, inside=("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
)
EMBEDDING = Kind("textual inversion", bundled.WORDS, single=True, inside=("learned_embeds.safetensors",))
CUSTOM_DIFFUSION = Kind(
    "Custom Diffusion", bundled.CUSTOM, single=True, inside=("pytorch_custom_diffusion_weights.safetensors",)
)

UPSCALER = Kind(
    "upscaler",
    single=True,
    conversion=(
        "torch.load(PATH, map_location='cpu', weights_only=True) gives a dictionary there, and "
        "safetensors.torch.save_file writes it, or what it has under params_ema or params if it has that"
    ),
)


def find(source: str, kind: Kind, allowed: PathRule | None = None) -> Path:
    """The file or folder that a source names. Nothing is downloaded.

    Args:
        allowed: as of `Context.resolve_input_path`; None allows every path.

    Raises:
        ModelError: it is not there, altered, or of a kind that is never read; says where was looked.
        InputPathError: it is a path outside the folders that may be read.
    """
    from weft.nodes.models import hub

    name = named(source, kind)
    path = at_hand(name, kind, allowed)
    if path is None and is_hub_id(name):
        path = hub.cached(name, kind.noun)
    if path is None:
        raise absent(name, kind, allowed)
    return weights_in(path, kind) if kind.single and path.is_dir() else path


def named(source: str, kind: Kind) -> str:
    """The name in a source. Raises ModelError for what can be none."""
    name = source.strip()
    if not name:
        more = f"; bundled: {', '.join(kind.bundled)}" if kind.bundled else ""
        raise ModelError(f"no {kind.noun} '': its name is empty{more}{_advice(kind)}")
    if "\0" in name:
        raise ModelError(f"{name!r} names no {kind.noun}: it holds a zero byte")
    if name not in kind.bundled and name.lower().endswith(PICKLES):
        raise ModelError(f"{name} is not read: {_pickle_reason(kind)}")
    return name


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/name or owner/name@revision, and is not one of a weights file."""
    return _HUB_ID.fullmatch(name) is not None and not name.lower().endswith(SUFFIX)


def at_hand(name: str, kind: Kind, allowed: PathRule | None = None) -> Path | None:
    """The bundled model, the file or folder, or what lies in a model folder by that name; None where nothing does.

    Raises:
        ModelError: it is altered, not to be read, or its link leads out of the model folder.
    """
    if name in kind.bundled:
        return bundled.shipped(name, kind.bundled[name], kind.noun)
    try:
        path = _path(name, allowed)
        there = path.exists()
    except (InputPathError, ModelError):
        there = False  # it may be a name all the same; where it is none, `absent` says what is wrong with the path
    except OSError as error:
        raise ModelError(f"no {kind.noun} {name!r}: {error.strerror}") from error
    if not there:
        found = in_model_folders(name)
        if found is None:
            return None
        path = found
    # Asked of both, since the hub's cache links names with an ending to files without one. The file store keeps no
    # endings; what is in such a file is read as any other, by its header and never as another format.
    if not is_content_id(name) and path.is_file() and SUFFIX not in (path.suffix.lower(), Path(name).suffix.lower()):
        raise ModelError(f"{path} is no {SUFFIX} file; only those and folders are read")
    return path


def in_model_folders(name: str) -> Path | None:
    """What has this name, with or without the ending .safetensors, in the first model folder that has it.

    Raises:
        ModelError: it is a link that leads out of the folder.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..", "~") for part in parts) or "\\" in name or Path(name).is_absolute():
        return None  # a path, and no name
    for folder in model_folders():
        for candidate in (folder / name, folder / (name + SUFFIX)):
            try:
                if not candidate.exists():
                    continue
                path, root = candidate.resolve(), folder.resolve()
            except (OSError, RuntimeError):
                continue
            if root not in path.parents:
                raise ModelError(f"{candidate} is a link that leads out of the model folder {folder}: it is not read")
            return path if path.suffix.lower() == SUFFIX or path.is_dir() else candidate
    return None


def absent(name: str, kind: Kind, allowed: PathRule | None = None) -> ModelError:
    """The error for a name that nothing has.

    Raises:
        InputPathError: it is a path that may not be read.
    """
    looked = f"looked for {looked_for(name, allowed)}"
    if kind.bundled:
        looked = f"looked for a bundled {kind.noun} ({', '.join(kind.bundled)}), and for {looked_for(name, allowed)}"
    if is_hub_id(name):
        from huggingface_hub import constants

        repository = name.partition("@")[0]
        looked += (
            f", and for {repository!r} in the hub's local cache {constants.HF_HUB_CACHE}; "
            f"fetch it with `hf download {repository}`"
        )
    hint = near(name, [*kind.bundled, *(known for known, _ in names_in(model_folders()))])
    return ModelError(
        f"no {kind.noun} {name!r}: {looked}{_advice(kind)}" + (f". Did you mean {hint!r}?" if hint else "")
    )


def looked_for(name: str, allowed: PathRule | None = None) -> str:
    """Where a name was looked for, hub aside, in words: the path, and the model folders.

    Raises:
        InputPathError: it is a path that may not be read.
    """
    folders = model_folders()
    try:
        path = _path(name, allowed)
    except (InputPathError, ModelError):
        if not is_hub_id(name):
            raise
        path = Path(name).absolute()
    if not folders:
        return f"a folder or file {path}"
    each = ", ".join(str(folder) + ("" if folder.is_dir() else " (which is not there)") for folder in folders)
    return f"a folder or file {path}, or one of that name in the model folder{'s' if len(folders) > 1 else ''} {each}"


def _pickle_reason(kind: Kind) -> str:
    return f"{PICKLE_REASON} How: {kind.conversion}." if kind.conversion else PICKLE_REASON


def _advice(kind: Kind) -> str:
    return f"; {kind.advice}" if kind.advice else ""


def _path(name: str, allowed: PathRule | None) -> Path:
    try:
        given = Path(name).expanduser()
        return allowed(str(given)) if allowed is not None else given.absolute()
    except (RuntimeError, ValueError, OSError) as error:
        if isinstance(error, InputPathError):
            raise
        raise ModelError(f"{name!r} is no path: {error}") from error


def weights_in(folder: Path, kind: Kind) -> Path:
    """The file that a folder stands for, as diffusers and PEFT save it, or the only .safetensors file in it.

    Raises:
        ModelError: there is none, or several that might be meant.
    """
    try:
        files = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from error
    usual = [name for name in kind.inside if name in files]
    weights = usual[:1] or [name for name in files if name.lower().endswith(SUFFIX)]
    if len(weights) == 1:
        return folder / weights[0]
    if weights:
        more = ", ..." if len(weights) > 3 else ""
        raise ModelError(f"{folder} holds {', '.join(weights[:3])}{more}: give the one that is the {kind.noun}")
    pickles = [name for name in files if name.lower().endswith(PICKLES)]
    if pickles:
        raise ModelError(f"{folder} holds {pickles[0]} and no safetensors file: {_pickle_reason(kind)}")
    wanted = " or ".join(kind.inside) or f"a {SUFFIX} file"
    raise ModelError(f"{folder} holds no {kind.noun}: {wanted} is not in it")


def existing(location: str, source: str, kind: Kind) -> Path:
    """Where a file or folder lies now that was found before. What a cached result names may have been moved since.

    Raises:
        ModelError: it is nowhere.
    """
    path = Path(location)
    if path.exists() or not source:
        return path
    try:
        return find(source, kind)
    except ModelError as error:
        raise ModelError(f"{source!r} is no longer in {location}: run its loader again ({error})") from error


def names_in(folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """What lies in model folders, by the names that sources give it: weights files and folders that are models.

    In the order of the folders and of the names; a name that an earlier folder has comes again. Hidden folders are
    passed over, and links are not followed.
    """
    for root in folders:
        yield from _names_below(root)


def _names_below(root: Path) -> Iterator[tuple[str, Path]]:
    budget = _MAX_ENTRIES
    for place, folders, files in os.walk(root):
        if (budget := budget - len(folders) - len(files)) < 0:
            return
        at = Path(place)
        below = at.relative_to(root)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(below.parts) >= _MAX_DEPTH:
            folders.clear()
        for name in list(folders):
            if is_model_folder(at / name):
                folders.remove(name)
                yield (below / name).as_posix(), at / name
        for name in sorted(files):
            if name.lower().endswith((SUFFIX, *PICKLES)) and not name.startswith("."):
                bare = name.removesuffix(SUFFIX)
                # Without its ending where that says enough: a folder of the same name would come first.
                yield (below / (name if (at / bare).exists() else bare)).as_posix(), at / name


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is a model itself, rather than one in which models lie."""
    inside = [*LORA.inside, *EMBEDDING.inside, *CUSTOM_DIFFUSION.inside]
    marks = ("model_index.json", "config.json", "unet/config.json", "adapter_config.json", *inside)
    return any((folder / mark).is_file() for mark in marks)


def files_fingerprint(files: Sequence[Path], root: Path) -> str:
    """Identifies what is read by content, wherever it lies.

    Args:
        root: the folder (or the file) that it was found at. Files outside it are bundled ones.

    Raises:
        ModelError: a file cannot be read.
    """
    from weft.engine.filehash import content_hash

    try:
        table = [[_below(path, root) if len(files) > 1 else "", content_hash(path)] for path in files]
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error
    return hashlib.blake2b(json.dumps(sorted(table)).encode(), digest_size=20).hexdigest()


def _below(path: Path, root: Path) -> str:
    """A name for a file that holds wherever the model lies. A variant's shared files lie outside its folder."""
    return path.relative_to(root if root in path.parents else bundled.home()).as_posix()


def problems(view: NodeView, input: str, look: Callable[[str], object], expected: str) -> Iterator[Problem]:
    """What is wrong with the sources that an input names as literals: what `look` raises for each.

    expected: what a source may be, or what its file looks like.
    """
    given = view.literals.get(input)
    for source in given if isinstance(given, list) else [given]:
        if not isinstance(source, str):
            continue
        try:
            look(source)
        except InputPathError as error:
            problem = Problem(code=error.code, node=view.id, input=input, message=f"{error}.", given=source)
            yield raised_by_node(problem)
        except ModelError as error:
            message = str(error) if str(error).endswith((".", "?")) else f"{error}."
            if is_content_id(source):  # whoever gave an id is not told where the store is
                message = message.replace(str(view.resolve(source)), source)
            problem = Problem(
                code="bad_value", node=view.id, input=input, message=message, given=source, expected=expected
            )
            yield raised_by_node(problem)


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The migration of a loader whose input got the name that all have."""
    return lambda inputs: {new if name == old else name: item for name, item in inputs.items()}
