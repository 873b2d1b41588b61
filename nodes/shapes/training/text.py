"""Train the text encoder of the bundled model alone: from a caption to the facts it states.

From the last position it predicts the objects (colour and shape pairs), background, size and place or
relation; every position also predicts its own word and every shape word its colour, so that token states
carry what cross-attention and the token-wise techniques will look for. It takes a minute or two and gives the
joint training a start: from random words the UNet learns backgrounds and little else.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from weft.nodes.shapes.training.common import Curve, arguments
from weft.nodes.shapes.training.schedule import one_cycle
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, PLACES, RELATIONS, SHAPES, Scene, sample_scene, vocabulary

LENGTH, WIDTH, BATCH, PEAK_LR = 32, 96, 192, 2e-3
START, END = "<|startoftext|>", "<|endoftext|>"


def make_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write a CLIP tokenizer in which every word of the world is one token; other words split."""
    folder.mkdir(parents=True, exist_ok=True)
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, end_of_word_suffix="</w>", initial_alphabet=sorted(alphabet), show_progress=False
    )
    bpe.train_from_iterator(vocabulary(), trainer)
    learned = json.loads(bpe.to_str())["model"]["merges"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned]
    pieces = [*sorted(alphabet), *(f"{c}</w>" for c in sorted(alphabet)), *("".join(m) for m in merges)]
    vocab = {piece: index for index, piece in enumerate([*dict.fromkeys(pieces), START, END])}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=LENGTH,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
    )
    for word in vocabulary():
        ids = tokenizer(word).input_ids
        if len(ids) != 3:
            raise RuntimeError(f"{word!r} became {tokenizer.convert_ids_to_tokens(ids)}, not one token")
    tokenizer.save_pretrained(folder)
    return tokenizer


def build(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The untrained text encoder."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        hidden_act="quick_gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def facts(scene: Scene) -> tuple[np.ndarray, int, int, int]:
    """What a caption states: colour-and-shape pairs (multi-hot, with rows for unsaid), background, size, relation."""
    words = scene.caption.split()
    pairs = np.zeros((len(COLORS) + 1, len(SHAPES) + 1), np.float32)
    colors, shapes = list(COLORS), list(SHAPES)
    for index, word in enumerate(words):
        if word in shapes or word == "shape":
            before = words[index - 1] if index else ""
            color = colors.index(before) if before in COLORS else len(colors)
            pairs[color, shapes.index(word) if word in shapes else len(shapes)] = 1
    background = next((k for k, name in enumerate(BACKGROUNDS) if name in words), len(BACKGROUNDS))
    size = 1 if "small" in words else 2 if "large" in words else 0
    places = [*RELATIONS, *(f"the {p}" for p in PLACES), "and"]
    place = next((k for k, name in enumerate(places) if f" {name} " in f" {scene.caption} "), len(places))
    return pairs.ravel(), background, size, place


class Heads(torch.nn.Module):
    """Linear read-outs of the facts; thrown away after this training."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.sizes = ((len(COLORS) + 1) * (len(SHAPES) + 1), len(BACKGROUNDS) + 1, 3, len(RELATIONS) + len(PLACES) + 2)
        self.facts = torch.nn.Linear(WIDTH, sum(self.sizes))
        self.own = torch.nn.Linear(WIDTH, words)
        self.color = torch.nn.Linear(WIDTH, len(COLORS))


def main() -> None:
    args = arguments(__doc__ or "", steps=220)
    torch.manual_seed(args.seed)
    tokenizer = make_tokenizer(args.work / "tokenizer")
    model = build(tokenizer)
    heads = Heads(len(tokenizer))
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_LR, betas=(0.9, 0.99), weight_decay=1e-2)
    shape_ids = torch.tensor([tokenizer(s).input_ids[1] for s in SHAPES])
    color_of = {tokenizer(c).input_ids[1]: k for k, c in enumerate(COLORS)}
    curve = Curve(args.work / "text.jsonl")
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * one_cycle(step / args.steps)
        rng = np.random.default_rng((args.seed, step))
        scenes = [sample_scene(rng, two=0.6) for _ in range(BATCH)]
        captions = [s.caption for s in scenes]
        tokens = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
        pairs, background, size, place = zip(*(facts(s) for s in scenes), strict=True)
        output = model(tokens.input_ids)
        read = heads.facts(output.pooler_output).split(heads.sizes, dim=1)
        loss_pairs = 4 * F.binary_cross_entropy_with_logits(read[0], torch.from_numpy(np.stack(pairs)))
        targets = zip(read[1:], (background, size, place), strict=True)
        loss_rest = torch.stack([F.cross_entropy(r, torch.tensor(t)) for r, t in targets]).sum()
        real = tokens.attention_mask.bool()
        states = output.last_hidden_state
        loss_own = F.cross_entropy(heads.own(states[real]), tokens.input_ids[real])
        rows, columns = torch.isin(tokens.input_ids, shape_ids).nonzero(as_tuple=True)
        before = tokens.input_ids[rows, columns - 1]
        target = torch.tensor([color_of.get(int(t), -1) for t in before])
        loss_color = F.cross_entropy(heads.color(states[rows, columns])[target >= 0], target[target >= 0])
        loss = loss_pairs + loss_rest + loss_own + loss_color
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        curve.add(step, pairs=loss_pairs.item(), rest=loss_rest.item(), own=loss_own.item(), color=loss_color.item())
    curve.write()
    curve.draw(args.work / "text.png", "text encoder alone")
    model.save_pretrained(args.work / "text_encoder")


if __name__ == "__main__":
    main()
