"""Optimizers by name, their learning rates by step, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.train_options import TrainOptions

Groups = Mapping[str, Mapping[str, torch.nn.Parameter]]


def build_optimizer(
    options: TrainOptions, groups: Groups, rates: Mapping[str, float], decays: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """The optimizer over some groups, each with its learning rate.

    decays: weight decays of groups that have one of their own.

    Raises:
        TrainingError: it is in a package that is not installed.
    """
    listed: Any = [
        {"params": list(own.values()), "lr": rates[name], "name": name, "base": rates[name]}
        | ({"weight_decay": decays[name]} if decays and name in decays else {})
        for name, own in groups.items()
        if own
    ]
    lr = max(rates.values())
    betas, decay = (options.beta1, options.beta2), options.weight_decay
    if options.optimizer == "adamw":
        return torch.optim.AdamW(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay)
    if options.optimizer == "sgd":
        return torch.optim.SGD(listed, lr=lr, momentum=options.beta1, weight_decay=decay)
    if options.optimizer == "muon":
        from weft.nodes.training.muon import Muon

        return Muon(listed, lr=lr, betas=betas, weight_decay=decay)
    if options.optimizer == "adafactor":
        return torch.optim.Adafactor(listed, lr=lr, weight_decay=decay)
    if options.optimizer == "adamw_8bit":
        kind = _installed("bitsandbytes", "bitsandbytes.optim", "AdamW8bit")
        return kind(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay)
    if options.optimizer == "prodigy":
        kind = _installed("prodigyopt", "prodigyopt", "Prodigy")
        return kind(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay)
    kind = _installed("schedulefree", "schedulefree", "AdamWScheduleFree")
    return kind(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay, warmup_steps=options.warmup)


def _installed(package: str, module: str, name: str) -> Any:
    import importlib

    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(
            f"the optimizer needs the package {package}, which is not installed here ({error}): "
            f"`pip install {package}`, or choose adamw"
        ) from None


class Schedule:
    """The factor on the learning rates at each step, from diffusers' `get_scheduler`.

    steps: of the whole training, for those that depend on it.
    """

    def __init__(self, options: TrainOptions, steps: int) -> None:
        with IMPORTING:
            from diffusers.optimization import get_scheduler
        dummy = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        given: dict[str, Any] = {}
        if options.schedule == "cosine_with_restarts":
            given["num_cycles"] = max(1, round(options.cycles))
        elif options.schedule == "cosine":
            given["num_cycles"] = options.cycles / 2
        elif options.schedule == "polynomial":
            given["power"] = options.power
        # schedule-free optimizers warm up by themselves
        warmup = 0 if options.optimizer == "schedule_free_adamw" else options.warmup
        scheduler: Any = get_scheduler(
            options.schedule, dummy, num_warmup_steps=warmup, num_training_steps=options.horizon or steps, **given
        )
        self._factor = scheduler.lr_lambdas[0]

    def factor(self, step: int) -> float:
        """At a step, from 0."""
        return float(self._factor(step))


def state_of(optimizer: torch.optim.Optimizer, groups: Groups) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state: tensors by "parameter/name", and what is plain, with the settings of its groups.

    Tensors of one number that are equal for all parameters, such as counts of steps, are plain.
    """
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, parameter in _named(groups).items():
        for key, item in optimizer.state.get(parameter, {}).items():
            if isinstance(item, Tensor) and item.numel() > 1:
                tensors[f"{name}/{key}"] = item.detach().cpu().contiguous()
            elif isinstance(item, Tensor):
                plain.setdefault(name, {})[key] = {
                    "tensor": item.item(),
                    "shape": list(item.shape),
                    "dtype": _dtype(item),
                }
            else:
                plain.setdefault(name, {})[key] = item
    settings = [
        {key: item for key, item in group.items() if key not in ("params", "base", "name") and _is_plain(item)}
        for group in optimizer.param_groups
    ]
    common = _common(plain)
    return tensors, {"common": common, "plain": {} if common is not None else plain, "groups": settings}


def restore_state(
    optimizer: torch.optim.Optimizer, groups: Groups, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> None:
    """The inverse of `state_of`."""
    for name, parameter in _named(groups).items():
        state = optimizer.state[parameter]
        own = plain["common"] if plain["common"] is not None else plain["plain"].get(name, {})
        for key, item in own.items():
            if isinstance(item, dict) and "tensor" in item:
                # Counts of steps stay on the CPU, as torch's own optimizers have them.
                device = None if key == "step" else parameter.device
                dtype = getattr(torch, item["dtype"])
                state[key] = torch.full(item["shape"], item["tensor"], dtype=dtype, device=device)
            else:
                state[key] = item
        for key in [key for key in tensors if key.startswith(f"{name}/")]:
            state[key.removeprefix(f"{name}/")] = tensors[key].to(parameter.device).clone()
    for group, settings in zip(optimizer.param_groups, plain["groups"], strict=True):
        for key, item in settings.items():
            group[key] = tuple(item) if isinstance(group.get(key), tuple) else item


def _named(groups: Groups) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for own in groups.values() for name, parameter in own.items()}


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _is_plain(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return all(_is_plain(one) for one in item)
    return item is None or isinstance(item, (bool, int, float, str))


def _common(plain: Mapping[str, Any]) -> dict[str, Any] | None:
    """What all parameters have, where they all have the same; else None."""
    listed = list(plain.values())
    if not listed:
        return {}
    return listed[0] if all(item == listed[0] for item in listed) else None
