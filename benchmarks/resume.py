"""What a re-run costs after an edit: calls of the denoiser and seconds of a full run and of one that goes on.

    python benchmarks/resume.py [--steps 50] [--model shapes] [--repeats 3]

Prints one JSON line for each of ten edits that a person makes all day, and a last one with all of them. Each is made
twice: from nothing, and after the run before the edit, of which it takes the steps that both share. `equal` says
whether the two results are the same to the bit. Seconds are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PROMPT, NEGATIVE = "a red circle left of a blue square on a white background", "green"
MIB = 1 << 20


@dataclass
class Settings:
    """What `denoise` is given, or `invert`."""

    guidance: list[Any]
    controls: list[Any] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    invert: bool = False


@dataclass
class Edit:
    """A run, and the same one after an edit. stop: the share of its steps after which the first one is cancelled."""

    what: str
    before: Settings
    after: Settings
    stop: float | None = None


class Studio:
    """A model, its prompts, and a network beside it."""

    def __init__(self, source: str, folder: Path, steps: int) -> None:
        import torch

        from tests.tiny_nets import tiny_controlnet
        from weft.nodes import encode_prompt, load_controlnet, load_model
        from weft.nodes.values import Image, Latents

        self.model = load_model(source, dtype="float32", device="cpu")
        self.parts = self.model.parts()
        self.steps = steps
        self.prompt, self.negative = encode_prompt(self.model, PROMPT), encode_prompt(self.model, NEGATIVE)
        self.encode = lambda text: encode_prompt(self.model, text)
        # Random weights cost what trained ones do.
        self.net = load_controlnet(str(tiny_controlnet(folder / "net", Path(self.model.location))))
        side = self.model.size
        self.clean = Latents(torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(1)))
        self.picture = Image(torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(3)))

    def base(self, scale: float = 3.0) -> Any:
        from weft.nodes import cfg

        return cfg(self.prompt, self.negative, scale=scale)

    def run(self, settings: Settings, trails: Any, stop: float | None = None) -> tuple[Any, int, int, float]:
        """Latents, calls of the denoiser, steps reused, seconds."""
        from tests.nodes.techniques.measure import counted
        from weft.engine import Cancelled, CancelToken, Context
        from weft.nodes import denoise, invert

        cancel, reused = CancelToken(), [0]

        class Stopper:
            def report(self, node: str, kind: str, data: Any, body: bytes = b"") -> None:
                if kind == "progress" and stop is not None and data["step"] >= stop * data["total"]:
                    cancel.cancel()

        def said(node: str, steps: int, total: int) -> None:
            reused[0] = steps

        context = Context(trails=trails, on_reused=said, cancel=cancel, listener=Stopper(), preview_interval=None)
        options: dict[str, Any] = {"steps": self.steps, "scheduler": "ddim", "seed": 7} | settings.options
        latents = None
        with counted(self.parts.unet) as rows:
            began = time.perf_counter()
            with suppress(Cancelled):
                if settings.invert:
                    chosen = {"steps": self.steps, **settings.options}
                    latents = invert(
                        self.model, settings.guidance, latents=self.clean, ctx=context, **chosen
                    ).trajectory.latents[-1]
                else:
                    made = denoise(self.model, settings.guidance, settings.controls, ctx=context, **options)
                    latents = made.latents.samples
            seconds = time.perf_counter() - began
        return latents, len(rows), reused[0], seconds


def edits(studio: Studio) -> list[Edit]:
    """Ten of them."""
    import torch

    from weft.nodes import controlnet, during, pag, regions, rescale_guidance, sag, sega, weighted_prompt
    from weft.nodes.values import Mask

    base, side = studio.base(), studio.model.size
    everywhere = Mask(torch.ones(1, side, side))

    def weighted(weight: float) -> Any:
        text = weighted_prompt(studio.model, f"a (red){weight} circle left of a blue square on a white background")
        return during(regions([text], [everywhere]), 0.7, 1.0)

    def hint(end: float) -> Any:
        return controlnet(studio.net, studio.picture, 0.5, end=end)

    def concept(**options: Any) -> Any:
        return sega(studio.encode("green"), **options)

    def late_sag(scale: float) -> Any:
        return during(sag(scale), 0.5, 1.0)

    def inversion(strength: float) -> Settings:
        return Settings([studio.base(1.0)], options={"strength": strength}, invert=True)

    def plain(*more: Any, **options: Any) -> Settings:
        return Settings([base, *more], options=options)

    tenth = max(1, studio.steps // 10)
    return [
        Edit("a prompt's weight in the last 30 %", plain(weighted(1.2)), plain(weighted(1.5))),
        Edit("the end of a ControlNet, from 80 to 60 %", Settings([base], [hint(0.8)]), Settings([base], [hint(0.6)])),
        Edit("PAG added from 40 % on", plain(), plain(during(pag(3.0), 0.4, 1.0))),
        Edit("the scale of SAG from half time on", plain(late_sag(0.5)), plain(late_sag(1.0))),
        Edit(
            "a later warm-up of SEGA, from 30 to 50 %",
            plain(concept(warmup=3 * tenth)),
            plain(concept(warmup=5 * tenth)),
        ),
        Edit(
            "another concept of SEGA, warm from 40 % on, without momentum",
            plain(concept(warmup=4 * tenth, momentum=0.0)),
            plain(sega(studio.encode("a large star"), warmup=4 * tenth, momentum=0.0)),
        ),
        Edit(
            "an earlier cooldown of SEGA, from 80 to 60 %, under DPM-Solver++ 2M",
            plain(concept(warmup=0, cooldown=8 * tenth), scheduler="dpmpp_2m"),
            plain(concept(warmup=0, cooldown=6 * tenth), scheduler="dpmpp_2m"),
        ),
        Edit(
            "guidance rescaled from half time on, under Euler ancestral",
            plain(scheduler="euler_ancestral"),
            plain(during(rescale_guidance(0.7), 0.5, 1.0), scheduler="euler_ancestral"),
        ),
        Edit("cancelled at 60 %, and run again", plain(scheduler="pndm"), plain(scheduler="pndm"), stop=0.6),
        Edit("more steps of an inversion, from 50 to 80 %", inversion(0.5), inversion(0.8)),
    ]


def measure(studio: Studio, edit: Edit, repeats: int) -> dict[str, Any]:
    """Both ways, in turn."""
    import torch

    from weft.engine.cache.trails import Trails

    full: list[float] = []
    gone_on: list[float] = []
    for _ in range(repeats):
        expected, calls, _, seconds = studio.run(edit.after, None)
        full.append(seconds)
        trails = Trails(256 * MIB)
        studio.run(edit.before, trails, edit.stop)
        found, left, reused, seconds = studio.run(edit.after, trails)
        gone_on.append(seconds)
    return {
        "edit": edit.what,
        "steps": studio.steps,
        "reused": reused,
        "calls": {"full": calls, "resumed": left},
        "seconds": {"full": round(statistics.median(full), 3), "resumed": round(statistics.median(gone_on), 3)},
        "equal": torch.equal(expected, found),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", default="shapes", help="as load_model takes it")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves them")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(options.model, Path(folder), options.steps)
        lines = []
        for edit in edits(studio):
            lines.append(measure(studio, edit, options.repeats))
            print(json.dumps(lines[-1]), flush=True)
    total: Callable[[str, str], float] = lambda kind, which: sum(line[kind][which] for line in lines)  # noqa: E731
    print(
        json.dumps(
            {
                "edit": "all",
                "calls": {which: total("calls", which) for which in ("full", "resumed")},
                "seconds": {which: round(total("seconds", which), 2) for which in ("full", "resumed")},
                "equal": all(line["equal"] for line in lines),
            }
        )
    )


if __name__ == "__main__":
    main()
