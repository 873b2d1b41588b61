"""How fast the editor is, in a real browser at a real `weft serve`.

    python benchmarks/editor.py [--small] [--only NAME]... > editor.json

Prints one JSON object; `aims` are ours. Times of frames are what the page itself saw between two of them, so that they
are at least 16.7 ms; `cpu_ms_per_frame` is what the page's own thread worked for each, however busy the machine is with
other things; `load` says how busy it was before. Needs a chromium, and the page in server/static (`make editor`).

- `ready`: from going to the page until the graph is drawn and the page is free again, the workflow open from before.
- `move`: frames while the graph is moved far out and at 100 %, zoomed, and while a card is dragged.
- `progress`: frames while a node tells of 20 steps a second, and from pressing a key in a field until it is painted.
- `open`: of large workflows for the first time and again, and the longest time for which the page did not answer.
- `layout`: of workflows without places.
- `memory`: what is there after runs with previews, beside before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.editor_kit import Browser, Page, chromium, workflow
from benchmarks.server_kit import Connection, Server

AIMS = {
    "ready_500_ms": 2000,
    "pan_p95_ms": 50,
    "pan_out_p95_ms": 70,
    "progress_p95_ms": 35,
    "heap_growth_megabytes": 5,
}
MIDDLE = (640.0, 420.0)
SHIFT = 8


class Bench:
    """The measurements, on one server and one browser.

    Args:
        small: fewer of everything: figures that show that it works, and not much more.
    """

    def __init__(self, address: str, browser: Browser, *, small: bool) -> None:
        self.address = address.rstrip("/")
        self.browser = browser
        self.small = small
        self._saved: set[str] = set()

    async def _save(self, name: str, document: dict[str, Any]) -> None:
        if name in self._saved:
            return
        self._saved.add(name)
        client = Connection(self.address)
        status, said = await client.ask("PUT", f"/api/v1/workflows/{name}", document)
        await client.close()
        if status not in (200, 201, 204):
            raise RuntimeError(f"{status}: {said}")

    @asynccontextmanager
    async def _graph(self, count: int, *, places: bool = True, again: bool = True) -> AsyncIterator[Page]:
        """A page with a graph of so many nodes; `again`: opened anew, as it was left."""
        name = f"nodes-{count}{'' if places else '-bare'}"
        await self._save(name, workflow(count, places=places))
        async with self.browser.page() as page:
            await page.ask("Page.navigate", url=f"{self.address}/app/{name}")
            await page.until("document.querySelector('.app--view') !== null")
            await asyncio.sleep(1.0)
            await page.run("bench.toGraph()")
            await page.until("bench.drawn()")
            await asyncio.sleep(1.5)
            if again:
                await page.ask("Page.navigate", url=f"{self.address}/")
                await page.until("window.bench?.ready != null")
            yield page
            await self._close_tabs(page)

    async def _close_tabs(self, page: Page) -> None:
        await page.run("bench.forget()")

    async def _near(self, page: Page) -> None:
        """A card in the middle, at 100 %."""
        await page.run("bench.focus('.canvas--flow')")
        await page.key("F", "KeyF", 70, SHIFT, "F")
        await asyncio.sleep(0.4)
        await page.key("ArrowRight", "ArrowRight", 39)
        await page.key("f", "KeyF", 70, text="f")
        await page.until("bench.cards() > 0")
        await asyncio.sleep(0.8)

    async def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for count in (100,) if self.small else (500, 1000):
            async with self._graph(count) as page:
                took = []
                for _ in range(1 if self.small else 5):
                    await page.ask("Page.navigate", url=f"{self.address}/")
                    await asyncio.sleep(0.3)
                    await page.until("window.bench?.ready != null")
                    took.append(round(await page.run("bench.ready")))
                near: dict[str, Any] = {"ready_ms": sorted(took)[len(took) // 2], "all_ms": took}
                before = time.monotonic()
                await self._near(page)
                near["cards_ms"] = round((time.monotonic() - before) * 1e3 - 800)
                near["cards"] = await page.run("bench.cards()")
                near["threads"] = await page.run("bench.threads()")
                found[f"nodes_{count}"] = near
        return found

    async def move(self) -> dict[str, Any]:
        count, seconds = (100, 1.0) if self.small else (1000, 4.0)
        x, y = MIDDLE
        there = [(x + 240 * _wave(at, 50), y + 180 * _wave(at, 34)) for at in range(200)]
        found: dict[str, Any] = {"nodes": count}
        async with self._graph(count) as page:
            await asyncio.sleep(2.0)
            found["pan_out"] = {}
            async with page.measured(found["pan_out"]):
                await page.drag(there, "middle", seconds)
            await self._near(page)
            found["pan"] = {}
            async with page.measured(found["pan"]):
                await page.drag(there, "middle", seconds)
            found["zoom"] = {}
            async with page.measured(found["zoom"]):
                for at in range(int(seconds * 30)):
                    await page.mouse("wheel", x, y, deltaX=0, deltaY=40 if at // 20 % 2 else -40)
                    await asyncio.sleep(1 / 30)
            await self._near(page)
            card = await page.run("bench.head()")
            if card is not None:
                found["drag"] = {}
                async with page.measured(found["drag"]):
                    way = [(card[0] + 120 * _wave(at, 40), card[1] + 80 * _wave(at, 30)) for at in range(120)]
                    await page.drag(way, "left", seconds)
            found["errors"] = page.errors
        return found

    async def progress(self) -> dict[str, Any]:
        count = 100 if self.small else 1000
        found: dict[str, Any] = {"nodes": count, "frames": {}}
        async with self._graph(count) as page:
            await self._show(page, "steps")
            await page.key("r", "KeyR", 82, text="r")
            await page.until("/step \\d+/.test(bench.says('steps'))")
            async with page.measured(found["frames"]):
                await asyncio.sleep(2.0 if self.small else 5.0)
            found["typing"] = await self._typing(page)
            found["still_running"] = await page.run("/step \\d+/.test(bench.says('steps'))")
            found["errors"] = page.errors
        return found

    async def _show(self, page: Page, node: str) -> None:
        """Chooses a node by its name in the outline, which brings it into view."""
        await self._near(page)
        await page.run("bench.focus('.canvas--flow')")
        await page.key("2", "Digit2", 50, text="2")
        await page.until("document.querySelector('.outline__find') !== null")
        await page.run("document.querySelector('.outline__find').focus()")
        await page.ask("Input.insertText", text=node)
        await page.key("Enter", "Enter", 13)
        await asyncio.sleep(0.5)
        await page.run("document.querySelector('.outline__row')?.click()")
        await asyncio.sleep(0.3)
        await page.run("bench.focus('.canvas--flow')")
        await page.key("f", "KeyF", 70, text="f")
        await page.until(f"document.querySelector('[data-card=\"{node}\"]') !== null")
        await asyncio.sleep(0.5)
        await page.run(f"document.querySelector('[data-card=\"{node}\"]').focus()")
        await asyncio.sleep(0.3)

    async def _typing(self, page: Page) -> dict[str, Any]:
        """From a key in a field of the inspector to the frame after it is painted."""
        if not await page.run("bench.focus('.inspector .field__input, .inspector input')"):
            return {}
        await page.run("bench.watchKeys()")
        for at in range(10 if self.small else 40):
            digit = at % 10
            await page.key(str(digit), f"Digit{digit}", 48 + digit, text=str(digit))
            await asyncio.sleep(0.06)
        keys = sorted(await page.run("bench.keys"))
        at = {"p50_ms": len(keys) // 2, "p95_ms": int(len(keys) * 0.95), "max_ms": -1}
        return {"keys": len(keys)} | {name: round(keys[index], 1) for name, index in at.items()}

    async def open(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for count in (200,) if self.small else (1000, 10_000):
            before = time.monotonic()
            async with self._graph(count, again=False) as page:
                seconds = time.monotonic() - before - 2.5
                await asyncio.sleep(1.0)
                longest = await page.run("bench.longest()")
                await page.ask("Page.navigate", url=f"{self.address}/")
                await asyncio.sleep(0.5)
                await page.until("window.bench?.ready != null", 120)
                found[f"nodes_{count}"] = {
                    "graph_seconds": round(seconds, 2),
                    "longest_task_ms": longest,
                    "again_ms": round(await page.run("bench.ready")),
                    "again_longest_task_ms": await page.run("bench.longest()"),
                    "errors": page.errors,
                }
        return found

    async def layout(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for count in (100,) if self.small else (300, 1000, 3000):
            async with self._graph(count, places=False, again=False) as page:
                await asyncio.sleep(3.0)
                longest = await page.run("bench.longest()")
                found[f"nodes_{count}"] = {"longest_task_ms": longest, "errors": page.errors}
        return found

    async def memory(self) -> dict[str, Any]:
        runs = 10 if self.small else 100
        document = workflow(12)
        document["nodes"]["shows"] = {"type": "bench.pictures", "inputs": {}}
        document["ui"]["shows"] = {"x": -240, "y": 300}
        await self._save("nodes-13", document)
        async with self._graph_named("nodes-13") as page:
            await self._show(page, "shows")
            await self._runs(page, 5)
            await asyncio.sleep(3.0)
            before = await page.memory()
            await self._runs(page, runs)
            # Pictures are let go of a second after another one took their place.
            await asyncio.sleep(3.0)
            after = await page.memory()
            return {"runs": runs, "before": before, "after": after, "errors": page.errors}

    @asynccontextmanager
    async def _graph_named(self, name: str) -> AsyncIterator[Page]:
        async with self.browser.page() as page:
            await page.ask("Page.navigate", url=f"{self.address}/app/{name}")
            await page.until("document.querySelector('.app--view') !== null")
            await asyncio.sleep(1.0)
            await page.run("bench.toGraph()")
            await page.until("bench.cards() > 0")
            await asyncio.sleep(1.0)
            yield page
            await self._close_tabs(page)

    async def _runs(self, page: Page, count: int) -> None:
        for _ in range(count):
            number = await page.run("bench.made")
            await page.run("bench.focus('[data-card=shows]')")
            await page.key("r", "KeyR", 82, text="r")
            await page.until(f"bench.made > {number} && /done/.test(bench.says('shows'))", 30)
            await asyncio.sleep(0.1)


def _wave(at: int, every: int) -> float:
    """Back and forth between -1 and 1."""
    return abs((at / every) % 2 - 1) * 2 - 1


async def measured(names: list[str], *, small: bool) -> dict[str, Any]:
    results: dict[str, Any] = {}
    temporary = tempfile.TemporaryDirectory(prefix="weft-bench-", ignore_cleanup_errors=True)
    with temporary as folder, Server(Path(folder) / "data") as server:
        async with Browser(Path(folder) / "browser") as browser:
            bench = Bench(server.address, browser, small=small)
            for name in names:
                measure: Callable[[], Awaitable[dict[str, Any]]] = getattr(bench, name)
                try:
                    results[name] = await measure()
                except Exception as error:
                    results[name] = {"failed": f"{type(error).__name__}: {error}"}
                print(f"{name}: {json.dumps(results[name])}", file=sys.stderr)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer of everything: a look whether it works")
    names = ("ready", "move", "progress", "open", "layout", "memory")
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; may be given again")
    said = parser.parse_args()
    if chromium() is None:
        print(json.dumps({"skipped": "there is no chromium on this machine; on Debian: apt install chromium"}))
        return
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    results = asyncio.run(measured(list(said.only or names), small=said.small))
    print(json.dumps({"aims": AIMS, "machine": machine, **results}, indent=1))


if __name__ == "__main__":
    main()
