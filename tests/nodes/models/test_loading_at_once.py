"""Nodes run in several threads: the first of them that need diffusers may all do so at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tiny import tiny_sd1
from tests.tiny_nets import tiny_controlnet

PROGRAM = """
import sys
from threading import Barrier, Thread
import torch
from weft.nodes import load_controlnet, load_model
from weft.nodes.sampling.schedule import build_scheduler

model, net = sys.argv[1:]
calls = [
    lambda: load_model(model, dtype="float32", device="cpu").parts().unet,
    lambda: load_controlnet(net),
    lambda: build_scheduler("ddim", {}),
]
ready, errors = Barrier(len(calls)), []


def work(call):
    ready.wait()
    try:
        call()
    except BaseException as error:
        errors.append(repr(error))


threads = [Thread(target=work, args=[call]) for call in calls]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("diffusers" in sys.modules, errors)
"""


def test_in_a_fresh_process(tmp_path: Path) -> None:
    model = tiny_sd1(tmp_path / "model")
    net = tiny_controlnet(tmp_path / "net", model)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), str(net)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True []"
