"""Custom Diffusion (arXiv 2212.04488) for the bundled model: keys and values of its cross-attention, and a word.

    python -m weft.nodes.shapes.training.custom

The word <house> stands for a shape that the model never saw, a square with a roof. Two pictures in five are of the
known world, which takes the part of the paper's regularisation images.
"""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from weft.nodes.shapes.training.concepts import Word, example, word_loss
from weft.nodes.shapes.training.finetune import Base, Pool, Task, arguments, train

TOKEN, START = "<house>", ["square", "triangle"]
TRAINED = ("attn2.to_k.weight", "attn2.to_v.weight")


def main() -> None:
    args = arguments(__doc__ or "", steps=250, batch=24, pool=1024)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    word = Word(base, TOKEN, START)
    parameters = {name: p for name, p in base.unet.named_parameters() if name.endswith(TRAINED)}
    pool = Pool.make(base, args.seed, args.pool, lambda rng: example(rng, "house", word.text, known=0.4))
    loss = word_loss(base, pool, args.batch)
    task = Task(
        "house",
        {**parameters, "vectors": word.vectors},
        loss,
        lr=1.5e-3,
        rates={"vectors": 3.0},
        plain=("vectors",),
        weight_decay=0.0,
    )
    train(task, args)
    out = args.out / "house"
    out.mkdir(parents=True, exist_ok=True)
    names = {
        name: name.replace(".to_", ".processor.to_").replace(".weight", "_custom_diffusion.weight")
        for name in parameters
    }
    tensors = {names[name]: p.detach().half().contiguous().cpu() for name, p in parameters.items()}
    save_file(tensors, out / "pytorch_custom_diffusion_weights.safetensors", metadata={"format": "pt"})
    save_file({TOKEN: word.vectors.detach().half().cpu()}, out / "house.safetensors", metadata={"format": "pt"})
    print(f"{sum(t.nbytes for t in tensors.values()) / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
