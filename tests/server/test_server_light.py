"""The server's own parts are light, and the command line does without them until they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = (
    *("access", "answering", "logs", "metrics", "problems", "scrub", "settings", "tokens"),
    *("guard.guard", "guard.login", "guard.rules"),
)
HEAVY = ("torch", "diffusers", "transformers", "cv2", "PIL", "numpy", "matplotlib", "safetensors", "weft.nodes")


def loaded(*modules: str, of: tuple[str, ...]) -> list[str]:
    code = f"import sys\nimport {', '.join(modules)}\nprint(*[name for name in {of!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_parts_of_the_server_load_nothing_heavy() -> None:
    assert loaded(*(f"weft.server.{name}" for name in PARTS), of=HEAVY) == []


def test_the_command_line_loads_no_server() -> None:
    """It also works where the extra `server` is not installed."""
    assert loaded("weft.server.cli.app", of=("fastapi", "starlette", "uvicorn", "httpx", "prometheus_client")) == []
    assert loaded("weft.server.tokens", "weft.server.cli.token", of=("fastapi", "starlette", "uvicorn")) == []
    assert loaded("weft.server.settings", "weft.server.logs", of=("fastapi", "starlette", "prometheus_client")) == []
