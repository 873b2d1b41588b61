"""The built editor in a real browser, without Node: it loads under its policy, connects, and runs an example."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.server.attacks.test_attack_real import chromium
from tests.server.running import running

PATIENCE = 90.0
"""Seconds for a run with a model on a busy machine."""


class Page:
    """A page of a browser, driven by its DevTools.

    Attributes:
        faults: what the console said that is an error, and exceptions of scripts.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.faults: list[str] = []
        self._socket = socket
        self._count = 0
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(timeout=PATIENCE))
            if said.get("id") == self._count:
                assert "error" not in said, said
                return said["result"]
            self._hear(said)

    def _hear(self, said: dict[str, Any]) -> None:
        told = said.get("params", {})
        if said.get("method") == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(told["exceptionDetails"])[:1000])
        elif said.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.faults.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    def value(self, expression: str) -> Any:
        """What an expression of the page gives, as JSON data."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, wanted: Callable[[Any], bool] = bool) -> Any:
        """The value of an expression, as soon as it is a wanted one."""
        end = time.monotonic() + PATIENCE
        while not wanted(found := self.value(expression)):
            assert time.monotonic() < end, (expression, found, self.faults, self.value("document.body.innerText"))
            time.sleep(0.1)
        return found


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """An empty page; skips the test where there is no browser."""
    profile = tmp_path / "profile"
    options = (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
        "--window-size=1440,900", f"--user-data-dir={profile}", "--remote-debugging-port=0",
    )  # fmt: skip
    with open(tmp_path / "browser.log", "wb") as log:
        process = subprocess.Popen(
            [chromium(), *options, "about:blank"], stdout=log, stderr=log, env={**os.environ, "HOME": str(tmp_path)}
        )
    try:
        port = devtools(profile, tmp_path / "browser.log")
        [found] = [item for item in targets(port) if item["type"] == "page"]
        with connect(found["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(20)


def devtools(profile: Path, log: Path) -> int:
    """The port of a browser's DevTools, which it writes when it is there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = (
            (profile / "DevToolsActivePort").read_text().split()
            if profile.joinpath("DevToolsActivePort").exists()
            else []
        )
        if len(lines) == 2:
            return int(lines[0])
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8", "replace")[-3000:])


def targets(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
    return found


BUTTON = "document.querySelector('.button--work')?.textContent ?? ''"
CLICK = """[...document.querySelectorAll('button')].find(item => item.textContent.includes(%s))?.click()"""


def test_an_example_is_opened_and_run(page: Page, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        page.call("Page.navigate", url=server.url)
        page.wait("document.querySelector('.status')?.textContent.includes('Connected') ?? false")
        page.wait(CLICK.replace("?.click()", " !== undefined") % json.dumps("Text to image"))
        page.value(CLICK % json.dumps("Text to image"))
        assert page.wait("document.querySelectorAll('article').length", lambda count: count > 0) == 6
        page.wait(BUTTON, lambda text: "6 of 6" in text)
        page.value("document.querySelector('.button--work').click()")
        page.wait(BUTTON, lambda text: "nothing to do" in text)
        assert page.wait("[...document.querySelectorAll('article img')].some(image => image.naturalWidth > 0)")
        assert (
            page.value(
                "[...document.querySelectorAll('article')].filter(card => /failed/.test(card.textContent)).length"
            )
            == 0
        )
    lost = [fault for fault in page.faults if "ERR_CONNECTION_REFUSED" not in fault]
    assert lost == []
