"""Pictures are prepared for an image encoder without a warning about a library that nobody needs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import types, torch
from weft.nodes.nets.image_prompt import encode_pictures

class Encoder:
    config, device, dtype = types.SimpleNamespace(image_size=8), torch.device("cpu"), torch.float32
    def __call__(self, values):
        return types.SimpleNamespace(image_embeds=values.flatten(1))

states, _ = encode_pictures(Encoder(), torch.full((2, 12, 10, 3), 0.5), "plain")
print(tuple(states.shape), bool(torch.isfinite(states).all()))
"""


def test_nothing_is_said_of_torchvision() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "(2, 192) True"
    assert "torchvision" not in done.stderr
