"""What recipes share that learn the vectors of new words."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from weft.nodes.training.denoising import DenoisingRecipe
from weft.nodes.training.live_text import checkpoint_encoders
from weft.nodes.training.sentences import WordMaterial
from weft.nodes.training.words import NewWord, Words
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions


class WordRecipe(DenoisingRecipe):
    """A recipe whose captions have words that learn, in front of a denoiser that may learn too.

    Args:
        words: to learn.
        seed: of vectors that begin with drawn numbers.
    """

    def __init__(
        self,
        model: Model,
        material: WordMaterial,
        options: TrainOptions,
        words: Sequence[NewWord],
        seed: int,
        prior_weight: float = 1.0,
    ) -> None:
        super().__init__(model, material, options, prior_weight)
        self.words = Words(self.parts, words, seed)
        if options.gradient_checkpointing:
            checkpoint_encoders(self.words.encoders)

    def text_states(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Read anew where there is a new word, with gradients to its vectors."""
        return self.words.texts.states(captions)

    @property
    def padding(self) -> Tensor:
        """The states of the empty prompt."""
        return self.words.texts.padding
