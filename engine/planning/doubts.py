"""Results that are not what their keys say: what a node read or wrote is known only when it has run.

A key is made before the node runs. Where a file changed in between, or the node asks for something that its key does
not have in it, then nothing that is made of its result in this run is kept: the run goes on, and the next one computes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from weft.engine.catalogue.code import note_reads_id, ran_other_code, reads_id
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import Step
from weft.engine.planning.unfold import Unfolded

log = logging.getLogger("weft.run")


class Doubts:
    """Looks at the steps of a run when they have run.

    Args:
        unfolded: what steps wait for that other steps stand for, by number.
    """

    def __init__(self, plan: Plan, unfolded: Mapping[int, Unfolded]) -> None:
        self._plan = plan
        self._unfolded = unfolded
        self._said: set[str] = set()

    def look(self, step: Step) -> bool:
        """Distrust the step, and all that is made of its result, where there is reason to, and say so once.

        Returns whether it is trusted.
        """
        if step.keeps and (step.files or step.uses or ran_other_code(step.type)) and (reason := self._reason(step)):
            self._distrust(step)
            if reason not in self._said:
                self._said.add(reason)
                log.warning("%s; its result, and what this run makes of it, is not kept", reason)
        return step.trusted

    def _reason(self, step: Step) -> str:
        name, node_type = f"{step.shown} ({step.type.name})", step.type
        for state in step.files:
            if state.has_changed():
                return f"{name} reads {state.path}, which changed while the run went on"
        if "out" in step.uses and not node_type.side_files:
            return f"{name} asks where to write files and does not declare it: say @node(..., side_files=True)"
        if "node_id" in step.uses and not reads_id(node_type):
            note_reads_id(node_type)
            return f"{name} asks for its id in a way that its code does not show: write ctx.node_id in the node itself"
        if "other content" in step.uses:
            return f"{name} gives something else than before for the same inputs"
        if "less" in step.uses:
            return f"{name} went on without an input that failed"
        if ran_other_code(node_type):
            return f"{name} imports code that was edited after this process had loaded the rest: start it anew"
        return ""

    def _distrust(self, step: Step) -> None:
        """By key: steps of one key have one result. A step comes after what it needs, but for one that unfolded."""
        steps = self._plan.steps
        keys: set[bytes] = {step.key}
        before = 0
        while len(keys) > before:
            before = len(keys)
            for other in steps:
                if other.key not in keys:
                    needs = (*other.sources, *other.lazy)
                    if other.number in self._unfolded:
                        needs += tuple(self._unfolded[other.number].roots)
                    if not any(steps[number].key in keys for number in needs):
                        continue
                    keys.add(other.key)
                other.keeps = other.stored = other.trusted = False
