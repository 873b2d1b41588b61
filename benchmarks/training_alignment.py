"""What alignment does to the bundled model: rewards of pictures before and after, of prompts at which it is weak.

    python benchmarks/training_alignment.py [--folder build/alignment] [--cases ddpo_judge,dpo_jpeg] [--docs PAGE]

Cases: `ddpo_judge`, `ddpo_jpeg` and `ddpo_clip`, each with its sign turned as well (`..._down`), `dpo_jpeg`,
`dpo_judge` and `draft_clip`. Prompts name two objects, and pictures are made in 2 or 3 steps without guidance: there
the model errs. It prints one JSON line for each case: the mean reward of pictures with seeds that no training had,
before and after, of the prompts that were trained on and of others, and their difference with its standard error, over
pairs of pictures that have the same prompt and seed. Checkpoints and results stay in the folder, so a run that was
ended goes on, and --docs writes the table of all results that are there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GUIDANCE, SEED = 1.0, 900_000
CASES = (
    *("ddpo_judge", "ddpo_jpeg", "ddpo_judge_down", "ddpo_jpeg_down", "dpo_jpeg", "draft_clip"),
    *("dpo_judge", "ddpo_clip", "ddpo_clip_down"),
)


@dataclass(frozen=True)
class Settings:
    """How pictures are made, and how DDPO learns from them. steps: of DDIM. batch: pictures in an update."""

    steps: int = 3
    pictures: int = 32
    batch: int = 16
    epochs: int = 12
    rate: float = 3e-3


SETTINGS = {
    "judge": Settings(steps=2, pictures=64, batch=64, epochs=12, rate=4e-3),
    "jpeg": Settings(),
    "clip": Settings(),
}
"""By measure. In 2 steps the model shows two thirds of what prompts say, and in 3 nearly all."""
FIGURES = ("<!-- figures: made by benchmarks/training_alignment.py -->", "<!-- end of figures -->")


def prompts() -> tuple[list[str], list[str]]:
    """Those to train on, and others."""
    from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, with_article

    texts = []
    for number in range(16):
        things = [
            with_article(f"{list(COLORS)[(3 * number + 5 * k) % 8]} {SHAPES[(number + k) % 4]}") for k in range(2)
        ]
        texts.append(f"{' and '.join(things)} on a {list(BACKGROUNDS)[number % 7]} background")
    return texts[0::2], texts[1::2]


def evaluate(
    model: Any, adapter: Any, texts: list[str], folder: Path, batch: int, steps: int
) -> dict[str, list[float]]:
    """Rewards of the same pictures by all measures; adapter: None is the model as it is."""
    from safetensors.torch import save_file

    from weft.nodes import (
        apply_lora,
        cfg,
        decode,
        denoise,
        encode_prompt,
        reward_alignment,
        reward_compressibility,
        reward_shapes,
    )

    if adapter is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "pytorch_lora_weights.safetensors"
        save_file(adapter.tensors, str(file))
        model = apply_lora(model, str(file))
    measures = {"judge": reward_shapes(), "jpeg": reward_compressibility(), "clip": reward_alignment()}
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number, text in enumerate(texts):
        latents = denoise(
            model,
            [cfg(encode_prompt(model, text), scale=GUIDANCE)],
            steps=steps,
            scheduler="ddim",
            eta=1.0,
            seed=SEED + 1000 * number,
            batch=batch,
        ).latents
        pixels = decode(model, latents).pixels
        for name, reward in measures.items():
            found[name] += reward.score(pixels, [text] * len(pixels)).tolist()
    return found


def compared(before: list[float], after: list[float]) -> dict[str, float]:
    """Means, their difference, and its standard error over pairs."""
    gaps = [b - a for a, b in zip(before, after, strict=True)]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps))
    mean = statistics.mean(gaps)
    return {
        "before": round(statistics.mean(before), 4),
        "after": round(statistics.mean(after), 4),
        "difference": round(mean, 4),
        "error": round(error, 4),
        "standard_errors": round(mean / error, 2) if error else 0.0,
        "pictures": len(gaps),
    }


def trained(case: str, model: Any, texts: list[str], args: argparse.Namespace, ctx: Any) -> tuple[Any, str]:
    """The outputs of a case's training, and in words what it took."""
    from weft.nodes import (
        preferences,
        reward_alignment,
        reward_compressibility,
        reward_shapes,
        reward_sum,
        train_ddpo,
        train_dpo,
        train_reward_backprop,
    )

    makers = {"judge": reward_shapes, "jpeg": reward_compressibility, "clip": reward_alignment}
    technique, measure = case.split("_")[:2]
    reward, chosen = makers[measure](), SETTINGS[measure]
    common = {"sampling_steps": chosen.steps, "guidance": GUIDANCE, "eta": 1.0}
    if technique == "ddpo":
        if case.endswith("_down"):
            reward = reward_sum([reward], [-1.0])
        updates = chosen.epochs * chosen.pictures // chosen.batch
        options = {"steps": updates, "learning_rate": chosen.rate, "batch": chosen.batch, "pictures": chosen.pictures}
        result = train_ddpo(model, texts, reward, **options, **common, history_least=8, rows=16, rank=8, ctx=ctx)
        return result, f"{chosen.epochs} epochs of {chosen.pictures} pictures"
    if technique == "dpo":
        pairs = preferences(model, texts, reward, pairs=args.pairs, candidates=4, **common, ctx=ctx)
        own = {"steps": args.dpo_steps, "batch": 8, "learning_rate": args.dpo_rate, "beta": args.beta}
        result = train_dpo(model, pairs, **own, ctx=ctx)
        return result, f"{args.dpo_steps} steps of 8 from {len(pairs.items)} pairs"
    own = {"steps": args.draft_steps, "batch": 8, "learning_rate": args.draft_rate, "last": 1}
    return train_reward_backprop(model, texts, reward, **own, **common, ctx=ctx), f"{args.draft_steps} steps of 8"


MEASURES = {"judge": "judged alignment", "jpeg": "compressibility, kB", "clip": "alignment by CLIP"}
NAMES = {"ddpo": "DDPO", "dpo": "Diffusion-DPO", "draft": "DRaFT-1"}


def table(lines: list[dict[str, Any]]) -> str:
    """The results in markdown; a difference has the 95 % interval of its mean."""
    head = [
        "| technique | reward | sampler | training | prompts | before | after | difference (95 %) | standard errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        technique, measure = line["case"].split("_")[:2]
        way = "↓" if line["case"].endswith("_down") else "↑"
        for key, told in (("trained_prompts", "trained"), ("other_prompts", "others")):
            own = line[key][measure]
            low, high = (own["difference"] + k * 1.96 * own["error"] for k in (-1, 1))
            head.append(
                f"| {NAMES[technique]} | {MEASURES[measure]} {way} | {line['steps']} steps | {line['training']} | "
                f"{told} | {own['before']:.3f} | **{own['after']:.3f}** | {low:+.3f} to {high:+.3f} | "
                f"{own['standard_errors']:+.1f} |"
            )
    return "\n".join(head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/alignment"))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--docs", type=Path, help="the page to write the table of all results into")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--dpo-steps", type=int, default=80)
    parser.add_argument("--dpo-rate", type=float, default=1e-3)
    parser.add_argument("--beta", type=float, default=500.0)
    parser.add_argument("--draft-steps", type=int, default=40)
    parser.add_argument("--draft-rate", type=float, default=1e-3)
    parser.add_argument("--evaluated", type=int, default=8, help="pictures of each prompt")
    args = parser.parse_args()
    from weft.engine import Context
    from weft.engine.cache.workspaces import Workspaces
    from weft.nodes import load_model
    from weft.nodes.shapes.measure import write_between

    cases = [case for case in args.cases.split(",") if case]
    unknown = sorted(set(cases) - set(CASES))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    model = load_model("shapes", dtype="float32", device="cpu")
    ctx = Context(workspaces=Workspaces(args.folder / "checkpoints", 1 << 32), listener=_Printed())
    sets = dict(zip(("trained_prompts", "other_prompts"), prompts(), strict=True))
    for case in cases:
        begun = time.process_time()
        result, told = trained(case, model, sets["trained_prompts"], args, ctx)
        spent = time.process_time() - begun
        steps = SETTINGS[case.split("_")[1]].steps
        before = _before(model, sets, args, steps)
        line: dict[str, Any] = {"case": case, "steps": steps, "training": told, "cpu_seconds": round(spent, 1)}
        for name, texts in sets.items():
            after = evaluate(model, result.adapter, texts, args.folder / case, args.evaluated, steps)
            line[name] = {measure: compared(before[name][measure], after[measure]) for measure in after}
        _, rewards = result.curve.column("reward")
        line["curve"] = [round(reward, 4) for reward in rewards]
        print(json.dumps(line), flush=True)
        (args.folder / f"{case}.json").write_text(json.dumps(line) + "\n", encoding="utf-8")
    if args.docs:
        files = [args.folder / f"{case}.json" for case in CASES]
        lines = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        write_between(args.docs, *FIGURES, table(lines))


def _before(model: Any, sets: dict[str, list[str]], args: argparse.Namespace, steps: int) -> dict[str, Any]:
    """Rewards without any training, which a later run into the folder takes as they are."""
    file = args.folder / f"before-{steps}.json"
    asked = [sets, steps, GUIDANCE, SEED, args.evaluated]
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return dict(known["rewards"])
    rewards = {name: evaluate(model, None, texts, args.folder, args.evaluated, steps) for name, texts in sets.items()}
    args.folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"asked": asked, "rewards": rewards}), encoding="utf-8")
    return rewards


class _Printed:
    """Rewards as they come, onto the error stream."""

    def report(self, node: str, kind: str, data: Any, body: bytes = b"") -> None:
        """One line a reward."""
        if kind == "train.reward":
            told = data["data"]
            print(f"step {told.get('step')}: reward {told['reward']:.4f} ({told['reward_std']:.4f})", file=sys.stderr)


if __name__ == "__main__":
    main()
