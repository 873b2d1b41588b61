"""What the benchmark of the editor works with: a browser that is driven over its own protocol, and large workflows."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "graphs" / "examples" / "sega_textual_inversion_controlnet.json"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WATCH = Path(__file__).with_name("editor_page.js")


def chromium() -> str | None:
    """Where a chromium is on this machine."""
    return next((found for name in NAMES if (found := shutil.which(os.environ.get("CHROMIUM", name)))), None)


class Page:
    """One tab of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                said = json.loads(text)
                if (future := self._waiting.pop(said.get("id", 0), None)) and not future.done():
                    future.set_result(said)
                elif said.get("method") == "Runtime.exceptionThrown":
                    self.errors.append(json.dumps(said["params"]["exceptionDetails"])[:500])

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the protocol."""
        id = next(self._ids)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": id, "method": method, "params": params}))
        said = await asyncio.wait_for(future, 120)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        return dict(said["result"])

    async def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        said = await self.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(f"{code[:200]}: {said['exceptionDetails']}")
        return said["result"].get("value")

    async def until(self, code: str, seconds: float = 60) -> Any:
        """Waits until an expression is true."""
        end = asyncio.get_running_loop().time() + seconds
        while not (found := await self.run(code)):
            if asyncio.get_running_loop().time() > end:
                text = await self.run("document.body.innerText.slice(0, 600)")
                raise TimeoutError(f"{code}\n{text}\n{self.errors}")
            await asyncio.sleep(0.05)
        return found

    async def key(self, key: str, code: str, number: int, modifiers: int = 0, text: str = "") -> None:
        """Presses a key. Modifiers: 1 Alt, 2 Ctrl, 8 Shift."""
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    async def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """`moved`, `pressed`, `released` or `wheel`."""
        name = {"wheel": "mouseWheel"}.get(kind, "mouse" + kind.capitalize())
        await self.ask("Input.dispatchMouseEvent", type=name, x=x, y=y, **more)

    async def drag(self, points: list[tuple[float, float]], button: str, seconds: float) -> None:
        """Presses at the first point and goes along the others at 60 a second."""
        buttons = {"left": 1, "middle": 4}[button]
        await self.mouse("moved", *points[0])
        await self.mouse("pressed", *points[0], button=button, buttons=buttons, clickCount=1)
        loop = asyncio.get_running_loop()
        start, count = loop.time(), max(1, int(seconds * 60))
        for at in range(count):
            where = points[at % len(points)]
            await self.mouse("moved", *where, button=button, buttons=buttons)
            await asyncio.sleep(max(0.0, start + (at + 1) / 60 - loop.time()))
        await self.mouse("released", *points[-1], button=button, clickCount=1)

    @contextlib.asynccontextmanager
    async def measured(self, found: dict[str, Any]) -> AsyncIterator[None]:
        """Frames and long tasks while the block runs, put into `found`."""
        await self.ask("Performance.enable", timeDomain="threadTicks")
        await self.run("bench.frames.length = 0, bench.long.length = 0, bench.on = true")
        before = await self._busy()
        yield
        busy = await self._busy() - before
        frames = sorted(await self.run("(bench.on = false, bench.frames)"))
        if frames:
            found |= {
                "frames": len(frames),
                "p50_ms": round(frames[len(frames) // 2], 1),
                "p95_ms": round(frames[int(len(frames) * 0.95)], 1),
                "max_ms": round(frames[-1], 1),
                "cpu_ms_per_frame": round(busy * 1e3 / len(frames), 1),
            }

    async def _busy(self) -> float:
        """CPU seconds of the page's own thread so far; what else the machine does is not in them."""
        said = await self.ask("Performance.getMetrics")
        return float(next(one["value"] for one in said["metrics"] if one["name"] == "TaskDuration"))

    async def memory(self) -> dict[str, float]:
        """What is there after the garbage was collected."""
        for _ in range(3):
            await self.ask("HeapProfiler.collectGarbage")
        heap = await self.ask("Runtime.getHeapUsage")
        there = await self.ask("Memory.getDOMCounters")
        return {
            "heap_megabytes": round(heap["usedSize"] / 1e6, 2),
            "dom_nodes": there["nodes"],
            "listeners": there["jsEventListeners"],
            "object_urls": await self.run("bench.urls"),
        }


class Browser:
    """A chromium without a window, until the block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __aenter__(self) -> Browser:
        path = chromium()
        if path is None:
            raise RuntimeError("there is no chromium on this machine; on Debian: apt install chromium")
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
        words += ["--disable-background-networking", "--window-size=1440,900", f"--user-data-dir={self._folder}"]
        self.process = subprocess.Popen(
            [path, *words, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = self._folder / "DevToolsActivePort"
        for _ in range(300):
            if port.is_file() and (text := port.read_text().split()):
                self._port = int(text[0])
                return self
            await asyncio.sleep(0.1)
        raise RuntimeError("the browser did not start")

    async def __aexit__(self, *_: object) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab of 1440 x 900 that is watched (see WATCH)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        said = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request).read()))
        async with connect(said["webSocketDebuggerUrl"], max_size=None, ping_interval=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "HeapProfiler"):
                await page.ask(f"{domain}.enable")
            size = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            await page.ask("Emulation.setDeviceMetricsOverride", **size)
            await page.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH.read_text("utf-8"))
            yield page
            with contextlib.suppress(Exception):
                await page.ask("Page.close")


def workflow(count: int, *, places: bool = True) -> dict[str, Any]:
    """So many nodes of real types: copies of an example in groups, and one node whose steps are told of."""
    example = json.loads(EXAMPLE.read_text("utf-8"))["nodes"]
    nodes: dict[str, Any] = {"steps": {"type": "bench.steps", "inputs": {"count": 200}}}
    ui: dict[str, Any] = {"steps": {"x": -240, "y": 0}}
    groups: dict[str, Any] = {}
    across = max(1, round((count / len(example) / 2) ** 0.5))
    for copy in itertools.count():
        if len(nodes) >= count:
            break
        if count - len(nodes) < len(example):
            # What is left is no whole copy: cards that need nothing.
            for at in range(count - len(nodes)):
                nodes[f"model_{copy}_{at}"] = {"type": "load_model", "inputs": {"source": "shapes"}}
                ui[f"model_{copy}_{at}"] = {"x": -640, "y": at * 120}
            break
        members = list(example)
        left, top = copy % across * 1800, copy // across * 1300
        for at, id in enumerate(members):
            inputs = {name: _renamed(value, copy, members) for name, value in example[id].get("inputs", {}).items()}
            kept = {name: value for name, value in inputs.items() if value != {}}
            nodes[f"{id}_{copy}"] = {"type": example[id]["type"], "inputs": kept}
            ui[f"{id}_{copy}"] = {"x": left + at // 4 * 320, "y": top + at % 4 * 300}
        groups[f"g{copy}"] = {
            "name": f"Part {copy}", "x": left - 40, "y": top - 60, "width": 1640, "height": 1240,
            "nodes": [f"{id}_{copy}" for id in members],
        }  # fmt: skip
    found: dict[str, Any] = {"weft": 1, "meta": {"title": f"{count} nodes"}, "nodes": nodes}
    if places:
        found["ui"] = ui | {"#groups": groups}
    return found


def _renamed(value: Any, copy: int, members: list[str]) -> Any:
    """A value whose links go to this copy; `{}` for a link to what the copy lacks."""
    if isinstance(value, list):
        return [one for item in value if (one := _renamed(item, copy, members)) != {}]
    if not isinstance(value, dict) or set(value) != {"link"}:
        return value
    node, dot, output = str(value["link"]).partition(".")
    return {"link": f"{node}_{copy}{dot}{output}"} if node in members else {}
