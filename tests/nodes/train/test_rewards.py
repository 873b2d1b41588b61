"""What rewards give, against direct computation, and what goes wrong names the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from tests.tiny_rewards import Energy
from weft.engine import value
from weft.nodes import (
    reward_aesthetic,
    reward_alignment,
    reward_compressibility,
    reward_incompressibility,
    reward_random,
    reward_shapes,
    reward_sum,
)
from weft.nodes.models.errors import ModelError
from weft.nodes.shapes.facts import facts_of
from weft.nodes.shapes.world import BACKGROUNDS, Scene, Thing, render
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.rewards.rating import rated
from weft.nodes.values.rewards import Occasion, Reward

RED = "a red circle on a white background"
BLUE = "a blue square on a black background"


def drawn(color: str, shape: str, background: str) -> Tensor:
    thing = Thing(shape, color, 64, 64, 60)  # type: ignore[arg-type]
    return torch.from_numpy(render(Scene((thing,), background, "")).astype(np.float32) / 255)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.stack([drawn("red", "circle", "white"), drawn("blue", "square", "black")])


def test_compressibility_is_minus_the_size_of_a_jpeg_file(pictures: Tensor) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).random((1, 128, 128, 3), np.float32))
    images = torch.cat([pictures, noise])
    sizes = []
    for image in images:
        file = BytesIO()
        PIL.Image.fromarray((image.numpy() * 255).round().astype(np.uint8)).save(file, "JPEG", quality=95)
        sizes.append(len(file.getvalue()) / 1000)
    prompts = [RED, BLUE, ""]
    assert reward_compressibility().score(images, prompts).tolist() == pytest.approx([-size for size in sizes])
    assert reward_incompressibility().score(images, prompts).tolist() == pytest.approx(sizes)
    assert sizes[2] > 2 * sizes[0]


def test_alignment_is_the_cosine_of_clip(pictures: Tensor) -> None:
    from transformers import CLIPImageProcessor, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    from weft.nodes.models import bundled
    from weft.nodes.models.tokenizers import load_tokenizer

    home = bundled.home() / "shapes"
    vision = CLIPVisionModelWithProjection.from_pretrained(home / "variants/clip/image_encoder").float()
    text = CLIPTextModelWithProjection.from_pretrained(home / "variants/clip/text_encoder").float()
    tokenizer = load_tokenizer(home / "model/tokenizer", text.config.to_dict())
    whole = (pictures * 255).round().to(torch.uint8).numpy()
    processor = CLIPImageProcessor(size={"shortest_edge": 128}, crop_size=128)
    with torch.no_grad():
        seen = vision(processor(list(whole), return_tensors="pt").pixel_values).image_embeds
        told = text(torch.tensor(tokenizer([RED, BLUE], padding="max_length", max_length=32).input_ids)).text_embeds
    wanted = 100 * torch.nn.functional.cosine_similarity(seen, told)
    reward = reward_alignment()
    torch.testing.assert_close(reward.score(pictures, [RED, BLUE]), wanted, rtol=1e-4, atol=1e-3)
    swapped = reward.score(pictures, [BLUE, RED])
    assert (reward.score(pictures, [RED, BLUE]) > swapped + 20).all()


def test_alignment_has_gradients(pictures: Tensor) -> None:
    reward, images = reward_alignment(), pictures.clone().requires_grad_(True)
    found = reward.score_tensor(images, [RED, BLUE])
    torch.testing.assert_close(found.detach(), reward.score(pictures, [RED, BLUE]))
    found.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().amax(dim=(1, 2, 3)).min() > 0


def test_another_size_is_scaled_for_clip(pictures: Tensor) -> None:
    from weft.nodes.training.rewards.clip import pixel_values

    wide = torch.cat([torch.zeros(2, 128, 64, 3), pictures, torch.zeros(2, 128, 64, 3)], dim=2)
    torch.testing.assert_close(pixel_values(wide, 128), pixel_values(pictures, 128))
    assert pixel_values(pictures, 64).shape == (2, 3, 64, 64)


def predictor(folder: Path, width: int = 96, **more: Tensor) -> Path:
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    sizes = {0: (16, width), 2: (4, 16), 4: (1, 4)}
    tensors = {}
    for number, shape in sizes.items():
        tensors[f"layers.{number}.weight"] = torch.randn(shape, generator=generator)
        tensors[f"layers.{number}.bias"] = torch.randn(shape[0], generator=generator)
    save_file(tensors | more, folder / "predictor.safetensors")
    return folder / "predictor.safetensors"


def test_the_aesthetic_reward_reads_normalised_embeddings(pictures: Tensor, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from weft.nodes.training.rewards.clip import Clip, find_clip

    path = predictor(tmp_path)
    reward = reward_aesthetic(str(path), "shapes-clip")
    embeddings = Clip(find_clip("shapes-clip", False), torch.device("cpu")).of_images(pictures)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    tensors, state = load_file(path), embeddings
    for number in (0, 2, 4):
        state = state @ tensors[f"layers.{number}.weight"].T + tensors[f"layers.{number}.bias"]
    torch.testing.assert_close(reward.score(pictures, [RED, BLUE]), state[:, 0])
    assert reward.gives_gradients
    torch.testing.assert_close(reward.score_tensor(pictures, [RED, BLUE]), state[:, 0])


def test_a_wrong_predictor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="reads embeddings of 90 numbers, and the CLIP 'shapes-clip' gives 96"):
        reward_aesthetic(str(predictor(tmp_path, 90)), "shapes-clip")
    with pytest.raises(TrainingError, match=r"no aesthetic predictor.*differs in head.weight"):
        reward_aesthetic(str(predictor(tmp_path, 96, **{"head.weight": torch.ones(1)})), "shapes-clip")
    pickled = tmp_path / "sac.pth"
    torch.save({}, pickled)
    with pytest.raises(TrainingError, match=r"A \.pth file is a pickle, which is not opened"):
        reward_aesthetic(str(pickled), "shapes-clip")
    reward = reward_aesthetic(str(predictor(tmp_path)), "shapes-clip")
    predictor(tmp_path, 96, **{"layers.4.bias": torch.ones(1)})
    with pytest.raises(TrainingError, match="changed since its reward was made"):
        reward.score(torch.zeros(1, 32, 32, 3), [""])


def test_a_folder_without_a_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither config\.json nor image_encoder/config\.json"):
        reward_alignment(str(tmp_path))
    vision = reward_alignment().clip.vision  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="has no text encoder"):
        reward_alignment(vision)


def test_the_judge_counts_facts_of_the_prompt(pictures: Tensor) -> None:
    reward = reward_shapes()
    assert reward.score(pictures, [RED, BLUE]).tolist() == [1.0, 1.0]
    # A square instead of a circle: number, colours and background are right, shapes and objects are not.
    assert reward.score(pictures[:1], ["a red square on a white background"]).tolist() == pytest.approx([0.6])
    assert reward.score(pictures[:1], ["a red square"]).tolist() == [0.5]


def test_a_prompt_is_read_back() -> None:
    things, background = facts_of("an orange star left of a small blue square on a navy background")
    assert [(thing.color, thing.shape) for thing in things] == [("orange", "star"), ("blue", "square")]
    assert background == "navy"
    assert "navy" in BACKGROUNDS
    with pytest.raises(ValueError, match="names no object with its colour"):
        facts_of("a photo of a dog")


def test_random_rewards_depend_on_the_number_alone(pictures: Tensor) -> None:
    reward = reward_random(3)
    both = rated(reward, pictures, [RED, BLUE], Occasion(0, (5, 6)))
    later = rated(reward, pictures[:1], [BLUE], Occasion(9, (6,)))
    assert both[1] == later[0]
    assert both[0] != both[1]
    assert (rated(reward_random(4), pictures, [RED, BLUE], Occasion(0, (5, 6))) != both).all()


def test_a_sum_weighs_its_parts(pictures: Tensor) -> None:
    parts = [reward_compressibility(), reward_shapes()]
    found = reward_sum(parts, [0.5, 10.0]).score(pictures, [RED, RED])
    wanted = 0.5 * parts[0].score(pictures, [RED, RED]) + 10 * parts[1].score(pictures, [RED, RED])
    torch.testing.assert_close(found, wanted)
    plain = reward_sum(parts).score(pictures, [RED, RED])
    torch.testing.assert_close(plain, sum(part.score(pictures, [RED, RED]) for part in parts))
    inner = reward_sum([reward_sum(parts), Energy()], [2.0, 0.0])
    torch.testing.assert_close(inner.score(pictures, [RED, RED]), 2 * plain)


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0], "1 weights do not fit 2 rewards"), ([1.0, math.nan], "no finite number")]
)
def test_a_sum_with_wrong_weights_is_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reward_sum([Energy(), Energy()], weights)


@value("test.reward.broken")
@dataclass(frozen=True, eq=False)
class Broken(Reward):
    """Wrong for dark pictures."""

    how: str = "raise"

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        means = images.mean(dim=(1, 2, 3))
        if self.how == "raise" and bool((means < 0.3).any()):
            raise ZeroDivisionError("too dark")
        if self.how == "shape":
            return means[:1].repeat(5)
        return torch.where(means < 0.3, torch.nan, means)


def test_what_goes_wrong_names_the_picture(pictures: Tensor) -> None:
    about = (pictures, [RED, BLUE], Occasion(11, (40, 41)))
    named = rf"the picture number 41 \(prompt '{BLUE}', seed 11\)"
    with pytest.raises(TrainingError, match=rf"Broken failed for {named}: ZeroDivisionError: too dark"):
        rated(Broken(), *about)
    with pytest.raises(TrainingError, match=rf"Broken is nan for {named}"):
        rated(Broken("nan"), *about)
    with pytest.raises(TrainingError, match=rf"Broken is nan for {named}"):
        rated(reward_sum([Energy(), Broken("nan")]), *about)
    with pytest.raises(TrainingError, match=r"numbers of the shape \[5\] for 2 pictures"):
        rated(Broken("shape"), *about)
