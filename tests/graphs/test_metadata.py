"""Pictures of other programs become workflows, and what is not understood is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.test_png_text import PNG
from weft.graphs import Workflow, WorkflowError, check_form
from weft.graphs.metadata import Imported, a1111, from_picture, invokeai
from weft.graphs.metadata.emphasis import translated
from weft.graphs.metadata.picture import READERS
from weft.graphs.metadata.recipe import SPACED
from weft.graphs.png import embed
from weft.graphs.reader import OTHERS

A1111 = r"""a (red circle:1.3) on [white], <lora:shapes-heart:0.8> c++ book
in two lines \(really\)
Negative prompt: blurry, "a, b"
Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890, """ + (
    "Size: 512x768, Model hash: 6ce0161689, "
    'Model: v1-5-pruned, VAE: "my, vae", Clip skip: 2, Denoising strength: 0.5, Hires upscale: 2, '
    "Hires upscaler: Latent, "
    'Lora hashes: "shapes-heart: 123abc", Version: v1.9.0'
)
INVOKE = {
    "app_version": "4.2.4",
    "generation_mode": "txt2img",
    "positive_prompt": "a (red circle)1.3 on white++",
    "negative_prompt": "blurry",
    "width": 512,
    "height": 640,
    "seed": 42,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0.0,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 1,
    "model": {"key": "1", "hash": "blake3:0", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
    "loras": [{"model": {"name": "shapes-heart", "base": "sd-1", "type": "lora"}, "weight": 0.75}],
    "controlnets": [{"control_weight": 1.0}],
    "hrf_enabled": False,
}


def imported(tmp_path: Path, **texts: str) -> Imported:
    path = tmp_path / "my picture.png"
    path.write_bytes(embed(PNG, texts))
    found = from_picture(path)
    assert not check_form(found.workflow)
    assert Workflow.parse(found.workflow.to_json()) == found.workflow
    return found


def inputs(found: Imported, id: str) -> dict[str, object]:
    return {name: value for name, value in found.workflow.nodes[id].to_dict()["inputs"].items() if name != "model"}


def noted(found: Imported, begin: str) -> str:
    (note,) = [note for note in found.notes if note.startswith(begin)]
    return note


def test_a_picture_of_a1111(tmp_path: Path) -> None:
    found = imported(tmp_path, parameters=A1111)
    nodes = found.workflow.nodes
    assert inputs(found, "denoise") == {
        "guidance": [{"link": "cfg"}],
        "steps": 25,
        "scheduler": "dpmpp_2m",
        "spacing": "karras",
        "seed": 1234567890,
        "width": 512,
        "height": 768,
    }
    assert nodes["model"].inputs == {"source": "v1-5-pruned"}
    assert inputs(found, "lora_1") == {"source": "shapes-heart", "strength": 0.8}
    assert nodes["prompt"].type == "weighted_prompt"
    text = "a (red circle)1.3 on (white)0.9091, c\\+\\+ book\nin two lines \\(really\\)"
    assert inputs(found, "prompt") == {"text": text, "clip_skip": 1}
    assert nodes["negative"].type == "encode_prompt"
    assert inputs(found, "negative") == {"text": 'blurry, "a, b"', "clip_skip": 1}
    assert inputs(found, "cfg")["scale"] == 6.5
    assert "2, Hires upscaler Latent, Denoising strength 0.5" in noted(found, "Hires fix")
    assert "my, vae" in noted(found, "VAE")
    assert "set the parameter model" in noted(found, "Model: v1-5-pruned")
    assert "lora_1.source" in noted(found, "LoRA")
    assert not [note for note in found.notes if note.startswith(("Version", "Lora hashes", "Sampler", "Schedule"))]


def test_a_picture_of_invokeai(tmp_path: Path) -> None:
    found = imported(tmp_path, invokeai_metadata=json.dumps(INVOKE))
    nodes = found.workflow.nodes
    assert inputs(found, "denoise") == {
        "guidance": [{"link": "cfg"}],
        "steps": 30,
        "scheduler": "dpmpp_2m",
        "spacing": "karras",
        "seed": 42,
        "width": 512,
        "height": 640,
    }
    assert nodes["model"].inputs == {"source": "dreamshaper-8"}
    assert nodes["prompt"].type == "weighted_prompt"
    assert inputs(found, "prompt") == {"text": "a (red circle)1.3 on white++", "clip_skip": 1}
    assert nodes["negative"].type == "encode_prompt"
    assert inputs(found, "lora_1") == {"source": "shapes-heart", "strength": 0.75}
    assert "not understood" in noted(found, "controlnets")
    assert len(found.notes) == 3, found.notes


def test_names_of_invokeai_3(tmp_path: Path) -> None:
    old = INVOKE | {
        "model": {"model_name": "old", "base_model": "sd-1", "model_type": "main"},
        "loras": [{"lora": {"model_name": "l", "base_model": "sd-1"}, "weight": 0.5}],
    }
    found = imported(tmp_path, invokeai_metadata=json.dumps(old))
    assert found.workflow.nodes["model"].inputs == {"source": "old"}
    assert inputs(found, "lora_1") == {"source": "l", "strength": 0.5}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain, c++ and x--", "plain, c++ and x--"),
        (r"smile \(x\)", "smile (x)"),
        ("((a))", "((a)1.1)1.1"),
        ("(a:0.5) b", "(a)0.5 b"),
        ("[a]", "(a)0.9091"),
        ("(a", "(a"),
        ("a) (b)", r"a\) (b)1.1"),
        ("(a) -- b", r"(a)1.1 \-\- b"),
        ("(a (b:1.2):1.4)", "(a (b)1.2)1.4"),
        ("[cat:dog:0.5] (x)", "cat dog (x)1.1"),
        ("[cat|dog] (x)", "cat dog (x)1.1"),
        ("()(:2) a", " a"),
    ],
)
def test_marks_of_prompts(text: str, written: str) -> None:
    assert translated(text, [], "Prompt")[0] == written


@pytest.mark.parametrize("text", ["[cat:dog:0.5]", "a BREAK b", "a AND b"])
def test_marks_without_a_counterpart_are_said(text: str) -> None:
    notes: list[str] = []
    translated(text, notes, "Prompt")
    assert len(notes) == 1


@given(st.text(alphabet="ab ()[]:\\+-1.,|", max_size=60))
def test_any_marks_are_read_by_weighted_prompt(text: str) -> None:
    from weft.nodes.prompts.weighting import WeightingError, parse

    written, weighs = translated(text, [], "Prompt")
    if weighs:
        try:
            parse(written)
        except WeightingError as error:
            raise AssertionError(f"{text!r} became {written!r}: {error}") from None


@pytest.mark.parametrize(
    ("settings", "begin"),
    [
        ("Steps: many, Sampler: Euler a, Seed: 1", "Steps"),
        ("Steps: 20, Sampler: Nobody's, Seed: 1", "Sampler"),
        ("Steps: 20, Sampler: Euler a, Seed: -1", "Seed"),
        ("Steps: 20, Sampler: Euler a, Size: 511x512", "Size"),
        ("Steps: 20, Sampler: Euler a, CFG scale: nan", "CFG scale"),
        ("Steps: 20, Sampler: Euler a, Denoising strength: 0.4", "Denoising strength"),
        (
            "Steps: 20, Sampler: Euler, Schedule type: Align Your Steps, Seed: 1",
            "Schedule type: Align Your Steps is not",
        ),
        (
            "Steps: 20, Sampler: DDIM, Schedule type: Karras, Seed: 1",
            "Schedule type: ddim cannot have the spacing karras",
        ),
        (
            "Steps: 20, Sampler: Euler a Karras, Seed: 1",
            "Schedule type: euler_ancestral cannot have the spacing karras",
        ),
        ("Steps: 20, Sampler: DPM++ SDE, Seed: 1", "Sampler"),
        ("Steps: 20, Sampler: Euler a, ControlNet 0: depth", "ControlNet 0"),
    ],
)
def test_what_is_not_understood_is_said(settings: str, begin: str, tmp_path: Path) -> None:
    noted(imported(tmp_path, parameters=f"a circle\n{settings}"), begin)


@pytest.mark.parametrize(
    ("settings", "scheduler", "spacing"),
    [
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("Sampler: DPM++ 2M, Schedule type: Exponential", "dpmpp_2m", "exponential"),
        ("Sampler: DPM++ 2M SDE Exponential", "dpmpp_sde", "exponential"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "dpmpp_2m", "karras"),
        ("Sampler: DPM++ 3M SDE, Schedule type: Automatic", "dpmpp_3m_sde", "exponential"),
        ("Sampler: DPM++ 2M", "dpmpp_2m", None),
        ("Sampler: Euler, Schedule type: Automatic", "euler", None),
        ("Sampler: Euler, Schedule type: Beta", "euler", "beta"),
        ("Sampler: Euler, Schedule type: Uniform", "euler", "uniform"),
        ("Sampler: LMS Karras", "lms", "karras"),
        ("Sampler: DPM2 a Karras", "kdpm2_ancestral", "karras"),
        ("Sampler: Karras", None, None),
    ],
)
def test_schedule_types(settings: str, scheduler: str | None, spacing: str | None, tmp_path: Path) -> None:
    found = imported(tmp_path, parameters=f"a circle\nSteps: 20, {settings}, Seed: 1")
    made = inputs(found, "denoise")
    assert (made.get("scheduler"), made.get("spacing")) == (scheduler, spacing)
    assert not [note for note in found.notes if note.startswith("Schedule type")]
    assert any(note.startswith("Sampler") for note in found.notes) == (scheduler is None)


@pytest.mark.parametrize(
    ("theirs", "scheduler", "spacing"),
    [
        ("euler_k", "euler", "karras"),
        ("heun_k", "heun", "karras"),
        ("unipc_k", "unipc", "karras"),
        ("dpmpp_2m_sde_k", "dpmpp_sde", "karras"),
        ("kdpm_2_a_k", "kdpm2_ancestral", "karras"),
        ("lms", "lms", None),
    ],
)
def test_schedulers_of_invokeai(theirs: str, scheduler: str, spacing: str | None, tmp_path: Path) -> None:
    found = imported(tmp_path, invokeai_metadata=json.dumps(INVOKE | {"scheduler": theirs}))
    made = inputs(found, "denoise")
    assert (made["scheduler"], made.get("spacing")) == (scheduler, spacing)
    assert not [note for note in found.notes if note.startswith(("Sampler", "Schedule type"))]


def test_schedulers_and_spacings_are_those_of_denoise() -> None:
    """They are written down a second time, since what reads metadata knows no nodes."""
    from weft.nodes.models.schedulers import SCHEDULERS
    from weft.nodes.sampling.levels import Levels, level_misfits

    names = {known for module in (a1111, invokeai) for known, _ in module.SCHEDULERS.values()}
    assert names <= set(SCHEDULERS)
    spacings = {*a1111.SPACINGS.values(), *a1111._AUTOMATIC.values(), "karras"}

    def takes(name: str, spacing: str) -> bool:
        return not list(level_misfits(name, {}, Levels(spacing=spacing)))

    for name in set(SCHEDULERS) - {"dpmpp_2m_karras"}:
        assert {takes(name, spacing) for spacing in spacings} == {name in SPACED}, name


def test_a_picture_without_a_prompt(tmp_path: Path) -> None:
    found = imported(tmp_path, parameters="Negative prompt: bad\nSteps: 20, Sampler: Euler a, Seed: 1")
    assert (inputs(found, "prompt")["text"], inputs(found, "negative")["text"]) == ("", "bad")


@pytest.mark.parametrize("keyword", list(READERS))
@pytest.mark.parametrize("text", ["", "3", "[]", "{", '{"seed": NaN}', "a prompt\nSteps: 20", "{" * 1000])
def test_other_text_is_refused(keyword: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="is not that of"):
        imported(tmp_path, **{keyword: text})


def test_limits(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="characters") as caught:
        imported(tmp_path, parameters="x" * 300_000)
    assert caught.value.problems[0].code == "too_large"
    many = "".join(f"<lora:l{number}:1>" for number in range(3000))
    found = imported(tmp_path, parameters=f"{many}{'a ' * 40_000}\nSteps: 20, Sampler: Euler a, Seed: 1")
    assert sum(spec.type == "apply_lora" for spec in found.workflow.nodes.values()) == 100
    assert len(str(inputs(found, "prompt")["text"])) == 50_000
    assert len(found.notes) == 201


@pytest.mark.parametrize("piece", [" ", "-", "(", ")", "[", ":", "\\", '"', "<", "a:", "Steps: ", "\n", ": 1", "[:"])
def test_no_text_takes_long(piece: str) -> None:
    """Each would take minutes where an expression went back over it from every place."""
    text = piece * (190_000 // len(piece))
    for whole in (text, f"({text})", f"{text}\nSteps: 20, Sampler: Euler, Seed: 1{text}"):
        try:
            a1111.read(whole)
        except ValueError:
            continue


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_any_value_of_a_field_is_taken_or_said(value: object) -> None:
    for name in INVOKE:
        found = invokeai.read(json.dumps(INVOKE | {name: value})).imported("x")
        assert not check_form(found.workflow)
        Workflow.parse(found.workflow.to_json())


def test_load_names_the_command(tmp_path: Path) -> None:
    assert {keyword: program for keyword, (program, _) in READERS.items()} == OTHERS
    path = tmp_path / "theirs.png"
    path.write_bytes(embed(PNG, {"parameters": A1111}))
    with pytest.raises(WorkflowError, match=r"weft import .*theirs\.png -o workflow\.json"):
        Workflow.load(path)


def test_a_picture_of_ours_is_not_imported(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="saved by weft"):
        imported(tmp_path, weft_workflow="{}")
    with pytest.raises(WorkflowError, match="no metadata that are understood"):
        imported(tmp_path)
    with pytest.raises(WorkflowError, match="cannot be read"):
        from_picture(tmp_path / "gone.png")
