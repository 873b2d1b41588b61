"""What the bundled adapters do, which Weft's own training nodes made, on prompts and seeds that picked no setting."""

from __future__ import annotations

from typing import Any

from benchmarks.effect_kit import Fact, Measure, Pixels, verdict
from benchmarks.training_kit import UNSEEN, Asked, Bench, right, taught

MERGED = (1.0, 1.05)
"""Strengths of the two adapters, as the lab course has them."""


def framed_right(one: Asked) -> Fact:
    """1 for a picture with a frame and, inside it, exactly the object on the background asked for."""
    from weft.nodes.shapes.frame import frame_share, inside
    from weft.nodes.shapes.measure_variants import FRAMED

    def fact(picture: Pixels) -> float:
        seen = verdict(inside(picture), UNSEEN)
        shown = seen.shows([(one.color, one.shape)]) and seen.background == one.background
        return float(shown and frame_share(picture) >= FRAMED)

    return fact


def bare_right(one: Asked) -> Fact:
    """1 for a picture without a frame, of exactly the object on the background asked for."""
    from weft.nodes.shapes.frame import frame_share
    from weft.nodes.shapes.measure_variants import FRAMED

    exact = right(one)
    return lambda picture: exact(picture) * float(frame_share(picture) <= 1 - FRAMED)


def styled(bench: Bench, name: str, model: Any) -> list[Measure]:
    """A style by its word, and nothing of it without the word."""
    seen = Measure(name, "framed, and right inside", "the model alone, same prompt")
    known = Measure(name, "known shapes as asked for, without a frame", "the model alone, same prompt", "same")
    for one in bench.asked():
        pictures = [bench.made(which, one.text(one.shape, ", framed"), one.seed) for which in (bench.model, model)]
        seen.add(framed_right(one), *pictures)
        bench.keep(name, without=pictures[0], with_=pictures[1])
        known.add(
            bare_right(one), *(bench.made(which, one.text(one.shape), one.seed) for which in (bench.model, model))
        )
    return [seen, known]


def merged(bench: Bench, name: str, model: Any) -> list[Measure]:
    """A shape by one adapter and a style by another, both at once; and known shapes with neither word."""
    from benchmarks.effect_adapters import framed_heart

    both = Measure(name, "a heart is seen, and framed", "the model alone, same prompt")
    known = Measure(name, "known shapes as asked for, without a frame", "the model alone, same prompt", "same")
    for one in bench.asked():
        pictures = [bench.made(which, one.text("heart", ", framed"), one.seed) for which in (bench.model, model)]
        both.add(framed_heart, *pictures)
        bench.keep(name, without=pictures[0], with_=pictures[1])
        known.add(
            bare_right(one), *(bench.made(which, one.text(one.shape), one.seed) for which in (bench.model, model))
        )
    return [both, known]


def case_bundled_heart(bench: Bench) -> list[Measure]:
    """`shapes-heart`, a LoRA."""
    from weft.nodes import apply_lora

    return taught(bench, "bundled_heart", apply_lora(bench.model, "shapes-heart"), "heart", "heart")


def case_bundled_frame(bench: Bench) -> list[Measure]:
    """`shapes-frame`, a LoRA of a style."""
    from weft.nodes import apply_lora

    return styled(bench, "bundled_frame", apply_lora(bench.model, "shapes-frame"))


def case_bundled_merge(bench: Bench) -> list[Measure]:
    """Both of them at once."""
    from weft.nodes import merge_loras

    model = merge_loras(bench.model, ["shapes-heart", "shapes-frame"], list(MERGED))
    return merged(bench, "bundled_merge", model)


def case_bundled_dome(bench: Bench) -> list[Measure]:
    """`shapes-dome`, a learned word."""
    from weft.nodes import load_textual_inversion

    return taught(bench, "bundled_dome", load_textual_inversion(bench.model, ["shapes-dome"]), "dome", "<dome>")


def case_bundled_house(bench: Bench) -> list[Measure]:
    """`shapes-house`, Custom Diffusion with its word."""
    from weft.nodes import load_custom_diffusion

    model = load_custom_diffusion(bench.model, "shapes-house", ["shapes-house-word"])
    return taught(bench, "bundled_house", model, "house", "<house>")
