"""What alignment does to the bundled model: rewards of pictures before and after, of prompts at which it is weak.

    python benchmarks/training_alignment.py [--folder build/alignment] [--cases ddpo_judge,dpo_jpeg] [--docs PAGE]

Cases: `ddpo_judge`, `ddpo_jpeg` and `ddpo_clip`, each with its sign turned as well (`..._down`), `dpo_jpeg`,
`dpo_judge` and `draft_clip`. Prompts name two objects, and pictures are made in 3 steps without guidance: there the
model errs. Where the judge rewards, the prompts are those of many at which it errs most, told by pictures of seeds that
nothing else has. It prints one JSON line for each case: the mean reward of pictures with seeds that no training had,
before and after, of the prompts that were trained on and of others, and their difference with its standard error, over
pairs of pictures that have the same prompt and seed. Checkpoints and results stay in the folder, so a run that was
ended goes on. --docs writes the table of all results that are beyond 4 standard errors on the prompts that were trained
on, and keeps the results beside the page.
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
    *("ddpo_judge", "ddpo_judge_down", "ddpo_jpeg", "ddpo_jpeg_down", "dpo_judge", "dpo_jpeg", "draft_clip"),
    *("ddpo_clip", "ddpo_clip_down"),
)


@dataclass(frozen=True)
class Settings:
    """How pictures are made, and how DDPO and DPO learn from them.

    steps: of DDIM. batch: pictures in an update. pairs, dpo_steps: of DPO. weak: whether the prompts are those at which
    the model errs most. evaluated: pictures of each set of prompts.
    """

    steps: int = 3
    pictures: int = 32
    batch: int = 16
    epochs: int = 12
    rate: float = 3e-3
    pairs: int = 64
    dpo_steps: int = 80
    weak: bool = False
    evaluated: int = 64


SETTINGS = {
    # Rewards of the judge differ much from noise to noise: what few pictures say of the weights is lost in it.
    "judge": Settings(3, 128, 64, 50, 1e-3, pairs=256, dpo_steps=240, weak=True, evaluated=192),
    "jpeg": Settings(),
    "clip": Settings(),
}
MANY, TRIED, TRIED_SEED = 48, 12, 500_000
"""Prompts of which the weak ones are taken, pictures of each that tell, and their first seed."""
FIGURES = ("<!-- figures: made by benchmarks/training_alignment.py -->", "<!-- end of figures -->")


def prompts() -> dict[str, list[str]]:
    """Those to train on, and others."""
    from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, with_article

    texts = []
    for number in range(16):
        things = [
            with_article(f"{list(COLORS)[(3 * number + 5 * k) % 8]} {SHAPES[(number + k) % 4]}") for k in range(2)
        ]
        texts.append(f"{' and '.join(things)} on a {list(BACKGROUNDS)[number % 7]} background")
    return {"trained_prompts": texts[0::2], "other_prompts": texts[1::2]}


def weak_prompts(model: Any, folder: Path, steps: int) -> dict[str, list[str]]:
    """Of many prompts, the 16 at which the judge sees the model err most: half to train on, and half others."""
    from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, with_article

    colors, backgrounds = list(COLORS), list(BACKGROUNDS)
    texts = []
    for number in range(MANY):
        things = [
            with_article(
                f"{colors[(3 * number + 5 * k + number // 8) % 8]} {SHAPES[(number + k * (1 + number % 3)) % 4]}"
            )
            for k in range(2)
        ]
        place = (3 * number + number // 7) % len(backgrounds)
        texts.append(f"{' and '.join(things)} on a {backgrounds[place]} background")
    file = folder / f"weak-{model.fingerprint[:8]}.json"
    asked = [model.fingerprint, texts, steps, GUIDANCE, TRIED, TRIED_SEED]
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if known.get("asked") != asked:
        scores = evaluate(model, None, texts, folder, TRIED * MANY, steps, TRIED_SEED)["judge"]
        means = [statistics.mean(scores[k * TRIED : (k + 1) * TRIED]) for k in range(MANY)]
        known = {"asked": asked, "weakest": [texts[k] for k in sorted(range(MANY), key=means.__getitem__)[:16]]}
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(known), encoding="utf-8")
    return {"trained_prompts": known["weakest"][0::2], "other_prompts": known["weakest"][1::2]}


def evaluate(
    model: Any, adapter: Any, texts: list[str], folder: Path, pictures: int, steps: int, seed: int = SEED
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
            seed=seed + 1000 * number,
            batch=pictures // len(texts),
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
        pairs = preferences(model, texts, reward, pairs=chosen.pairs, candidates=4, **common, ctx=ctx)
        own = {"steps": chosen.dpo_steps, "batch": 8, "learning_rate": args.dpo_rate, "beta": args.beta}
        result = train_dpo(model, pairs, **own, ctx=ctx)
        return result, f"{chosen.dpo_steps} steps of 8 from {len(pairs.items)} pairs"
    own = {"steps": args.draft_steps, "batch": 8, "learning_rate": args.draft_rate, "last": 1}
    return train_reward_backprop(model, texts, reward, **own, **common, ctx=ctx), f"{args.draft_steps} steps of 8"


SHOWN = 4.0
"""Standard errors beyond which a result is in the table."""


MEASURES = {"judge": "judged alignment", "jpeg": "compressibility, kB", "clip": "alignment by CLIP"}
NAMES = {"ddpo": "DDPO", "dpo": "Diffusion-DPO", "draft": "DRaFT-1"}


def table(lines: list[dict[str, Any]]) -> str:
    """The results in markdown; a difference has the 95 % interval of its mean."""
    head = [
        "| technique | reward | training | prompts | pictures | before | after | difference (95 %) | standard errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        technique, measure = line["case"].split("_")[:2]
        way = "↓" if line["case"].endswith("_down") else "↑"
        if abs(line["trained_prompts"][measure]["standard_errors"]) <= SHOWN:
            continue
        for key, told in (("trained_prompts", "trained"), ("other_prompts", "others")):
            own = line[key][measure]
            low, high = (own["difference"] + k * 1.96 * own["error"] for k in (-1, 1))
            head.append(
                f"| {NAMES[technique]} | {MEASURES[measure]} {way} | {line['training']} | {told} | "
                f"{own['pictures']} | {own['before']:.3f} | "
                f"**{own['after']:.3f}** | {low:+.3f} to {high:+.3f} | {own['standard_errors']:+.1f} |"
            )
    return "\n".join(head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/alignment"))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--docs", type=Path, help="the page to write the table of all results into")
    parser.add_argument("--dpo-rate", type=float, default=1e-3)
    parser.add_argument("--beta", type=float, default=500.0)
    parser.add_argument("--draft-steps", type=int, default=120)
    parser.add_argument("--draft-rate", type=float, default=1e-3)
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
    for case in cases:
        chosen = SETTINGS[case.split("_")[1]]
        steps = chosen.steps
        sets = weak_prompts(model, args.folder, steps) if chosen.weak else prompts()
        begun = time.process_time()
        result, told = trained(case, model, sets["trained_prompts"], args, ctx)
        spent = time.process_time() - begun
        before = _before(model, sets, args.folder, chosen)
        line: dict[str, Any] = {"case": case, "steps": steps, "training": told, "cpu_seconds": round(spent, 1)}
        for name, texts in sets.items():
            after = evaluate(model, result.adapter, texts, args.folder / case, chosen.evaluated, steps)
            line[name] = {measure: compared(before[name][measure], after[measure]) for measure in after}
        _, rewards = result.curve.column("reward")
        line["curve"] = [round(reward, 4) for reward in rewards]
        print(json.dumps(line), flush=True)
        (args.folder / f"{case}.json").write_text(json.dumps(line) + "\n", encoding="utf-8")
    if args.docs:
        beside = args.docs.with_suffix(".json")
        known = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else []
        results = {line["case"]: line for line in known}
        for file in (args.folder / f"{case}.json" for case in CASES):
            if file.is_file():
                line = json.loads(file.read_text(encoding="utf-8"))
                results[line["case"]] = line
        lines = [results[case] for case in CASES if case in results]
        beside.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
        write_between(args.docs, *FIGURES, table(lines))


def _before(model: Any, sets: dict[str, list[str]], folder: Path, chosen: Settings) -> dict[str, Any]:
    """Rewards without any training, which a later run into the folder takes as they are."""
    file = folder / f"before-{model.fingerprint[:8]}{'-weak' if chosen.weak else ''}.json"
    asked = [model.fingerprint, sets, chosen.steps, GUIDANCE, SEED, chosen.evaluated]
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return dict(known["rewards"])
    count, steps = chosen.evaluated, chosen.steps
    rewards = {name: evaluate(model, None, texts, folder, count, steps) for name, texts in sets.items()}
    folder.mkdir(parents=True, exist_ok=True)
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
