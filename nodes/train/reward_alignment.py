"""A reward for pictures that show what their prompt says, by CLIP (arXiv 2103.00020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.models.bundled import IMAGE_ENCODERS
from weft.nodes.models.sources import problems
from weft.nodes.values.rewards import ClipPlace, Reward

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.training.rewards.clip import Clip


@value("reward.alignment")
@dataclass(frozen=True, eq=False)
class AlignmentReward(Reward):
    """100 times the cosine between the embeddings of a picture and of its prompt."""

    differentiable: ClassVar[bool] = True

    clip: ClipPlace

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), from -100 to 100."""
        clip = self._live(str(images.device))
        return 100 * (clip.seen(images) * clip.of_texts(prompts).cpu()).sum(dim=1)

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), with gradients."""
        clip = self._live(str(images.device), there=True)
        return 100 * (clip.of_images(images) * clip.of_texts(prompts)).sum(dim=1)

    def _live(self, device: str, there: bool = False) -> Clip:
        import torch

        from weft.nodes.models.device import resolve_device
        from weft.nodes.training.rewards.clip import Clip

        return Clip(self.clip, torch.device(device if there or device != "cpu" else resolve_device("auto")))


def _fingerprint(clip: str, ctx: Context) -> str:
    from weft.nodes.training.rewards.clip import find_clip

    return find_clip(clip, True, ctx.resolve_input_path).fingerprint


def _check(view: NodeView) -> Iterator[Problem]:
    def look(text: str) -> None:
        from weft.nodes.training.rewards.clip import find_clip

        find_clip(text, True, view.resolve)

    yield from problems(view, "clip", look, f"{', '.join(IMAGE_ENCODERS)}, or the folder of a CLIP")


@node("reward_alignment", category="training", fingerprint=_fingerprint, check=_check)
def reward_alignment(
    clip: Annotated[str, Widget("model", names=tuple(IMAGE_ENCODERS))] = "shapes-clip", ctx: Context | None = None
) -> Reward:
    """Reward pictures that show what their prompt says: 100 times the cosine of CLIP's embeddings of both.

    It has gradients, so `train_reward_backprop` takes it too.

    Args:
        clip: "shapes-clip" (ships with Weft, knows the pictures of the model "shapes" and no others), the folder of a
            CLIP as transformers writes it (openai/clip-vit-large-patch14 for instance), a folder with image_encoder,
            text_encoder and tokenizer in it, a name in a model folder, or a hub id that is in the hub's local cache;
            nothing is downloaded.
    """
    from weft.nodes.training.rewards.clip import find_clip

    return AlignmentReward(find_clip(clip, True, (ctx or Context()).resolve_input_path))
