"""Questions whose worker ends: asked once more where the worker died, since another question may have ended it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from weft.engine.errors import Elsewhere
from weft.server.api.deck import Deck
from weft.server.problems import ApiError


class Asked:
    """Gives these answers, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def ask(self, question: str, about: str) -> Any:
        """See `Questions`."""
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def ask(*answers: Any) -> tuple[Any, int]:
    """What is answered, and how many answers were not asked for."""
    deck = Deck.__new__(Deck)
    asked = Asked(*answers)
    deck.questions = asked  # type: ignore[assignment]
    try:
        return asyncio.run(deck.ask("nodes")), len(asked.answers)
    except ApiError as error:
        return error.status_code, len(asked.answers)


DIED = Elsewhere("WorkerDied", "it was killed")


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (("yes", "more"), ("yes", 1)),
        ((DIED, "yes", "more"), ("yes", 1)),
        ((DIED, DIED, "more"), (503, 1)),
        ((Elsewhere("WorkerHung", "it hung"), "more"), (503, 1)),
        ((ValueError("a pack raised"), "more"), (503, 1)),
    ],
)
def test_who_asks_is_answered_unless_the_question_ends_the_worker(answers: Any, found: Any) -> None:
    assert ask(*answers) == found
