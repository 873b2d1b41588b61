"""What of a training goes into a checkpoint, and how it comes back out of one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weft.nodes.training.averaging import Average
from weft.nodes.training.checkpoints import Saved, State, read_state
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.optimizers import Groups, restore_state, state_of
from weft.nodes.training.precision import Numerics
from weft.nodes.training.processes import Processes
from weft.nodes.training.recipe import Recipe
from weft.nodes.values.training import Checkpoint

Rows = list[dict[str, float]]
"""Of the curve, by step."""
WEIGHTS, AVERAGE, OPTIMIZER, RECIPE = "weights/", "average/", "optimizer/", "recipe/"

_ANEW = (
    "What its training gave is still in the cache, so that it is not run again as it is: give that training one step "
    "more, or clear the cache with `weft cache clear`, and it makes a new checkpoint"
)
"""How one that a cached result names is had again."""


class Learned:
    """All that steps change: parameters, their average, what the optimizer and the recipe remember, and the scale.

    name: of the optimizer.
    """

    def __init__(
        self,
        recipe: Recipe,
        groups: Groups,
        optimizer: torch.optim.Optimizer,
        name: str,
        average: Average | None,
        numerics: Numerics,
    ) -> None:
        self._recipe, self._groups, self._optimizer, self._name = recipe, groups, optimizer, name
        self._average, self._numerics = average, numerics
        self._parameters = {name: p for own in groups.values() for name, p in own.items()}

    def wrong(self) -> str | None:
        """The name of a parameter, or of its average, that holds what is no number."""
        tensors: dict[str, Tensor] = dict(self._parameters)
        if self._average is not None:
            tensors |= {f"{name} (average)": tensor for name, tensor in self._average.tensors.items()}
        with torch.no_grad():
            sound = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
        return next((name for name, good in zip(tensors, sound, strict=True) if not good), None)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name, and plain data. Parameters are named by their place: a small adapter has long names."""
        tensors, plain = state_of(self._optimizer, self._groups)
        own, data = self._recipe.state()
        everything: dict[str, Tensor] = {f"{WEIGHTS}{k}": p for k, p in enumerate(self._parameters.values())}
        if self._average is not None:
            everything |= {f"{AVERAGE}{k}": t for k, t in enumerate(self._average.tensors.values())}
        everything |= {f"{OPTIMIZER}{name}": tensor for name, tensor in tensors.items()}
        everything |= {f"{RECIPE}{name}": tensor for name, tensor in own.items()}
        return everything, {
            "recipe": self._recipe.name,
            "parameters": list(self._parameters),
            "optimizer_name": self._name,
            "optimizer": plain,
            "numerics": self._numerics.state(),
            "recipe_state": data,
            "torch": str(torch.__version__),
        }

    def restore(self, state: State, log: logging.LoggerAdapter[logging.Logger]) -> int:
        """Put back what `state` gave; returns in how many pieces a batch was divided.

        Raises:
            TrainingError: it is of other weights.
        """
        tensors, meta = state.tensors, state.meta
        try:
            if meta["parameters"] != list(self._parameters):
                raise ValueError("its weights have other names")
            with torch.no_grad():
                for place, (name, parameter) in enumerate(self._parameters.items()):
                    parameter.copy_(_of_shape(tensors[f"{WEIGHTS}{place}"], parameter, name))
                    if self._average is not None:
                        given = tensors.get(f"{AVERAGE}{place}", tensors[f"{WEIGHTS}{place}"])
                        self._average.tensors[name].copy_(_of_shape(given, parameter, name))
            if meta["optimizer_name"] == self._name:
                restore_state(self._optimizer, self._groups, _below(tensors, OPTIMIZER), meta["optimizer"])
            else:
                before = meta["optimizer_name"]
                log.warning("the checkpoint is of the optimizer %s: %s begins with nothing", before, self._name)
            self._numerics.restore(meta.get("numerics"))
            self._recipe.restore(_below(tensors, RECIPE), meta.get("recipe_state"))
            return max(1, int(meta.get("pieces", 1)))
        except (KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise TrainingError(f"the checkpoint {state.folder} does not fit this training: {error}") from error


def from_wire(start: Checkpoint, recipe: str, parameters: Mapping[str, Tensor], steps: int) -> State:
    """A checkpoint that was wired in, for a training of a recipe with these parameters and so many steps.

    Raises:
        TrainingError: it is not there any more, or of another training.
    """
    if start.recipe != recipe:
        raise TrainingError(
            f"the checkpoint is of a {start.recipe} training, and this one is {recipe}: only one of the same recipe "
            "can go on from it"
        )
    if start.step > steps:
        raise TrainingError(
            f"the checkpoint is of step {start.step} and this training has {steps} steps: ask for more, `steps` counts "
            "those of the checkpoint too"
        )
    if not start.folder:
        raise TrainingError(
            f"the checkpoint of step {start.step} could not be written when it was made: make room on the disk and run "
            "its training again"
        )
    if not Path(start.folder).is_dir():
        raise TrainingError(
            f"the checkpoint of step {start.step} is gone: its folder {start.folder} was removed, as folders that have "
            f"not been used for long are where the cache is full. {_ANEW}"
        )
    state = read_state(Path(start.folder))
    if state.saved.digest != start.digest:
        raise TrainingError(f"the checkpoint {start.folder} is another one than was handed over. {_ANEW}")
    wanted = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    names = state.meta.get("parameters", [])
    there = {name: tuple(state.tensors[f"{WEIGHTS}{place}"].shape) for place, name in enumerate(names)}
    if wanted != there:
        odd = sorted(set(wanted.items()) ^ set(there.items()))[:3]
        raise TrainingError(
            f"the checkpoint {start.folder} holds other weights than this training: "
            f"{', '.join(f'{name} {list(shape)}' for name, shape in odd)}. Is its rank or its model another one?"
        )
    return state


def from_main(processes: Processes, state: State | None, rows: Rows) -> tuple[State | None, Rows]:
    """The state to go on from, in all processes what the main one found, and the lines of the curve up to it."""
    if processes.count == 1:
        return state, rows
    found = [state.step, str(state.folder), state.meta] if state is not None else None
    tensors, (found, rows) = processes.from_main(state.tensors if state is not None else {}, [found, rows])
    if found is None:
        return None, rows
    step, folder, meta = found
    return State(Saved(step, Path(folder), meta["digest"], bool(meta.get("final"))), tensors, meta), rows


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _of_shape(tensor: Tensor, parameter: Tensor, name: str) -> Tensor:
    if tensor.shape != parameter.shape:
        raise ValueError(f"{name} has the shape {list(tensor.shape)} in it, and here {list(parameter.shape)}")
    return tensor
