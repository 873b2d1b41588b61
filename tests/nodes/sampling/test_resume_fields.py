"""A run that goes on from an earlier one equals a full one whatever differs: every field of every technique, generated.

For each technique there is one that acts (`ACTING`) and another value for each of its fields. The first run leaves its
steps; the second, which differs in that field alone, may take only those that the field does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.test_resume import every_technique
from tests.nodes.techniques.conftest import folder
from tests.nodes.techniques.wiring import EARLY, Files, Kit, Wiring
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft import nodes
from weft.engine import Context
from weft.engine.cache.trails import Trails
from weft.nodes.models.schedulers import SUPPORTED
from weft.nodes.sampling.inpaint import KeepUnmasked, MaskChannels
from weft.nodes.sampling.invert import Begin, Regularize, invert_latents
from weft.nodes.sampling.schedule import SCHEDULERS
from weft.nodes.technique import Technique
from weft.nodes.techniques.attend_and_excite import AttendAndExcite
from weft.nodes.techniques.cfg import ClassifierFree
from weft.nodes.techniques.controlnet import ControlNetControl
from weft.nodes.techniques.depth_control import DepthControl
from weft.nodes.techniques.diffedit import DiffEdit
from weft.nodes.techniques.instruct_pix2pix import InstructPix2Pix
from weft.nodes.techniques.invert import FromInversion
from weft.nodes.techniques.ip_adapter import ImagePrompt
from weft.nodes.techniques.multidiffusion import MultiDiffusion
from weft.nodes.techniques.pag import PerturbedAttention
from weft.nodes.techniques.pix2pix_zero import Pix2PixZero
from weft.nodes.techniques.prompt_to_prompt import PromptToPrompt
from weft.nodes.techniques.regions import Regions
from weft.nodes.techniques.rescale_guidance import Rescale
from weft.nodes.techniques.sag import SelfAttention
from weft.nodes.techniques.sega import Semantic
from weft.nodes.techniques.t2i_adapter import AdapterControl
from weft.nodes.values import Control, Guidance, Image, Latents, Mask, Model

__all__ = ["folder"]

STEPS = 4
SIDE = 64
TEXT = "a red circle and a blue square"


def noise(seed: int, count: int = 1) -> Tensor:
    return torch.randn(count, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(seed))


def picture(seed: int) -> Image:
    return Image(torch.rand(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(seed)))


def mask(first: int, last: int) -> Mask:
    pixels = torch.zeros(1, SIDE, SIDE)
    pixels[:, :, first:last] = 1
    return Mask(pixels)


class Stock:
    """What techniques are made of."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit

    def model(self, kind: str = "thin") -> Model:
        made: Model = self.kit.model(kind)
        return made

    def prompt(self, text: str) -> Any:
        return self.kit("encode_prompt", self.model(), text)

    @cache  # noqa: B019 - it lives as long as the tests of this file
    def net(self, kind: str, seed: int) -> Any:
        files, models = self.kit.files, self.kit.files.models
        place = files.root / f"{kind}-{seed}"
        if kind == "controlnet":
            return nodes.load_controlnet(str(tiny_controlnet(place, models("thin"), seed)))
        if kind == "adapter":
            return nodes.load_t2i_adapter(str(tiny_adapter(place, models("thin"), seed)))
        return nodes.load_ip_adapter(str(tiny_image_adapter(place, models("thin"), seed)))

    @cache  # noqa: B019
    def trajectory(self, seed: int) -> Any:
        base = nodes.cfg(self.prompt("a photo"), scale=1.0)
        return nodes.invert(self.model(), [base], latents=Latents(noise(seed)), steps=STEPS).trajectory


@dataclass(eq=False)
class Acting:
    """A technique that acts in a run, another value by field, and what the run needs besides."""

    technique: Technique
    other: dict[str, Any]
    kind: str = "thin"
    options: dict[str, Any] = field(default_factory=dict)
    beside: tuple[Technique, ...] = ()
    inverts: bool = False


HALF = (0.0, 0.5)
ACTING: dict[type[Technique], Callable[[Stock], Acting]] = {
    ClassifierFree: lambda s: Acting(
        ClassifierFree(prompt=s.prompt(TEXT), negative=s.prompt("a dog"), scale=5.0, rescale=0.3),
        {"prompt": s.prompt("a star"), "negative": s.prompt("a cat"), "scale": 3.0, "rescale": 0.7, "window": HALF},
    ),
    InstructPix2Pix: lambda s: Acting(
        InstructPix2Pix(prompt=s.prompt(TEXT), image=Latents(noise(1)), negative=s.prompt("a dog")),
        {
            "prompt": s.prompt("a star"),
            "image": Latents(noise(2)),
            "negative": s.prompt("a cat"),
            "scale": 3.0,
            "image_scale": 2.0,
            "window": HALF,
        },
        kind="thin_8",
    ),
    Rescale: lambda s: Acting(Rescale(amount=0.7), {"amount": 0.2, "window": HALF}),
    Semantic: lambda s: Acting(
        Semantic(concept=s.prompt("green"), warmup=1, cooldown=3, threshold=0.5, momentum=0.5),
        {
            "concept": s.prompt("a large star"),
            "direction": "away",
            "scale": 8.0,
            "warmup": 2,
            "cooldown": None,
            "threshold": 0.8,
            "weight": 2.0,
            "momentum": 0.2,
            "beta": 0.8,
            "window": HALF,
        },
    ),
    SelfAttention: lambda s: Acting(SelfAttention(), {"scale": 2.0, "window": HALF}),
    PerturbedAttention: lambda s: Acting(
        PerturbedAttention(), {"scale": 2.0, "adaptive": 0.001, "layers": ("down",), "window": HALF}
    ),
    AttendAndExcite: lambda s: Acting(
        AttendAndExcite(
            subjects=("circle",), max_iter=2, thresholds=((1, 0.9),), scale=100.0, refinements=2, resolution=4
        ),
        {
            "subjects": ("square",),
            "max_iter": 3,
            "thresholds": ((2, 0.9),),
            "scale": 50.0,
            "refinements": 1,
            "resolution": 8,
            "window": (0.0, 0.25),
        },
    ),
    Pix2PixZero: lambda s: Acting(
        Pix2PixZero(prompt=s.prompt("a green circle"), amount=5.0),
        {"prompt": s.prompt("a dog"), "amount": 2.0, "window": HALF},
    ),
    PromptToPrompt: lambda s: Acting(
        PromptToPrompt(source=s.prompt("a cat on the white dog photo"), weights=(("circle", 2.0),), edit="replace"),
        {
            "source": s.prompt("a star on the white dog photo"),
            "edit": "refine",
            "cross_steps": 0.5,
            "self_steps": 0.8,
            "weights": (("circle", 3.0),),
            "self_resolution": 4,
            "window": HALF,
        },
    ),
    MultiDiffusion: lambda s: Acting(
        MultiDiffusion(view_width=48, view_height=48, stride=16),
        {"view_width": 64, "view_height": 64, "stride": 24, "circular": True, "window": (0.5, 0.5)},
        options={"width": 96},
    ),
    Regions: lambda s: Acting(
        Regions(prompts=(s.prompt("a cat"),), masks=(mask(0, 32),)),
        {"prompts": (s.prompt("a dog"),), "masks": (mask(16, 48),), "strength": 0.5, "window": HALF},
    ),
    ControlNetControl: lambda s: Acting(
        ControlNetControl(net=s.net("controlnet", 0), hint=picture(1)),
        {"net": s.net("controlnet", 1), "hint": picture(2), "scale": 0.5, "guess": True, "window": HALF},
    ),
    AdapterControl: lambda s: Acting(
        AdapterControl(net=s.net("adapter", 0), hint=picture(1)),
        {"net": s.net("adapter", 1), "hint": picture(2), "scale": 0.5, "window": HALF},
    ),
    ImagePrompt: lambda s: Acting(
        ImagePrompt(net=s.net("image", 0), image=picture(1), mask=mask(0, 48)),
        {
            "net": s.net("image", 1),
            "image": picture(2),
            "scale": 0.5,
            "mask": mask(16, 64),
            "layers": (("mid", 0.5),),
            "window": HALF,
        },
    ),
    DepthControl: lambda s: Acting(
        DepthControl(depth=picture(1)), {"depth": picture(2), "window": HALF}, kind="thin_5"
    ),
    FromInversion: lambda s: Acting(
        FromInversion(trajectory=s.trajectory(1)), {"trajectory": s.trajectory(2), "window": (0.5, 0.5)}
    ),
    DiffEdit: lambda s: Acting(
        DiffEdit(trajectory=s.trajectory(1), mask=mask(0, 32)),
        {"trajectory": s.trajectory(2), "mask": mask(16, 48), "window": HALF},
    ),
    KeepUnmasked: lambda s: Acting(
        KeepUnmasked(mask=torch.ones(1, 1, 8, 8).triu()),
        {"mask": torch.ones(1, 1, 8, 8).tril(), "window": HALF},
        options={"start": Latents(noise(1))},
    ),
    MaskChannels: lambda s: Acting(
        MaskChannels(mask=torch.ones(1, 1, 8, 8).triu(), masked=noise(1)),
        # Its model wants the channels in every step.
        {"mask": torch.ones(1, 1, 8, 8).tril(), "masked": noise(2)},
        kind="thin_9",
    ),
    Begin: lambda s: Acting(Begin(latents=noise(1)), {"latents": noise(2)}),
    Regularize: lambda s: Acting(
        Regularize(times=2),
        {"times": 1, "autocorrelation": 5.0, "divergence": 5.0, "rolls": 2, "seed": 1, "window": HALF},
        inverts=True,
    ),
}
UNVARIED = {(MaskChannels, "window"), (Begin, "window")}
"""Begin gives the start alone, whatever its window; channels are needed in every step."""
FIELDS = [(cls, item.name) for cls in ACTING for item in fields(cls) if (cls, item.name) not in UNVARIED]


@pytest.fixture(scope="module")
def stock(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return Stock(Kit(Files(tmp_path_factory.mktemp("fields"), folder)))


def test_every_technique_and_every_field_is_varied(stock: Stock) -> None:
    """One that is new, or has a new field, has to be entered above."""
    assert set(every_technique()) - {Guidance, Control} == set(ACTING)
    for cls, acting in ACTING.items():
        wanted = {item.name for item in fields(cls) if (cls, item.name) not in UNVARIED}
        assert set(acting(stock).other) == wanted, cls


Latest = tuple[list[Tensor], list[tuple[int, int]]]


def made_by(
    stock: Stock, acting: Acting, technique: Technique, trails: Trails | None, model: Model | None = None
) -> Latest:
    """The latents after each step, and what the run said that it took from an earlier one."""
    said: list[tuple[int, int]] = []
    context = Context(trails=trails, on_reused=lambda node, steps, total: said.append((steps, total)))
    model = model or stock.model(acting.kind)
    base = nodes.cfg(stock.prompt(TEXT), stock.prompt("a dog"), scale=5.0)
    wires = [technique, *acting.beside] if technique.base else [base, technique, *acting.beside]
    if acting.inverts:
        parts = model.parts()
        inverted = invert_latents(model, parts.unet, noise(1), wires, context, steps=STEPS)
        return inverted.done.path, said
    settings: dict[str, Any] = {"steps": STEPS, "scheduler": "ddim", "seed": 7, "width": SIDE, "height": SIDE}
    guidance: Any = wires
    # The function itself: techniques of any kind, some of which no wire brings, stand in one list here.
    path = nodes.denoise.node_type.fn(model, guidance, ctx=context, **(settings | acting.options)).trajectory.latents
    return list(path), said


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return len(one) == len(two) and all(torch.equal(*pair) for pair in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def first(stock: Stock) -> Callable[[type[Technique]], tuple[Acting, Trails, list[Tensor]]]:
    """A run of each technique, and the steps that it left."""

    @cache
    def run(cls: type[Technique]) -> tuple[Acting, Trails, list[Tensor]]:
        acting, trails = ACTING[cls](stock), Trails(1 << 26)
        return acting, trails, made_by(stock, acting, acting.technique, trails)[0]

    return run


First = Callable[[type[Technique]], tuple[Acting, Trails, list[Tensor]]]


def compare(stock: Stock, first: First, cls: type[Technique], name: str) -> None:
    """A run that differs in one field, after the first one and in full."""
    acting, trails, before = first(cls)
    other = replace(acting.technique, **{name: acting.other[name]})
    full, _ = made_by(stock, acting, other, None)
    assert not equal(full, before), f"{name} of {cls.__name__} changes nothing here: vary it otherwise"
    resumed, said = made_by(stock, acting, other, trails)
    assert equal(resumed, full), f"steps of another {name} of {cls.__name__} were taken: {said}"


@pytest.mark.parametrize(("cls", "name"), FIELDS, ids=lambda item: getattr(item, "__name__", item))
def test_a_field_of_a_technique(stock: Stock, first: First, cls: type[Technique], name: str) -> None:
    compare(stock, first, cls, name)


def test_fields_that_act_late_leave_the_steps_before(stock: Stock, first: First) -> None:
    """Else all of this would pass where nothing is ever gone on from."""
    for cls, name, reused in (
        (Semantic, "cooldown", 3),
        (PerturbedAttention, "window", 2),
        (AttendAndExcite, "max_iter", 2),
    ):
        acting, _, _ = first(cls)
        other = replace(acting.technique, **{name: acting.other[name]})
        fresh = Trails(1 << 26)
        made_by(stock, acting, acting.technique, fresh)
        assert made_by(stock, acting, other, fresh)[1] == [(reused, STEPS)], name


FORGETFUL: dict[str, tuple[type[Technique], tuple[str, ...]]] = {
    "the threshold of SEGA": (Semantic, ("threshold",)),
    "the weights of prompt-to-prompt": (PromptToPrompt, ("weights",)),
    "the scale of Attend-and-Excite": (AttendAndExcite, ("scale",)),
    "all of a ControlNet but its scale": (ControlNetControl, ("net", "hint", "guess")),
}


@pytest.mark.parametrize("what", FORGETFUL)
def test_an_identity_that_forgets_a_field_is_noticed(
    stock: Stock, first: First, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """With it, the comparison above fails for each field that is forgotten."""
    cls, names = FORGETFUL[what]
    acting, _, _ = first(cls)
    usual = {name: getattr(acting.technique, name) for name in names}
    identity = cls.identity

    def forgets(self: Any, index: int, calls: int) -> Any:
        return identity(replace(self, **usual), index, calls)

    monkeypatch.setattr(cls, "identity", forgets)
    for name in names:
        with pytest.raises(AssertionError, match=f"steps of another {name} of {cls.__name__} were taken"):
            compare(stock, _anew(stock), cls, name)


def _anew(stock: Stock) -> First:
    """First runs whose steps no other test adds to."""

    def run(cls: type[Technique]) -> tuple[Acting, Trails, list[Tensor]]:
        acting, trails = ACTING[cls](stock), Trails(1 << 26)
        return acting, trails, made_by(stock, acting, acting.technique, trails)[0]

    return run


def models(stock: Stock) -> Iterator[tuple[str, Model, Model]]:
    """Pairs of models that differ in what changes one, and in how much of it."""
    plain = stock.model()
    for name in ("load_dreambooth", "load_textual_inversion", "load_custom_diffusion", "apply_lora", "edit_model"):
        wired = {}
        for mode in ("on", "other"):
            wiring = Wiring(stock.kit)
            wiring.begin()
            EARLY[name](wiring, mode)  # type: ignore[arg-type]
            wired[mode] = wiring.model
        yield name, plain, wired["on"]
        if name != "load_dreambooth":  # it has one file here
            yield f"another {name}", wired["on"], wired["other"]
    path = wired_lora(stock)
    yield "strength", nodes.apply_lora(plain, path, 1.0), nodes.apply_lora(plain, path, 0.5)
    yield "zero_empty", plain, replace(plain, zero_empty=True)
    yield "prediction", plain, replace(plain, prediction="v_prediction")


def wired_lora(stock: Stock) -> str:
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0"
    shapes: dict[str, tuple[int, ...]] = {f"{layer}.lora_A.weight": (4, 32), f"{layer}.lora_B.weight": (32, 4)}
    return stock.kit.files.tensors("lora-strength.safetensors", 1, shapes)


def test_what_changes_a_model(stock: Stock) -> None:
    """Each kind of patch, there or not, and another one of the kind."""
    acting = Acting(ClassifierFree(prompt=stock.prompt(TEXT), scale=5.0), {})
    for what, one, two in models(stock):
        technique = acting.technique
        if "textual" in what:  # the words that it teaches are in the prompt of both
            technique = replace(technique, prompt=nodes.encode_prompt(two, "a <x> circle and a <y> square"))
        trails = Trails(1 << 26)
        made_by(stock, acting, technique, trails, one)
        full, _ = made_by(stock, acting, technique, None, two)
        resumed, said = made_by(stock, acting, technique, trails, two)
        assert equal(resumed, full), (what, said)
        assert said == [], what


SETTINGS: dict[str, dict[str, Any]] = {
    "steps": {"steps": 5},
    "seed": {"seed": 8},
    "eta": {"eta": 0.5},
    "batch": {"batch": 2},
    "width": {"width": 72},
    "height": {"height": 72},
    "start": {"start": Latents(noise(3))},
    "strength": {"start": Latents(noise(3)), "strength": 0.6},
    "mask": {"start": Latents(noise(3)), "mask": mask(0, 32)},
    "noise": {"noise": Latents(noise(4))},
    **{name: {"scheduler": name} for name in SCHEDULERS if name != "ddim"},
}
LEVELS: dict[str, dict[str, Any]] = {
    "spacing": {"spacing": "karras"},
    "timestep_spacing": {"timestep_spacing": "trailing"},
    "sigmas": {"sigmas": [14.0, 6.0, 2.0, 0.5]},
    "timesteps": {"timesteps": [999, 700, 300, 50]},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "beta_start": {"beta_start": 0.001},
    "beta_end": {"beta_end": 0.013},
    "beta_schedule": {"beta_schedule": "linear"},
    "num_train_timesteps": {"num_train_timesteps": 900},
    "set_alpha_to_one": {"set_alpha_to_one": True},
    "timestep_spacing": {"timestep_spacing": "trailing"},
    "rescale_betas_zero_snr": {"rescale_betas_zero_snr": True},
    **{name: {"_class_name": name} for name in SUPPORTED if name not in ("DDIMScheduler", "DDIMParallelScheduler")},
}


@pytest.mark.parametrize("what", [*SETTINGS, *CONFIGS])
def test_the_schedule(stock: Stock, what: str) -> None:
    """Settings of the run, and of the model's own scheduler, one at a time; with a window late in the run, so that
    there would be steps to take."""
    own = stock.model()
    own = replace(own, scheduler={**own.scheduler, "_class_name": "DDIMScheduler"})
    model = replace(own, scheduler={**own.scheduler, **CONFIGS[what]}) if what in CONFIGS else own
    compare_settings(stock, own, model, {"scheduler": "default"}, SETTINGS.get(what, {}))


@pytest.mark.parametrize("scheduler", ["euler", "dpmpp_2m"])
@pytest.mark.parametrize("what", LEVELS)
def test_the_levels(stock: Stock, what: str, scheduler: str) -> None:
    """One whose steps are told one by one, and one that is told as a whole."""
    compare_settings(stock, stock.model(), stock.model(), {"scheduler": scheduler}, LEVELS[what])


def test_every_input_of_the_run_is_varied() -> None:
    """What models and techniques bring is varied above."""
    elsewhere = {"model", "guidance", "controls", "masked", "scheduler"}
    assert set(nodes.denoise.node_type.inputs) - elsewhere == set(SETTINGS) - set(SCHEDULERS) | set(LEVELS)


def compare_settings(stock: Stock, own: Model, model: Model, options: dict[str, Any], changes: dict[str, Any]) -> None:
    plain = Acting(PerturbedAttention(window=(0.5, 1.0)), {}, options=options)
    changed = replace(plain, options=options | changes)
    trails = Trails(1 << 26)
    before, _ = made_by(stock, plain, plain.technique, trails, own)
    full, _ = made_by(stock, changed, plain.technique, None, model)
    assert not equal(full, before)
    assert equal(made_by(stock, changed, plain.technique, trails, model)[0], full)
    # What it left itself is gone on from, where the scheduler can.
    late = replace(plain.technique, scale=1.0)
    full, _ = made_by(stock, changed, late, None, model)
    resumed, said = made_by(stock, changed, late, trails, model)
    assert said
    assert equal(resumed, full)
