"""A textual inversion (arXiv 2208.01618) for the bundled model: two vectors that stand for a shape it never saw.

    python -m weft.nodes.shapes.training.inversion

The shape is the dome, round above and flat below: a frozen model can only draw what it can put together from what it
knows, and this one lies between the circle, the square and the triangle.
"""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from weft.nodes.shapes.training.concepts import Word, example, word_loss
from weft.nodes.shapes.training.finetune import Base, Pool, Task, arguments, train

TOKEN, START = "<dome>", ["circle", "square"]


def main() -> None:
    args = arguments(__doc__ or "", steps=250, batch=16, pool=1024)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    word = Word(base, TOKEN, START)
    pool = Pool.make(base, args.seed, args.pool, lambda rng: example(rng, "dome", word.text, known=0.0))
    loss = word_loss(base, pool, args.batch)
    task = Task("dome", {"vectors": word.vectors}, loss, lr=5e-3, plain=("vectors",), weight_decay=0.0)
    train(task, args)
    (args.out / "dome").mkdir(parents=True, exist_ok=True)
    vectors = word.vectors.detach().half().cpu()
    save_file({TOKEN: vectors}, args.out / "dome" / "learned_embeds.safetensors", metadata={"format": "pt"})
    print(f"norms {[round(v.norm().item(), 2) for v in vectors]}", flush=True)


if __name__ == "__main__":
    main()
