"""Pairs that a model makes and a reward tells."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.train.recipes_to_kill import rate
from tests.tiny_rewards import Energy, tiny_model
from weft.engine import Cancelled, Context, value
from weft.engine.cache.workspaces import Workspaces
from weft.nodes import cfg, decode, denoise, encode_prompt, preferences, reward_human
from weft.nodes.datasets import candidates as library
from weft.nodes.images.encoding import encode
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import colour_of, digest_of
from weft.nodes.training.rewards import people
from weft.nodes.values import Image, Model
from weft.nodes.values.rewards import Reward
from weft.nodes.values.training import Dataset


@value("test.reward.equal")
@dataclass(frozen=True, eq=False)
class Equal(Reward):
    """The same for all."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return torch.ones(len(prompts))


def test_the_better_picture_is_preferred(tmp_path: Path) -> None:
    model, reward = tiny_model(tmp_path), Energy(1.0)
    found = preferences(model, ["a cat", "a dog"], reward, pairs=3, candidates=3, sampling_steps=2)
    assert [item.caption for item in found.items] == ["a cat", "a dog", "a cat"]
    for item in found.items:
        assert item.condition is not None
        both = torch.stack([torch.from_numpy(colour_of(part)) for part in (item.picture, item.condition)])
        better, worse = reward.score(both, ["", ""]).tolist()
        assert better > worse
    again = preferences(model, ["a cat", "a dog"], reward, pairs=3, candidates=3, sampling_steps=2)
    assert [item.content() for item in again.items] == [item.content() for item in found.items]
    others = preferences(model, ["a cat", "a dog"], Energy(-1.0), pairs=3, candidates=3, sampling_steps=2)
    pairs = [(item.picture.digest, item.condition.digest if item.condition else "") for item in found.items]
    assert [(item.condition.digest if item.condition else "", item.picture.digest) for item in others.items] == pairs


def test_pairs_that_are_equal_are_left_out(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    with pytest.raises(TrainingError, match="no two pictures of a prompt have different rewards, in 2 pairs"):
        preferences(model, ["a cat"], Equal(), pairs=2, sampling_steps=1)
    with pytest.raises(TrainingError, match="no two pictures"):
        preferences(model, ["a cat"], Energy(), pairs=2, sampling_steps=1, least=1000.0)
    with pytest.raises(TrainingError, match="no prompt"):
        preferences(model, [], Energy())


SEEN: list[Tensor] = []


@value("test.reward.watching")
@dataclass(frozen=True, eq=False)
class Watching(Energy):
    """Remembers what it saw. number: tells one from another."""

    number: int = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        SEEN.append(images.clone())
        return super().score(images, prompts)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of what is denoised."""
    found: list[int] = []

    def counted(*args: Any, **options: Any) -> Any:
        found.append(options["seed"])
        return denoise(*args, **options)

    monkeypatch.setattr(library, "denoise", counted)
    return found


def make(model: Model, tmp_path: Path, reward: Reward | None = None, **changes: Any) -> Dataset:
    """In a run whose folders outlive it."""
    options: dict[str, Any] = {
        "prompts": ["a cat", "a dog"],
        "pairs": 3,
        "candidates": 2,
        "sampling_steps": 2,
        **changes,
    }
    ctx = options.pop("ctx", None) or Context(workspaces=Workspaces(tmp_path / "cache", 1 << 30))
    return preferences(model, reward=reward or Energy(), ctx=ctx, **options)


def contents(data: Dataset) -> list[Any]:
    return [item.content() for item in data.items]


def test_they_are_what_drawing_them_gives(tmp_path: Path) -> None:
    """To the last bit, drawn now and taken from an earlier run."""
    model, reward = tiny_model(tmp_path), Watching(1.0)
    SEEN.clear()
    options: dict[str, Any] = {
        "candidates": 3,
        "sampling_steps": 3,
        "guidance": 2.0,
        "eta": 0.5,
        "seed": 5,
        "least": 0.0,
    }
    found = make(model, tmp_path, reward, **options)
    again = make(model, tmp_path, reward, **options)
    digests = []
    for pair, prompt in enumerate(["a cat", "a dog", "a cat"]):
        drawn = denoise(
            model,
            [cfg(encode_prompt(model, prompt), scale=2.0)],
            steps=3,
            scheduler="ddim",
            eta=0.5,
            seed=5 + 3 * pair,
            batch=3,
        )
        pixels = decode(model, drawn.latents).pixels
        assert torch.equal(SEEN[pair], pixels)
        assert torch.equal(SEEN[pair + 3], pixels)
        scores = reward.score(pixels, [prompt] * 3)
        files = [encode(Image(pixels[place, None]).pil(0), "png") for place in (scores.argmax(), scores.argmin())]
        digests.append([digest_of(data) for data in files])
    assert [[item.picture.digest, item.condition.digest if item.condition else ""] for item in found.items] == digests
    assert contents(again) == contents(found)


def test_more_pairs_and_other_rewards_draw_only_what_is_new(tmp_path: Path, draws: list[int]) -> None:
    model = tiny_model(tmp_path)
    few = make(model, tmp_path)
    assert draws == [0, 2, 4]
    more = make(model, tmp_path, pairs=5)
    assert draws == [0, 2, 4, 6, 8]
    assert contents(more)[:3] == contents(few)
    turned = make(model, tmp_path, Energy(1.0), least=1e-9)
    assert len(draws) == 5
    pairs = [(item.picture.digest, item.condition.digest if item.condition else "") for item in few.items]
    assert [(item.condition.digest if item.condition else "", item.picture.digest) for item in turned.items] == pairs


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"guidance": 2.0}, {"eta": 1.0}, {"sampling_steps": 3}, {"prompts": ["a horse"]}]
)
def test_what_changes_pictures_draws_others(tmp_path: Path, draws: list[int], other: dict[str, Any]) -> None:
    model = tiny_model(tmp_path)
    one = make(model, tmp_path, pairs=1)
    two = make(model, tmp_path, **{"pairs": 1, **other})
    assert len(draws) == 2
    assert one.items[0].picture.digest != two.items[0].picture.digest


def test_pictures_are_drawn_with_those_that_they_are_compared_with(tmp_path: Path, draws: list[int]) -> None:
    """In one batch, since sums of another one are rounded otherwise."""
    model = tiny_model(tmp_path)
    for count in (2, 3, 2):
        make(model, tmp_path, pairs=1, candidates=count)
    assert draws == [0, 0]


def test_people_are_asked_once(tmp_path: Path, draws: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(out: str) -> list[Any]:
        ctx = Context(out=tmp_path / out, workspaces=Workspaces(tmp_path / "cache", 1 << 30))
        return contents(make(model, tmp_path, reward_human(ctx=ctx), ctx=ctx))

    monkeypatch.setattr(people, "POLL_SECONDS", 0.01)
    model, over = tiny_model(tmp_path), threading.Event()
    person = threading.Thread(target=rate, args=(tmp_path / "one" / "ratings", over))
    person.start()
    try:
        first = decided("one")
    finally:
        over.set()
        person.join()

    def wait(*args: Any) -> None:
        raise AssertionError("it waits, and all is rated")

    monkeypatch.setattr(people, "_wait", wait)
    assert decided("two") == first
    assert not (tmp_path / "two" / "ratings" / "asked.json").exists()
    assert draws == [0, 2, 4]


def test_what_was_drawn_before_a_cancel_is_kept(tmp_path: Path, draws: list[int]) -> None:
    @value("test.reward.stopping")
    @dataclass(frozen=True, eq=False)
    class Stopping(Energy):
        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            if len(draws) == 2:
                raise Cancelled("the run was cancelled")
            return super().score(images, prompts)

    model = tiny_model(tmp_path)
    with pytest.raises(Cancelled):
        make(model, tmp_path, Stopping())
    assert len(make(model, tmp_path).items) == 3
    assert draws == [0, 2, 4]


@pytest.mark.parametrize("damage", ["cut", "empty", "junk", "nan", "shape", "type"])
def test_a_damaged_file_is_drawn_again(tmp_path: Path, draws: list[int], damage: str) -> None:
    from safetensors.torch import load, save

    model = tiny_model(tmp_path)
    first = make(model, tmp_path, pairs=1)
    [file] = (tmp_path / "cache").rglob("*.safetensors")
    data = file.read_bytes()
    latents = load(data)["latents"]
    damaged = {"nan": latents / 0, "shape": latents[:1], "type": latents.double()}
    file.write_bytes(
        save({"latents": damaged[damage]})
        if damage in damaged
        else {"cut": data[:-7], "empty": b"", "junk": b"\xff" * 40}[damage]
    )
    assert contents(make(model, tmp_path, pairs=1)) == contents(first)
    assert draws == [0, 0]
    assert file.read_bytes() == data


def test_a_full_disk_keeps_nothing_and_loses_nothing(
    tmp_path: Path, draws: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    model = tiny_model(tmp_path)
    expected = preferences(model, ["a cat", "a dog"], Energy(), pairs=3, sampling_steps=2)
    with monkeypatch.context() as patch:
        patch.setattr("weft.nodes.training.encoding.os.replace", full)
        assert contents(make(model, tmp_path)) == contents(expected)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    (tmp_path / "file").write_text("")
    nowhere = Context(workspaces=Workspaces(tmp_path / "file" / "cache", 1 << 30))
    assert contents(make(model, tmp_path, ctx=nowhere)) == contents(expected)
    assert len(draws) == 9
