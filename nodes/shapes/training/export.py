"""Put the trained parts together as a diffusers folder in half precision: the bundled model.

    python -m weft.nodes.shapes.training.export --work build/shapes --out nodes/shapes/model

The text encoder is written with the `text_model.` prefix and the tokenizer as `vocab.json` and
`merges.txt`, the layout of published Stable Diffusion 1.x checkpoints, which every version reads.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from weft.nodes.shapes.training.unet import SCHEDULER

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export(work: Path, out: Path) -> None:
    """Write the folder ``out`` from the training folder ``work``; an existing folder is replaced."""
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    UNet2DConditionModel.from_pretrained(work / "unet").half().save_pretrained(new / "unet")
    AutoencoderKL.from_pretrained(work / "vae").half().save_pretrained(new / "vae")
    CLIPTextModel.from_pretrained(work / "text_encoder_joint").half().save_pretrained(new / "text_encoder")
    weights = new / "text_encoder" / "model.safetensors"
    tensors = {(k if k.startswith("text_model.") else f"text_model.{k}"): v for k, v in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    DDIMScheduler(**SCHEDULER).save_pretrained(new / "scheduler")
    shutil.copytree(work / "tokenizer", new / "tokenizer", ignore=shutil.ignore_patterns("tokenizer.json"))
    (new / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
    for config in new.glob("*/config.json"):  # no path of the machine that trained
        kept = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
        config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{out}: {size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/shapes"))
    parser.add_argument("--out", type=Path, default=Path("nodes/shapes/model"))
    args = parser.parse_args()
    export(args.work, args.out)


if __name__ == "__main__":
    main()
