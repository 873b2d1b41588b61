"""Steps that become several: a `collect`, one part per item; a node that returned a graph, the nodes of that graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from weft.engine.checking.again import CheckedForm
from weft.engine.checking.axes import has_maps, is_gathering
from weft.engine.checking.prepare import prepare
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import MISSING
from weft.engine.planning.expansion import Expansion, given_key
from weft.engine.planning.plan import Plan, map_scope, named, reachable
from weft.engine.planning.returned import ReturnedForm
from weft.engine.planning.steps import Item, Scope, Step
from weft.engine.values import Outputs
from weft.graphs.document import Link, NodeSpec, Workflow

Give = Callable[[Step, Any], None]
"""Takes a step that stands for a value, and the value."""


class TooMany(Exception):  # noqa: N818
    """Graphs in graphs, or items, beyond what a run may have."""


@dataclass(frozen=True, slots=True)
class Unfolded:
    """What a step waits for after it unfolded.

    Attributes:
        parts: per item, or once, the scope and the links whose values are the result.
        roots: numbers of the steps that have to be done.
        steps: all that were added, per part.
    """

    parts: list[tuple[Scope, tuple[Link, ...]]]
    roots: list[int]
    steps: list[list[Step]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Attributes: depth: graphs within graphs. steps: added while a run goes, all together."""

    depth: int
    steps: int


def unfold_region(plan: Plan, step: Step, lists: list[Any], give: Give, bounds: Bounds) -> Unfolded:
    """One part per item.

    Args:
        lists: what the region's `map_over` nodes have, in their order.

    Raises:
        ValueError: what is no list, or lists of different length. TooMany: more steps than may be.
    """
    region, scope = step.region, step.scope
    assert region is not None
    for spread, items in zip(region.spreads, lists, strict=True):
        if not isinstance(items, (list, tuple)):
            raise ValueError(f"{spread} goes over a list, not a value of type {type(items).__name__}")
        if len(items) != len(lists[0]):
            first = region.spreads[0]
            raise ValueError(
                f"{first} has {len(lists[0])} items and {spread} has {len(items)}: lists that are taken item by item "
                "together have to be of one length; for every combination, give them axes of different names"
            )
    count = len(lists[0])
    _bound(plan, count * (len(region.members) + len(lists)), bounds)
    links = _gathered(plan, step)
    parts, roots, added = [], [], []
    sources = [plan.steps[scope.number(spread)] for spread in region.spreads]
    for index in range(count):
        where = f"{scope.where}, item {index + 1}" if scope.where else f"item {index + 1}"
        part = Scope(scope.specs, {}, scope, scope.maps, scope.types, scope.bound | {region.axis}, scope.visible, where)
        part.depth, part.of = scope.depth, scope.of or step.shown
        plain = {spread: items[index] for spread, items in zip(region.spreads, lists, strict=True)}
        plain = {spread: value for spread, value in plain.items() if type(value) in (str, int, float, bool)}
        item = Item(region.axis, index, count, region.spreads, plain, scope.visible)
        part.items, part.around, part.home = (*scope.items, item), scope.around, scope.home
        for source, items in zip(sources, lists, strict=True):
            key, output = _item_key(plan, source, index, items[index])
            item_type = plan.returned.constant(items[index], output)
            give(plan.give(part, source.id, item_type, key, source.keeps, source.trusted), items[index])
        rank = (*step.rank, index)
        steps = plan.add(part, region.members, [rank] * len(region.members), step.order)
        part.total = len(steps)
        roots += [part.number(link.node) for link in links]
        parts.append((part, links))
        added.append(steps)
    return Unfolded(parts, roots, added)


def _gathered(plan: Plan, step: Step) -> tuple[Link, ...]:
    """The links whose values a region gathers: one, or every output of a target."""
    link = step.inputs["item"]
    assert isinstance(link, Link)
    if not step.gathers:
        return (link,)
    return tuple(Link(link.node, output) for output in step.type.outputs) or (link,)


def _item_key(plan: Plan, source: Step, index: int, value: Any) -> tuple[bytes, str]:
    """Key and output that name one item: where a link of the list itself leads, what it is, or which it is."""
    given = source.inputs.get("items")
    if isinstance(given, list) and index < len(given) and isinstance(given[index], Link):
        return _linked_key(plan, source, given[index])
    return given_key(value, (source.key, index)), "value"


def _linked_key(plan: Plan, step: Step, link: Link) -> tuple[bytes, str]:
    return named(plan.original(step.scope.number(link.node)), link.output)


def unfold_graph(plan: Plan, step: Step, graph: Expansion, give: Give, bounds: Bounds) -> Unfolded:
    """The nodes of a graph that a node returned.

    Raises:
        ValueError: the graph has errors, lacks a result, or is the node over again.
        TooMany: it is too deep, or more steps than may be.
    """
    outer = step.scope
    tail = outer.tail == step.id
    depth = outer.depth if tail else outer.depth + 1
    if depth > bounds.depth:
        raise TooMany(f"graphs that return graphs are {depth} deep; at most {bounds.depth} are allowed")
    _bound(plan, len(graph.nodes), bounds)
    form, specs = _form_of(plan, step, graph, bounds)
    scope = Scope(specs, types=form.types, visible=step.shown, where=outer.where, depth=depth, tail=form.tail)
    scope.around, scope.home = step.items, outer.home or outer
    order = list(form.order)
    _bound(plan, len(order), bounds)  # with what stands in definitions
    last = {id: id for id in form.ends}
    for number, (id, value) in enumerate(graph.values.items()):
        key, output, keeps = _given_key(plan, step, graph, id, value, number)
        give(plan.give(scope, id, plan.returned.constant(value, output), key, keeps, step.trusted), value)
    if form.mapped:
        last = map_scope(plan, scope, [*graph.values, *order], form.ends)
        order += [id for id in scope.specs if is_gathering(id)]
    steps = plan.add(scope, order, [step.rank] * len(order), step.order[:-1] if tail else step.order)
    scope.total = len(steps)
    _no_circle(plan, step, steps)
    links = tuple(Link(last[link.node], link.output) for link in form.results)
    roots = [scope.numbers[last[id]] for id in form.ends]
    return Unfolded([(scope, links)], roots, [steps])


Specs = Mapping[str, NodeSpec]


def _form_of(plan: Plan, step: Step, graph: Expansion, bounds: Bounds) -> tuple[ReturnedForm, Specs]:
    """Check a returned graph; how it is planned, and all its nodes, with those that stand for given values.

    Raises:
        ValueError: it has errors, or lacks a result.
    """
    key = plan.returned.key(step.type, graph)
    known = None if key is None else plan.returned.get(key)
    if known is not None and known.checked is not None:
        specs = {**graph.nodes, **known.given}
        if known.checked.holds(specs, plan.catalogue, plan.roots, plan.functions):
            return known, specs
    form, checked = _checked(plan, step, graph, bounds)
    if key is not None and form.checked is not None:
        plan.returned.remember(key, form)
    return form, checked


def _checked(plan: Plan, step: Step, graph: Expansion, bounds: Bounds) -> tuple[ReturnedForm, Specs]:
    types: dict[str, NodeType] = {id: plan.returned.constant(value) for id, value in graph.values.items()}
    given = {id: NodeSpec(type=node_type.name) for id, node_type in types.items()}
    results = graph.results or _last(graph)
    count = len(step.type.outputs)
    if len(results) != count:
        raise ValueError(
            f"the graph it returned stands for {len(results)} values instead of {count} "
            f"({', '.join(step.type.outputs)}): name them with returns(...)"
        )
    document = Workflow(nodes={**graph.nodes, **given}, definitions=plan.definitions)
    document = document.with_declarations(graph.declarations)
    # It may be as large as what unfolds may be altogether, however large a document may be.
    document = document.with_limits(replace(plan.limits, max_nodes=bounds.steps + len(given)))
    catalogue = plan.catalogue.extended(types.values())
    targets = list(dict.fromkeys(str(link) for link in results))
    prepared = prepare(document, catalogue, targets=targets or None, roots=plan.roots, functions=plan.functions)
    workflow, catalogue = prepared.workflow, prepared.catalogue
    results = tuple(Link.parse(prepared.aliases.get(str(link), str(link))) for link in results)
    errors = [problem for problem in prepared.problems if problem.severity == "error" and problem.code != "no_output"]
    if errors:
        said = dict.fromkeys(
            f"{problem.node}: {problem.message}" if problem.node else problem.message for problem in errors
        )
        raise ValueError(f"the graph it returned has errors: {' '.join(islice(said, 3))}")
    ends = [link.node for link in results]
    ends += [id for id, spec in workflow.nodes.items() if (known := catalogue.get(spec.type)) and known.output]
    ends = list(dict.fromkeys(ends))
    order = [id for id in reachable(workflow.nodes, ends)[0] if id not in graph.values]
    # Of those that the plan does not know, or knows others of their names.
    for id, spec in workflow.nodes.items():
        if (known := catalogue.get(spec.type)) is not None and known is not plan.catalogue.get(spec.type):
            types[id] = known
    mapped = has_maps(known for id in order if (known := catalogue.get(workflow.nodes[id].type)) is not None)
    # A graph that was brought to other versions, or stands in definitions, is worked out anew each time.
    checked = CheckedForm.of(workflow.nodes, catalogue) if workflow is document and not mapped else None
    tail = ends[0] if len(ends) == 1 else ""
    form = ReturnedForm(given, types, results, tuple(ends), tuple(order), tail, mapped, checked)
    return form, workflow.nodes


def _last(graph: Expansion) -> tuple[Link, ...]:
    return (Link(next(reversed(graph.nodes))),) if graph.nodes else ()


def _given_key(plan: Plan, step: Step, graph: Expansion, id: str, value: Any, number: int) -> tuple[bytes, str, bool]:
    """A value that came in by a link has that link's key, so that what is made of it is found whoever asks.

    One item of a list that came whole by a link is named by the list's key and its place in it.
    """
    name, index = graph.places.get(id, ("", None))
    item = step.inputs.get(name, MISSING)
    if index is not None and isinstance(item, list):
        item, index = item[index], None
    if isinstance(item, Link):
        source = plan.steps[step.scope.number(item.node)]
        key, output = _linked_key(plan, step, item)
        if index is None:
            return key, output, source.keeps
        return given_key(value, (key, output, index)), "value", source.keeps
    return given_key(value, (step.key, number)), "value", step.keeps


def _no_circle(plan: Plan, step: Step, steps: list[Step]) -> None:
    """A node whose graph holds the same call again would wait for itself."""
    for inner in steps:
        if inner.same == step.number or (step.same is not None and inner.same == step.same):
            raise ValueError(f"the graph it returned holds the same call again, as {inner.id!r}: it would never end")


def _bound(plan: Plan, more: int, bounds: Bounds) -> None:
    total = len(plan.steps) - plan.size + more
    if total > bounds.steps:
        raise TooMany(f"the run would have {total:,} steps beside those of the document; at most {bounds.steps:,}")


def gather(step: Step, unfolded: Unfolded, value: Callable[[Scope, Link], Any]) -> Outputs:
    """The result of a step that unfolded, when everything in it is done."""
    if step.region is None:
        scope, links = unfolded.parts[0]
        return tuple(value(scope, link) for link in links)
    count = len(step.type.outputs)
    return tuple([value(scope, links[output]) for scope, links in unfolded.parts] for output in range(count))
