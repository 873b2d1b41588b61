"""Spacings and levels by hand: each equals diffusers' pipeline with the same options, or is refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import CLASSES
from tests.nodes.sampling.test_own_schedulers import ours, scheduler_of, theirs, with_own
from tests.nodes.sampling.test_schedule import CONFIG
from tests.nodes.techniques.conftest import folder, model, pipe
from tests.nodes.techniques.measure import relative
from weft.engine import Context, check
from weft.engine.cache.trails import Trails
from weft.graphs import Graph
from weft.nodes import cfg, decode, denoise, encode_prompt, load_model, sega
from weft.nodes.models.schedulers import SCHEDULERS, SUPPORTED
from weft.nodes.sampling import levels as levels_module
from weft.nodes.sampling.levels import (
    SPACES_TIMESTEPS,
    SPACINGS,
    TAKES_SIGMAS,
    TAKES_TIMESTEPS,
    Levels,
    level_misfits,
)
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Latents, Mask, Model

__all__ = ["folder", "model", "pipe"]

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
STEPS = 3
SIZE = {"width": 64, "height": 64}
FLAGS = {
    "uniform": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "lu": {"use_lu_lambdas": True},
}
FIXED = "dpmpp_2m_karras"
"""The name that says its spacing takes no other, and no levels by hand."""
TIMESTEPS = [999, 701, 340, 60]
SIGMAS = [14.0, 6.5, 2.0, 0.4]

# By name where there is one, and else as a model's own scheduler.
NAMED = {name: cls for name, (cls, _) in CLASSES.items()}
SAMPLERS = {**NAMED, **{cls: cls for cls in SUPPORTED if cls not in NAMED.values()}}


def settings(sampler: str, made: Model) -> tuple[Model, dict[str, Any]]:
    """A model and what to give `denoise`, for a name or a class."""
    if sampler in NAMED:
        return made, {"scheduler": sampler}
    return replace(made, scheduler={**CONFIG, "_class_name": sampler}), {"scheduler": "default"}


def oracle(sampler: str, made: Model, **changes: Any) -> Any:
    """diffusers' scheduler with these options; latents are not clipped."""
    cls = getattr(diffusers, SAMPLERS[sampler])
    config = {**(made.scheduler if sampler in NAMED else CONFIG), "clip_sample": False}
    changes = CLASSES.get(sampler, ("", {}))[1] | changes
    known = inspect.signature(cls).parameters
    return cls.from_config({name: value for name, value in config.items() if name in known}, **changes)


def spaced() -> list[tuple[str, str]]:
    """Samplers, and each spacing that they can have."""
    found = [(sampler, spacing) for sampler, cls in SAMPLERS.items() for spacing in SPACINGS.get(cls, ())]
    return [(sampler, spacing) for sampler, spacing in found if sampler != FIXED or spacing == "karras"]


@pytest.mark.parametrize(("sampler", "spacing"), spaced())
def test_a_spacing_equals_the_pipeline(model: Models, pipe: Pipes, sampler: str, spacing: str) -> None:
    made, options = settings(sampler, model("sd1_calm"))
    changes = {"sigma_schedule": spacing} if sampler.startswith("EDM") else FLAGS[spacing]
    expected = theirs(
        pipe("sd1_calm", "StableDiffusionPipeline"), oracle(sampler, made, **changes), num_inference_steps=STEPS, **SIZE
    )
    assert relative(ours(made, steps=STEPS, spacing=spacing, **options), expected) <= 1e-4


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize(
    "sampler", {cls: sampler for sampler, cls in SAMPLERS.items() if cls in SPACES_TIMESTEPS}.values()
)
def test_a_timestep_spacing_equals_the_pipeline(model: Models, pipe: Pipes, sampler: str, spacing: str) -> None:
    made, options = settings(sampler, model("sd1_calm"))
    scheduler = oracle(sampler, made, timestep_spacing=spacing)
    expected = theirs(pipe("sd1_calm", "StableDiffusionPipeline"), scheduler, num_inference_steps=STEPS, **SIZE)
    assert relative(ours(made, steps=STEPS, timestep_spacing=spacing, **options), expected) <= 1e-4


def test_both_spacings_at_once(model: Models, pipe: Pipes) -> None:
    """The one gives the ends between which the other lies."""
    made = model("sd1_calm")
    scheduler = oracle("euler", made, timestep_spacing="trailing", use_karras_sigmas=True)
    expected = theirs(pipe("sd1_calm", "StableDiffusionPipeline"), scheduler, num_inference_steps=STEPS, **SIZE)
    options: dict[str, Any] = {"steps": STEPS, "scheduler": "euler", "spacing": "karras"}
    assert relative(ours(made, timestep_spacing="trailing", **options), expected) <= 1e-4
    assert relative(ours(made, timestep_spacing="leading", **options), expected) > 1e-3


@pytest.mark.parametrize(
    "sampler", [name for name, cls in SAMPLERS.items() if cls in TAKES_TIMESTEPS and name != FIXED]
)
def test_timesteps_by_hand_equal_the_pipeline(model: Models, pipe: Pipes, sampler: str) -> None:
    made, options = settings(sampler, model("sd1_calm"))
    scheduler = oracle(sampler, made)
    expected = theirs(pipe("sd1_calm", "StableDiffusionPipeline"), scheduler, timesteps=TIMESTEPS, **SIZE)
    got = denoised(made, steps=9, timesteps=TIMESTEPS, **options)
    assert relative(got.latents.samples, expected) <= 1e-4
    assert list(dict.fromkeys(got.trajectory.timesteps)) == TIMESTEPS


def denoised(made: Model, **options: Any) -> Any:
    guidance = cfg(encode_prompt(made, "a red circle"), encode_prompt(made, "a blue square"), scale=5.0)
    return denoise(made, [guidance], **({"seed": 7} | SIZE | options))


def test_sigmas_by_hand_equal_the_pipeline(model: Models, pipe: Pipes) -> None:
    """diffusers takes them with the 0 at the end, which may be given or not."""
    made = model("sd1_calm")
    loaded = pipe("sd1_calm", "StableDiffusionPipeline")
    expected = theirs(loaded, oracle("euler", made), sigmas=[*SIGMAS, 0.0], **SIZE)
    for sigmas in (SIGMAS, [*SIGMAS, 0.0]):
        got = denoised(made, scheduler="euler", steps=9, sigmas=sigmas)
        assert relative(got.latents.samples, expected) <= 1e-4
        assert got.trajectory.sigmas == tuple(torch.tensor([*SIGMAS, 0.0]).tolist())


@pytest.mark.parametrize("sampler", [name for name, cls in NAMED.items() if cls in TAKES_SIGMAS and name != FIXED])
def test_the_sigmas_of_karras_by_hand_equal_the_pipeline(model: Models, pipe: Pipes, sampler: str) -> None:
    """diffusers takes none for most of these; given those that it spaces itself, the pictures are the same."""
    made = model("sd1_calm")
    scheduler = oracle(sampler, made, use_karras_sigmas=True)
    expected = theirs(pipe("sd1_calm", "StableDiffusionPipeline"), scheduler, num_inference_steps=STEPS, **SIZE)
    sigmas = list(dict.fromkeys(scheduler.sigmas.tolist()))
    assert len(sigmas) == STEPS + 1
    assert relative(ours(made, scheduler=sampler, sigmas=sigmas), expected) <= 1e-4
    if sampler == "dpmpp_2m":
        other = [sigmas[0], (sigmas[0] + sigmas[1]) / 2, *sigmas[1:]]
        assert relative(ours(made, scheduler=sampler, sigmas=other), expected) > 1e-3


@pytest.mark.parametrize(
    ("sampler", "mine", "other"),
    [
        ("euler", {"sigmas": SIGMAS}, {"sigmas": [*SIGMAS, 0.0]}),
        ("dpmpp_2m", {"timesteps": TIMESTEPS}, {"timesteps": TIMESTEPS}),
        ("lcm", {"timesteps": TIMESTEPS}, {"timesteps": TIMESTEPS}),
    ],
)
def test_from_an_image(model: Models, pipe: Pipes, sampler: str, mine: dict[str, Any], other: dict[str, Any]) -> None:
    """`strength` leaves out the first of the levels by hand."""
    made = model("sd1_calm")
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    loaded = pipe("sd1_calm", "StableDiffusionImg2ImgPipeline")
    expected = theirs(loaded, oracle(sampler, made), image=clean, strength=0.5, **other)
    got = denoised(made, scheduler=sampler, start=Latents(clean), strength=0.5, **mine)
    assert relative(got.latents.samples, expected) <= 1e-4
    assert len(got.trajectory.timesteps) == 2
    mask = torch.ones(1, 64, 64)
    mask[..., 32:] = 0
    kept = denoised(
        made, scheduler=sampler, start=Latents(clean), mask=Mask(mask), strength=0.5, **mine
    ).latents.samples
    assert torch.allclose(kept[..., 4:], clean[..., 4:])
    assert not torch.allclose(kept[..., :4], clean[..., :4], atol=1e-2)


def test_a_spacing_from_an_image(model: Models, pipe: Pipes) -> None:
    made = model("sd1_calm")
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    for sampler in ("heun", "unipc"):
        scheduler = oracle(sampler, made, use_exponential_sigmas=True)
        options: dict[str, Any] = {"strength": 0.6, "num_inference_steps": 5}
        expected = theirs(pipe("sd1_calm", "StableDiffusionImg2ImgPipeline"), scheduler, image=clean, **options)
        got = ours(made, scheduler=sampler, spacing="exponential", start=Latents(clean), strength=0.6, steps=5)
        assert relative(got, expected) <= 1e-4, sampler


def test_the_model_that_spaces_its_own_sigmas(model: Models) -> None:
    """`default` leaves its configuration as it is, and uniform takes it back."""
    made = model("sd1_calm")
    own = with_own(made, scheduler_of("EulerDiscreteScheduler", {**CONFIG, "use_karras_sigmas": True}))
    plain = with_own(made, scheduler_of("EulerDiscreteScheduler", CONFIG))
    options: dict[str, Any] = {"steps": STEPS}
    assert torch.equal(ours(own, **options), ours(plain, spacing="karras", **options))
    assert torch.equal(ours(own, spacing="uniform", **options), ours(plain, **options))
    assert torch.equal(ours(own, spacing="beta", **options), ours(plain, spacing="beta", **options))
    assert torch.equal(ours(own, timesteps=TIMESTEPS), ours(plain, timesteps=TIMESTEPS))
    assert not torch.equal(ours(own, **options), ours(plain, **options))


def test_names_do_not_take_the_algorithm_of_the_models_own() -> None:
    """DEIS knows none of the others, and SDE variants are asked for by name."""
    config = {**CONFIG, "algorithm_type": "sde-dpmsolver++", "solver_order": 3}
    kinds = {name: build_scheduler(name, config).config.get("algorithm_type") for name in NAMED}
    assert {name for name, kind in kinds.items() if kind == "sde-dpmsolver++"} == {
        name for name in NAMED if "sde" in name
    }
    assert kinds["deis"] == "deis"
    assert build_scheduler("dpmpp_2s", config).config.solver_order == 2


def test_the_name_with_a_spacing_is_that_spacing(model: Models) -> None:
    made, options = model("sd1_calm"), {"steps": STEPS}
    named = ours(made, scheduler="dpmpp_2m_karras", **options)
    assert torch.equal(named, ours(made, scheduler="dpmpp_2m", spacing="karras", **options))
    assert torch.equal(named, ours(made, scheduler="dpmpp_2m_karras", spacing="karras", **options))
    assert not torch.equal(named, ours(made, scheduler="dpmpp_2m", **options))


ONE = (Levels("karras"), Levels("exponential"), Levels("beta"), Levels(sigmas=(9.0,)))
SINGLE = [(name, levels) for name in NAMED for levels in ONE if not list(level_misfits(name, CONFIG, levels))]


@pytest.mark.parametrize(("name", "levels"), SINGLE)
def test_one_step_is_enough(name: str, levels: Levels) -> None:
    schedule = Schedule(build_scheduler(name, CONFIG, levels), 1, levels=levels)
    schedule.bind([torch.Generator().manual_seed(1)])
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * schedule.init_noise_sigma
    for index in range(schedule.calls):
        schedule.scale(latents, index)
        latents = schedule.step(latents * 0.5, index, latents)
    assert bool(torch.isfinite(latents).all())
    assert schedule.whole(schedule.calls - 1)


# What goes on from an earlier run.


class Said(list[tuple[int, int]]):
    def context(self, trails: Trails) -> Context:
        return Context(trails=trails, on_reused=lambda node, steps, total: self.append((steps, total)))


def resumed(made: Model, first: dict[str, Any], second: dict[str, Any]) -> tuple[Tensor, Tensor, Said]:
    trails, said = Trails(1 << 26), Said()
    ours(made, context=said.context(trails), **first)
    full = ours(made, **second)
    return ours(made, context=said.context(trails), **second), full, said


def test_sigmas_that_differ_late_share_the_steps_before(model: Models) -> None:
    """Of 14, 6.5, 2, 0.4 the first two steps end at 2; the third ends at another level."""
    one, two = {"sigmas": SIGMAS}, {"sigmas": [*SIGMAS[:3], 0.5, 0.1]}
    again, full, said = resumed(model("sd1_calm"), one | {"scheduler": "euler"}, two | {"scheduler": "euler"})
    assert torch.equal(again, full)
    assert said == [(2, 5)]


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun"])
def test_sigmas_that_differ_early_share_nothing(model: Models, sampler: str) -> None:
    one, two = {"sigmas": SIGMAS}, {"sigmas": [SIGMAS[0], 6.4, *SIGMAS[2:]]}
    again, full, said = resumed(model("sd1_calm"), one | {"scheduler": sampler}, two | {"scheduler": sampler})
    assert torch.equal(again, full)
    assert said == []


def test_other_spacings_share_nothing(model: Models) -> None:
    """Not even where the first level is the same."""
    spacings: list[dict[str, Any]] = [
        {"spacing": "karras"},
        {"spacing": "exponential"},
        {"spacing": "beta"},
        {"timestep_spacing": "trailing"},
        {"timesteps": [999, 500, 100]},
        {"timesteps": [999, 500, 99]},
    ]
    made, trails, said = model("sd1_calm"), Trails(1 << 26), Said()
    for options in spacings:
        settings = {"scheduler": "dpmpp_2m", "steps": STEPS} | options
        assert torch.equal(ours(made, context=said.context(trails), **settings), ours(made, **settings)), options
    assert said == []


def test_progress_counts_the_levels_by_hand(model: Models) -> None:
    steps: list[tuple[int, int]] = []

    class Listener:
        def report(self, node: str, kind: str, data: Any, body: bytes = b"") -> None:
            if kind == "progress":
                steps.append((data["step"], data["total"]))

    made = model("sd1_calm")
    ours(made, context=Context(listener=Listener()), scheduler="euler", steps=30, sigmas=SIGMAS)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    steps.clear()
    ours(made, context=Context(listener=Listener()), scheduler="heun", steps=30, timesteps=[999, 400])
    assert [total for _, total in steps] == [3, 3, 3]


# What is refused.


def test_the_tables_are_those_of_diffusers() -> None:
    """An option that a version of diffusers gains or loses has to be entered."""
    for name in SUPPORTED:
        cls = getattr(diffusers, name)
        options, arguments = inspect.signature(cls).parameters, inspect.signature(cls.set_timesteps).parameters
        flags = [spacing for spacing, flag in FLAGS.items() if flag and set(flag) <= set(options)]
        if not name.startswith("EDM"):
            assert list(SPACINGS.get(name, ())) == (["uniform", *flags] if flags else []), name
        assert (name in TAKES_TIMESTEPS) == ("timesteps" in arguments), name
        # LCM and TCD have the option and do not read it.
        reads = name not in ("LCMScheduler", "TCDScheduler")
        assert (name in SPACES_TIMESTEPS) == ("timestep_spacing" in options and reads), name


def test_every_name_is_there_to_choose() -> None:
    ports = denoise.node_type.inputs
    assert ports["scheduler"].choices == ("default", *SCHEDULERS)
    assert set(ports["spacing"].choices) == {"default", *FLAGS}
    assert set(CLASSES) == set(SCHEDULERS)


def test_the_page_has_the_tables() -> None:
    page = (Path(__file__).parents[3] / "docs" / "samplers.md").read_text("utf-8")
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines() if "Scheduler` |" in line
    ]

    def takes(name: str, **options: Any) -> str:
        return "" if list(level_misfits(name, CONFIG, Levels(**options))) else "yes"

    expected = []
    for name, (cls, _) in SCHEDULERS.items():
        spacings = ", ".join(spacing for spacing in FLAGS if takes(name, spacing=spacing))
        able = (takes(name, timestep_spacing="leading"), takes(name, sigmas=(1.0,)), takes(name, timesteps=(1,)))
        expected.append([name, cls, spacings, *able])
    assert rows == expected


@pytest.mark.parametrize("sampler", ["lcm", "TCDScheduler"])
def test_what_has_no_timestep_spacing_does_not_read_it(sampler: str) -> None:
    config = {**CONFIG, "_class_name": SAMPLERS[sampler]}
    lists = []
    for spacing in ("leading", "trailing", "linspace"):
        name = sampler if sampler in NAMED else "default"
        lists.append(Schedule(build_scheduler(name, {**config, "timestep_spacing": spacing}), 4).timesteps)
    assert lists[0] == lists[1] == lists[2]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("ddim", {"spacing": "karras"}, "spacing", r"ddim cannot have the spacing karras: it has no other than its own; "
     "karras can be had with euler, dpmpp_2m, dpmpp_2m_karras, dpmpp_sde, dpmpp_3m_sde, dpmpp_2s, dpmpp_2s_sde, unipc, "
     "deis, heun, kdpm2, kdpm2_ancestral or lms"),
    ("pndm", {"spacing": "beta"}, "spacing", "pndm cannot have the spacing beta"),
    ("lcm", {"spacing": "exponential"}, "spacing", "lcm cannot have the spacing exponential"),
    ("euler_ancestral", {"spacing": "karras"}, "spacing", "euler_ancestral cannot have the spacing karras"),
    ("euler", {"spacing": "lu"}, "spacing", "euler cannot have the spacing lu: it takes uniform, karras, exponential "
     "or beta; lu can be had with dpmpp_2m, dpmpp_sde or dpmpp_3m_sde"),
    ("dpmpp_2m_karras", {"spacing": "beta"}, "spacing", "dpmpp_2m_karras cannot have the spacing beta: it takes"),
    ("lcm", {"timestep_spacing": "leading"}, "timestep_spacing", "lcm cannot have the timestep spacing leading"),
    ("dpmpp_2s", {"timestep_spacing": "leading"}, "timestep_spacing", "dpmpp_2s cannot have the timestep spacing"),
    ("ddim", {"sigmas": [9.0, 1.0]}, "sigmas", "ddim cannot have sigmas by hand, which can be had with euler, "
     "dpmpp_2m, dpmpp_sde, dpmpp_3m_sde, dpmpp_2s, dpmpp_2s_sde, unipc, heun, kdpm2, kdpm2_ancestral or lms"),
    ("deis", {"sigmas": [9.0, 1.0]}, "sigmas", "deis cannot have sigmas by hand"),
    ("dpmpp_2m_karras", {"sigmas": [9.0, 1.0]}, "sigmas", "dpmpp_2m_karras cannot have sigmas by hand"),
    ("unipc", {"timesteps": [900, 100]}, "timesteps", "unipc cannot have timesteps by hand, which can be had with "
     "euler, dpmpp_2m, dpmpp_sde, dpmpp_3m_sde, dpmpp_2s, dpmpp_2s_sde, heun or lcm"),
    ("dpmpp_2m_karras", {"timesteps": [900, 100]}, "timesteps", "dpmpp_2m_karras cannot have timesteps by hand"),
    ("euler", {"sigmas": [9.0, 9.0]}, "sigmas", "sigmas have to go down: number 2, 9, is not below the one before, 9"),
    ("euler", {"sigmas": [9.0, 1.0, 2.0]}, "sigmas", "number 3, 2, is not below"),
    ("euler", {"sigmas": [9.0, 0.0, 0.0]}, "sigmas", "sigmas has 0, and each has to lie within 0.0001 to 10000"),
    ("euler", {"sigmas": [0.0]}, "sigmas", "sigmas has no level with noise"),
    ("euler", {"sigmas": [float(n) for n in range(1001, 0, -1)]}, "sigmas", "has 1,001 numbers; there can be 1,000"),
    ("heun", {"timesteps": [1000, 100]}, "timesteps", "timesteps has 1000, and each has to lie within 0 to 999"),
    ("heun", {"timesteps": [100, 200]}, "timesteps", "timesteps have to go down: number 2, 200, is not below"),
    ("euler", {"timesteps": [9], "sigmas": [1.0]}, "timesteps", "two ways of saying the same: give one of them"),
    ("euler", {"spacing": "karras", "sigmas": [1.0]}, "spacing", "leave spacing at default, or sigmas empty"),
    ("euler", {"timestep_spacing": "leading", "timesteps": [9]}, "timestep_spacing", "timesteps by hand leave nothing"),
]  # fmt: skip


def checked(folder: Callable[[str], Any], *guidance: Any, **options: Any) -> list[Any]:
    """What a check of a workflow says, but for what it lacks at its end."""
    with Graph() as graph:
        loaded = load_model(str(folder("sd1_calm")))
        base = cfg(encode_prompt(loaded, "a circle"))
        more = [make(loaded) for make in guidance]
        decode(loaded, denoise(loaded, [base, *more], **options).latents)
    return [problem for problem in check(graph) if problem.code != "no_output"]


@pytest.mark.parametrize(("sampler", "options", "input", "message"), REFUSED)
def test_refused_by_name(
    model: Models, folder: Callable[[str], Any], sampler: str, options: dict[str, Any], input: str, message: str
) -> None:
    """At the check, and in a call."""
    found = checked(folder, scheduler=sampler, **options)
    assert [(problem.code, problem.input) for problem in found] == [("bad_value", input)]
    assert message in found[0].message
    with pytest.raises(ValueError, match=r"by hand|spacing|sigmas|timesteps") as caught:
        ours(model("sd1_calm"), scheduler=sampler, **options)
    assert message in str(caught.value)


def test_the_models_own_scheduler_is_looked_at(model: Models, folder: Callable[[str], Any]) -> None:
    found = [(problem.input, problem.message) for problem in checked(folder, spacing="karras", sigmas=[1.0])]
    assert [input for input, _ in found] == ["spacing", "spacing", "sigmas"]
    assert "the model's own scheduler PNDMScheduler cannot have the spacing karras" in found[1][1]
    with pytest.raises(ValueError, match="own scheduler TCDScheduler cannot have the spacing karras"):
        ours(with_own(model("sd1_calm"), scheduler_of("TCDScheduler", CONFIG)), spacing="karras")


def test_numbers_out_of_the_inputs_range_are_one_problem(folder: Callable[[str], Any]) -> None:
    for options in ({"sigmas": [20_000.0, 1.0]}, {"sigmas": [-1.0]}, {"timesteps": [99_999]}, {"spacing": "nearly"}):
        (found,) = checked(folder, scheduler="euler", **options)
        assert found.code in ("out_of_range", "not_a_choice"), options


def test_what_needs_scipy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels_module, "find_spec", lambda name: None)
    (found,) = level_misfits("euler", CONFIG, Levels(spacing="beta"))
    assert found.message.startswith("the spacing beta needs scipy, which is not installed: pip install scipy")
    assert found.expected == ["default", "uniform", "karras", "exponential"]
    (found,) = level_misfits("lms", CONFIG, Levels())
    assert (found.input, found.message[:15]) == ("scheduler", "lms needs scipy")
    with pytest.raises(ValueError, match="lms needs scipy"):
        build_scheduler("lms", CONFIG)
    assert list(level_misfits("euler", CONFIG, Levels(spacing="karras"))) == []


def test_another_version_of_diffusers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sigmas by hand go through a method that is diffusers' own; where it is gone they must not be left out."""
    levels = Levels(sigmas=(9.0, 1.0))
    scheduler = build_scheduler("heun", CONFIG, levels)
    kind = type(scheduler)
    monkeypatch.setattr(kind, "set_timesteps", lambda self, steps, device: setattr(self, "sigmas", torch.ones(3)))
    with pytest.raises(ValueError, match="of this version of diffusers does not take sigmas by hand"):
        Schedule(scheduler, 5, levels=levels)


def test_a_concept_has_as_many_steps_as_there_are_levels(folder: Callable[[str], Any]) -> None:
    def concept(loaded: Any) -> Any:
        return sega(encode_prompt(loaded, "green"), warmup=4)

    (found,) = checked(folder, concept, scheduler="euler", steps=30, sigmas=[*SIGMAS, 0.0])
    assert "has 4 steps: it never acts" in found.message
