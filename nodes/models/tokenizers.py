"""CLIP tokenizers: from a model's folder, or CLIP's own vocabulary for single files, which carry none."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.errors import ModelError

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

_START, _END = "<|startoftext|>", "<|endoftext|>"


def load_tokenizer(source: Path | str, encoder: dict[str, Any]) -> CLIPTokenizer:
    """A tokenizer from a folder (tokenizer.json, or vocab.json + merges.txt), or CLIP's own with ``source`` as padding.

    Its ``model_max_length`` is never more than the positions of the text encoder with the configuration ``encoder``.

    Raises:
        ModelError: the folder holds none.
    """
    with IMPORTING:
        import transformers

        # Version 4 has a slow class that cannot read tokenizer.json beside the fast one; version 5 has one for both.
        kind: Any = getattr(transformers, "CLIPTokenizerFast", transformers.CLIPTokenizer)
    positions = int(encoder.get("max_position_embeddings", 77))
    if isinstance(source, str):
        vocabulary, merges = clip_vocabulary()
        return kind(vocab=vocabulary, merges=merges, pad_token=source, model_max_length=positions)
    try:
        tokenizer = kind.from_pretrained(str(source), local_files_only=True)
    except Exception as error:  # tokenizers raises bare Exception on a file it cannot read
        raise ModelError(f"the tokenizer in {source} cannot be read: {str(error).strip().splitlines()[0]}") from error
    size, room = len(tokenizer), int(encoder.get("vocab_size", len(tokenizer)))
    if size > room:
        raise ModelError(f"the tokenizer in {source} has {size} tokens, its text encoder has {room} embeddings")
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return tokenizer


@cache
def clip_vocabulary() -> tuple[dict[str, int], list[Any]]:
    """CLIP's vocabulary (49,408 tokens) and merges. The order of tokens follows from that of the merges."""
    packed = resources.files("weft.nodes.models").joinpath("clip_merges.txt.gz").read_bytes()
    merges = [tuple(line.split(" ")) for line in gzip.decompress(packed).decode("utf-8").split("\n") if line]
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), _START, _END]
    return {token: index for index, token in enumerate(tokens)}, [(left, right) for left, right in merges]


def byte_letters() -> list[str]:
    """The letters that stand for bytes in byte-level BPE: printable Latin-1 first, as themselves, then the others."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
