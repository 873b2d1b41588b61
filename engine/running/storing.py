"""What is put into the cache when a step is done, and which steps wait until another run has done so."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from weft.engine.cache import Cache
from weft.engine.cache.known_contents import contents_of, remember
from weft.engine.importing import INSIDE
from weft.engine.planning.parts import WHOLE_BYTES, bounded
from weft.engine.planning.steps import Step
from weft.engine.running.absent import Failed, first_absent
from weft.engine.running.claims import claims_of
from weft.engine.values import Outputs

if TYPE_CHECKING:
    from weft.engine.events import Tier

log = logging.getLogger("weft.run")


class Storing:
    """The cache as one run uses it.

    Args:
        tell: called with a step's number, from any thread, when another run no longer computes its key.
    """

    def __init__(self, cache: Cache, tell: Callable[[int], object]) -> None:
        self._cache = cache
        self._tell = tell
        self._claims = None if INSIDE.get() is not None else claims_of(cache)
        self._claimed: set[bytes] = set()
        self._unreadable: set[bytes] = set()
        """Keys that a tier said it has and then could not give."""
        self._runs = (0, 0)
        if self._claims is not None:
            self._claims.begin()
            self._runs = self._claims.runs

    def find(self, step: Step) -> Tier | None:
        """Which tier has the result of a step, without reading it."""
        if not step.stored or (self._unreadable and step.key in self._unreadable):
            return None
        return self._cache.find(step.key)

    def get(self, step: Step) -> Outputs | None:
        """The result of a step, from the cache. From now on it is not found where it is not there after all."""
        outputs = self._cache.get(step.key)
        if outputs is None or len(outputs) != len(step.type.outputs):
            self._unreadable.add(step.key)
            return None
        return outputs

    def is_computed_elsewhere(self, step: Step) -> bool:
        """Whether another run computes the step's key: then `tell` is called once it does not any more.

        Else the step is the caller's to compute, unless `find` says now that it is there.
        """
        claims, key = self._claims, step.key
        if claims is None or not step.stored or key in self._claimed:
            return False
        if claims.claim(key):
            self._claimed.add(key)
            return False
        claims.wait(key, functools.partial(self._tell, step.number))
        return True

    @property
    def others(self) -> bool:
        """Whether another run may have put results into the cache since this one began."""
        return self._claims is not None and (self._claims.runs != self._runs or self._runs[1] > 1)

    def put(self, step: Step, outputs: Outputs, seconds: float = 0.0) -> None:
        """Keep a result. One that cannot be kept is computed again another time, and no more."""
        if not step.stored:
            return
        for item in outputs:
            if type(item) is Failed:
                return
        name = step.type.name
        try:
            self._cache.put(step.key, outputs, {"type": name, "seconds": seconds})
            if self._cache.history is not None:
                parts = step.parts if len(step.parts) <= WHOLE_BYTES else bounded(step.parts)
                self._cache.history.add((name, step.shown, step.key, parts, seconds))
        except Exception:
            log.warning("the result of %s (%s) could not be kept", step.shown, name, exc_info=True)
        if self._unreadable:
            self._unreadable.discard(step.key)

    def note_content(self, step: Step, outputs: Outputs) -> bool:
        """Find out what the outputs of a step are that its users are told by; False where they are not what they were.

        Then what the keys of its users say is not what these will be given.
        """
        if not step.keeps or first_absent(outputs) is not None:
            return True
        contents, before = contents_of(outputs), step.content
        if contents is not None and contents != before:
            remember(self._cache, step.key, contents)
        step.content = contents
        return before is None or contents == before

    def over(self, step: Step) -> None:
        """A step was computed, or will not be."""
        key = step.key
        if key in self._claimed and self._claims is not None:
            self._claimed.remove(key)
            self._claims.give_up(key)

    def end(self) -> None:
        """The run has ended: it computes nothing any more."""
        if self._claims is None:
            return
        claimed, self._claimed = self._claimed, set()
        for key in claimed:
            self._claims.give_up(key)
        self._claims.end()
