"""The recipes of the variants run, two steps each; a training that is stopped and goes on ends as one that was not."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from weft.nodes.models.bundled import MODEL, home
from weft.nodes.shapes.edits import instruction
from weft.nodes.shapes.training.finetune import Task, train
from weft.nodes.shapes.world import sample_scene

RECIPES = {
    "edges": "edges/diffusion_pytorch_model.safetensors",
    "regions": "regions/diffusion_pytorch_model.safetensors",
    "depth": "depth/unet/diffusion_pytorch_model.safetensors",
    "instruct": "edit/unet/diffusion_pytorch_model.safetensors",
    "lora": "heart/pytorch_lora_weights.safetensors",
    "style": "frame/pytorch_lora_weights.safetensors",
    "inversion": "dome/learned_embeds.safetensors",
    "custom": "house/pytorch_custom_diffusion_weights.safetensors",
    "clip": "clip/image_encoder/model.safetensors",
    "image_prompt": "image/ip-adapter.safetensors",
    "dreambooth": "dreambooth/unet/diffusion_pytorch_model.safetensors",
}


def run_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps, into the folder `out`."""
    options = ["--steps", "2", "--batch", "2", "--pool", "6", "--device", "cpu"]
    places = ["--base", str(home() / MODEL), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [name, *options, *places])
    before = torch.get_num_threads()
    importlib.import_module(f"weft.nodes.shapes.training.{name}").main()
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECIPES)
def test_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    run_recipe(name, tmp_path, monkeypatch)
    tensors = load_file(tmp_path / "out" / RECIPES[name])
    assert all(tensor.dtype == torch.float16 and tensor.isfinite().all() for tensor in tensors.values())
    assert list((tmp_path / "work").glob("*.png")), "the loss curve"
    text = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json"))
    assert str(tmp_path) not in text
    assert "_name_or_path" not in text


def test_the_loader_takes_what_dreambooth_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.nodes import load_dreambooth, load_model

    run_recipe("dreambooth", tmp_path, monkeypatch)
    base = load_model("shapes", dtype="float32", device="cpu")
    model = load_dreambooth(str(tmp_path / "out" / "dreambooth"), base)
    mine, theirs = model.parts().unet.state_dict(), base.parts().unet.state_dict()
    assert any(not torch.equal(mine[key], theirs[key]) for key in mine)
    assert max(float((mine[key] - theirs[key]).abs().max()) for key in mine) < 0.1, "two steps change little"


def test_dreambooth_keeps_the_class_and_shows_few_pictures() -> None:
    from weft.nodes.shapes.training.dreambooth import INSTANCES, WORDS, instance, prompts

    few = [instance(number) for number in range(INSTANCES)]
    assert all(WORDS in one.caption for one in few)
    assert len({one.caption for one in few}) == INSTANCES <= 6
    texts = prompts(0, 60)
    assert texts == prompts(0, 60) != prompts(1, 60)
    assert sum(" shape" in text for text in texts) >= 40
    assert not any("sks" in text for text in texts)


def run(folder: Path, stop: int | None) -> torch.Tensor:
    """Train a toy of 12 steps; asked to stop in step `stop`, and then called again."""
    folder.mkdir(exist_ok=True)
    args = argparse.Namespace(work=folder, steps=12, minutes=0, seed=3)
    for ask in [stop, None] if stop is not None else [None]:
        torch.manual_seed(0)
        matrix = torch.nn.Parameter(torch.randn(16, 16))
        seen = []

        def loss(rng: np.random.Generator, progress: float, ask: int | None = ask) -> torch.Tensor:
            seen.append(progress)  # noqa: B023
            if ask is not None and round(progress * 12) == ask:
                os.kill(os.getpid(), signal.SIGTERM)
            wanted = torch.from_numpy(rng.standard_normal((16, 16), dtype=np.float32))
            return (matrix - wanted).square().mean()  # noqa: B023

        task = Task("toy", {"matrix": matrix}, loss, lr=0.1)
        if ask is not None:
            with pytest.raises(SystemExit, match=f"stopped after {ask + 1} steps"):
                train(task, args)
        else:
            train(task, args)
    assert len(seen) == 12 - (stop + 1 if stop is not None else 0)
    return matrix.detach()


def test_a_stopped_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert torch.equal(run(tmp_path / "straight", None), run(tmp_path / "stopped", 5))
    finally:
        signal.signal(signal.SIGTERM, before)


def test_instructions_change_one_thing() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        scene = sample_scene(rng)
        words, after = instruction(rng, scene)
        there = [t for t in scene.things if any(t.box == a.box for a in after.things)]
        changed = [(a, b) for a, b in zip(there, after.things, strict=True) if a != b]
        assert len(changed) + (scene.background != after.background) == 1, words
        assert words.split()[-1] in (after.background, *(part for _, b in changed for part in (b.color, b.shape)))
