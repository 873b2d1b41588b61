"""`weft plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weft.server.cli.arguments import FileArgument, OutOption, SetOption, TargetOption
from weft.server.cli.report import (
    JsonOption,
    ModelsOption,
    NodesOption,
    TracebackOption,
    load_catalogue,
    model_folders_of,
    print_json,
    reporting,
    say_drawn,
)

if TYPE_CHECKING:
    from weft.engine import Forecast, NodeForecast

WORDS = {"run": "runs", "resume": "resumes", "cached": "cached", "skip": "skipped", "unknown": "not known"}


def plan_command(
    file: FileArgument,
    settings: SetOption = None,
    targets: TargetOption = None,
    out: OutOption = Path("out"),
    no_cache: Annotated[bool, typer.Option("--no-cache", help="As if there were no results of other runs.")] = False,
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Say what a run would do now: what is cached, what runs and what is skipped. Nothing runs."""
    with reporting(as_json=as_json, traceback_wanted=traceback), model_folders_of(models):
        from weft.engine import Cache, forecast
        from weft.server.cli.opening import open_workflow

        catalogue = load_catalogue(nodes)
        workflow, drawn = open_workflow(file, settings, catalogue)
        say_drawn(drawn)
        cache = Cache.none() if no_cache else None
        said = forecast(workflow, targets, cache=cache, catalogue=catalogue, out=out)
        if as_json:
            print_json(said.to_dict())
            return
        for line in table(said):
            typer.echo(line)


def table(said: Forecast) -> list[str]:
    """A line a node, and one that sums up."""
    width = max((len(id) for id in said.nodes), default=0)
    order = list(WORDS)
    nodes = sorted(said.nodes.items(), key=lambda item: order.index(item[1].will))
    lines = [f"{id:<{width}}  {WORDS[node.will]:<9}  {_details(node)}".rstrip() for id, node in nodes]
    words = WORDS | {"run": "to run", "resume": "to resume"}
    counts = [f"{count} {words[will]}" for will, count in said.counts.items() if count]
    time = f"; about {seconds(said.seconds)}" if said.seconds and said.counts["run"] + said.counts["resume"] else ""
    return [*lines, (", ".join(counts) or "nothing to do") + time]


def _details(node: NodeForecast) -> str:
    parts = []
    if node.items is not None and node.will == "run":
        parts.append(f"{node.items} items" + (f", {node.items_cached} of them cached" if node.items_cached else ""))
    if node.steps is not None:
        parts.append(f"from step {node.steps} of {node.of} on")
    if node.tier is not None and not node.reason:
        parts.append(f"in {'memory' if node.tier == 'memory' else 'the cache folder'}")
    if node.seconds is not None:
        parts.append(f"about {seconds(node.seconds)}")
    if node.reason:
        parts.append(node.reason)
    return "; ".join(parts)


def seconds(count: float) -> str:
    """A time in words, such as "1.4 s" or "3 min"."""
    if count < 1:
        return f"{count * 1000:.0f} ms"
    return f"{count:.1f} s" if count < 100 else f"{count / 60:.0f} min"
