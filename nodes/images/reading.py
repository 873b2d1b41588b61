"""Image files to float arrays: every limit is checked on the header, and a damaged file is refused with its name."""

from __future__ import annotations

import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weft.nodes.images.headers import MAX_FILE_BYTES, MAX_PIXELS, Header, ImageFileError, check_pixels, read_header

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

_ORIENTATION_TAG = 0x0112


class Picture(NamedTuple):
    """One image: colour (H,W,3) float32 in [0,1], and alpha (H,W) float32 in [0,1] where the file has any."""

    colour: np.ndarray
    alpha: np.ndarray | None


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the first frame of a PNG, JPEG or WebP file.

    16-bit samples keep their depth; palettes, grey and CMYK become RGB; the EXIF orientation is applied; colour
    profiles are not. Colour is not multiplied by alpha. Raises ImageFileError, with the file's name, for a file that is
    missing, too large, of another kind, cut off or damaged.
    """
    try:
        data = _read_bytes(path)
    except ImageFileError as error:
        raise ImageFileError(f"{path.name}: the file {error}") from error.__cause__
    return decode_picture(data, path.name, max_pixels=max_pixels)


def decode_picture(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The same for a file that was read: its bytes, and its name for messages."""
    try:
        header = read_header(data)
        check_pixels(header.width, header.height, "has", max_pixels)
        return _decode(data, header)
    except ImageFileError as error:
        raise ImageFileError(f"{name}: the file {error}") from error.__cause__


def read_bytes(path: Path) -> bytes:
    """The bytes of an image file of bearable size. Raises ImageFileError, with the file's name, where that is none."""
    try:
        return _read_bytes(path)
    except ImageFileError as error:
        raise ImageFileError(f"{path.name}: the file {error}") from error.__cause__


def displayed_size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture as it is shown, its EXIF orientation applied; no pixel is decoded.

    data: a file's first bytes. HEAD_BYTES are enough but for a WebP file, whose orientation stands at its end. Raises
    ImageFileError for what is no picture or above the limit of pixels.
    """
    header = read_header(data)
    check_pixels(header.width, header.height, "has")
    size = header.width, header.height
    if b"Exif" not in data and b"eXIf" not in data and b"EXIF" not in data:
        return size
    from io import BytesIO

    import PIL.Image

    try:
        with PIL.Image.open(BytesIO(data), formats=(header.format,)) as image:
            # The orientation of a PNG may follow its pixels, for which Pillow would decode them.
            orientation = 1 if header.format == "PNG" and "exif" not in image.info else _orientation(image)
    except Exception:  # decoders raise anything on hostile bytes, which the one who reads the pixels will tell of
        return size
    return size[::-1] if orientation in (5, 6, 7, 8) else size


HEAD_BYTES = 1 << 20
"""What of a file holds its header and, but for WebP, its orientation."""


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        # A pipe or a device could block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageFileError("is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageFileError(f"has {status.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageFileError(f"does not exist (looked for {path})") from None
    except OSError as error:
        raise ImageFileError(f"cannot be read: {error.strerror or error}") from error


def _decode(data: bytes, header: Header) -> Picture:
    from io import BytesIO

    import PIL.Image

    if header.format == "PNG":
        data = _pixel_chunks(data)

    try:
        with PIL.Image.open(BytesIO(data), formats=(header.format,)) as image:
            image.load()
            orientation = _orientation(image)
            picture = _deep_png(data, image) if header.bits == 16 else _plain(image)
    except ImageFileError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise ImageFileError(f"is damaged: its {header.format} data cannot be decoded") from error
    except MemoryError as error:
        raise ImageFileError(f"has {header.width} x {header.height} pixels, for which memory is short") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, zlib.error ... on hostile bytes
        raise ImageFileError(f"is cut off or damaged: {error}") from error
    alpha = None if picture.alpha is None else _oriented(picture.alpha, orientation)
    return Picture(_oriented(picture.colour, orientation), alpha)


def _pixel_chunks(data: bytes) -> bytes:
    """A PNG without its text and profile chunks: they do not bear on pixels, may be bombs, and Pillow caps them low."""
    keep = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"}
    view, at = memoryview(data), 8
    parts: list[bytes | memoryview] = [data[:8]]
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind in keep:
            parts.append(view[at:end])
        at = end
    return b"".join(parts)


def _orientation(image: PIL.Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF is common in the wild and says nothing about the pixels
        return 1
    return value if value in range(1, 9) else 1


def _plain(image: PIL.Image.Image) -> Picture:
    import numpy as np

    translucent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    pixels = np.asarray(image.convert("RGBA" if translucent else "RGB"), dtype=np.float32) / np.float32(255)
    return Picture(pixels[..., :3], pixels[..., 3] if translucent else None)


def _deep_png(data: bytes, image: PIL.Image.Image) -> Picture:
    """16 bits a sample: Pillow keeps them for grey alone and drops the low byte of colour, so OpenCV decodes these."""
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (image.height, image.width) or pixels.dtype != np.uint16:
        raise ImageFileError("is cut off or damaged: its 16-bit PNG data cannot be decoded")
    scaled = pixels.astype(np.float32) / np.float32(65535)
    if scaled.ndim == 2:
        scaled = scaled[..., None]
    if scaled.shape[2] == 1:
        clear = image.info.get("transparency")  # the one grey level that is transparent; OpenCV passes over it
        alpha = (pixels.reshape(pixels.shape[:2]) != clear).astype(np.float32) if isinstance(clear, int) else None
        return Picture(np.repeat(scaled, 3, axis=2), alpha)
    colour = np.ascontiguousarray(scaled[..., 2::-1])  # OpenCV has blue first
    return Picture(colour, scaled[..., 3] if scaled.shape[2] == 4 else None)


def _oriented(plane: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror as the EXIF orientation 1..8 says, so that the first row is the top as seen."""
    import numpy as np

    if orientation in (5, 6, 7, 8):
        plane = np.swapaxes(plane, 0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return np.ascontiguousarray(plane)
