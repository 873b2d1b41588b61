"""From a document to what is planned: checked, without definitions, at installed versions, without muted nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.checker import Checker
from weft.engine.checking.definitions import conflicts, interface_problems, relocated, shadowed
from weft.engine.checking.functions import HERE, Functions
from weft.engine.checking.migrate import migrate
from weft.engine.checking.modes import Applied, apply_modes
from weft.graphs.definitions import inline
from weft.graphs.document import Workflow
from weft.graphs.form import check_form
from weft.graphs.problems import Problem, shown


@dataclass(slots=True)
class Prepared:
    """A workflow ready to be planned, when no problem is an error.

    Attributes:
        workflow: without definitions, its nodes at their installed versions, without those that are left out.
        catalogue: the nodes there are for it: those that its graph called go before others of their names.
        targets: what was asked for, in terms of it; None for every output.
        aliases: names of outputs in the document -> in this workflow, where they differ.
        muted: what is left out of this workflow, each with the muted node that it is because of (perhaps itself).
    """

    workflow: Workflow
    problems: list[Problem]
    catalogue: Catalogue
    targets: list[str] | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    muted: dict[str, str] = field(default_factory=dict)

    def target_nodes(self, catalogue: Catalogue) -> list[str]:
        """The nodes that are to be made, each once: those that were asked for, else every output."""
        if self.targets is not None:
            return list(dict.fromkeys(target.partition(".")[0] for target in self.targets))
        types = {id: catalogue.get(spec.type) for id, spec in self.workflow.nodes.items()}
        return [id for id, node_type in types.items() if node_type is not None and node_type.output]


def prepare(
    workflow: Workflow,
    catalogue: Catalogue,
    *,
    targets: Sequence[str] | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    functions: Functions = HERE,
) -> Prepared:
    """Check a workflow and bring it into the form that is planned.

    Args:
        functions: calls what node types bring along.
    """
    problems = check_form(workflow)
    installed, catalogue = catalogue, catalogue.knowing(workflow.declarations)
    wrong = any(problem.severity == "error" for problem in problems)
    plain = not workflow.definitions and not any(spec.mode for spec in workflow.nodes.values())
    # What definitions and modes mean can be said of a sound graph alone; of any other, form is what is wrong with it.
    if any(problem.code == "too_large" for problem in problems) or (wrong and not plain):
        return Prepared(workflow, problems, catalogue, None if targets is None else list(targets))
    inlined = inline(workflow)
    flat, unmigrated = migrate(inlined.workflow, catalogue, functions)
    problems += [*inlined.problems, *unmigrated, *shadowed(installed, catalogue, workflow)]
    prepared = Prepared(flat, problems, catalogue, None if targets is None else list(targets), inlined.aliases)
    applied = Applied(flat)
    if not plain:
        applied = apply_modes(flat, inlined, catalogue)
        prepared.workflow, prepared.muted = applied.workflow, applied.muted
        if workflow.definitions:
            problems += conflicts(workflow, catalogue)
            problems += interface_problems(workflow, inlined, catalogue)
        prepared.aliases |= {name: applied.target(text) for name, text in prepared.aliases.items()}
        if targets is not None:
            found = {text: [applied.target(part) for part in inlined.target(text)] for text in targets}
            prepared.aliases |= {text: parts[0] for text, parts in found.items() if parts != [text]}
            prepared.targets = list(dict.fromkeys(part for parts in found.values() for part in parts))
    open_roots = None if roots is None else [Path(root).absolute() for root in roots]
    checker = Checker(applied.workflow.nodes, catalogue, open_roots, functions)
    told = {(problem.node, problem.input) for problem in problems}
    for problem in checker.nodes({problem.node for problem in unmigrated}):
        if problem.code == "missing_input" and (problem.node, problem.input) in applied.cut:
            source = applied.cut[problem.node or "", problem.input or ""]
            hint = f" It was linked to {source}, which is bypassed and has nothing of that type to pass on."
            problem = problem.model_copy(update={"message": problem.message + hint})
        problem = relocated(problem, inlined)
        # One value may go to several inputs inside a definition, which need not each say that it is wrong.
        if not inlined.places or (problem.node, problem.input) not in told or problem.input is None:
            told.add((problem.node, problem.input))
            problems.append(problem)
    problems += _left_out(checker.targets(prepared.targets), applied.muted)
    return prepared


def _left_out(problems: Iterator[Problem], muted: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of targets, where it is muting that leaves nothing to make."""
    for problem in problems:
        target = problem.given.partition(".")[0] if isinstance(problem.given, str) else ""
        if target in muted:
            cause = (
                "muted" if muted[target] == target else f"left out, since it depends on {muted[target]}, which is muted"
            )
            message = f"The target {shown(problem.given)} is {cause}."
            yield problem.model_copy(update={"code": "no_output", "message": message, "suggestion": None})
        elif problem.code == "no_output" and muted and problem.expected is not None:
            names = ", ".join(list(dict.fromkeys(muted.values()))[:5])
            message = f"{problem.message} Muted, with all that depends on them: {names}."
            yield problem.model_copy(update={"message": message})
        else:
            yield problem
