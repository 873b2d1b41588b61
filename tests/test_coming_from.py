"""docs/coming-from.md: every node, input and scheduler that it names for Weft is there, and means the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import torch
from typer.testing import CliRunner

from tests.graphs.test_metadata import A1111
from tests.graphs.test_png_text import PNG
from tests.pasted import ROOT, block
from weft.engine.catalogue.catalogue import installed
from weft.graphs.metadata import a1111, invokeai
from weft.graphs.png import embed
from weft.nodes.basic.denoise import SchedulerName
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import SCHEDULERS
from weft.server.cli.app import app

PAGE = "docs/coming-from.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without the heads."""
    _, _, after = (ROOT / PAGE).read_text("utf-8").partition(f"\n## {heading}\n")
    lines = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("|")]
    heads = {place - 1 for place, line in enumerate(lines) if line.startswith("|---")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for place, line in enumerate(lines)
        if place not in heads and not line.startswith("|---")
    ]


@pytest.mark.parametrize(("heading", "count"), [("Nodes of ComfyUI", 25), ("Pipelines of diffusers", 30)])
def test_every_node_and_input_exists(heading: str, count: int) -> None:
    catalogue, wrong = installed(), []
    found = rows(heading)
    assert len(found) >= count
    for *_, ours in found:
        names = re.findall(r"`([^`]+)`", ours)
        assert names, ours
        for name in names:
            node, _, port = name.partition(".")
            known = catalogue.get(node)
            if known is None or (port and port not in known.inputs and port not in known.outputs):
                wrong.append(name)
    assert wrong == []


def test_every_option_and_script_of_trainings_has_a_place_that_exists() -> None:
    """A cell may say that there is nothing to give; a name in it is a node, or an input or output of one."""
    catalogue, wrong, named = installed(), [], set()
    found = rows("Training")
    assert len(found) >= 75
    assert all(row[-1] and any(row[:-1]) for row in found)
    for row in found:
        for name in re.findall(r"`([a-z]\w*(?:\.\w+)?)`", row[-1]):
            node, _, port = name.partition(".")
            named.add(node)
            known = catalogue.get(node)
            if known is None or (port and port not in known.inputs and port not in known.outputs):
                wrong.append(name)
    assert wrong == []
    trainings = {type.name for type in catalogue if {"curve", "checkpoint"} <= {*type.outputs}}
    assert trainings <= named, "how does who knows another trainer find these?"


def test_alpha_follows_the_rank_as_the_page_says() -> None:
    from weft.nodes.training.lora_settings import LoraSettings
    from weft.nodes.training.peft_layers import inject

    layers = torch.nn.ModuleDict({"to_q": torch.nn.Linear(8, 8)})
    settings = inject(layers, "unet", LoraSettings(targets=("to_q",)))
    assert settings["lora_alpha"] == settings["r"] == 4


def test_names_in_the_text_exist() -> None:
    """All that have the form of a node's input."""
    text, catalogue = (ROOT / PAGE).read_text("utf-8"), installed()
    named = {(node, port) for node, port in re.findall(r"`(\w+)\.(\w+)`", text) if node not in ("dream", "node")}
    assert len(named) > 30
    ports = {name: {*known.inputs, *known.outputs} for name, _ in named if (known := catalogue.get(name)) is not None}
    assert [f"{node}.{port}" for node, port in named if port not in ports.get(node, ())] == []


def test_schedulers_are_those_that_there_are_and_step_as_they_say() -> None:
    """Of diffusers by the class and its options; of others as `weft import` reads them."""
    found = {row[0].strip("`"): row[1:] for row in rows("Schedulers")}
    assert set(found) == set(get_args(SchedulerName)) - {"default"}
    for name, (theirs, _, web, invoke) in found.items():
        kind, options = SCHEDULERS[name]
        assert theirs.split()[0] == kind
        assert ("Karras" in theirs) == bool(options.get("use_karras_sigmas"))
        assert ("sde-dpmsolver++" in theirs) == (options.get("algorithm_type") == "sde-dpmsolver++")
        meant = ("dpmpp_2m", "karras") if name == "dpmpp_2m_karras" else (name, None)
        read = [a1111.read(f"a\nSteps: 5, Sampler: {web}, Seed: 1")] if web else []
        read += [invokeai.read(f'{{"seed": 1, "scheduler": "{invoke}"}}')] if invoke else []
        for recipe in read:
            assert (recipe.scheduler, recipe.spacing) == meant
            assert not [note for note in recipe.notes if note.startswith(("Sampler", "Schedule"))]


def test_noise_is_that_of_a_generator_on_the_cpu() -> None:
    """As the page says of seeds."""
    batch = draw((2, 4, 8, 8), generators(5, 2), "cpu")
    alone = torch.randn((1, 4, 8, 8), generator=torch.Generator("cpu").manual_seed(6))
    assert batch[1:].equal(alone)


def test_clip_skip_counts_as_the_page_says(tmp_path: Path) -> None:
    """What AUTOMATIC1111 calls 2 is 1 here, what InvokeAI calls 1 is 1."""
    said = "a\nSteps: 5, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Model: m, Clip skip: 2"
    assert a1111.read(said).clip_skip == 1
    assert invokeai.read('{"positive_prompt": "a", "seed": 1, "clip_skip": 1}').clip_skip == 1


def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.png").write_bytes(embed(PNG, {"parameters": A1111}))
    for line in block(PAGE, "shell", "weft import").splitlines():
        done = CliRunner().invoke(app, line.split()[1:])
        assert done.exit_code == 0, done.output
    assert "model: str" in done.output  # what the last block sets
