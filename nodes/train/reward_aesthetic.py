"""A reward for pictures that people find beautiful, by a predictor over CLIP's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Context, Widget, node, value
from weft.nodes.training.inputs import ClipSource, clip_check
from weft.nodes.values.rewards import ClipPlace, Reward

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.training.rewards.clip import AestheticHead


@value("reward.aesthetic")
@dataclass(frozen=True, eq=False)
class AestheticReward(Reward):
    """What linear layers make of the normalised embedding of a picture.

    path, fingerprint: of the layers' file. source: as it was given.
    """

    differentiable: ClassVar[bool] = True

    source: str
    path: str
    fingerprint: str
    clip: ClipPlace

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), about 1 to 10 by the published predictor."""
        from weft.nodes.training.rewards.clip import clip_for

        return self._head()(clip_for(images, self.clip).seen(images))

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), with gradients."""
        from weft.nodes.training.rewards.clip import clip_for

        return self._head()(clip_for(images, self.clip, gradients=True).of_images(images))

    def _head(self) -> AestheticHead:
        from weft.engine.filehash import content_hash
        from weft.nodes.training.errors import TrainingError
        from weft.nodes.training.rewards.clip import read_head

        if content_hash(self.path) != self.fingerprint:
            raise TrainingError(f"{self.source!r} changed since its reward was made: run its node again")
        return read_head(self.path, self.source)


def _fingerprint(predictor: str, clip: str, ctx: Context) -> str:
    from weft.engine.filehash import content_hash
    from weft.nodes.training.rewards.clip import find_clip

    allowed = ctx.resolve_input_path
    return f"{content_hash(allowed(predictor))}:{find_clip(clip, False, allowed).fingerprint}"


@node("reward_aesthetic", category="training", fingerprint=_fingerprint, check=clip_check(needs_text=False))
def reward_aesthetic(
    predictor: Annotated[str, Widget("file")],
    clip: ClipSource,
    ctx: Context | None = None,
) -> Reward:
    """Reward pictures that people find beautiful, by a predictor that was trained on their ratings.

    The predictor of LAION (sac+logos+ava1-l14-linearMSE) reads normalised image embeddings of CLIP ViT-L/14 and is
    published as a pickle, which Weft does not open: save its tensors, `layers.0.weight` and so on, as safetensors.
    It has gradients, so `train_reward_backprop` takes it too.

    Args:
        predictor: the .safetensors file with the predictor's layers.
        clip: the CLIP that the predictor was trained on: the folder of openai/clip-vit-large-patch14, or of its image
            encoder alone, a name in a model folder, or a hub id in the hub's local cache; nothing is downloaded.
    """
    from weft.engine.filehash import content_hash
    from weft.nodes.training.errors import TrainingError
    from weft.nodes.training.rewards.clip import embedding_width, find_clip, read_head

    allowed = (ctx or Context()).resolve_input_path
    path, place = allowed(predictor), find_clip(clip, False, allowed)
    head, width = read_head(str(path), predictor), embedding_width(place)
    if head.width != width:
        raise TrainingError(
            f"the predictor {predictor!r} reads embeddings of {head.width} numbers, and the CLIP {clip!r} gives "
            f"{width}: "
            "give the CLIP that it was trained on"
        )
    return AestheticReward(predictor, str(path), content_hash(path), place)
