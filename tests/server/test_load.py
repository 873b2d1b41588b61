"""The benchmark of the server runs, and models stay in their worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_jobs_that_alternate_two_models_on_one_worker_load_each_once() -> None:
    words = [sys.executable, "benchmarks/server.py", "--small", "--only", "models"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(said.stdout)
    assert found["models"] == {"jobs": 10, "loads": 2}
    assert found["aims"]["model_loads"] == 2
