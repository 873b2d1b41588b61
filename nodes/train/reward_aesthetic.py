"""A reward for pictures that people find beautiful, by a predictor over CLIP's embeddings."""

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

    from weft.nodes.training.rewards.clip import AestheticHead, Clip


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
        clip, head = self._live(str(images.device))
        return head(clip.seen(images))

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), with gradients."""
        clip, head = self._live(str(images.device), there=True)
        return head(clip.of_images(images))

    def _live(self, device: str, there: bool = False) -> tuple[Clip, AestheticHead]:
        import torch

        from weft.engine.filehash import content_hash
        from weft.nodes.models.device import resolve_device
        from weft.nodes.training.errors import TrainingError
        from weft.nodes.training.rewards.clip import Clip, read_head

        if content_hash(self.path) != self.fingerprint:
            raise TrainingError(f"{self.source!r} changed since its reward was made: run its node again")
        head = read_head(self.path, self.source)
        return Clip(self.clip, torch.device(device if there or device != "cpu" else resolve_device("auto"))), head


def _fingerprint(predictor: str, clip: str, ctx: Context) -> str:
    from weft.engine.filehash import content_hash
    from weft.nodes.training.rewards.clip import find_clip

    allowed = ctx.resolve_input_path
    return f"{content_hash(allowed(predictor))}:{find_clip(clip, False, allowed).fingerprint}"


def _check(view: NodeView) -> Iterator[Problem]:
    def look(text: str) -> None:
        from weft.nodes.training.rewards.clip import find_clip

        find_clip(text, False, view.resolve)

    yield from problems(view, "clip", look, f"{', '.join(IMAGE_ENCODERS)}, or the folder of a CLIP")


@node("reward_aesthetic", category="training", fingerprint=_fingerprint, check=_check)
def reward_aesthetic(
    predictor: Annotated[str, Widget("file")],
    clip: Annotated[str, Widget("model", names=tuple(IMAGE_ENCODERS))],
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
