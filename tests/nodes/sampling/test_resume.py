"""A run that differs from an earlier one at step k costs n - k steps and gives the same bits as a full one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.techniques.measure import counted
from tests.tiny_nets import tiny_controlnet
from weft.engine import Cancelled, CancelToken, Context
from weft.engine.cache.trails import Trails
from weft.nodes import (
    attend_and_excite,
    cfg,
    controlnet,
    denoise,
    during,
    encode_prompt,
    invert,
    load_controlnet,
    multidiffusion,
    pag,
    pix2pix_zero,
    prompt_to_prompt,
    rectangle_mask,
    regions,
    sag,
    sega,
    weighted_prompt,
)
from weft.nodes.sampling import content
from weft.nodes.sampling.run import Run, Step
from weft.nodes.technique import Predictions, Technique
from weft.nodes.values import Guidance, Image, Latents, Mask, Model, Trajectory

STEPS = 10
MIB = 1 << 20


@pytest.fixture
def trails() -> Trails:
    return Trails(64 * MIB)


@pytest.fixture(scope="module")
def tiny(model: Callable[[str], Model]) -> Model:
    return model("sd1")


@pytest.fixture(scope="module")
def prompts(tiny: Model) -> Callable[[str], Any]:
    known: dict[str, Any] = {}
    return lambda text: known.setdefault(text, encode_prompt(tiny, text))


Prompts = Callable[[str], Any]


def base(prompts: Prompts, **options: Any) -> Guidance:
    return cfg(prompts("a red circle"), prompts("a blue square"), **{"scale": 5.0, **options})


@dataclass
class Outcome:
    """What a run made, how often it called the denoiser, and how many steps it said it reused."""

    trajectory: Trajectory
    calls: int
    reused: list[tuple[int, int]] = field(default_factory=list)

    def equals(self, other: Outcome) -> bool:
        pairs = zip(self.trajectory.latents, other.trajectory.latents, strict=True)
        return all(torch.equal(one, two) for one, two in pairs)


def go(model: Model, trails: Trails | None, *guidance: Guidance, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"steps": STEPS, "scheduler": "ddim", "seed": 7, "width": 64, "height": 64} | options
    controls = settings.pop("controls", [])
    said: list[tuple[int, int]] = []
    context = Context(trails=trails, on_reused=lambda node, steps, total: said.append((steps, total)))
    parts = model.parts()
    with counted(parts.unet) as rows:
        made = denoise(model, list(guidance), controls, ctx=context, **settings)
    return Outcome(made.trajectory, len(rows), said)


def resumes(
    model: Model, trails: Trails, first: dict[str, Any], second: dict[str, Any], calls: int, reused: int
) -> None:
    """After `first`, `second` reuses `reused` steps, calls the denoiser `calls` times, and equals a full run."""
    go(model, trails, *first.pop("guidance"), **first)
    guidance = second.pop("guidance")
    full = go(model, None, *guidance, **second)
    again = go(model, trails, *guidance, **second)
    assert again.calls == calls
    assert again.reused == ([(reused, len(full.trajectory.latents) - 1)] if reused else [])
    assert again.equals(full)
    # What it made on the way is as good a beginning for others.
    third = go(model, trails, *guidance, **second)
    assert third.calls == 0
    assert third.equals(full)


@pytest.mark.parametrize(
    ("scheduler", "calls", "reused"),
    [
        ("ddim", 6, 4),
        ("pndm", 6, 5),
        ("euler", 6, 4),
        ("euler_ancestral", 6, 4),
        ("dpmpp_2m", 6, 4),
        ("dpmpp_2m_karras", 6, 4),
        ("dpmpp_sde", 6, 4),
        ("unipc", 6, 4),
        ("heun", 11, 8),
        ("lcm", 6, 4),
    ],
)
def test_a_technique_added_at_forty_percent(
    tiny: Model, prompts: Prompts, trails: Trails, scheduler: str, calls: int, reused: int
) -> None:
    first = {"guidance": [base(prompts)], "scheduler": scheduler, "batch": 2}
    second = {**first, "guidance": [base(prompts), during(pag(), 0.4, 1.0)]}
    resumes(tiny, trails, first, second, calls, reused)


def test_noise_in_every_ddim_step(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    first = {"guidance": [base(prompts)], "eta": 1.0}
    resumes(tiny, trails, first, {**first, "guidance": [base(prompts), during(pag(), 0.3, 1.0)]}, 7, 3)


@pytest.mark.parametrize("scheduler", ["ddim", "dpmpp_2m", "euler_ancestral"])
def test_the_momentum_of_sega_is_taken_along(tiny: Model, prompts: Prompts, trails: Trails, scheduler: str) -> None:
    concept = {"warmup": 2, "momentum": 0.5}
    first = {"guidance": [base(prompts), sega(prompts("green"), cooldown=8, **concept)], "scheduler": scheduler}
    second = {**first, "guidance": [base(prompts), sega(prompts("green"), cooldown=6, **concept)]}
    resumes(tiny, trails, first, second, 4, 6)


def test_a_later_warm_up(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    first = {"guidance": [base(prompts), sega(prompts("green"), warmup=3)]}
    resumes(tiny, trails, first, {"guidance": [base(prompts), sega(prompts("green"), warmup=5)]}, 7, 3)


def test_another_concept_without_momentum_costs_the_steps_after_its_warm_up(
    tiny: Model, prompts: Prompts, trails: Trails
) -> None:
    first = {"guidance": [base(prompts), sega(prompts("green"), warmup=4, momentum=0.0)]}
    resumes(tiny, trails, first, {"guidance": [base(prompts), sega(prompts("star"), warmup=4, momentum=0.0)]}, 6, 4)


def test_another_concept_with_momentum_is_another_run(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    # Its momentum remembers the first step, so exactness leaves nothing to reuse.
    first = {"guidance": [base(prompts), sega(prompts("green"), warmup=4)]}
    resumes(tiny, trails, first, {"guidance": [base(prompts), sega(prompts("star"), warmup=4)]}, 10, 0)


def test_two_of_one_kind_in_turn_are_not_one(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    # In each step what acts has the same parameters; but the second one has no momentum yet when it begins.
    concept = sega(prompts("green"), warmup=0, momentum=0.5)
    first = {"guidance": [base(prompts), concept]}
    second = {"guidance": [base(prompts), during(concept, 0.0, 0.5), during(concept, 0.5, 1.0)]}
    resumes(tiny, trails, first, second, 5, 5)


def test_a_prompts_weight_late_in_the_schedule(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    everywhere = Mask(torch.ones(1, 64, 64))

    def late(text: str) -> list[Guidance]:
        return [base(prompts), during(regions([weighted_prompt(tiny, text)], [everywhere]), 0.7, 1.0)]

    first = {"guidance": late("a (red)1.3 circle"), "scheduler": "unipc"}
    resumes(tiny, trails, first, {**first, "guidance": late("a (red)1.6 circle")}, 3, 7)


@pytest.fixture(scope="module")
def hint(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Any]:
    net = load_controlnet(str(tiny_controlnet(tmp_path_factory.mktemp("nets") / "net", folder("sd1"))))
    picture = Image(torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(3)))
    return lambda end: controlnet(net, picture, end=end)


def test_the_end_of_a_controlnet(tiny: Model, prompts: Prompts, trails: Trails, hint: Callable[[float], Any]) -> None:
    first = {"guidance": [base(prompts)], "controls": [hint(0.8)], "scheduler": "dpmpp_2m"}
    resumes(tiny, trails, first, {**first, "controls": [hint(0.5)]}, 5, 5)


def test_the_companion_of_prompt_to_prompt(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    # Drawn along from 20 % on, under a scheduler with a history and one of its own.
    def edit(share: float) -> list[Guidance]:
        technique = prompt_to_prompt(prompts("a blue circle"), cross_steps=share, self_steps=0.4)
        return [base(prompts), during(technique, 0.2, 1.0)]

    first = {"guidance": edit(0.8), "scheduler": "dpmpp_2m"}
    resumes(tiny, trails, first, {**first, "guidance": edit(0.6)}, 4, 6)


def test_the_reference_of_pix2pix_zero(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    technique = pix2pix_zero(tiny, prompts("a red circle"), ["a circle"], ["a square"]).guidance
    first = {"guidance": [base(prompts), technique], "scheduler": "dpmpp_sde", "steps": 5}
    second = {**first, "guidance": [base(prompts), technique, during(pag(), 0.6, 1.0)]}
    resumes(tiny, trails, first, second, 6, 3)


def test_attend_and_excite_for_some_steps_more(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    def attended(steps: int) -> list[Guidance]:
        return [base(prompts), attend_and_excite(["circle"], max_iter=steps, thresholds={}, resolution=4)]

    resumes(tiny, trails, {"guidance": attended(3)}, {"guidance": attended(5)}, 7 + 2, 3)


def test_inpainting_a_batch_from_an_image(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    start = Latents(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)))
    kept = rectangle_mask(64, 64, 0, 0, 32, 64)
    first = {
        "guidance": [base(prompts)],
        "start": start,
        "mask": kept,
        "strength": 0.8,
        "batch": 2,
        "scheduler": "euler_ancestral",
    }
    resumes(tiny, trails, first, {**first, "guidance": [base(prompts), during(sag(), 0.5, 1.0)]}, 8, 4)


def test_panoramas(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    views = multidiffusion(view_width=64, view_height=64, stride=32)
    first = {"guidance": [base(prompts), views], "width": 96, "scheduler": "lcm"}
    resumes(tiny, trails, first, {**first, "guidance": [base(prompts), views, during(pag(), 0.4, 1.0)]}, 6, 4)


def test_more_steps_of_an_inversion(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    # Its levels go upwards from the image, so a stronger one begins with the same steps.
    latents = Latents(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)))

    def inverted(strength: float, context: Context) -> tuple[Trajectory, int]:
        guidance = [cfg(prompts("a red circle"), scale=1.0)]
        parts = tiny.parts()
        with counted(parts.unet) as rows:
            made = invert(tiny, guidance, latents=latents, steps=STEPS, strength=strength, regularize=2, ctx=context)
        return made.trajectory, len(rows)

    inverted(0.5, Context(trails=trails))
    full, _ = inverted(0.8, Context())
    more, calls = inverted(0.8, Context(trails=trails))
    assert calls == 3
    assert all(torch.equal(one, two) for one, two in zip(more.latents, full.latents, strict=True))
    less, calls = inverted(0.3, Context(trails=trails))
    assert calls == 0
    assert len(less.latents) == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 8},
        {"scheduler": "dpmpp_2m"},
        {"eta": 0.5},
        {"steps": 9},
        {"batch": 2},
        {"width": 72},
        {"strength": 0.9, "start": Latents(torch.zeros(1, 4, 8, 8))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_differs_from_the_first_step_on_is_another_run(
    tiny: Model, prompts: Prompts, trails: Trails, changed: dict[str, Any]
) -> None:
    go(tiny, trails, base(prompts))
    full = go(tiny, None, base(prompts), **changed)
    again = go(tiny, trails, base(prompts), **changed)
    assert (again.calls, again.reused) == (full.calls, [])
    assert again.equals(full)


def test_other_prompts_weights_and_scheduler_settings_are_other_runs(
    tiny: Model, prompts: Prompts, trails: Trails, folder: Callable[[str], Path]
) -> None:
    go(tiny, trails, base(prompts))
    assert go(tiny, trails, base(prompts, scale=5.1)).calls == STEPS
    assert go(tiny, trails, cfg(prompts("a red circle"), prompts("star"), scale=5.0)).calls == STEPS
    shifted = replace(tiny, scheduler={**tiny.scheduler, "beta_end": 0.013})
    assert go(shifted, trails, base(prompts)).calls == STEPS
    other = replace(tiny, fingerprint="another", location=str(folder("sd1")))
    with pytest.raises(Exception, match="changed since"):  # it goes for the weights: nothing was reused
        go(other, trails, base(prompts))


def test_another_version_of_the_code_is_never_used(
    tiny: Model, prompts: Prompts, trails: Trails, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(tiny, trails, base(prompts))
    monkeypatch.setattr("weft.nodes.sampling.resume.code", lambda: "another")
    assert go(tiny, trails, base(prompts)).calls == STEPS
    monkeypatch.undo()
    assert go(tiny, trails, base(prompts)).calls == 0
    # Threads divide sums, which rounds otherwise.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert go(tiny, trails, base(prompts)).calls == STEPS


def test_the_code_is_told_by_every_source_file() -> None:
    assert content.code().startswith(content.folder_hash(Path(content.__file__).parent.parent, (".py",)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Remembers(Guidance):
    """Adds more in each step; it does not say how to take that along."""

    amount: float = 0.01

    def combine(self, step: Step, predictions: Predictions, prediction: torch.Tensor) -> torch.Tensor:
        count = step.run.state(self, list[int])
        count.append(1)
        return prediction * (1 + self.amount * len(count))


@dataclass(frozen=True, eq=False, kw_only=True)
class RemembersWell(Remembers):
    """The same, which does."""

    def snapshot(self, run: Run) -> list[int]:
        return list(run.state_of(self))

    def restore(self, step: Step, snapshot: list[int]) -> None:
        step.run.state(self, list[int]).extend(snapshot)


@dataclass(frozen=True, eq=False, kw_only=True)
class Calls(Guidance):
    """What it does cannot be told from its fields."""

    function: Callable[[torch.Tensor], torch.Tensor]

    def combine(self, step: Step, predictions: Predictions, prediction: torch.Tensor) -> torch.Tensor:
        return self.function(prediction)


def test_a_state_without_a_snapshot_is_not_gone_on_from(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    first = {"guidance": [base(prompts), during(Remembers(), 0.5, 1.0)]}
    second = {"guidance": [*first["guidance"], during(pag(), 0.8, 1.0)]}
    resumes(tiny, trails, first, second, 5, 5)
    assert go(tiny, trails, base(prompts), during(RemembersWell(), 0.5, 1.0)).reused == [(5, STEPS)]


def test_a_state_with_one_is(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    first = {"guidance": [base(prompts), during(RemembersWell(), 0.5, 1.0)]}
    second = {"guidance": [*first["guidance"], during(pag(), 0.8, 1.0)]}
    resumes(tiny, trails, first, second, 2, 8)


def test_what_cannot_be_told_is_made_anew(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    halved = during(Calls(function=lambda prediction: prediction / 2), 0.6, 1.0)
    go(tiny, trails, base(prompts), halved)
    doubled = during(Calls(function=lambda prediction: prediction * 2), 0.6, 1.0)
    full, again = (go(tiny, where, base(prompts), doubled) for where in (None, trails))
    assert (again.calls, again.reused) == (4, [(6, STEPS)])
    assert again.equals(full)


def test_steps_survive_the_process_and_damage_is_a_miss(tiny: Model, prompts: Prompts, tmp_path: Path) -> None:
    more = [base(prompts), during(sag(), 0.5, 1.0)]
    full = go(tiny, None, *more, scheduler="pndm")

    def fresh() -> Trails:
        return Trails(64 * MIB, tmp_path, 64 * MIB)

    go(tiny, fresh(), base(prompts), scheduler="pndm")
    (entry,) = tmp_path.rglob("*.weft")
    sound = entry.read_bytes()
    again = go(tiny, fresh(), *more, scheduler="pndm")
    assert again.calls == (STEPS + 1 - 6) * 2  # SAG has a second call in each of its steps
    assert again.equals(full)

    for place in (0, 40, len(sound) // 2, len(sound) - 1):
        for path in tmp_path.rglob("*.weft"):
            path.unlink()
        damaged = bytearray(sound)
        damaged[place] ^= 0xFF
        entry.write_bytes(damaged)
        again = go(tiny, fresh(), *more, scheduler="pndm")
        assert again.reused == []
        assert again.equals(full)


@pytest.mark.parametrize("part", ["path", "generators", "schedule", "techniques"])
def test_a_sound_entry_with_something_else_in_it_is_not_used(
    tiny: Model, prompts: Prompts, trails: Trails, part: str
) -> None:
    concept = sega(prompts("green"), warmup=0)
    first = [base(prompts), concept]
    go(tiny, trails, *first, scheduler="dpmpp_2m")
    (key,) = trails.memory.oldest_first()
    _, value = trails.memory.get(key) or ((), {})
    if part == "path":
        value["path"][3] = torch.zeros(1, 4, 9, 9)
    else:
        value["states"][5][part] = {"nonsense": 1} if part != "generators" else [torch.zeros(3, dtype=torch.uint8)]
        if part == "schedule":
            value["states"][5] = {"techniques": {}}
    more = [*first, during(pag(), 0.5, 1.0)]
    full, again = (go(tiny, where, *more, scheduler="dpmpp_2m") for where in (None, trails))
    assert again.reused == []
    assert again.equals(full)


def test_a_cancelled_run_is_gone_on_with(tiny: Model, prompts: Prompts, trails: Trails) -> None:
    token = CancelToken()

    class Listener:
        def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
            assert kind != "preview", "no preview was wanted"
            if kind == "progress" and data["step"] == 6:
                token.cancel()

    context = Context(trails=trails, cancel=token, listener=Listener(), preview_interval=None)
    options = {"steps": STEPS, "scheduler": "unipc", "seed": 7, "width": 64, "height": 64}
    with pytest.raises(Cancelled):
        denoise(tiny, [base(prompts)], ctx=context, **options)
    full, again = (go(tiny, where, base(prompts), scheduler="unipc") for where in (None, trails))
    assert again.reused == [(7, STEPS)]  # it is seen after the next call
    assert again.equals(full)


def test_where_room_is_short_only_every_few_states_are_kept(tiny: Model, prompts: Prompts) -> None:
    trails = Trails(600_000)
    first = {"guidance": [base(prompts)], "scheduler": "dpmpp_2m", "steps": 30}
    go(tiny, trails, *first["guidance"], scheduler="dpmpp_2m", steps=30)
    second = [base(prompts), during(pag(), 0.7, 1.0)]
    full, again = (go(tiny, where, *second, scheduler="dpmpp_2m", steps=30) for where in (None, trails))
    ((reused, _),) = again.reused
    assert 12 <= reused < 21
    assert again.calls == 30 - reused
    assert again.equals(full)
    assert trails.memory.ram_used <= 600_000


def test_no_room_and_no_trails_change_nothing(tiny: Model, prompts: Prompts) -> None:
    nothing = Trails(1000)
    outcomes = [go(tiny, where, base(prompts)) for where in (None, nothing, nothing)]
    assert [outcome.calls for outcome in outcomes] == [STEPS] * 3
    assert outcomes[0].equals(outcomes[2])
    assert not nothing.memory.oldest_first()


def every_technique() -> Iterator[type[Technique]]:
    def below(cls: type[Technique]) -> Iterator[type[Technique]]:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    return (cls for cls in below(Technique) if cls.__module__.startswith("weft.nodes."))


def test_our_techniques_with_a_state_can_be_gone_on_from() -> None:
    import inspect

    def asks(cls: type[Technique]) -> bool:
        return "run.state(" in inspect.getsource(cls)

    states: Sequence[type[Technique]] = [cls for cls in every_technique() if asks(cls)]
    assert len(states) >= 4
    for cls in states:
        assert cls.snapshot is not Technique.snapshot, cls
        assert cls.restore is not Technique.restore, cls
