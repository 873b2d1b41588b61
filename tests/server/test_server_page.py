"""docs/server.md: its table is that of the settings, its commands work as they stand there, and its files are sound."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import server_page
from tests.pasted import ROOT, blocks, installed

PAGE = server_page.PAGE
PORT = "9338"
UNIT, DOCKERFILE = ROOT / "docs" / "weft.service", ROOT / "docs" / "Dockerfile"


def text() -> str:
    return (ROOT / PAGE).read_text("utf-8")


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def script() -> str:
    """The page's blocks in order, as they are pasted into one shell; JavaScript where there is a Node that takes it."""
    lines = ["set -e"]
    for language, code in blocks(PAGE, "shell", "python", "javascript"):
        if language == "shell":
            # Few steps show the same as many.
            lines.append(code.replace("> first.json\n", '| sed \'s/"steps": 25/"steps": 2/\' > first.json\n'))
        elif language == "python":
            lines.append(f"python - <<'PASTED'\n{code}PASTED")
        elif node_with_sockets():
            lines.append(f"node --experimental-websocket --input-type=module <<'PASTED'\n{code}PASTED")
    return "\n".join(lines)


def node_with_sockets() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    asked = [node, "--experimental-websocket", "--eval", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    environment = installed(tmp_path / "made") | {"WEFT_MIN_FREE_MIB": "1", "WEFT_SERVER": "", "TORCH_NUM_THREADS": "1"}
    tools = tmp_path / "made" / "made"
    python = shlex.quote(sys.executable)
    for name, line in (("python", f'exec {python} "$@"'), ("weft", f'exec {python} -m weft "$@"')):
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    port = free_port()
    environment |= {
        "PATH": f"{tools}:{environment['PATH']}",
        "WEFT_PORT": port,
        "WEFT_SERVER": f"http://127.0.0.1:{port}",
    }
    folder = tmp_path / "pasted"
    folder.mkdir()
    # Into files: where a block fails, the server that an earlier one started would keep a pipe open.
    with (tmp_path / "said").open("w+") as output, (tmp_path / "errors").open("w+") as faults:
        process = subprocess.Popen(
            ["bash", "-c", script().replace(PORT, port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=faults,
            start_new_session=True,
        )
        try:
            process.wait(300)
        finally:
            with contextlib.suppress(ProcessLookupError):  # all of them have ended, as they should
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said, errors = (tmp_path / "said").read_text(), (tmp_path / "errors").read_text()
    assert process.returncode == 0, errors[-4000:]
    assert f"http://127.0.0.1:{port}/" in said
    ended = json.loads((folder / "ended.json").read_text())
    assert (ended["state"], ended["outputs"][0]["kind"]) == ("done", "image")
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "ran.json").read_text())["state"] == "done"
    assert json.loads((folder / "server-data" / "workflows" / "portrait.json").read_text())["weft"] == 1
    assert len(list((folder / "pictures").glob("*.png"))) == 2
    assert "job_finished None" in said
    if node_with_sockets():
        assert re.search(r"^done sha256:[0-9a-f]{64}$", said, re.MULTILINE)


def test_the_table_is_that_of_the_settings() -> None:
    """Else: python -m tests.server_page"""
    assert text() == server_page.page()


def test_links_lead_somewhere() -> None:
    page = text()
    titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    headings = {re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        path, _, anchor = target.partition("#")
        assert (ROOT / "docs" / path).exists(), target
        assert path or anchor in headings, target
    for name in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (ROOT / name).exists() or name in ("tests/server/workers", "tests/server/live", "tests/server/attacks")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    """With this Python in the place of the installed `weft`, which is not in /opt here."""
    unit = tmp_path / "weft.service"
    started = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.M)
    unit.write_text(re.sub(r"^Documentation=.*\n", "", started, flags=re.M))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "weft.service" in line]) == (0, [])


def test_the_unit_and_the_image_start_a_server_that_there_is() -> None:
    """Their options are options, and the exit code and the seconds are those of the server."""
    unit = UNIT.read_text()
    known = {*server_page.options().values(), "--no-open"}
    [start] = re.findall(r"^ExecStart=\S+ serve (.*)$", unit, re.M)
    [entry] = [json.loads(line.partition(" ")[2]) for line in instructions() if line.startswith("ENTRYPOINT")]
    for words in (start.split(), entry[2:]):
        assert [word for word in words if word.startswith("--") and word not in known] == []
    assert "--token" in entry
    assert "KillMode=mixed" in unit
    seconds = int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)[0])
    assert seconds > server_page.FIELDS["drain_seconds"].default


def instructions() -> list[str]:
    """The Dockerfile's instructions, each on one line."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    return [line.strip() for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line.strip()]


def test_the_dockerfile_is_one() -> None:
    words = [line.split(" ", 1)[0] for line in instructions()]
    assert words[0] == "FROM"
    known = {"FROM", "ARG", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert set(words) <= known | {"ENTRYPOINT"}
    assert words.index("USER") < words.index("ENTRYPOINT")
    for line in instructions():
        if line.startswith("RUN"):
            done = subprocess.run(["sh", "-n", "-c", line.partition(" ")[2]], capture_output=True, check=False)
            assert done.returncode == 0, line
    [port] = [line.split()[1] for line in instructions() if line.startswith("EXPOSE")]
    assert int(port) == server_page.FIELDS["port"].default
