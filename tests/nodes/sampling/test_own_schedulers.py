"""The scheduler that a model comes with: every class of diffusers equals diffusers' pipeline, or is refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded
from tests.nodes.sampling.test_schedule import CONFIG
from tests.nodes.techniques.conftest import folder, model, pipe
from tests.nodes.techniques.measure import relative
from tests.tiny import copy_model
from weft.engine import Context, check
from weft.engine.cache.trails import Trails
from weft.graphs import Graph
from weft.nodes import cfg, decode, denoise, during, encode_prompt, load_model, pag
from weft.nodes.models.schedulers import SUPPORTED
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Latents, Model

__all__ = ["folder", "model", "pipe"]

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT, NEGATIVE = "a red circle", "a blue square"
STEPS = 5
CLASSES = sorted(
    name
    for name in dir(diffusers)
    if name.endswith("Scheduler") and not name.startswith(("Flax", "FlashLinear")) and name != "SchedulerMixin"
)
REFUSED = sorted(set(CLASSES) - set(SUPPORTED))
BUILDS_NOISE = ("Ancestral", "DDPM", "LCM", "SASolver")


def scheduler_of(name: str, config: Mapping[str, Any]) -> Any:
    """diffusers' class made from a configuration, as far as it knows its keys; latents are not clipped."""
    cls = getattr(diffusers, name)
    known = inspect.signature(cls).parameters
    changes = {"clip_sample": False} if "clip_sample" in known else {}
    return cls.from_config({key: value for key, value in config.items() if key in known}, **changes)


def with_own(model: Model, scheduler: Any) -> Model:
    return replace(model, scheduler={**scheduler.config, "_class_name": type(scheduler).__name__})


def ours(model: Model, *guidance: Any, context: Context | None = None, **options: Any) -> Tensor:
    base = cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=5.0)
    settings: dict[str, Any] = {"steps": STEPS, "seed": 7, "width": 64, "height": 64} | options
    return denoise(model, [base, *guidance], ctx=context, **settings).latents.samples


def theirs(pipe: Any, scheduler: Any, batch: int = 1, **options: Any) -> Tensor:
    pipe.scheduler = scheduler
    settings: dict[str, Any] = {"num_inference_steps": STEPS, "output_type": "latent"} | options
    return pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=5.0,
        generator=seeded(7, batch),
        num_images_per_prompt=batch,
        **settings,
    ).images


def test_the_table_has_the_classes_that_pipelines_name() -> None:
    """diffusers lists those that its pipelines of Stable Diffusion take; what it adds has to be looked at."""
    listed = {scheduler.name for scheduler in diffusers.schedulers.KarrasDiffusionSchedulers}
    assert listed - {"DPMSolverSDEScheduler"} <= set(SUPPORTED) <= set(CLASSES)


@pytest.mark.parametrize("name", SUPPORTED)
def test_equals_the_pipeline(model: Models, pipe: Pipes, name: str) -> None:
    made = model("sd1_calm")
    options = {"width": 64, "height": 64}
    expected = theirs(pipe("sd1_calm", "StableDiffusionPipeline"), scheduler_of(name, CONFIG), 2, **options)
    got = ours(with_own(made, scheduler_of(name, CONFIG)), batch=2)
    assert relative(got, expected) <= 1e-4


@pytest.mark.parametrize("name", SUPPORTED)
def test_equals_the_pipeline_from_an_image(model: Models, pipe: Pipes, name: str) -> None:
    """Begun in the middle: the place in the schedule, the noise that is added and the levels are right too."""
    made = model("sd1_calm")
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    options = {"image": clean, "strength": 0.6, "num_inference_steps": 10}
    expected = theirs(pipe("sd1_calm", "StableDiffusionImg2ImgPipeline"), scheduler_of(name, CONFIG), **options)
    got = ours(with_own(made, scheduler_of(name, CONFIG)), start=Latents(clean), strength=0.6, steps=10)
    assert relative(got, expected) <= 1e-4


@pytest.mark.parametrize("name", SUPPORTED)
def test_conversions_are_the_schedulers_own(name: str) -> None:
    """Given the true noise at every level, the latents stay on the straight line to the clean ones, or near it."""
    config = {**CONFIG, "_class_name": name}
    schedule = Schedule(build_scheduler("default", config), 10)
    schedule.bind([torch.Generator().manual_seed(1)])
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    latents = schedule.renoise(clean[None], noise[None], 0)
    for index in range(schedule.calls):
        output = schedule.from_x0(clean[None], latents, index)
        assert torch.allclose(schedule.x0(output, latents, index), clean[None], atol=2e-3)
        assert torch.allclose(
            schedule.from_epsilon(schedule.epsilon(output, latents, index), latents, index), output, atol=5e-3
        )
        if not any(word in name for word in BUILDS_NOISE):
            place = schedule.renoise(clean[None], noise[None], index)
            assert relative(latents, place) < 1e-3, index
        schedule.scale(latents, index)
        latents = schedule.step(output, index, latents)
    assert float((latents - clean).abs().max()) < 0.2


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_run_goes_on_from_an_earlier_one(model: Models, name: str) -> None:
    made, said = with_own(model("sd1_calm"), scheduler_of(name, CONFIG)), []
    context = Context(trails=Trails(1 << 26), on_reused=lambda node, steps, total: said.append(steps))
    ours(made, context=context)
    late = during(pag(), 0.5, 1.0)
    assert torch.equal(ours(made, late, context=context), ours(made, late))
    assert len(said) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(model: Models, name: str) -> None:
    made = replace(model("sd1_calm"), scheduler={**CONFIG, "_class_name": name})
    with pytest.raises(ValueError, match=rf"the model's scheduler '{name}' .*choose one of ddim"):
        ours(made)
    # Any other can be chosen in its place.
    assert bool(torch.isfinite(ours(made, scheduler="ddim")).all())


def test_refused_at_check(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """`weft check` says so, before anything runs."""
    path = copy_model(folder("sd1_calm"), tmp_path / "model")
    target = path / "scheduler" / "scheduler_config.json"
    text = target.read_text("utf-8")
    target.unlink()
    target.write_text(text.replace("PNDMScheduler", "IPNDMScheduler"), "utf-8")

    def found(**options: Any) -> list[Any]:
        with Graph() as graph:
            loaded = load_model(str(path))
            decode(loaded, denoise(loaded, [cfg(encode_prompt(loaded, PROMPT))], **options).latents)
        return [problem for problem in check(graph) if problem.input == "scheduler"]

    (problem,) = found()
    assert (problem.code, problem.given) == ("bad_value", "IPNDMScheduler")
    assert "the model's scheduler 'IPNDMScheduler' does not work here: its timesteps" in problem.message
    assert problem.message.endswith(
        "choose one of ddim, pndm, euler, euler_ancestral, dpmpp_2m, dpmpp_2m_karras, dpmpp_sde, dpmpp_3m_sde, "
        "dpmpp_2s, dpmpp_2s_sde, unipc, deis, heun, kdpm2, kdpm2_ancestral, lms, lcm"
    )
    assert found(scheduler="ddim") == []


OLD: dict[str, tuple[str, dict[str, Any]]] = {
    "clipped ddim": ("DDIMScheduler", {"clip_sample": True, "set_alpha_to_one": False}),
    "ddim from 0": ("DDIMScheduler", {"steps_offset": 0, "clip_sample": False, "set_alpha_to_one": False}),
    "pndm from 0": ("PNDMScheduler", {"steps_offset": 0, "skip_prk_steps": True}),
    "nothing said": ("DDIMScheduler", {}),
    "euler from 0": ("EulerDiscreteScheduler", {"steps_offset": 0}),
    "clipped ddpm": ("DDPMScheduler", {"clip_sample": True, "steps_offset": 0}),
}


@pytest.mark.parametrize("scheduler", ["default", "ddim"])
@pytest.mark.parametrize("old", OLD)
def test_what_old_folders_say_is_corrected(
    folder: Callable[[str], Path], tmp_path: Path, old: str, scheduler: str
) -> None:
    """As diffusers' pipeline does on load; the clipping of latents alone makes another picture."""
    import json

    path = copy_model(folder("sd1_calm"), tmp_path / "model")
    name, changes = OLD[old]
    betas = {key: CONFIG[key] for key in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")}
    target = path / "scheduler" / "scheduler_config.json"
    target.unlink()
    target.write_text(json.dumps({"_class_name": name, **betas, **changes}), "utf-8")
    index = json.loads((path / "model_index.json").read_text("utf-8"))
    (path / "model_index.json").unlink()
    (path / "model_index.json").write_text(json.dumps({**index, "scheduler": ["diffusers", name]}), "utf-8")
    made = load_model(str(path), dtype="float32", device="cpu")
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(path, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    parts = made.parts()
    loaded.register_modules(unet=parts.unet, vae=parts.vae, text_encoder=parts.text_encoders[0])
    own = loaded.scheduler
    if scheduler == "ddim":
        # What it notes as defaults is left out when another class is made of it: what was corrected is none.
        noted = [key for key in own.config["_use_default_values"] if key not in ("steps_offset", "clip_sample")]
        own = diffusers.DDIMScheduler.from_config(
            {"clip_sample": False, **own.config, "steps_offset": 1, "_use_default_values": noted}
        )
    expected = theirs(loaded, own, width=64, height=64)
    assert relative(ours(made, scheduler=scheduler), expected) <= 1e-4


def test_the_page_lists_them() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    listed = page.partition("## The scheduler that a model comes with")[2].partition("Each gives")[0]
    assert [word for word in listed.replace(",", " ").replace(".", " ").split("`") if word.endswith("Scheduler")] == [
        *SUPPORTED
    ]
