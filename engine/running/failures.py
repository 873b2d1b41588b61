"""What becomes of a step that failed: it is called again, or passes on what it met, or the run ends or goes without."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from weft.engine.errors import Elsewhere, NodeError
from weft.engine.planning.steps import Step
from weft.engine.running.absent import Absent, Failed, MissingInput
from weft.engine.running.calls import Inputs
from weft.engine.running.reporter import Reporter
from weft.engine.running.retries import Retries

OnFailure = Callable[[Step, NodeError], None]


class Failures:
    """Used by the scheduler's thread alone.

    Args:
        on_failure: called with each step that failed, and the error, where the run goes on after that; None where it
            ends then.

    Attributes:
        retries: steps that are called again, and when.
    """

    def __init__(self, report: Reporter, inputs: Inputs, on_failure: OnFailure | None) -> None:
        self._report = report
        self._inputs = inputs
        self._on_failure = on_failure
        self._said: NodeError | None = None  # what the listener was told of last
        self.retries = Retries()
        self._ended: dict[bytes, Failed] = {}

    def of(self, step: Step, cause: BaseException) -> NodeError:
        """The error that a step failed with; the listener is told of each one once."""
        if isinstance(cause, NodeError) and cause is self._said:
            return cause
        error = self._said = self._report.failed(step, cause)
        traceback.clear_frames(cause.__traceback__)  # or whoever keeps the error keeps all that the node had in hand
        return error

    def go_on(self, step: Step, error: Exception) -> Failed:
        """What stands in place of the results of a step that failed. Raises NodeError where the run ends with it."""
        failure = self.of(step, error)
        if self._on_failure is None:
            raise failure
        self._on_failure(step, failure.with_traceback(None))
        return self._ended.setdefault(step.key, Failed(failure))

    def before(self, step: Step) -> Failed | None:
        """How a step of the same key ended in this run: it is not called again for another target or item."""
        return self._ended.get(step.key)

    def passed_on(self, step: Step, error: BaseException) -> Absent | None:
        """What a node met that asked for a lazy input, and let be its own end; None when it failed for itself."""
        if isinstance(error, MissingInput) and error.absent is not None:
            return error.absent
        told = isinstance(error, Elsewhere) and error.exception == MissingInput.__name__
        return self._inputs.absent_lazily(step) if told else None

    def again(self, step: Step, error: BaseException) -> bool:
        """Whether a node that failed is called again, after a pause."""
        again = self.retries.again(step)
        if again is None:
            return False
        self._report.retried(step, error, *again)
        traceback.clear_frames(error.__traceback__)
        return True
