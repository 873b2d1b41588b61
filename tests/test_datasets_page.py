"""docs/datasets.md: its script runs and prints what the page says, and it names every node that makes data sets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.pasted import ROOT, blocks
from weft.engine.catalogue.catalogue import installed
from weft.nodes.datasets.files import MAX_PICTURES
from weft.nodes.datasets.tables import MAX_PARQUET_BYTES, MAX_TABLE_BYTES

PAGE = "docs/datasets.md"
TEXT = (ROOT / PAGE).read_text("utf-8")


def test_the_script_prints_what_the_page_says(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("\n".join(text for _, text in blocks(PAGE, "python")), "utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paragraphs = re.findall(r"^It prints (.*?)\.(?:\s|$)", TEXT, re.MULTILINE)
    said = [text for line in paragraphs for text in re.findall(r"`(.+?)`", line)]
    assert done.stdout.splitlines() == said


def test_every_node_that_makes_data_sets_is_named() -> None:
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {known.name for known in installed() if ".nodes.data." in known.fn.__module__} == named


def test_limits_are_those_of_the_code() -> None:
    assert f"at most {MAX_PICTURES:,} pictures" in TEXT
    assert f"at most {MAX_TABLE_BYTES >> 20} MiB" in TEXT
    assert f"at most {MAX_PARQUET_BYTES >> 30} GiB" in TEXT
