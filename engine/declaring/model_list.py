"""How a pack tells which models its nodes can load: a function that lists them, marked with `@lists_models`.

    @lists_models
    def models(folders: Sequence[Path]) -> Iterator[ModelEntry]:
        yield ModelEntry("tiny", "model", family="sd1", bytes=1_000, path=Path("tiny.safetensors"))

The catalogue finds it as it finds nodes: by looking at the attributes of the pack's module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that some node can load, or a file that was meant to be one.

    Attributes:
        name: what an input of a loader calls it.
        kind: such as "model", "controlnet", "lora"; "" where it cannot be told.
        family: of the models that it is or is for, such as "sd1"; "" where it is not known.
        bytes: of the files that are read of it.
        bundled: it came with the pack, and does not lie in a model folder.
        fault: why it cannot be loaded; "" where nothing speaks against it.
    """

    name: str
    kind: str
    path: Path
    family: str = ""
    bytes: int = 0
    bundled: bool = False
    fault: str = ""


class ModelLister:
    """What `lists_models` makes of a function."""

    def __init__(self, function: Callable[[Sequence[Path]], Iterable[ModelEntry]]) -> None:
        self.function = function

    @property
    def place(self) -> str:
        """Where it is declared, as `module.function`."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def __call__(self, folders: Sequence[Path]) -> list[ModelEntry]:
        """The pack's own models, then those in the folders, which are absolute. Imports nothing heavy."""
        return list(self.function(folders))


def lists_models(function: Callable[[Sequence[Path]], Iterable[ModelEntry]]) -> ModelLister:
    """Mark a function that lists models; see above."""
    return ModelLister(function)
