"""Learning rates by step, averages and weights of losses as diffusers has them, and the state of every optimizer."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import torch

from weft.nodes.training import optimizers
from weft.nodes.training.averaging import Average
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.objective import Diffusion
from weft.nodes.training.optimizers import Schedule, as_used, build_optimizer, restore_state, state_of
from weft.nodes.values.train_options import PACKAGES, SCHEDULES, OptimizerName, TrainOptions

OPTIMIZERS = get_args(OptimizerName)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_factors_are_those_of_diffusers_scheduler_stepping(name: Any) -> None:
    from diffusers.optimization import get_scheduler

    options = TrainOptions(schedule=name, warmup=3 if name != "constant" else 0, cycles=2, power=1.5)
    own = {
        "cosine_with_restarts": {"num_cycles": 2},
        "polynomial": {"power": 1.5},
    }
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    counts = {"num_warmup_steps": options.warmup, "num_training_steps": 20}
    scheduler = get_scheduler(name, optimizer, **counts, **own.get(name, {}))
    ours = Schedule(options, 20, 0.3)
    for step in range(20):
        assert 0.3 * ours.factor(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-9), step
        optimizer.step()
        scheduler.step()


def test_cosine_of_one_cycle_ends_at_nothing() -> None:
    ours = Schedule(TrainOptions(schedule="cosine"), 10)
    assert ours.factor(0) == 1
    assert ours.factor(5) == pytest.approx(0.5)
    assert ours.factor(10) == pytest.approx(0, abs=1e-9)


def test_the_average_is_that_of_diffusers() -> None:
    from diffusers.training_utils import EMAModel

    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(5, 3))
    theirs, ours = EMAModel([parameter], decay=0.6), Average(0.6, {"p": parameter})
    for step in range(20):
        with torch.no_grad():
            parameter.add_(torch.randn(5, 3))
        theirs.step([parameter])
        ours.add(step)
        torch.testing.assert_close(ours.tensors["p"], theirs.shadow_params[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_is_the_formula_of_the_paper(prediction: Any) -> None:
    from diffusers import DDPMScheduler
    from diffusers.training_utils import compute_snr

    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    times = torch.tensor([0, 10, 300, 700, 999])
    snr = compute_snr(DDPMScheduler(**config), times)
    wanted = snr.clamp(max=5.0) / (snr if prediction == "epsilon" else snr + 1)
    ours = Diffusion(config, prediction, torch.device("cpu"))
    torch.testing.assert_close(ours.weights(times, 5.0), wanted, rtol=1e-5, atol=1e-7)
    assert ours.weights(times, 0.0).tolist() == [1.0] * 5


def parameters() -> dict[str, dict[str, torch.nn.Parameter]]:
    """Two groups: a matrix large enough for 8 bits, a small one, a vector, one number, and one that is never used."""
    shapes = {"wide": (64, 128), "small": (3, 4), "row": (7,), "one": (1,), "idle": (2, 2)}
    generator = torch.Generator().manual_seed(0)
    found = {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}
    first = ("wide", "idle")
    return {
        "first": {name: found[name] for name in first},
        "second": {name: found[name] for name in shapes if name not in first},
    }


def advance(optimizer: torch.optim.Optimizer, groups: dict[str, dict[str, torch.nn.Parameter]], steps: range) -> None:
    """Steps whose gradients depend on their number and on the parameters."""
    for step in steps:
        for place, (name, parameter) in enumerate((n, p) for own in groups.values() for n, p in own.items()):
            if name != "idle":
                noise = torch.Generator().manual_seed(100 * step + place)
                parameter.grad = parameter.detach() + torch.randn(parameter.shape, generator=noise)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_from_its_state_to_the_bit(name: Any) -> None:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    options = TrainOptions(optimizer=name, warmup=4 if name == "schedule_free_adamw" else 0)
    rates = {"first": 0.1, "second": 0.1 if name == "prodigy" else 0.05}
    straight = parameters()
    optimizer = build_optimizer(options, straight, rates)
    advance(optimizer, straight, range(3))
    tensors, plain = state_of(optimizer, straight)
    saved = {k: t.clone() for k, t in tensors.items()}, json.loads(json.dumps(plain))
    middle = {k: p.detach().clone() for own in straight.values() for k, p in own.items()}
    advance(optimizer, straight, range(3, 7))

    resumed = parameters()
    with torch.no_grad():
        for own in resumed.values():
            for key, parameter in own.items():
                parameter.copy_(middle[key])
    again = build_optimizer(options, resumed, rates)
    restore_state(again, resumed, *saved)
    advance(again, resumed, range(3, 7))
    for group, own in straight.items():
        for key, parameter in own.items():
            assert torch.equal(parameter, resumed[group][key]), (group, key)
    with as_used(optimizer, list(straight["first"].values())), as_used(again, list(resumed["first"].values())):
        assert torch.equal(straight["first"]["wide"], resumed["first"]["wide"])


def test_options_that_changed_are_not_taken_back_by_a_state() -> None:
    groups = parameters()
    optimizer = build_optimizer(TrainOptions(weight_decay=0.5), groups, {"first": 0.1, "second": 0.1})
    advance(optimizer, groups, range(2))
    other = build_optimizer(TrainOptions(weight_decay=0.25, beta1=0.5), groups, {"first": 0.2, "second": 0.2})
    restore_state(other, groups, *state_of(optimizer, groups))
    assert [(g["weight_decay"], g["betas"][0], g["lr"]) for g in other.param_groups] == [(0.25, 0.5, 0.2)] * 2


def test_what_a_schedule_free_optimizer_gives_is_its_average_and_it_learns_on_as_before() -> None:
    pytest.importorskip("schedulefree")
    groups = parameters()
    listed = [parameter for own in groups.values() for parameter in own.values()]
    optimizer = build_optimizer(TrainOptions(optimizer="schedule_free_adamw"), groups, {"first": 0.1, "second": 0.1})
    advance(optimizer, groups, range(3))
    before = [parameter.detach().clone() for parameter in listed]
    with as_used(optimizer, listed):
        assert not torch.equal(listed[0], before[0])
    assert all(torch.equal(parameter, own) for parameter, own in zip(listed, before, strict=True))
    advance(optimizer, groups, range(3, 4))


def test_a_missing_package_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(optimizers.PACKAGES, "prodigy", "prodigyopt")
    monkeypatch.setitem(__import__("sys").modules, "prodigyopt", None)
    with pytest.raises(TrainingError, match=r"prodigy needs the package prodigyopt.*pip install prodigyopt"):
        build_optimizer(TrainOptions(optimizer="prodigy"), parameters(), {"first": 1.0, "second": 1.0})


def test_prodigy_with_several_rates_is_refused() -> None:
    pytest.importorskip("prodigyopt")
    with pytest.raises(TrainingError, match=r"first 1, second 0\.5"):
        build_optimizer(TrainOptions(optimizer="prodigy"), parameters(), {"first": 1.0, "second": 0.5})
