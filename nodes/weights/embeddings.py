"""Learned words (textual inversion, arXiv 2208.01618): the layouts of their files. Light at import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import Header

EXPECTED = (
    "diffusers' layout (one tensor per token, named by it), A1111's and kohya's emb_params, or SDXL's clip_l and clip_g"
)
EXPECTED_FILE = f"a .safetensors file in {EXPECTED}"
_PAIR = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
_SINGLE = ("emb_params", "string_to_param.*", "*")
_MAX_VECTORS = 512


@dataclass(frozen=True)
class Word:
    """A learned word in a file: its token (None where the file does not say), the tensors, and their shape (n, d).

    tensors: by component; ``any`` is the component whose states have its width.
    """

    token: str | None
    tensors: dict[str, str]
    shapes: dict[str, tuple[int, int]]

    @property
    def vectors(self) -> int:
        """How many tokens it takes, n."""
        return next(iter(self.shapes.values()))[0]


def words(path: Path, header: Header) -> list[Word]:
    """The learned words of a file.

    Raises:
        ModelError: it is another kind of file.
    """
    names = list(header.tensors)
    if names and set(names) <= _PAIR.keys():
        return [_word(path, header, None, {_PAIR[name]: name for name in names})]
    single = [name for name in names if name in _SINGLE]
    if len(single) == 1 and len(names) == 1:
        return [_word(path, header, None, {"any": single[0]})]
    known = header.metadata.get("token")  # which may have a dot, as names of layers do
    strange = [name for name in names if "." in name and not name.startswith("<") and name != known]
    if strange or not names:
        first = ", ".join(strange[:3]) or "nothing"
        raise ModelError(f"{path} holds {first}, and is no textual inversion; expected {EXPECTED}")
    return [_word(path, header, name, {"any": name}) for name in names]


def _word(path: Path, header: Header, token: str | None, tensors: dict[str, str]) -> Word:
    shapes = {}
    for component, name in tensors.items():
        shape = header.tensors[name].shape
        whole = (1, *shape) if len(shape) == 1 else shape
        if len(whole) != 2 or not 0 < whole[0] <= _MAX_VECTORS or whole[1] < 1:
            raise ModelError(f"{path}: {name} is {list(shape)}, not vectors; expected {EXPECTED}")
        shapes[component] = (whole[0], whole[1])
    if len({count for count, _ in shapes.values()}) > 1:
        raise ModelError(f"{path} has different numbers of vectors for the two text encoders")
    return Word(token, tensors, shapes)


def place(path: Path, word: Word, widths: Mapping[str, int]) -> dict[str, str]:
    """Tensors by component of a model whose text encoders have these widths.

    Raises:
        ModelError: it is for another model family.
    """
    if "any" in word.tensors:
        width = word.shapes["any"][1]
        fitting = [component for component, own in widths.items() if own == width]
        if not fitting:
            raise ModelError(misfit(path, width, widths))
        return {fitting[0]: word.tensors["any"]}
    for component in word.tensors:
        if widths.get(component) != word.shapes[component][1]:
            raise ModelError(misfit(path, word.shapes[component][1], widths, f" for {component}"))
    return dict(word.tensors)


def misfit(path: Path | str, width: int, widths: Mapping[str, int], whose: str = "") -> str:
    """The message for vectors of another width than a model's words have."""
    own = " and ".join(f"{size} ({component})" for component, size in widths.items())
    return f"{path} has vectors of {width}{whose}, this model's words are {own} wide. Is it for another model family?"


def token_names(token: str, vectors: int) -> list[str]:
    """The tokens of a word of several vectors: ``<x>``, ``<x>_1``, ..."""
    return [token, *(f"{token}_{number}" for number in range(1, vectors))]
