"""Optimizers by name, their learning rates by step, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.train_options import PACKAGES, TrainOptions

OPTIONS = frozenset({"params", "name", "base", "lr", "betas", "eps", "weight_decay", "momentum", "warmup_steps"})
"""Of a group's settings, those that options say, and not what was learned so far."""
Groups = Mapping[str, Mapping[str, torch.nn.Parameter]]


def build_optimizer(
    options: TrainOptions, groups: Groups, rates: Mapping[str, float], decays: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """The optimizer over some groups, each with its learning rate.

    decays: weight decays of groups that have one of their own.

    Raises:
        TrainingError: it is in a package that is not installed, or cannot be with these rates.
    """
    different = {rate for rate in rates.values() if rate}
    if options.optimizer == "prodigy" and len(different) != 1:
        listed_rates = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        raise TrainingError(
            f"prodigy has one learning rate above 0 for all groups, and these are {listed_rates}: give equal ones (1 "
            "is usual), or choose adamw"
        )
    try:
        optimizer = _build(options, groups, rates, decays or {})
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"the optimizer {options.optimizer} cannot be made: {error}") from error
    if hasattr(optimizer, "train"):
        optimizer.train()
    return optimizer


@contextmanager
def as_used(optimizer: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """While parameters are looked at or tried out: schedule-free optimizers learn with others than they give.

    Afterwards they are what they were to the bit, which the optimizer's own way back would not give.
    """
    switch: Any = optimizer
    if not hasattr(switch, "train"):
        yield
        return
    before = [parameter.detach().clone() for parameter in parameters]
    switch.eval()
    try:
        yield
    finally:
        switch.train()
        with torch.no_grad():
            for parameter, own in zip(parameters, before, strict=True):
                parameter.copy_(own)


def _build(options: TrainOptions, groups: Groups, rates: Mapping[str, float], decays: Mapping[str, float]) -> Any:
    listed: Any = [
        {"params": list(own.values()), "lr": rates[name], "name": name, "base": rates[name]}
        | ({"weight_decay": decays[name]} if name in decays else {})
        for name, own in groups.items()
        if own
    ]
    lr = max(rates.values())
    betas, decay = (options.beta1, options.beta2), options.weight_decay
    if options.optimizer == "adamw":
        return torch.optim.AdamW(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay, fused=True)
    if options.optimizer == "sgd":
        return torch.optim.SGD(listed, lr=lr, momentum=options.beta1, weight_decay=decay)
    if options.optimizer == "muon":
        from weft.nodes.training.muon import Muon

        return Muon(listed, lr=lr, betas=betas, weight_decay=decay)
    if options.optimizer == "adafactor":
        return torch.optim.Adafactor(listed, lr=lr, weight_decay=decay)
    if options.optimizer == "adamw_8bit":
        kind = _installed(options.optimizer, "bitsandbytes.optim", "AdamW8bit")
        return kind(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay)
    if options.optimizer == "prodigy":
        kind = _installed(options.optimizer, "prodigyopt", "Prodigy")
        optimizer = kind(listed, lr=lr, betas=betas, eps=options.epsilon)
        for group in optimizer.param_groups:
            # Given above, it would be told on the standard output.
            group["weight_decay"] = decays.get(group["name"], decay)
        return optimizer
    kind = _installed(options.optimizer, "schedulefree", "AdamWScheduleFree")
    return kind(listed, lr=lr, betas=betas, eps=options.epsilon, weight_decay=decay, warmup_steps=options.warmup)


def _installed(optimizer: str, module: str, name: str) -> Any:
    import importlib

    package = PACKAGES[optimizer]
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(
            f"the optimizer {optimizer} needs the package {package}, which is not installed here ({error}): "
            f"`pip install {package}`, or choose adamw"
        ) from None


class Schedule:
    """The factor on the learning rates at each step, from diffusers' `get_scheduler`.

    steps: of the whole training, for those that depend on it. rate: the highest learning rate: a polynomial does not go
    below 1e-7.
    """

    def __init__(self, options: TrainOptions, steps: int, rate: float = 1.0) -> None:
        with IMPORTING:
            from diffusers.optimization import get_scheduler
        dummy = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate if rate > 1e-6 else 1.0)
        given: dict[str, Any] = {}
        if options.schedule == "cosine_with_restarts":
            given["num_cycles"] = options.cycles
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
    """An optimizer's state: tensors by "place/name", and what is plain, with what its groups have come to.

    The place is that of the parameter among all. Plain data that all parameters have alike, such as counts of steps, is
    there once, and so is a tensor that several share, such as the table of an 8-bit format.
    """
    tensors: dict[str, Tensor] = {}
    plain: list[dict[str, Any]] = []
    shared: dict[str, str] = {}
    first: dict[int, str] = {}
    for place, parameter in enumerate(_listed(groups)):
        own: dict[str, Any] = {}
        for key, item in optimizer.state.get(parameter, {}).items():
            name = f"{place}/{key}"
            if not isinstance(item, Tensor):
                own[key] = item
            elif item.numel() <= 1:
                own[key] = {
                    "tensor": item.item() if item.numel() else 0,
                    "shape": list(item.shape),
                    "dtype": _dtype(item),
                }
            elif id(item) in first:
                shared[name] = first[id(item)]
            else:
                first[id(item)] = name
                tensors[name] = item
        plain.append(own)
    settings = [
        {key: item for key, item in group.items() if key not in OPTIONS and _is_plain(item)}
        for group in optimizer.param_groups
    ]
    alike = bool(plain) and all(own == plain[0] for own in plain)
    return tensors, {"plain": plain[:1] if alike else plain, "shared": shared, "groups": settings}


def restore_state(
    optimizer: torch.optim.Optimizer, groups: Groups, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> None:
    """The inverse of `state_of`."""
    parameters, own = _listed(groups), list(plain["plain"])
    if len(own) == 1:
        own *= len(parameters)
    for parameter, items in zip(parameters, own, strict=True):
        for key, item in items.items():
            optimizer.state[parameter][key] = _scalar(item, key, parameter) if isinstance(item, dict) else item
    copied: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        place, _, key = name.partition("/")
        parameter = parameters[int(place)]
        copied[name] = optimizer.state[parameter][key] = tensor.to(parameter.device, copy=True)
    for name, source in plain["shared"].items():
        place, _, key = name.partition("/")
        optimizer.state[parameters[int(place)]][key] = copied[source]
    for group, settings in zip(optimizer.param_groups, plain["groups"], strict=True):
        for key, item in settings.items():
            group[key] = tuple(item) if isinstance(group.get(key), tuple) else item


def _scalar(item: Mapping[str, Any], key: str, parameter: Tensor) -> Tensor:
    # Counts of steps stay on the CPU, as torch's own optimizers have them.
    device = None if key == "step" else parameter.device
    return torch.full(item["shape"], item["tensor"], dtype=getattr(torch, item["dtype"]), device=device)


def _listed(groups: Groups) -> list[torch.nn.Parameter]:
    return [parameter for own in groups.values() for parameter in own.values()]


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _is_plain(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return all(_is_plain(one) for one in item)
    return item is None or isinstance(item, (bool, int, float, str))
