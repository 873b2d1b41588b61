"""Sentences for pictures whose captions lack the word that is learned, another one for each sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from weft.engine import Context
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.training.recipe import Samples
from weft.nodes.values.model import Model
from weft.nodes.values.training import Dataset, Item, LatentCache

Templates = Literal["object", "style", "none"]
PLACE = "{}"
"""Where the word goes in a sentence."""
OBJECT = (
    "a photo of {}",
    "a picture that shows {}",
    "{} in a photo",
    "a photo with {} in the middle",
    "a sharp photo of {}",
    "a soft, blurred photo of {}",
    "{} in bright light",
    "{} in dim light",
    "{} seen from near",
    "{} seen from some way off",
    "a small picture of {}",
    "a large picture of {}",
    "someone took this picture of {}",
    "a plain photo with nothing but {}",
    "a painting of {}",
    "a drawing of {}",
    "{}, photographed in colour",
    "here stands {}",
    "one can see {} here",
    "a fine photo of {}",
)
STYLE = (
    "a picture in the style of {}",
    "a painting in the style of {}",
    "a scene as {} would paint it",
    "drawn in the manner of {}",
    "an image that looks like {}",
    "a work made as {} is",
    "{} style",
    "a bright picture in the style of {}",
    "a dark picture in the style of {}",
    "a detailed picture in the manner of {}",
    "a simple picture in the manner of {}",
    "everything here is painted like {}",
    "a large work in the style of {}",
    "a small work in the style of {}",
)
SENTENCES: dict[str, tuple[str, ...]] = {"object": OBJECT, "style": STYLE, "none": ()}


@dataclass(frozen=True)
class Sentences:
    """What is said of a picture whose caption has none of the tokens.

    tokens: the words that are learned; a picture's is that of its concept's number. listed: each with `PLACE` where the
    word goes; there may be none.
    """

    tokens: tuple[str, ...]
    listed: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Sequence[str], templates: Templates, own: Sequence[str]) -> Sentences:
        """The sentences of a kind, or one's own.

        Raises:
            TrainingError: an own sentence has no place for the word.
        """
        without = [sentence for sentence in own if PLACE not in sentence]
        if without:
            raise TrainingError(f"{without[0]!r} in `sentences` has no {PLACE}, where the word goes")
        return cls(tuple(tokens), tuple(own) or SENTENCES[templates])

    def has_word(self, caption: str) -> bool:
        """Whether a caption has one of the tokens."""
        return any(token in caption for token in self.tokens)

    def caption(self, item: Item, draws: Draws, purpose: str, number: int) -> str:
        """What is said of an item in a sample: its caption, or a sentence where that lacks the word."""
        if item.role == "class" or not self.listed or not self.tokens or self.has_word(item.caption):
            return item.caption
        place = int(draws.generator(f"{purpose}sentence", number).integers(len(self.listed)))
        return self.listed[place].replace(PLACE, self.tokens[item.concept])


class WordMaterial(Material):
    """Material of which each sample is called by a word that is learned. Its texts are not encoded before.

    classes: whether class images count.

    Raises:
        TrainingError: a picture, or a word, is called by nothing.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        ctx: Context,
        sentences: Sentences,
        *,
        latents: LatentCache | None = None,
        classes: bool = True,
    ) -> None:
        if not classes:
            dataset = dataclasses.replace(dataset, items=tuple(dataset.of("instance", "validation")))
        super().__init__(model, dataset, ctx, latents=latents, captions=False)
        self.sentences = sentences
        self._check()

    def _check(self) -> None:
        tokens = self.sentences.tokens
        if not tokens:
            return
        without = [item for item in (*self.instances, *self.validation) if not self.sentences.has_word(item.caption)]
        names = ", ".join(dict.fromkeys(item.picture.name for item in without[:3]))
        if without and not self.sentences.listed:
            raise TrainingError(
                f"the captions of {len(without)} pictures, first {names}, have none of {', '.join(tokens)}: write the "
                "word into them, or let `templates` make sentences"
            )
        far = [item for item in without if item.concept >= len(tokens)]
        if far:
            raise TrainingError(
                f"{far[0].picture.name} is of concept {far[0].concept} (counted from 0) and there are {len(tokens)} "
                "tokens: give a token for each concept"
            )
        said = {tokens[item.concept] for item in without if item.role == "instance"}
        silent = [t for t in tokens if t not in said and not any(t in item.caption for item in self.instances)]
        if silent:
            raise TrainingError(f"no picture is called {', '.join(silent)}: the word would learn nothing")

    def identity(self) -> Any:
        """What is learned from, and what is said of it."""
        return [super().identity(), dataclasses.asdict(self.sentences)]

    def captions(self, items: Sequence[Item], samples: Samples, purpose: str, dropout: float) -> list[str]:
        """The caption or sentence of each sample."""
        said = [
            dataclasses.replace(item, caption=self.sentences.caption(item, samples.draws, purpose, number))
            for item, number in zip(items, samples.numbers, strict=True)
        ]
        return super().captions(said, samples, purpose, dropout)
