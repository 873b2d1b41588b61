"""What a hit costs: latency and throughput of both tiers of the cache, beside reading the same bytes from the disk.

    python benchmarks/cache.py [--folder DIR] [--images 100] [--repeats 5]

Prints one JSON line for each kind of result and a last one with all of them: a latent of 64 KB, an image of 12 MB and
a list of images. `memory_us` and `disk_ms` are the best of the repeats for a hit that was looked up (`find`) and taken
(`get`); `read_ms` is reading the entry's file into memory, and `disk_over_read` their ratio. The files are in the
operating system's cache, so no disk's speed is in the figures: what is measured is what we add to it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def best(function: Callable[[], Any], repeats: int, calls: int = 1) -> float:
    """Seconds of one call, the least of several rounds."""
    found = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        found = min(found, (time.perf_counter() - start) / calls)
    return found


def read(path: Path) -> int:
    """The bytes of a file, in memory of our own, as a plain reader gets them."""
    with open(path, "rb", buffering=0) as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        view, at = memoryview(data), 0
        while at < len(data):
            at += file.readinto(view[at:]) or 0
    return at


def measure(name: str, outputs: tuple[Any, ...], folder: Path, repeats: int) -> dict[str, Any]:
    """Figures of one result."""
    from weft.engine import Cache, nbytes

    key = hashlib.blake2b(name.encode(), digest_size=20).digest()
    size = nbytes(outputs)
    cache = Cache(folder, memory_bytes=2 * size + (1 << 20), disk_bytes=4 * size + (1 << 30))
    start = time.perf_counter()
    cache.put(key, outputs)
    cache.flush()
    put = time.perf_counter() - start
    assert cache.disk is not None

    def from_memory() -> None:
        assert cache.find(key) == "memory"
        assert cache.get(key) is not None

    memory = best(from_memory, repeats, 1000)
    cold = Cache(folder, memory_bytes=0, device_bytes=0, disk_bytes=4 * size + (1 << 30))

    def from_disk() -> None:
        assert cold.find(key) == "disk"
        assert cold.get(key) is not None

    path = cache.disk.files._path(key)
    calls = 50 if size < 1 << 20 else 5 if size < 1 << 28 else 1
    reading = best(lambda: read(path), repeats, calls)
    disk = best(from_disk, repeats, calls)
    found = cold.get(key)
    assert found is not None
    assert nbytes(found) == size
    return {
        "result": name,
        "bytes": size,
        "memory_us": round(memory * 1e6, 2),
        "disk_ms": round(disk * 1e3, 3),
        "disk_gb_s": round(size / disk / 1e9, 2),
        "read_ms": round(reading * 1e3, 3),
        "disk_over_read": round(disk / reading, 2),
        "put_ms": round(put * 1e3, 2),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the cache lies; a temporary folder if not given")
    parser.add_argument("--images", type=int, default=100, help="in the list")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    import torch

    from weft.nodes.values import Image, Latents

    torch.set_num_threads(1)

    def image() -> Image:
        return Image(torch.rand(1, 1024, 1024, 3))

    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        cases: dict[str, Callable[[], Any]] = {
            "latent": lambda: Latents(torch.randn(1, 4, 64, 64)),
            "image": image,
            f"list of {options.images} images": lambda: [image() for _ in range(options.images)],
        }
        for name, make in cases.items():
            rows.append(measure(name, (make(),), Path(folder), options.repeats))
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"results": rows}))


if __name__ == "__main__":
    main()
