"""A CLIP (arXiv 2103.00020) of the bundled world: a picture and its caption get embeddings that are close together.

    python -m weft.nodes.shapes.training.clip

Half of a batch are the other half's scenes with other shapes, and every patch says which shape covers it: without
these, 300 steps of 128 taught colours and backgrounds alone. Half of the pictures are a little noisy or blurred, as
those that the model makes may be. The text side starts as the bundled encoder and has its tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.training.finetune import Base, Task, arguments, save_module, train
from weft.nodes.shapes.world import (
    BACKGROUNDS,
    COLORS,
    SHAPES,
    SIZE,
    Scene,
    Shape,
    caption,
    coverage,
    render,
    sample_scene,
)

WIDTH, PATCH, SCALE = 96, 16, 20.0
"""Of states and embeddings; pixels; what cosines are multiplied by before the softmax."""


def build_vision() -> CLIPVisionModelWithProjection:
    """The untrained image side: 128 x 128 pixels as 64 patches, 4 layers."""
    config = CLIPVisionConfig(
        image_size=SIZE,
        patch_size=PATCH,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
    )
    return CLIPVisionModelWithProjection(config)


def build_text(base: Base) -> CLIPTextModelWithProjection:
    """The text side: the bundled model's encoder, and a projection that has learned nothing yet."""
    config = CLIPTextConfig.from_dict(base.text.config.to_dict() | {"projection_dim": WIDTH})
    model = CLIPTextModelWithProjection(config)
    missing, unknown = model.load_state_dict(
        {
            name if name.startswith("text_model.") else f"text_model.{name}": t
            for name, t in base.text.state_dict().items()
        },
        strict=False,
    )
    if unknown or missing != ["text_projection.weight"]:
        raise RuntimeError(f"the text encoder is not what it was: {missing} are missing, {unknown} are too many")
    return model


def draw(rng: np.random.Generator) -> Scene:
    """A captioned scene: half as the model was trained on, half anywhere on the canvas."""
    return sample_scene(rng) if rng.random() < 0.5 else free_scene(rng)


def twin(rng: np.random.Generator, scene: Scene) -> Scene:
    """The same scene with each shape exchanged for another, in the picture and in the caption."""
    turn = int(rng.integers(1, len(SHAPES)))
    other: dict[str, Shape] = {shape: SHAPES[(k + turn) % len(SHAPES)] for k, shape in enumerate(SHAPES)}
    things = tuple(replace(thing, shape=other[thing.shape]) for thing in scene.things)
    return Scene(things, scene.background, " ".join(other.get(word, word) for word in scene.caption.split()))


def cover(scene: Scene) -> NDArray[np.int64]:
    """By patch, which shape covers a tenth of it or more: 0 for none, else its number from 1: (64,)."""
    side = SIZE // PATCH
    parts = np.stack([coverage(t).reshape(side, PATCH, side, PATCH).mean(axis=(1, 3)).ravel() for t in scene.things])
    shapes = np.array([SHAPES.index(t.shape) + 1 for t in scene.things])
    return np.where(parts.max(axis=0) > 0.1, shapes[parts.argmax(axis=0)], 0)


def as_values(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures (128, 128, 3) as the image side takes them: (n, 3, 128, 128), normalised as CLIPImageProcessor does."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return (pixels - mean) / std


def worn(rng: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture, in half of the cases blurred a little, with noise or with shifted tones."""
    if rng.random() < 0.5:
        return picture
    soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.2))).astype(np.float32)
    soft += rng.normal(0, 4, 3) + rng.standard_normal(picture.shape, np.float32) * float(rng.uniform(0, 6))
    return soft.clip(0, 255).astype(np.uint8)


def contrast(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """The symmetric cross-entropy of cosines, (n, 96) both.

    Equal captions in a batch need no care: their embeddings are equal, so that the loss asks each for an equal share.
    """
    logits = SCALE * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


@torch.no_grad()
def ranks_first(
    base: Base, vision: CLIPVisionModelWithProjection, text: CLIPTextModelWithProjection, count: int = 256
) -> float:
    """Of pictures of one thing, the share whose full caption is the nearest of all 224."""
    rng = np.random.default_rng(99)
    scenes = [free_scene(rng, two=0) for _ in range(count)]
    texts = [f"a {c} {s} on a {b} background" for c in COLORS for s in SHAPES for b in BACKGROUNDS]
    texts = [t.replace("a orange", "an orange") for t in texts]
    images = vision(as_values([render(s) for s in scenes]).to(base.device)).image_embeds
    states = text(base.ids(texts)).text_embeds
    nearest = (F.normalize(images, dim=-1) @ F.normalize(states, dim=-1).T).argmax(dim=1)
    return float(np.mean([texts[k] == caption(s.things, s.background) for k, s in zip(nearest, scenes, strict=True)]))


def main() -> None:
    args = arguments(__doc__ or "", steps=420, batch=64, pool=32768)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    vision, text = build_vision().to(base.device).train(), build_text(base).to(base.device).train()
    rng = np.random.default_rng((args.seed, 7))
    scenes = [draw(rng) for _ in range(args.pool)]

    where = torch.nn.Linear(WIDTH, len(SHAPES) + 1).to(base.device)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = [scenes[k] for k in rng.integers(0, args.pool, args.batch // 2)]
        chosen += [twin(rng, scene) for scene in chosen]
        captions = [scene.caption for scene in chosen]
        seen = vision(as_values([worn(rng, render(scene)) for scene in chosen]).to(base.device))
        told = torch.from_numpy(np.stack([cover(scene) for scene in chosen])).to(base.device)
        patches = F.cross_entropy(where(seen.last_hidden_state[:, 1:]).flatten(0, 1), told.flatten())
        return contrast(seen.image_embeds, text(base.ids(captions)).text_embeds) + 3 * patches

    parameters = {f"vision.{name}": p for name, p in vision.named_parameters()}
    parameters |= {f"text.{name}": p for name, p in text.named_parameters()}
    parameters |= {f"where.{name}": p for name, p in where.named_parameters()}
    plain = ("class_embedding", "position_embedding", "token_embedding", "where.")
    train(Task("clip", parameters, loss, lr=3e-3, rates={"text.text_model": 0.3}, plain=plain), args)
    print(f"the right caption of 224 is nearest: {ranks_first(base, vision.eval(), text.eval()):.1%}", flush=True)
    save_module(vision, args.out / "clip" / "image_encoder")
    save_module(text, args.out / "clip" / "text_encoder")


if __name__ == "__main__":
    main()
