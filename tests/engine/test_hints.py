"""A word to whoever writes a node in a script that runs again each time because of a global that changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, logging, sys
from weft.engine import Cache, Catalogue, node, run
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("weft.node").addHandler(handler)
LOADED, K, STILL = {}, 1, [1]
@node("p")
def p(name: str) -> int:
    LOADED.setdefault(name, len(LOADED))
    return LOADED[name] + K + STILL[0]
ran = []
cache = Cache()
for round in range(8):
    exec(sys.argv[1])
    document = {"weft": 1, "nodes": {"n": {"type": "p", "inputs": {"name": "a"}}}}
    ran.append(run(document, ["n"], catalogue=Catalogue([p]), cache=cache).ran)
print(json.dumps([ran, said]))
"""


@pytest.mark.parametrize(
    ("each_time", "named"),
    [
        ("LOADED[round] = object", "LOADED"),
        ("LOADED[round] = K = round", "K and LOADED"),
        ("pass", None),
        ("K = 2 if round > 3 else 1", None),
    ],
)
def test_a_global_that_changes_at_each_run_is_named_once(each_time: str, named: str | None, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, each_time], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    ran, said = json.loads(done.stdout)
    if named is None:
        assert said == []
        assert ran[-1] == 0
        return
    assert ran == [1] * 8
    assert len(said) == 1
    assert f"the node __main__.p runs again each time, since {named}, which its code refers to" in said[0]
    assert "a module that is imported" in said[0]
