"""Words that a model learns: rows beside the embeddings of its text encoders, and texts read with gradients to them.

Only the rows are parameters. They are put in place of what the embedding gives for their tokens, so that no step
depends on how many other words there are, and none of those can change.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from weft.nodes.models.parts import Parts
from weft.nodes.prompts.words import expand
from weft.nodes.training.denoiser import filled, shared_copy
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.live_text import LiveText, text_components
from weft.nodes.weights.embeddings import token_names

InitBy = Literal["words", "mean"]
SLACK = 1e-6
"""What rounding may add to a norm that is at its limit: scaling twice must be scaling once."""


@dataclass(frozen=True)
class NewWord:
    """A word to learn.

    token: how prompts call it. vectors: how many rows stand for it. init: words whose rows it begins with, "" draws
    numbers spread as those of the embedding. init_by: ``words`` divides them among the rows, in their order, and
    ``mean`` begins all rows with their mean.
    """

    token: str
    vectors: int = 1
    init: str = ""
    init_by: InitBy = "words"


def new_words(tokens: Sequence[str], init: Sequence[str], vectors: int, init_by: InitBy) -> tuple[NewWord, ...]:
    """The words of some tokens. init: one text each, or none at all.

    Raises:
        TrainingError: there are not as many texts as tokens.
    """
    if init and len(init) != len(tokens):
        raise TrainingError(f"{len(init)} texts are given in `init` for {len(tokens)} tokens: give one each, or none")
    return tuple(NewWord(t, vectors, text, init_by) for t, text in zip(tokens, init or [""] * len(tokens), strict=True))


class WordEmbedding(torch.nn.Module):
    """An embedding with rows of its own for the tokens from `first` on; the other rows are the frozen embedding's.

    frozen: (V, d). rows: of the new tokens in their order, (k, d) each.
    """

    def __init__(self, frozen: torch.nn.Embedding, first: int, rows: Sequence[torch.nn.Parameter]) -> None:
        super().__init__()
        self.frozen, self.first = frozen, first
        self.rows = torch.nn.ParameterList(rows)

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors (..., d) of some tokens, in the format of the frozen embedding."""
        new = ids >= self.first
        known = torch.nn.functional.embedding(ids.masked_fill(new, 0), self.frozen.weight)
        own = torch.nn.functional.embedding((ids - self.first).clamp(min=0), torch.cat(list(self.rows)))
        return torch.where(new[..., None], own.to(known.dtype), known)


class Words:
    """Words that are learned, in copies of a model's tokenizers and text encoders over the same frozen weights.

    parameters: by ``word.<token>.text_encoder``, and where there is a second one ``word.<token>.text_encoder_2``,
    (vectors, width) float32 each.

    Args:
        parts: of the model; they must stay in use as long as this object is.
        words: to learn.
        seed: of rows that begin with drawn numbers.

    Raises:
        TrainingError: a token is taken, or is none.
    """

    def __init__(self, parts: Parts, words: Sequence[NewWord], seed: int = 0) -> None:
        self.parameters: dict[str, torch.nn.Parameter] = {}
        self.tokens = {word.token: word.vectors for word in words}
        self.first: dict[str, Tensor] = {}
        self.encoders: dict[str, Any] = {}
        tokenizers, firsts = [], []
        for tokenizer, (component, encoder) in zip(parts.tokenizers, text_components(parts).items(), strict=True):
            own: Any = copy.deepcopy(tokenizer)
            check_tokens(own, words)
            begin = [_begin(word, own, encoder, Draws(seed), component) for word in words]
            first = len(own)
            for word in words:
                _add(own, word)
            rows = [torch.nn.Parameter(tensor) for tensor in begin]
            for word, tensor, parameter in zip(words, begin, rows, strict=True):
                self.parameters[f"word.{word.token}.{component}"] = parameter
                self.first[f"word.{word.token}.{component}"] = tensor.norm(dim=1, keepdim=True).clone()
            self.encoders[component] = _with_rows(encoder, own, first, rows)
            tokenizers.append(own)
            firsts.append(first)
        self.texts = WordTexts(parts, self.encoders, tokenizers, firsts)

    @torch.no_grad()
    def hold(self, weights: Mapping[str, Tensor], share: float) -> None:
        """Bring each vector whose norm left that of its beginning by more than a share back to that limit, in place."""
        for name, norm in self.first.items():
            rows = weights[name]
            now, begin = rows.norm(dim=1, keepdim=True), norm.to(rows.device)
            high, low = begin * (1 + share), begin / (1 + share)
            limit = torch.where(now > high * (1 + SLACK), high, torch.where(now < low * (1 - SLACK), low, now))
            rows.copy_(torch.where(limit == now, rows, rows * (limit / now.clamp(min=1e-12))))


def check_tokens(tokenizer: Any, words: Sequence[NewWord]) -> None:
    """Raises TrainingError for words that cannot be tokens of their own."""
    taken = set(tokenizer.get_vocab())
    for word in words:
        if not word.token.strip() or any(letter.isspace() for letter in word.token):
            raise TrainingError(f"{word.token!r} is no token: give one without spaces, such as <concept>")
        # `<x>_1` too where one vector is learned: it would be read as this word's second.
        for name in dict.fromkeys([*token_names(word.token, word.vectors), f"{word.token}_1"]):
            if name in taken:
                raise TrainingError(
                    f"the token {name!r} is one that the model knows already: call the new word otherwise, such as "
                    f"<{word.token.strip('<>')}-new>"
                )
        taken.update(token_names(word.token, word.vectors))


def _add(tokenizer: Any, word: NewWord) -> None:
    names = token_names(word.token, word.vectors)
    tokenizer.add_tokens(names)
    ids = tokenizer(" ".join(names), add_special_tokens=False).input_ids
    if ids != tokenizer.convert_tokens_to_ids(names):
        raise TrainingError(
            f"the tokenizer reads {word.token!r} as {tokenizer.convert_ids_to_tokens(ids)}: take small letters in "
            "angle brackets, such as <concept>"
        )


@torch.no_grad()
def _begin(word: NewWord, tokenizer: Any, encoder: Any, draws: Draws, component: str) -> Tensor:
    """The rows that a word begins with: (vectors, width) float32, on the encoder's device."""
    table = encoder.get_input_embeddings().weight
    if not word.init.strip():
        drawn = draws.normal(f"init {word.token} {component}", range(word.vectors), (table.shape[1],)).to(table.device)
        return table.float().mean(dim=0) + drawn * table.float().std(dim=0)
    ids = tokenizer(expand(tokenizer, word.init), add_special_tokens=False, verbose=False).input_ids
    if not ids:
        raise TrainingError(f"the first words of {word.token}, {word.init!r}, have no letters: give a word")
    rows = table[torch.tensor(ids, device=table.device)].float()
    if word.init_by == "mean":
        return rows.mean(dim=0, keepdim=True).repeat(word.vectors, 1)
    if len(ids) < word.vectors:
        return rows[torch.arange(word.vectors, device=rows.device) % len(ids)].clone()
    parts = np.array_split(np.arange(len(ids)), word.vectors)
    return torch.stack([rows[part[0]] if len(part) == 1 else rows[part].mean(dim=0) for part in parts])


def _with_rows(encoder: Any, tokenizer: Any, first: int, rows: Sequence[torch.nn.Parameter]) -> Any:
    """A copy of a text encoder over the same weights, with further rows."""
    own = shared_copy(encoder)
    if rows:
        own.set_input_embeddings(WordEmbedding(own.get_input_embeddings(), first, rows))
    for part in own.modules():
        # Old configurations say 2 and mean "the highest id ends the text", which no longer holds.
        if getattr(part, "eos_token_id", None) == 2:
            part.eos_token_id = tokenizer.eos_token_id
    return own


class WordTexts(LiveText):
    """Texts as the denoiser is told them, read anew each time where they hold a word that is learned.

    Args:
        parts: of the model.
        encoders: with rows of their own, by component.
        tokenizers: theirs. first: the id of the first token that is learned, of each.
    """

    def __init__(
        self, parts: Parts, encoders: Mapping[str, Any], tokenizers: Sequence[Any], first: Sequence[int]
    ) -> None:
        super().__init__(parts, encoders, tokenizers)
        self._first = tuple(first)
        self._fixed: dict[str, tuple[Tensor, Tensor | None]] = {}

    @property
    def padding(self) -> Tensor:
        """The states of the empty text, (l, D), on the device."""
        return self._one("")[0].to(self.device)

    def states(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """States (n, L, D) and pooled ones (n, P) of some texts, on the device."""
        learned = [text for text in dict.fromkeys(captions) if self._is_learned(text)]
        found: dict[str, tuple[Tensor, Tensor | None]] = {}
        if learned:
            live, pooled = super().states(learned)
            found = {text: (live[k], None if pooled is None else pooled[k]) for k, text in enumerate(learned)}
        pairs = [found[text] if text in found else self._one(text) for text in captions]
        length, padding = max(len(states) for states, _ in pairs), self.padding
        states = torch.cat([filled(own.to(self.device)[None], length, padding) for own, _ in pairs])
        rest = [own.to(self.device) for _, own in pairs if own is not None]
        return states, torch.stack(rest) if rest else None

    def _is_learned(self, text: str) -> bool:
        chunks = ((first, chunk) for number, first in enumerate(self._first) for chunk in self.chunks(number, text))
        return any(bool((chunk.ids >= first).any()) for first, chunk in chunks)

    @torch.no_grad()
    def _one(self, text: str) -> tuple[Tensor, Tensor | None]:
        """A text without words that are learned: it is read once, alone, so that it is the same in each batch."""
        if text not in self._fixed:
            with torch.autocast(self.device.type, enabled=False):
                states, pooled = super().states([text])
            self._fixed[text] = states[0].cpu(), None if pooled is None else pooled[0].cpu()
        return self._fixed[text]
