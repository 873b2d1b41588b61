"""An IP-Adapter (arXiv 2308.06721) for the bundled model: a picture, as the world's CLIP sees it, is a prompt.

    python -m weft.nodes.shapes.training.image_prompt

UNet and image encoder stay as they are; a projection to four tokens and keys and values for them learn, which start as
those of text. The picture that prompts is another one than the picture that is drawn: the same colour and shape in
another place and size, on another background where the caption says which. Captions never tell colour or shape.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionModelWithProjection

from weft.nodes.models.bundled import IMAGE_ENCODERS, home
from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.training.clip import as_values, worn
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, train, v_loss
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, render, sample_scene

TOKENS = 4
LEARNED = ("encoder_hid_proj.", ".to_k_ip.", ".to_v_ip.")


def less(text: str) -> str:
    """A caption without colours, every shape called so: "a large red star" becomes "a large shape"."""
    words = ["shape" if word in SHAPES else word for word in text.split() if word not in COLORS]
    if words and words[0] == "an":
        words[0] = "a"
    return " ".join(words)


def draw(rng: np.random.Generator) -> Example:
    """A picture of one thing, a caption that leaves out what it is, and the picture that tells (128, 128, 3)."""
    scene = sample_scene(rng, two=0.0)
    thing = scene.things[0]
    text = "" if rng.random() < 0.35 else less(scene.caption)
    said = "background" in text
    background = str(rng.choice(list(BACKGROUNDS))) if said else scene.background
    shown = replace(free_scene(rng, two=0.0).things[0], shape=thing.shape, color=thing.color)
    return Example(render(scene), text, worn(rng, render(Scene((shown,), background))))


def encoder_of(out: Path) -> CLIPVisionModelWithProjection:
    """The image encoder made beside this adapter, or the one that ships with Weft."""
    own = out / "clip" / "image_encoder"
    folder = own if own.is_dir() else home() / IMAGE_ENCODERS["shapes-clip"]
    return CLIPVisionModelWithProjection.from_pretrained(folder, torch_dtype=torch.float32)


@torch.no_grad()
def embed(encoder: CLIPVisionModelWithProjection, pictures: torch.Tensor) -> torch.Tensor:
    """Embeddings (n, 96) of pictures (n, 128, 128, 3)."""
    parts = pictures.split(64)
    return torch.cat([encoder.eval()(as_values([p.numpy() for p in part])).image_embeds for part in parts])


def cross(unet: UNet2DConditionModel) -> list[str]:
    """The cross-attentions' names, in the order in which an IP-Adapter's file numbers them: 1, 3, 5, ..."""
    return [name.removesuffix(".processor") for name in unet.attn_processors if ".attn2." in name]


def attach(unet: UNet2DConditionModel, reads: int) -> dict[str, torch.nn.Parameter]:
    """Give the UNet an untrained adapter for image embeddings so wide; returns what learns."""
    width = unet.config.cross_attention_dim
    image = {
        "proj.weight": torch.nn.init.orthogonal_(torch.empty(TOKENS * width, reads)),
        "proj.bias": torch.zeros(TOKENS * width),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    keys = {
        f"{2 * number + 1}.{to}_ip.weight": getattr(unet.get_submodule(name), to).weight.detach().clone()
        for number, name in enumerate(cross(unet))
        for to in ("to_k", "to_v")
    }
    unet._load_ip_adapter_weights([{"image_proj": image, "ip_adapter": keys}], low_cpu_mem_usage=False)
    return {name: p for name, p in unet.named_parameters() if any(piece in name for piece in LEARNED)}


def export(unet: UNet2DConditionModel, file: Path) -> None:
    """The adapter as one file, named as published ones are."""
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    names = {"proj": projection.image_embeds, "norm": projection.norm}
    tensors = {f"image_proj.{to}.{key}": t for to, module in names.items() for key, t in module.state_dict().items()}
    for number, name in enumerate(cross(unet)):
        for key, item in unet.get_submodule(f"{name}.processor").state_dict().items():
            tensors[f"ip_adapter.{2 * number + 1}.{key.replace('.0.', '.')}"] = item
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {name: t.detach().half().contiguous().cpu() for name, t in tensors.items()}
    save_file(half, file, metadata={"format": "pt"})
    print(f"{file}: {len(half)} tensors, {file.stat().st_size / 1e6:.2f} MB", flush=True)


def main() -> None:
    args = arguments(__doc__ or "", steps=500, batch=24, pool=3072)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    encoder = encoder_of(args.out)
    parameters = attach(base.unet, encoder.config.projection_dim)
    pool = Pool.make(base, args.seed, args.pool, draw)
    assert pool.hints is not None
    prompts = embed(encoder, pool.hints).to(base.device)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        images = prompts[chosen].clone()
        images[torch.from_numpy(rng.random(args.batch) < 0.1)] = 0
        added = {"image_embeds": [images[:, None]]}
        return v_loss(
            base,
            rng,
            progress,
            pool,
            chosen,
            lambda noisy, t: base.unet(noisy, t, pool.states[chosen], added_cond_kwargs=added).sample,
        )

    train(Task("image", parameters, loss, lr=2e-3), args)
    export(base.unet, args.out / "image" / "ip-adapter.safetensors")


if __name__ == "__main__":
    main()
