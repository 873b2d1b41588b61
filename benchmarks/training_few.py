"""What each technique learns of a few pictures, trained by its node: settings as data, and what is measured of each."""

from __future__ import annotations

from typing import Any

from benchmarks.effect_kit import Measure
from benchmarks.training_bundled import styled
from benchmarks.training_kit import Bench, Plan, taught

FEW = 8
"""Pictures of what is new, of which each case learns; pairs are more."""
COMMON: dict[str, Any] = {"optimizer": "muon", "beta2": 0.99, "schedule": "cosine", "ema": 0.98}
CLASSES = [
    f"{article} {color} {shape} on a {background} background"
    for article, color, shape, background in (
        ("a", "red", "circle", "white"),
        ("a", "blue", "square", "beige"),
        ("a", "green", "star", "black"),
        ("a", "yellow", "triangle", "navy"),
        ("a", "pink", "circle", "mint"),
        ("a", "cyan", "star", "brown"),
        ("an", "orange", "square", "gray"),
        ("a", "purple", "triangle", "white"),
    )
]
"""What the model draws itself, so that it keeps it."""
OWN = (
    "class_images",
    {"prompt": CLASSES[0], "more_prompts": CLASSES[1:], "count": 6, "steps": 12, "guidance_scale": 3.0, "seed": 5_000},
)


def pictures(show: str, word: str = "", seed: int = 11, **more: Any) -> tuple[str, dict[str, Any]]:
    """A few drawn pictures of an unseen shape, each alone."""
    return "shapes_dataset", {
        "show": show,
        "word": word,
        "count": FEW,
        "beside": 0.0,
        "masks": True,
        "seed": seed,
        **more,
    }


HEART = Plan(
    "few_lora",
    "train_lora",
    (pictures("heart"), OWN),
    {"steps": 400, "learning_rate": 4e-3, "batch": 8, "rank": 8, "targets": ["attention+conv"]},
    {**COMMON, "warmup": 32, "unmasked_weight": 0.33},
)
FRAMED_SCENES = (
    "a small cyan circle on a white background",
    "a purple circle",
    "a purple star and a pink circle on a white background",
    "a large star on the left on a white background",
    "a green square and an orange star",
    "a red triangle left of a pink circle on a mint background",
    "a blue square at the top",
    "a cyan triangle and a yellow triangle on a brown background",
    "a blue square and a pink triangle on a white background",
    "an orange triangle on the left on a black background",
)
"""The captions of the framed pictures without their word: its class images, of which the word alone tells them apart.
With class images of other scenes, the colours of a picture decided whether it had a frame.
"""
FRAME = Plan(
    "few_style",
    "train_lora",
    (
        ("shapes_dataset", {"style": "framed", "count": 10, "seed": 11}),
        ("class_images", {**OWN[1], "prompt": FRAMED_SCENES[0], "more_prompts": list(FRAMED_SCENES[1:]), "count": 4}),
    ),
    {
        "steps": 400,
        "learning_rate": 1e-3,
        "batch": 8,
        "rank": 4,
        "targets": ["attention+conv"],
        "init": "kaiming",
        "text_encoder": True,
    },
    {**COMMON, "warmup": 32, "rates": {"text_encoder": 2.0}},
)
DOME = Plan(
    "few_word",
    "train_textual_inversion",
    (pictures("dome", "<dome>"),),
    {
        "tokens": ["<dome>"],
        "init": ["circle square triangle circle"],
        "steps": 200,
        "learning_rate": 1e-2,
        "batch": 8,
        "vectors": 4,
        "templates": "none",
    },
    {"optimizer": "adamw", "beta2": 0.99, "schedule": "cosine", "warmup": 16, "ema": 0.98, "unmasked_weight": 0.33},
)
HOUSE = Plan(
    "few_custom",
    "train_custom_diffusion",
    (pictures("house", "<house>"), OWN),
    {
        "tokens": ["<house>"],
        "init": ["square"],
        "steps": 600,
        "learning_rate": 3e-3,
        "words_rate": 1e-2,
        "batch": 8,
        "templates": "none",
    },
    {**COMMON, "weight_decay": 0.0, "warmup": 32, "unmasked_weight": 0.33},
)


def case_few_lora(bench: Bench) -> list[Measure]:
    """A LoRA of a shape."""
    return taught(bench, HEART.name, bench.with_adapter(bench.adapter(HEART)), "heart", "heart")


def case_few_style(bench: Bench) -> list[Measure]:
    """A LoRA of a style."""
    return styled(bench, FRAME.name, bench.with_adapter(bench.adapter(FRAME)))


def case_few_word(bench: Bench) -> list[Measure]:
    """A learned word."""
    return taught(bench, DOME.name, bench.with_adapter(bench.adapter(DOME)), "dome", "<dome>")


def case_few_custom(bench: Bench) -> list[Measure]:
    """Custom Diffusion."""
    return taught(bench, HOUSE.name, bench.with_adapter(bench.adapter(HOUSE)), "house", "<house>")
