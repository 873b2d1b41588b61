"""A reward that people give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.values.rewards import Occasion, Reward

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.training.rewards.remembered import Remembered

ENDPOINTS = "WEFT_RATING_ENDPOINTS"
"""Addresses that pictures may be sent to, separated by spaces, where paths are confined: on a server."""


@value("reward.human", version=2)
@dataclass(frozen=True, eq=False)
class HumanReward(Reward):
    """What people say of a picture, in a folder or at an address; one of both is "".

    folder: where they are asked now; another one does not make it another reward. question: what they are asked, by the
    name that the folder has in the output folder; the folder itself where nothing is said.
    """

    folder: str = field(default="", compare=False)
    endpoint: str = ""
    question: str = ""

    _remembered: ClassVar[Remembered | None] = None

    def __post_init__(self) -> None:
        if not self.question:
            object.__setattr__(self, "question", self.folder)

    def within(self, ctx: Context) -> Reward:
        """Remembers ratings in the folders of a run."""
        from weft.nodes.training.rewards.remembered import Remembered

        own = replace(self)
        object.__setattr__(own, "_remembered", Remembered(ctx.shared_workspace, self.question))
        return own

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Waits until all are rated: (n,)."""
        return self.rate(images, prompts, Occasion())

    def rate(self, images: Tensor, prompts: Sequence[str], occasion: Occasion) -> Tensor:
        """Waits until all are rated, or the run is cancelled: (n,)."""
        from pathlib import Path

        from weft.nodes.training.rewards.people import by_address, by_folder

        if self.endpoint:
            return by_address(self.endpoint, images, prompts, occasion.check)
        return by_folder(Path(self.folder), images, prompts, occasion.check, self._remembered)


def _name_problem(folder: str) -> str | None:
    from weft.nodes.images.saving import stem_problem

    return stem_problem(folder)


def _endpoint_problem(endpoint: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    return None if sound else f"{endpoint!r} is no address: it begins with http:// or https:// and names a host"


def _check(view: NodeView) -> Iterator[Problem]:
    folder, endpoint = view.literals.get("folder", "ratings"), view.literals.get("endpoint", "")
    if isinstance(endpoint, str) and endpoint:
        if (message := _endpoint_problem(endpoint)) is not None:
            yield Problem(code="bad_value", node=view.id, input="endpoint", message=message, given=endpoint)
    elif isinstance(folder, str) and (message := _name_problem(folder)) is not None:
        yield Problem(code="bad_value", node=view.id, input="folder", message=message, given=folder)


@node("reward_human", category="training", resource="io", side_files=True, check=_check)
def reward_human(
    folder: str = "ratings", endpoint: Annotated[str, Widget("text")] = "", ctx: Context | None = None
) -> Reward:
    """Let people say how good pictures are: a training waits for their ratings.

    Each picture that has no rating is put into a folder as <id>.png, and asked.json says for which prompt. Ratings go
    into any other file there that ends in .json ({"<id>": number}, or a list of {"id", "rating"}) or .csv (columns id
    and rating). The id tells picture and prompt, so ratings outlive a run: what was rated once is not asked again, also
    where the output folder is another one, as for each job on a server. rated_before.json says what counts from earlier
    runs; a rating in the folder counts before it.
    An address in place of the folder gets pictures as a POST of {"pictures": [{"id", "prompt", "png"}]}, the png in
    base64, and answers {"ratings": {"<id>": number}} with those that it has; it is asked until it has all.

    Args:
        folder: within the output folder; may hold folders, as in night/ratings. Its name stands for what people are
            asked: under another one they rate anew.
        endpoint: http:// or https:// address that is asked in place of the folder. On a server only those work that the
            environment variable WEFT_RATING_ENDPOINTS of its process names.
    """
    import os

    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    if endpoint:
        if (message := _endpoint_problem(endpoint)) is not None:
            raise TrainingError(message)
        if ctx.roots is not None and endpoint not in os.environ.get(ENDPOINTS, "").split():
            raise TrainingError(
                f"pictures may not be sent to {endpoint!r} from here: whoever runs this server can allow it in the "
                f"environment variable {ENDPOINTS}, or rate in a folder"
            )
        return HumanReward(endpoint=endpoint)
    if (message := _name_problem(folder)) is not None:
        raise TrainingError(message)
    return HumanReward(folder=str(ctx.out / folder), question=folder)
