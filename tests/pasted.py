"""Code blocks of the pages, as a reader would paste them."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_STARTED = "pasted block "


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """The blocks of a page in order, each with its language; of some languages, or all."""
    found = _BLOCK.findall((ROOT / page).read_text("utf-8"))
    return [(language, text) for language, text in found if not languages or language in languages]


def block(page: str, language: str, holding: str = "") -> str:
    """The one block of a page in a language that holds a text."""
    found = [text for _, text in blocks(page, language) if holding in text]
    assert len(found) == 1, f"{page} has {len(found)} blocks of {language} with {holding!r}"
    return found[0]


def heredoc(page: str, name: str) -> str:
    """What the page's shell blocks write into the file of that name with `cat > NAME <<'END'`."""
    text = "".join(text for _, text in blocks(page, "shell"))
    found = re.findall(rf"^cat > {re.escape(name)} <<'END'\n(.*?)^END$", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"{page} writes {name} {len(found)} times"
    return str(found[0])


def installed(folder: Path) -> dict[str, str]:
    """Put a `make` there that leaves what `make demo` leaves, and nothing else that has Weft in it.

    Returns the environment of a shell in that folder. Before the environment is activated it finds no `weft`.
    """
    tools, made = folder / "tools", folder / "made"
    for place in (tools, made):
        place.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    _script(made / "python", f'exec {python} "$@"')
    _script(made / "weft", f'exec {python} -m weft "$@"')
    (made / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\nexport PATH\n', "utf-8")
    copies = f"mkdir -p .venv/bin && cp {shlex.quote(str(made))}/* .venv/bin"
    _script(tools / "make", f'[ "$1" = demo ] && {copies}')
    keep = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR")}
    return keep | {
        "PATH": f"{tools}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "WEFT_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def paste(page: str, folder: Path, environment: dict[str, str]) -> tuple[str, str]:
    """Paste all shell and Python blocks of a page into one shell in that folder; the first that fails ends it.

    Returns what was printed, on stdout and on stderr. The folder is made.
    """
    # What a page starts in the background ends with the shell, also where a block fails.
    script = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, (language, text) in enumerate(blocks(page, "shell", "python"), 1):
        script.append(f"echo {shlex.quote(f'{_STARTED}{number}')}")
        script.append(text if language == "shell" else f"python - <<'PASTED'\n{text}PASTED")
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, capture_output=True, text=True
    )
    last = done.stdout.rpartition(_STARTED)[2]
    assert done.returncode == 0, f"{page}, block {last}\n{done.stderr}"
    return done.stdout, done.stderr


def module(path: Path, code: str) -> ModuleType:
    """`code` as the module that it is when saved at `path` and imported."""
    path.write_text(code, "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    path.chmod(0o755)
