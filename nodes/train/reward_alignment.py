"""A reward for pictures that show what their prompt says, by CLIP (arXiv 2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from weft.engine import Context, node, value
from weft.nodes.training.inputs import ClipSource, clip_check
from weft.nodes.values.rewards import ClipPlace, Reward

if TYPE_CHECKING:
    from torch import Tensor


@value("reward.alignment")
@dataclass(frozen=True, eq=False)
class AlignmentReward(Reward):
    """100 times the cosine between the embeddings of a picture and of its prompt."""

    differentiable: ClassVar[bool] = True

    clip: ClipPlace

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), from -100 to 100."""
        from weft.nodes.training.rewards.clip import clip_for

        clip = clip_for(images, self.clip)
        return 100 * (clip.seen(images) * clip.of_texts(prompts).cpu()).sum(dim=1)

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), with gradients."""
        from weft.nodes.training.rewards.clip import clip_for

        clip = clip_for(images, self.clip, gradients=True)
        return 100 * (clip.of_images(images) * clip.of_texts(prompts)).sum(dim=1)


def _fingerprint(clip: str, ctx: Context) -> str:
    from weft.nodes.training.rewards.clip import find_clip

    return find_clip(clip, True, ctx.resolve_input_path).fingerprint


@node("reward_alignment", category="training", fingerprint=_fingerprint, check=clip_check(needs_text=True))
def reward_alignment(clip: ClipSource = "shapes-clip", ctx: Context | None = None) -> Reward:
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
