"""The process that draws thumbnails: gets a file and a side over a socket, answers with a WebP, ends when it is idle.

It is run as a script, so that it loads Pillow and nothing else.
"""

from __future__ import annotations

import io
import json
import os
import resource
import socket
import struct
import sys
from typing import Any

MEMORY = 1536 << 20
"""Bytes of address space: a picture of 64 Mi pixels with transparency, twice."""
SECONDS = 30
"""Of the processor, for one picture; whoever asked has given up by then."""
IDLE_SECONDS = 60.0
IDLE = 75
"""Exit code of one that was idle."""


def draw(file: Any, side: int, max_pixels: int) -> bytes:
    """A picture's first frame as WebP, at most `side` pixels on the longer side, turned as its EXIF says."""
    from PIL import Image, ImageOps, PngImagePlugin

    Image.MAX_IMAGE_PIXELS = None  # checked here, as an error
    PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20  # a picture of ours carries its workflow
    with Image.open(file, formats=("PNG", "JPEG", "WEBP", "GIF")) as picture:
        if picture.width * picture.height > max_pixels:
            raise ValueError("it has too many pixels")
        picture.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded at a fraction of its size
        if picture.mode.startswith("I"):  # 16 bits of grey, of which Pillow would keep the lower 8
            small: Image.Image = picture.convert("I")
            small.thumbnail((side, side))
            small = small.point(lambda level: level / 256).convert("L")
        else:
            clear = picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info
            small = picture.convert("RGBA" if clear else "RGB")
            small.thumbnail((side, side), reducing_gap=2.0)
        orientation = picture.getexif().get(0x0112, 1)
        if orientation != 1:
            small.getexif()[0x0112] = orientation
            small = ImageOps.exif_transpose(small)
        target = io.BytesIO()
        small.save(target, "WEBP", quality=82, method=4, exif=b"")
        return target.getvalue()


def serve(channel: socket.socket, max_pixels: int) -> int:
    """Answer until the other end goes, or is silent for a minute; the exit code."""
    channel.settimeout(IDLE_SECONDS)
    while True:
        try:
            message, handles, _, _ = socket.recv_fds(channel, 4, 1)
        except TimeoutError:
            return IDLE
        if len(message) < 4 or not handles:
            return 0
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, resource.RLIM_INFINITY))
        try:
            with os.fdopen(handles[0], "rb") as file:
                file.seek(0)
                good, data = True, draw(file, int.from_bytes(message), max_pixels)
        except MemoryError:
            good, data = False, b"it takes too much memory"
        except Exception as error:  # decoders raise anything on hostile bytes
            good, data = False, f"it is damaged ({type(error).__name__})".encode()
        channel.sendall(struct.pack(">?I", good, len(data)) + data)


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        sys.exit(serve(connection, int(sys.argv[2])))
