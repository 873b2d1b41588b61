"""What the disk costs a run of trivial nodes, beside a bare loop that writes and reads as many small files.

    python benchmarks/disk.py [--count 1000] [--repeats 7] [--folder DIR]

Prints JSON: milliseconds of wall and of CPU time (all threads), the best of the repeats, for a chain of nodes that add
one, and for a wide graph whose last node takes all others:

- `memory cold`, `disk cold`: nothing is there; the run with a disk ends when all results are on it.
- `memory cached`, `disk cached`: all is there; `disk cached` by a cache that has nothing in memory yet.
- `disk, all read`: the last node is another one, so that a wide graph reads every result from the disk.
- `files`: a loop that writes as many files of as many bytes as a result's entry has, each under a temporary name that
  is renamed, as a cache has to; and one that reads them. `plain files` are written in place.

Each repeat takes all of them in turn, in folders of its own, so that all meet the same machine. The files are in the
operating system's cache.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.engine import CATALOGUE, Nodes, chain, wide
from weft.engine import Cache, run
from weft.graphs import Workflow

BYTES = 250
"""Of an entry of these nodes, about."""
AIM = 2.0

Figures = dict[str, list[tuple[float, float]]]


def timed(figures: Figures, name: str, work: Callable[[], Any]) -> Any:
    """Do some work and note (wall, CPU) milliseconds."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    figures.setdefault(name, []).append(((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3))
    return result


def write_files(folder: Path, count: int, *, rename: bool) -> None:
    """The bare loop."""
    folder.mkdir()
    data = b"x" * BYTES
    for number in range(count):
        path = f"{folder}/{number}"
        with open(f"{path}.tmp" if rename else path, "wb", buffering=0) as file:
            file.write(data)
        if rename:
            os.replace(f"{path}.tmp", path)


def read_files(folder: Path, count: int) -> None:
    """The bare loop back."""
    for number in range(count):
        with open(f"{folder}/{number}", "rb", buffering=0) as file:
            file.read()


def once(figures: Figures, nodes: Nodes, changed: Nodes, folder: Path) -> None:
    """Everything one time."""
    workflow, other = (Workflow.parse({"weft": 1, "nodes": some}) for some in (nodes, changed))
    count = len(nodes)

    def go(cache: Cache, document: Workflow = workflow) -> Any:
        return run(document, ["end"], catalogue=CATALOGUE, cache=cache)

    timed(figures, "plain files written", lambda: write_files(folder / "plain", count, rename=False))
    timed(figures, "files written", lambda: write_files(folder / "files", count, rename=True))
    timed(figures, "files read", lambda: read_files(folder / "files", count))
    memory = Cache()
    timed(figures, "memory cold", lambda: go(memory))
    timed(figures, "memory cached", lambda: go(memory))
    result = timed(figures, "disk cold", lambda: go(Cache(folder / "cache")))
    assert result.ran == count
    result = timed(figures, "disk cached", lambda: go(Cache(folder / "cache")))
    assert result.ran == 0
    result = timed(figures, "disk, all read", lambda: go(Cache(folder / "cache"), other))
    assert result.ran == 1


def measure(make: Callable[[int], Nodes], count: int, repeats: int, folder: str | None) -> dict[str, Any]:
    """The figures of one graph."""
    nodes = make(count)
    changed = {**nodes, "end": {**nodes["end"], "inputs": {"items": [*nodes["end"]["inputs"]["items"], 1]}}}
    figures: Figures = {}
    for repeat in range(repeats + 1):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            once(figures if repeat else {}, nodes, changed, Path(place))  # the first one imports and connects
    best = {name: [round(min(times), 2) for times in zip(*rows, strict=True)] for name, rows in figures.items()}
    wall = {name: times[0] for name, times in best.items()}
    cost = wall["disk cold"] - wall["memory cold"]
    return {
        "nodes": count,
        "ms (wall, CPU)": best,
        "disk cold / files written": round(wall["disk cold"] / wall["files written"], 2),
        "what the disk adds / files written": round(cost / wall["files written"], 2),
        "what the disk adds / plain files written": round(cost / wall["plain files written"], 2),
        "disk cold / memory cold": round(wall["disk cold"] / wall["memory cold"], 2),
        "us per node added by the disk": round(cost / count * 1e3, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="nodes")
    parser.add_argument("--repeats", type=int, default=7, help="of which the best counts")
    parser.add_argument("--folder", help="where the caches lie; a temporary folder if not given")
    options = parser.parse_args()
    graphs = {make.__name__: measure(make, options.count, options.repeats, options.folder) for make in (chain, wide)}
    report = {
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "aim": f"what the disk adds is at most {AIM} x the files written",
        "graphs": graphs,
        "beyond the aim": [
            name for name, values in graphs.items() if values["what the disk adds / files written"] > AIM
        ],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
