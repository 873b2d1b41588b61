"""The example workflows that train: each runs from its pictures to what it draws, a few steps long."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_sdxl
from tests.tiny_words import calm
from weft import Cache, Workflow, run
from weft.graphs import examples
from weft.nodes.values import Image
from weft.nodes.values.training import Adapter

SHORT: dict[str, dict[str, Any]] = {
    "shapes_dataset": {"count": 2},
    "class_images": {"count": 1, "steps": 2, "more_prompts": []},
    "denoise": {"steps": 2},
    "preferences": {"pairs": 2, "sampling_steps": 2},
    "train_ddpo": {"steps": 1, "batch": 2, "pictures": 2, "sampling_steps": 2},
    "train_reward_backprop": {"steps": 1, "batch": 1, "sampling_steps": 2},
}
"""Inputs by node type with which an example takes a second; other nodes that train make one step."""
NAMES = [
    name
    for name in examples.names()
    if any(spec.type.startswith("train_") for spec in examples.load(name).nodes.values())
]
TECHNIQUES = {
    *("train_controlnet", "train_custom_diffusion", "train_ddpo", "train_dpo", "train_dreambooth"),
    *("train_instruct_pix2pix", "train_ip_adapter", "train_lora", "train_reward_backprop", "train_t2i_adapter"),
    *("train_textual_inversion", "train_word_sega_controlnet"),
}
LAB = {
    *("lab_textual_inversion", "lab_dreambooth", "lab_sdxl_lora", "lab_two_adapters"),
    *("lab_ddpo_random", "lab_ddpo_alignment", "lab_ddpo_human"),
}


def shortened(name: str, sdxl: Path) -> Workflow:
    """An example with fewer pictures and steps."""
    document = json.loads(examples.path(name).read_text("utf-8"))
    for spec in document["nodes"].values():
        kind, inputs = spec["type"], spec.setdefault("inputs", {})
        if kind.startswith("train_") and kind != "train_options":
            own: dict[str, Any] = {"steps": 1}
            if "batch" in inputs:
                own["batch"] = 1
            inputs.update(own | SHORT.get(kind, {}))
        else:
            inputs.update(SHORT.get(kind, {}))
        if kind == "load_model" and "xl" in inputs["source"]:
            inputs["source"] = str(sdxl)
        if kind == "train_options":
            inputs.pop("warmup", None)
    return Workflow.parse(document)


def rate(folder: Path, stop: threading.Event) -> None:
    """A person who likes each picture as much as the one before it."""
    answered: dict[str, float] = {}
    while not stop.wait(0.05):
        try:
            asked = json.loads((folder / "asked.json").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        new = {item["id"]: float(len(answered) % 5) for item in asked if item["id"] not in answered}
        if new:
            answered |= new
            aside = folder / "answers.part"
            aside.write_text(json.dumps(answered), "utf-8")
            aside.replace(folder / "answers.json")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Shared by all examples: what they have in common is made once."""
    return Cache(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Its attention is calm: what is saved is compared, and sharp attention makes much of rounding.
    return calm(tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "model"))


def test_there_is_one_for_each_technique_and_lab() -> None:
    assert set(NAMES) == TECHNIQUES | LAB
    assert {"lab_controlnet", "lab_two_controls"} <= set(examples.names())


@pytest.mark.parametrize("name", [*NAMES, "lab_controlnet", "lab_two_controls"])
def test_it_trains_and_draws(name: str, sdxl: Path, results: Cache, tmp_path: Path) -> None:
    workflow = shortened(name, sdxl)
    trains = [
        id for id, spec in workflow.nodes.items() if spec.type.startswith("train_") and spec.type != "train_options"
    ]
    targets = [f"{id}.adapter" for id in trains] + ["decode" if "decode" in workflow.nodes else "second"]
    saves = [id for id, spec in workflow.nodes.items() if spec.type in ("save_image", "save_adapter")]
    stop = threading.Event()
    rater = threading.Thread(target=rate, args=(tmp_path / "out" / "ratings", stop))
    rater.start()
    try:
        result = run(workflow, targets=[*targets, *saves], cache=results, out=tmp_path / "out")
    finally:
        stop.set()
        rater.join()
    kinds = {path.suffix for path in (tmp_path / "out").rglob("*")}
    assert saves
    assert ".png" in kinds
    assert (".safetensors" in kinds) == any(workflow.nodes[id].type == "save_adapter" for id in saves)
    for target in targets[:-1]:
        adapter = result[target]
        assert isinstance(adapter, Adapter)
        assert adapter.tensors
    picture = result[targets[-1]]
    assert isinstance(picture, Image)
    assert 0 <= float(picture.pixels.min()) < float(picture.pixels.max()) <= 1
