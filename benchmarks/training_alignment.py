"""What alignment does to the bundled model: rewards of pictures before and after, of prompts at which it is weak.

    python benchmarks/training_alignment.py [--folder build/alignment] [--cases ddpo_clip,dpo_clip] [--epochs 16]

Cases: `ddpo_clip`, `ddpo_judge` and `ddpo_jpeg`, each with its sign turned as well (`..._down`), `dpo_clip`, and
`draft_clip`. Prompts name three objects, where the model was trained on two at most, and pictures are made without
guidance in few steps: there it errs. It prints one JSON line for each case: the mean reward of pictures with other
seeds before and after, of the prompts that were trained on and of others, and their difference in standard errors of
paired pictures. What was trained stays in the folder, so a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

STEPS, GUIDANCE, SEED = 4, 1.0, 900_000
CASES = (
    *("ddpo_clip", "ddpo_jpeg", "ddpo_judge", "ddpo_clip_down", "ddpo_jpeg_down", "ddpo_judge_down"),
    *("dpo_clip", "draft_clip"),
)


def prompts() -> tuple[list[str], list[str]]:
    """Those to train on, and others."""
    from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, with_article

    texts = []
    for number in range(16):
        things = [
            with_article(f"{list(COLORS)[(3 * number + 5 * k) % 8]} {SHAPES[(number + k) % 4]}") for k in range(3)
        ]
        texts.append(f"{' and '.join(things)} on a {list(BACKGROUNDS)[number % 7]} background")
    return texts[0::2], texts[1::2]


def evaluate(model: Any, adapter: Any, texts: list[str], folder: Path, batch: int) -> dict[str, list[float]]:
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
            steps=STEPS,
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
    """Means, and their difference in standard errors of the paired differences."""
    gaps = [b - a for a, b in zip(before, after, strict=True)]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps))
    mean = statistics.mean(gaps)
    return {
        "before": round(statistics.mean(before), 4),
        "after": round(statistics.mean(after), 4),
        "difference": round(mean, 4),
        "standard_errors": round(mean / error, 2) if error else 0.0,
        "pictures": len(gaps),
    }


def trained(case: str, model: Any, texts: list[str], args: argparse.Namespace, ctx: Any) -> Any:
    """The outputs of a case's training."""
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

    common = {"sampling_steps": STEPS, "guidance": GUIDANCE}
    if case.startswith("ddpo"):
        makers = {"judge": reward_shapes, "jpeg": reward_compressibility, "clip": reward_alignment}
        reward = makers[case.split("_")[1]]()
        if case.endswith("_down"):
            reward = reward_sum([reward], [-1.0])
        updates = args.epochs * args.pictures // args.batch
        options = {"steps": updates, "batch": args.batch, "pictures": args.pictures, "learning_rate": args.rate}
        return train_ddpo(model, texts, reward, **options, **common, rows=8, rank=8, ctx=ctx)
    if case == "dpo_clip":
        pairs = preferences(
            model, texts, reward_alignment(), pairs=args.pairs, candidates=4, eta=1.0, **common, ctx=ctx
        )
        print(json.dumps({"case": case, "pairs": len(pairs.items)}), flush=True)
        return train_dpo(model, pairs, steps=args.dpo_steps, batch=8, learning_rate=args.dpo_rate, beta=500.0, ctx=ctx)
    return train_reward_backprop(
        model, texts, reward_alignment(), steps=60, batch=4, learning_rate=1e-3, last=1, eta=1.0, **common, ctx=ctx
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/alignment"))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--dpo-steps", type=int, default=150)
    parser.add_argument("--dpo-rate", type=float, default=3e-4)
    parser.add_argument("--evaluated", type=int, default=16, help="pictures of each prompt")
    args = parser.parse_args()
    from weft.engine import Context
    from weft.engine.cache.workspaces import Workspaces
    from weft.nodes import load_model

    unknown = sorted(set(args.cases.split(",")) - set(CASES))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    model = load_model("shapes", dtype="float32", device="cpu")
    ctx = Context(workspaces=Workspaces(args.folder / "checkpoints", 1 << 32), listener=_Printed())
    seen, other = prompts()
    before = {name: evaluate(model, None, texts, args.folder, args.evaluated) for name, texts in _both(seen, other)}
    for case in args.cases.split(","):
        begun = time.process_time()
        result = trained(case, model, seen, args, ctx)
        spent = time.process_time() - begun
        line: dict[str, Any] = {"case": case, "cpu_seconds": round(spent, 1), "steps": result.checkpoint.step}
        for name, texts in _both(seen, other):
            after = evaluate(model, result.adapter, texts, args.folder / case, args.evaluated)
            line[name] = {measure: compared(before[name][measure], after[measure]) for measure in after}
        _, rewards = result.curve.column("reward")
        line["curve"] = [round(reward, 4) for reward in rewards]
        print(json.dumps(line), flush=True)


def _both(seen: list[str], other: list[str]) -> list[tuple[str, list[str]]]:
    return [("trained_prompts", seen), ("other_prompts", other)]


class _Printed:
    """Rewards as they come, onto the error stream."""

    def report(self, node: str, kind: str, data: Any, body: bytes = b"") -> None:
        """One line a reward."""
        if kind == "train.reward":
            told = data["data"]
            print(f"step {told.get('step')}: reward {told['reward']:.4f} ({told['reward_std']:.4f})", file=sys.stderr)


if __name__ == "__main__":
    main()
