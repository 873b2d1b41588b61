"""Hints by models of transformers, on tiny random ones, and what is said when a model is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from weft.engine import Cache, check, run
from weft.graphs import Graph
from weft.nodes import depth, load_image, pose
from weft.nodes.hints import models, skeleton
from weft.nodes.models.errors import ModelError
from weft.nodes.models.residency import Residency, set_default_residency
from weft.nodes.values import Image, Mask


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def residency() -> Iterator[Residency]:
    fresh = Residency(host_bytes=1 << 30)
    before = set_default_residency(fresh)
    yield fresh
    set_default_residency(before)


@pytest.fixture(scope="session")
def depth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DPT with random weights."""
    from transformers import DPTConfig, DPTForDepthEstimation

    folder = tmp_path_factory.mktemp("depth") / "dpt"
    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        reassemble_factors=[4, 2, 1, 0.5],
        head_in_index=-1,
        is_hybrid=False,
    )
    DPTForDepthEstimation(config).save_pretrained(folder)
    write_settings(folder, "DPTImageProcessor", 32, 32)
    return folder


@pytest.fixture(scope="session")
def pose_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ViTPose with random weights, large enough in its last layer that the maps have distinct peaks."""
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    folder = tmp_path_factory.mktemp("pose") / "vitpose"
    torch.manual_seed(0)
    backbone = VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[8, 8], hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        out_indices=[2],
    )  # fmt: skip
    labels = {index: str(index) for index in range(17)}
    model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, scale_factor=2, id2label=labels))
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(40)
        for name, parameter in model.backbone.named_parameters():
            if "position" in name:
                parameter.copy_(torch.randn_like(parameter))
    model.save_pretrained(folder)
    write_settings(folder, "VitPoseImageProcessor", 64, 48)
    return folder


def write_settings(folder: Path, kind: str, height: int, width: int) -> None:
    import json

    settings = {
        "image_processor_type": kind,
        "size": {"height": height, "width": width},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.3, 0.2, 0.25],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def picture(batch: int = 1, height: int = 40, width: int = 56) -> Image:
    return Image(torch.rand(batch, height, width, 3, generator=torch.manual_seed(5)))


def test_depth_is_the_models_own(depth_folder: Path, residency: Residency) -> None:
    from transformers import AutoImageProcessor, DPTForDepthEstimation

    image = picture(2)
    made = depth(image, str(depth_folder), device="cpu").pixels
    processor = AutoImageProcessor.from_pretrained(depth_folder)
    model = DPTForDepthEstimation.from_pretrained(depth_folder).eval()
    for each, pixels in zip(made, image.pixels, strict=True):
        inputs = processor(images=(pixels * 255).round().to(torch.uint8).numpy(), return_tensors="pt")
        with torch.no_grad():
            raw = model(**inputs).predicted_depth
        raw = torch.nn.functional.interpolate(raw[:, None], size=(40, 56), mode="bicubic", align_corners=False)[0, 0]
        expected = (raw - raw.min()) / (raw.max() - raw.min())
        assert torch.allclose(each[:, :, 0], expected, atol=1e-4)
    assert made.min() == 0
    assert made.max() == 1
    assert len(residency.resident("cpu")) == 1  # held, for the next picture
    assert residency.used_bytes("cpu") >= sum(4 * p.numel() for p in model.parameters())


def test_what_is_large_may_be_far(depth_folder: Path) -> None:
    near = depth(picture(), str(depth_folder), device="cpu").pixels
    far = depth(picture(), str(depth_folder), "far", "cpu").pixels
    order = near[0, :, :, 0].flatten().argsort()
    along = far[0, :, :, 0].flatten()[order]
    assert (along.diff() <= 1e-6).all()
    assert not torch.equal(near, far)


def test_keypoints_are_those_of_transformers(pose_folder: Path) -> None:
    """Boxes, margins, and the way back, against transformers' own processor; it refines peaks in another way."""
    from transformers import AutoImageProcessor, VitPoseForPoseEstimation

    pixels = picture(1, 90, 120).pixels[0].numpy()
    boxes: list[skeleton.Box] = [(0.0, 0.0, 120.0, 90.0), (30.0, 20.0, 25.0, 60.0)]
    own = skeleton.keypoints(pixels, boxes, pose_folder, "cpu")
    processor = AutoImageProcessor.from_pretrained(pose_folder)
    model = VitPoseForPoseEstimation.from_pretrained(pose_folder).eval()
    listed = [[list(box) for box in boxes]]
    inputs = processor(images=[(pixels * 255).round().astype(np.uint8)], boxes=listed, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    for found, person in zip(own, processor.post_process_pose_estimation(outputs, boxes=listed)[0], strict=True):
        away = np.linalg.norm(found[:, :2] - person["keypoints"].numpy(), axis=1)
        # A pixel of the 16 x 12 maps is about 10 pixels of the picture.
        assert np.median(away) < 5
        assert len(np.unique(found[:, :2].round(), axis=0)) > 3


def test_a_skeleton_is_drawn_where_its_points_are() -> None:
    person = np.zeros((17, 3), np.float32)
    person[5] = (70, 30, 1)  # left shoulder
    person[6] = (30, 30, 1)  # right shoulder
    person[8] = (30, 80, 1)  # right elbow
    person[10] = (90, 90, 0.2)  # right wrist, unsure
    made = skeleton.draw(person[None], 100, 100, 0.3)
    assert made.shape == (100, 100, 3)
    assert np.allclose(made[30, 50] * 255, (255, 85, 0))  # the neck between them
    assert np.allclose(made[30, 40] * 255, (153, 0, 0))  # its limb to the right shoulder, at 60 %
    assert np.allclose(made[55, 30] * 255, (153, 102, 0))  # upper arm
    assert made[90, 90].max() == 0
    assert skeleton.draw(person[None], 100, 100, 0.1)[90, 90].max() > 0
    assert made[10, 10].max() == 0


def test_people_are_looked_at_one_by_one(pose_folder: Path) -> None:
    image = picture(2, 90, 120)
    mask = torch.zeros(1, 90, 120)
    mask[:, 20:80, 30:55] = 1
    alone = pose(image, str(pose_folder), [Mask(mask)], 0.0, "cpu").pixels
    assert alone.shape == image.pixels.shape
    assert alone.max() > 0
    assert alone[:, :, 85:].max() == 0  # a box of 25 x 60 with its margin ends at 42.5 + 28 + a joint's radius
    assert torch.equal(alone[1:], pose(Image(image.pixels[1:]), str(pose_folder), [Mask(mask)], 0.0, "cpu").pixels)
    assert pose(image, str(pose_folder), [], 0.0, "cpu").pixels[:, :, 85:].max() > 0


def test_masks_of_people_that_do_not_fit(pose_folder: Path) -> None:
    with pytest.raises(ValueError, match="resize_mask"):
        pose(picture(), str(pose_folder), [Mask(torch.ones(1, 8, 8))], device="cpu")
    with pytest.raises(ValueError, match="mask 1 of people is empty"):
        pose(picture(), str(pose_folder), [Mask(torch.zeros(1, 40, 56))], device="cpu")
    with pytest.raises(ValueError, match="3 masks for 2 images"):
        pose(picture(2), str(pose_folder), [Mask(torch.ones(3, 40, 56))], device="cpu")


@pytest.mark.parametrize("make", [depth, pose])
def test_a_missing_model_says_what_to_put_where(make: object, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(
        ModelError, match=r"a folder or file .*; put config.json, .* and model.safetensors .*`hf download"
    ):
        make(picture(), str(gone))  # type: ignore[operator]
    with pytest.raises(ModelError, match=r"hub's local cache .*; put config.json"):
        make(picture(), "nobody/no-such-model-here")  # type: ignore[operator]
    with pytest.raises(ModelError, match="no model ''"):
        make(picture(), "")  # type: ignore[operator]
    gone.mkdir()
    with pytest.raises(ModelError, match=r"config.json is missing"):
        make(picture(), str(gone))  # type: ignore[operator]
    with Graph() as graph:
        make(load_image("no.png"), str(tmp_path / "nowhere"))  # type: ignore[operator]
    problems = [problem for problem in check(graph) if problem.input == "model"]
    assert [problem.code for problem in problems] == ["bad_value"]
    assert "put config.json" in problems[0].message


def test_unsound_models_are_named(depth_folder: Path, pose_folder: Path, tmp_path: Path) -> None:
    def copied(name: str) -> Path:
        return Path(shutil.copytree(depth_folder, tmp_path / name))

    pickled = copied("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model.bin and no safetensors"):
        depth(picture(), str(pickled))
    cut = copied("cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated"):
        depth(picture(), str(cut))
    with pytest.raises(ModelError, match="AutoModelForDepthEstimation"):
        depth(picture(), str(pose_folder), device="cpu")
    from safetensors.torch import load_file, save_file

    lacking = copied("lacking")
    weights = load_file(lacking / "model.safetensors")
    weights.pop(next(name for name in weights if name.startswith("head.")))
    save_file(weights, lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors are missing, first head\."):
        depth(picture(), str(lacking), device="cpu")


def test_the_models_content_is_in_the_key(depth_folder: Path, tmp_path: Path) -> None:
    import PIL.Image

    PIL.Image.fromarray(np.arange(48 * 40 * 3, dtype=np.uint8).reshape(40, 48, 3)).save(tmp_path / "one.png")
    folder = Path(shutil.copytree(depth_folder, tmp_path / "model"))
    cache = Cache(tmp_path / "cache")

    def ran() -> int:
        with Graph() as graph:
            made = depth(load_image(str(tmp_path / "one.png")), str(folder), device="cpu")
        return run(graph, targets=[made], cache=cache).ran

    assert ran() == 2
    assert ran() == 0
    from safetensors.torch import load_file, save_file

    weights = {name: tensor * 1.5 for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "new.safetensors", metadata={"format": "pt"})
    (folder / "new.safetensors").replace(folder / "model.safetensors")
    assert ran() == 1  # the picture is as it was
    assert models.fingerprint(folder) != models.fingerprint(depth_folder)
