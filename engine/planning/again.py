"""Plans of documents that were planned before: steps and keys, as long as all that keys are made of is the same.

What a key is made of besides the document is asked anew each time: the code of each node type, the output folder, and
what fingerprints say of the world outside. A plan with a node that has to run each time, or with parts that run per
item, is made from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.functions import Functions
from weft.engine.checking.remembered import Known
from weft.engine.declaring.node_type import NodeType
from weft.engine.planning.fingerprint import look_outside
from weft.engine.planning.keys import TypeSignature
from weft.engine.planning.plan import Plan, Recall, make_plan
from weft.engine.planning.steps import Step
from weft.graphs.document import Definition, Workflow

# All fields, so that none is forgotten that a step gets in future. What they hold must not be changed in place.
_NAMES = [field.name for field in fields(Step)]
_SCOPE = _NAMES.index("scope")
_VALUES = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """A plan as it was made, before anything ran.

    Attributes:
        targets: what it was made for.
        signatures: what the keys of each node type begin with, output folder and code included.
        stamps: what fingerprints said, by the number of the step.
        steps: the fields of each, those before its scope and those behind it.
        first, numbers, twins, ends, size: as the plan has them.
    """

    targets: tuple[str, ...]
    signatures: Mapping[NodeType, TypeSignature]
    stamps: Mapping[int, str | None]
    steps: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]
    first: dict[bytes, int]
    numbers: dict[str, int]
    twins: Mapping[int, tuple[int, ...]]
    ends: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, plan: Plan, targets: Sequence[str]) -> KnownPlan | None:
        """None for a plan that is another one each time."""
        if plan.root.maps is not None or not all(step.parts and not step.type.content_key for step in plan.steps):
            return None
        steps = tuple((row[:_SCOPE], row[_SCOPE + 1 :]) for row in map(_VALUES, plan.steps))
        twins = {number: tuple(numbers) for number, numbers in plan.twins.items()}
        return cls(
            tuple(targets), dict(plan.signatures), dict(plan.stamps), steps, dict(plan.first),
            dict(plan.numbers), twins, tuple(plan.targets), plan.size,
        )  # fmt: skip

    def fill(self, plan: Plan) -> bool:
        """Fill a plan that has no steps yet; False where something that keys are made of is not as it was."""
        for node_type, signature in self.signatures.items():
            if plan.signature(node_type) != signature:
                return False
        files = {}
        for number, stamp in self.stamps.items():
            step = self.steps[number][0]
            inputs, node_type = step[_NAMES.index("inputs")], step[_NAMES.index("type")]
            now, known, files[number] = look_outside(node_type, inputs, plan.roots, plan.functions)
            if (now, known) != (stamp, True):
                return False
        scope = plan.root
        make: Callable[..., Step] = Step
        plan.steps = [make(*before, scope, *behind) for before, behind in self.steps]
        for number, states in files.items():
            plan.steps[number].files = states
        plan.first = self.first.copy()
        plan.twins = {number: list(numbers) for number, numbers in self.twins.items()}
        plan.targets, plan.size = list(self.ends), self.size
        scope.numbers = self.numbers.copy()
        return True


_plans: WeakKeyDictionary[Known, KnownPlan] = WeakKeyDictionary()


def plan_again(
    known: Known | None,
    workflow: Workflow,
    catalogue: Catalogue,
    targets: Sequence[str],
    out: str,
    roots: Sequence[Path] | None,
    definitions: Mapping[str, Definition],
    functions: Functions,
    recall: Recall,
) -> Plan:
    """What `make_plan` gives, with less work for a document that was planned before.

    Args:
        known: the document, where it is known; it says now what it said then.
        workflow: it, or another one that says the same.
    """
    targets = list(dict.fromkeys(targets))
    if known is None:
        return make_plan(
            workflow, catalogue, targets, out, roots, definitions=definitions, functions=functions, recall=recall
        )
    before = _plans.get(known)
    if before is not None and before.targets == tuple(targets):
        plan = Plan(workflow, catalogue, out, roots, definitions=definitions, functions=functions, recall=recall)
        if before.fill(plan):
            return plan
    source = known.own or workflow  # steps have parts of it, and nobody changes what is the memory's own
    plan = make_plan(
        source, catalogue, targets, out, roots, definitions=definitions, functions=functions, recall=recall
    )
    if (found := KnownPlan.of(plan, targets)) is not None and known.snapshot.holds(source):
        _plans[known] = found
    return plan
