"""Rewards: what says how good a picture is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from weft.engine import value

if TYPE_CHECKING:
    from torch import Tensor

    from weft.engine import Context


def _never() -> None:
    return None


@dataclass(frozen=True, eq=False)
class Occasion:
    """When pictures are rated, for rewards that depend on more than what they see.

    seed: of the training. numbers: of the pictures, counted over the whole training. check: to be called while waiting;
    raises `Cancelled` once the run was cancelled.
    """

    seed: int = 0
    numbers: tuple[int, ...] = ()
    check: Callable[[], None] = field(default=_never, repr=False)


@value("reward")
@dataclass(frozen=True, eq=False)
class Reward:
    """How good pictures are: more is better. Subclasses are values (``@value``) of plain data, and define `score`.

    differentiable: whether `score_tensor` gives gradients, which `train_reward_backprop` needs.
    """

    differentiable: ClassVar[bool] = False

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """The reward of each picture.

        Args:
            images: (n, H, W, 3) float32 in [0, 1].
            prompts: what each was made for.

        Returns:
            (n,) float32.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it scores: define score()")

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """As `score`, on the device of the pictures, with gradients back to them."""
        raise NotImplementedError(f"{type(self).__name__} gives no gradients")

    def rate(self, images: Tensor, prompts: Sequence[str], occasion: Occasion) -> Tensor:
        """As `score`, for rewards that wait or draw. A training calls this one."""
        return self.score(images, prompts)

    def within(self, ctx: Context) -> Reward:
        """This reward, with the folders of the node that will ask it: for rewards that remember what they were told. A
        node calls this once, before it asks. What it returns counts as this very reward, and is no output of a node.
        """
        return self

    @property
    def gives_gradients(self) -> bool:
        """Whether this very reward can be differentiated; of a sum, whether all of its parts can."""
        return self.differentiable


@value("clip")
@dataclass(frozen=True, eq=False)
class ClipPlace:
    """A CLIP by its folders: of its image encoder, its text encoder and its tokenizer; the latter two may be "".

    fingerprint: identifies it by content.
    """

    vision: str
    text: str
    tokenizer: str
    fingerprint: str
