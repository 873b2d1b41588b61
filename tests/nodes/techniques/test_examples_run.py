"""Every workflow that comes with Weft runs: on the bundled models as it stands, but for fewer steps, and where it names
files of the user's or published models, on tiny ones made here.

Those that train run in tests/nodes/train/test_training_examples.py, which shortens trainings too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from tests.nodes.techniques.wiring import HIDDEN
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from tests.tiny_upscalers import compact_state, written
from weft.engine import Cache, Problem, check, run, with_settings
from weft.engine.catalogue.catalogue import installed
from weft.graphs import Workflow, examples
from weft.nodes.models import bundled

Folder = Callable[[str], Path]
Settings = Iterator[tuple[str, Any]]
SIDE = 128
"""Pixels of the bundled model, and of the tiny ones."""
NETS = {
    "load_controlnet": tiny_controlnet,
    "load_t2i_adapter": tiny_adapter,
    "load_ip_adapter": tiny_image_adapter,
}
SPECIAL = {"instruct_pix2pix": "thin_8", "depth_control": "thin_5"}
"""Tiny models for nodes that need one of their own."""
SHIPPED = {
    **dict.fromkeys(("shapes",), bundled.MODEL),
    **bundled.VARIANTS,
    **bundled.CONTROLNETS,
    **bundled.ADAPTERS,
    **bundled.IMAGE_PROMPTS,
    **bundled.IMAGE_ENCODERS,
    **bundled.FILES,
}
NAMED = {
    "load_model": "source",
    "load_dreambooth": "source",
    "load_vae": "source",
    **dict.fromkeys(NETS, "source"),
    "load_image": "path",
    "apply_lora": "source",
    "merge_loras": "sources",
    "load_textual_inversion": "sources",
    "load_custom_diffusion": "source",
    "load_upscaler": "source",
    "depth": "model",
}
"""Inputs that name files."""


class Files:
    """Tiny models, networks and pictures, each written when first asked for."""

    def __init__(self, root: Path, folder: Folder) -> None:
        self.root = root
        self.folder = folder

    def model(self, kind: str) -> Path:
        return bundled.home() / bundled.MODEL if kind == "shapes" else self.folder(kind)

    def net(self, kind: str, loader: str) -> str:
        path = self.root / f"{loader}-{kind}"
        if not path.exists():
            NETS[loader](path, self.model(kind))
        return str(path / "ip-adapter.safetensors" if loader == "load_ip_adapter" else path)

    def picture(self) -> str:
        path = self.root / "picture.png"
        if not path.exists():
            rows = np.linspace(0, 255, SIDE, dtype=np.uint8)
            pixels = np.stack(
                [np.tile(rows, (SIDE, 1)), np.tile(rows[:, None], (1, SIDE)), np.full((SIDE,) * 2, 99)], -1
            )
            pixels[40:90, 30:80] = 255
            Pillow.fromarray(pixels.astype(np.uint8)).save(path)
        return str(path)

    def tensors(self, name: str, **shapes: tuple[int, ...]) -> str:
        from safetensors.torch import save_file

        path = self.root / f"{name}.safetensors"
        if not path.exists():
            generator = torch.Generator().manual_seed(1)
            save_file({key: torch.randn(shape, generator=generator) * 0.2 for key, shape in shapes.items()}, path)
        return str(path)

    def lora(self, kind: str, name: str = "lora") -> str:
        width = self._width(kind, "block_out_channels")
        layer = f"unet.{HIDDEN}.to_out.0"
        shapes = {f"{layer}.lora_A.weight": (4, width), f"{layer}.lora_B.weight": (width, 4)}
        return self.tensors(f"{name}-{kind}", **shapes)

    def words(self, kind: str, count: int) -> list[str]:
        width = self._width(kind, "cross_attention_dim")
        return [self.tensors(f"word-{kind}-{number}", emb_params=(2, width)) for number in range(count)]

    def custom(self, kind: str) -> str:
        shape = (self._width(kind, "block_out_channels"), self._width(kind, "cross_attention_dim"))
        name = f"{HIDDEN}.processor.to_k_custom_diffusion.weight"
        return self.tensors(f"custom-{kind}", **{name: shape})

    def upscaler(self) -> str:
        return str(written(compact_state(2), self.root / "upscaler.safetensors"))

    def _width(self, kind: str, key: str) -> int:
        found = json.loads((self.model(kind) / "unet" / "config.json").read_text("utf-8"))[key]
        return int(found[-1] if isinstance(found, list) else found)


@pytest.fixture(scope="module")
def files(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("examples"), folder)


@pytest.fixture(scope="module")
def cache() -> Cache:
    """Models and prompts that examples share are loaded once."""
    return Cache()


def here(name: Any) -> bool:
    """Whether it ships with Weft, and is there; of a list, whether all are."""
    if isinstance(name, (list, tuple)):
        return all(map(here, name))
    return name in SHIPPED and (bundled.home() / SHIPPED[name]).exists()


def tiny(workflow: Workflow, source: str) -> str:
    """The tiny model that stands for one which is not here."""
    kinds = {node.type for node in workflow.nodes.values()}
    if "xl" in source:
        return "sdxl_calm"
    special = [kind for name, kind in SPECIAL.items() if name in kinds]
    schedulers = {node.inputs.get("scheduler") for node in workflow.nodes.values()}
    return special[0] if special else "thin_lcm" if "lcm" in schedulers else "thin"


def settings(workflow: Workflow, files: Files) -> Settings:
    """What to set so that it runs here and soon: name and value."""
    sources = [node.inputs["source"] for node in workflow.nodes.values() if node.type == "load_model"]
    kind = "shapes" if here(sources[0]) else tiny(workflow, str(sources[0]))
    for id, node in workflow.nodes.items():
        given = node.inputs.get(NAMED.get(node.type, ""))
        place = f"{id}.{NAMED.get(node.type)}"
        if node.type == "load_model" and not here(given):
            yield place, str(files.model(tiny(workflow, str(given))))
        elif node.type in NETS and not here(given):
            yield place, files.net(kind, node.type)
        elif node.type == "load_image":
            yield place, files.picture()
        elif node.type == "apply_lora" and not here(given):
            yield place, files.lora(kind)
        elif node.type == "merge_loras" and not here(given):
            yield place, [files.lora(kind, str(number)) for number in range(len(given))]
        elif node.type == "load_textual_inversion" and not here(given):
            yield place, files.words(kind, len(given))
            if "tokens" not in node.inputs:
                yield f"{id}.tokens", [f"<{str(name).removeprefix('shapes-')}>" for name in given]
        elif node.type == "load_custom_diffusion" and not here(given):
            yield place, files.custom(kind)
            yield f"{id}.embeddings", files.words(kind, len(node.inputs.get("embeddings", [])))
        elif node.type == "load_dreambooth":
            yield place, str(files.model(kind) / "unet")
        elif node.type == "load_upscaler":
            yield place, files.upscaler()
        elif node.type == "depth" and given != "shapes":
            yield place, "shapes"
        if node.type in ("denoise", "invert"):
            yield f"{id}.steps", 2
        if node.type == "denoise" and kind != "shapes":
            yield from ((f"{id}.{side}", SIDE) for side in ("width", "height") if side in node.inputs)


def errors(workflow: Workflow) -> list[Problem]:
    return [problem for problem in check(workflow) if problem.severity == "error"]


def trains(name: str) -> bool:
    """Whether a node of the example trains."""
    return any(node.type.startswith("train_") for node in examples.load(name).nodes.values())


@pytest.mark.parametrize("name", [name for name in examples.names() if not trains(name)])
def test_an_example_runs(name: str, files: Files, cache: Cache, tmp_path: Path) -> None:
    original = examples.load(name)
    changes = [
        f"{place}={value if isinstance(value, str) else json.dumps(value)}"
        for place, value in settings(original, files)
    ]
    workflow = with_settings(original, changes, installed())
    assert errors(workflow) == []
    result = run(workflow, cache=cache, out=tmp_path)
    saved = [id for id, node in workflow.nodes.items() if node.type == "save_image"]
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) >= len(saved) > 0
    assert result.ran > 0
    for path in pictures:
        with Pillow.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert min(pixels.shape[:2]) >= SIDE
        assert pixels.std() > 1, f"{path.name} is of one colour"


@pytest.mark.parametrize("name", examples.names())
def test_as_it_stands_nothing_is_wrong_but_files_that_are_not_here(name: str) -> None:
    workflow = examples.load(name)
    absent = {
        id
        for id, node in workflow.nodes.items()
        if (given := node.inputs.get(NAMED.get(node.type, ""))) is not None and not here(given)
    }
    assert [problem for problem in errors(workflow) if problem.node not in absent] == []


def test_each_technique_has_one() -> None:
    """Every node that is wired into the loop, changes a model or makes a prompt is in some example."""
    used = {node.type for name in examples.names() for node in examples.load(name).nodes.values()}
    theirs = ("guidance", "control", "prompt", "model", "sampling")
    kinds = {kind.name for kind in installed() if kind.category in theirs}
    assert kinds - used == set()
