"""Small pictures: right, made once, and no more than that for a hostile one."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.PngImagePlugin
import pytest

from tests.server.files.pictures import decoded, encoded, png
from tests.server.payloads import TRAVERSALS
from weft.graphs.png import embed
from weft.server.files import drawing
from weft.server.files.blobs import BlobStore, put
from weft.server.files.errors import BadFile, BadSize, NoSpace, NoSuchFile, UnknownKind
from weft.server.files.local import LocalFiles
from weft.server.files.thumbnails import Drawer, Thumbnails, side_for


@pytest.fixture
def thumbnails(local: LocalFiles, tmp_path: Path, drawer: Drawer) -> Thumbnails:
    made = Thumbnails(local, tmp_path / "thumbnails")
    made._drawer = drawer
    return made


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    """One process for all tests."""
    from weft.server.files.pictures import LIMITS

    shared = Drawer(LIMITS, 60.0)
    yield shared
    shared.close()


def counted(monkeypatch: pytest.MonkeyPatch, thumbnails: Thumbnails) -> list[int]:
    """The sides that were drawn."""
    drawn: list[int] = []
    draw = thumbnails._drawer.draw

    def drawing(file: Any, side: int) -> bytes:
        drawn.append(side)
        return draw(file, side)

    monkeypatch.setattr(thumbnails._drawer, "draw", drawing)
    return drawn


def test_sizes_are_rounded_up_to_few() -> None:
    assert [side_for(size) for size in (32, 64, 65, 256, 300, 513, 1024)] == [64, 64, 128, 256, 512, 1024, 1024]
    for size in (31, 0, -1, 1025, 10**30):
        with pytest.raises(BadSize, match="32 to 1024"):
            side_for(size)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("PNG", {"mode": "RGBA"}),
        ("PNG", {"mode": "P"}),
        ("PNG", {"mode": "1"}),
        ("PNG", {"mode": "LA"}),
        ("JPEG", {"quality": 95}),
        ("JPEG", {"mode": "CMYK"}),
        ("JPEG", {"mode": "L"}),
        ("WEBP", {}),
        ("GIF", {}),
    ],
)
def test_each_kind_is_drawn(local: LocalFiles, thumbnails: Thumbnails, format: str, options: dict[str, Any]) -> None:
    picture = decoded(thumbnails.thumbnail(put(local, encoded(format, (600, 300), **options)), 100))
    assert (picture.format, picture.size) == ("WEBP", (128, 64))
    left, right = (picture.convert("RGB").getpixel((x, 32)) for x in (20, 108))
    assert left != right
    if options.get("mode") not in ("1", "L", "LA"):
        assert isinstance(left, tuple)
        assert isinstance(right, tuple)
        assert (left[0] > 180, right[2] > 180) == (True, True)
    if options.get("mode") == "RGBA":
        assert picture.mode == "RGBA" or picture.convert("RGBA").getextrema()[3] == (255, 255)


def test_deep_grey_keeps_its_shades(local: LocalFiles, thumbnails: Thumbnails) -> None:
    picture = PIL.Image.new("I;16", (100, 100))
    picture.putdata([(x % 100) * 655 for x in range(10_000)])
    target = io.BytesIO()
    picture.save(target, "PNG")
    small = decoded(thumbnails.thumbnail(put(local, target.getvalue()), 64)).convert("L")
    assert small.getpixel((1, 30)) < 20 < 110 < small.getpixel((32, 30)) < 145 < 235 < small.getpixel((62, 30))  # type: ignore[operator]


def test_it_stands_as_the_picture_does(local: LocalFiles, thumbnails: Thumbnails) -> None:
    """EXIF's orientation is applied, and not told again."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture = decoded(thumbnails.thumbnail(put(local, encoded("JPEG", (400, 200), exif=exif.tobytes())), 64))
    assert (picture.size, dict(picture.getexif())) == ((32, 64), {})
    top = picture.convert("RGB").getpixel((16, 8))
    assert isinstance(top, tuple)
    assert top[0] > 180


def test_small_pictures_are_not_enlarged(local: LocalFiles, thumbnails: Thumbnails) -> None:
    assert decoded(thumbnails.thumbnail(put(local, encoded("PNG", (10, 5))), 1024)).size == (10, 5)


def test_it_is_made_once_also_for_many_at_once(
    local: LocalFiles, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = counted(monkeypatch, thumbnails)
    id = put(local, encoded("PNG", (600, 300)))
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: thumbnails.thumbnail(id, 200), range(16)))
    assert (len(made), drawn) == (1, [256])
    assert thumbnails.thumbnail(id, 256) in made
    thumbnails.thumbnail(id, 64)
    assert drawn == [256, 64]
    assert not thumbnails._busy


def test_one_from_afar(far: BlobStore, tmp_path: Path, drawer: Drawer) -> None:
    thumbnails = Thumbnails(far, tmp_path)
    thumbnails._drawer = drawer
    assert decoded(thumbnails.thumbnail(put(far, encoded("PNG", (600, 300))), 64)).size == (64, 32)


def test_a_text_as_long_as_a_workflow_does_not_matter(local: LocalFiles, thumbnails: Thumbnails) -> None:
    data = embed(encoded("PNG"), {"weft_workflow": "x" * 5_000_000})
    assert decoded(thumbnails.thumbnail(put(local, data), 64)).size == (40, 30)


def test_what_is_no_good_picture_is_refused_and_not_tried_again(
    local: LocalFiles, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = counted(monkeypatch, thumbnails)
    bomb, broken, text = (put(local, data) for data in (png(12_000, 12_000), png(500, 500), b"<html>"))
    for _ in range(3):
        with pytest.raises(BadFile, match="pixels"):
            thumbnails.thumbnail(bomb, 64)
        with pytest.raises(BadFile, match="cannot be drawn: it is damaged"):
            thumbnails.thumbnail(broken, 64)
        with pytest.raises(UnknownKind):
            thumbnails.thumbnail(text, 64)
    assert drawn == [64], "the broken one, once"


def test_no_other_name_reaches_anything(thumbnails: Thumbnails, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(encoded("PNG"))
    for name in (*TRAVERSALS, "sha256:" + "0" * 64):
        with pytest.raises(NoSuchFile):
            thumbnails.thumbnail(name, 64)
    assert not thumbnails.folder.exists()


def test_a_link_in_its_place_is_replaced_and_not_followed(
    local: LocalFiles, thumbnails: Thumbnails, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    id = put(local, encoded("PNG"))
    thumbnails.folder.mkdir()
    link = thumbnails.folder / f"{id.removeprefix('sha256:')}_64.webp"
    link.symlink_to(tmp_path / "secret")
    assert decoded(thumbnails.thumbnail(id, 64)).size == (40, 30)
    assert not link.is_symlink()
    assert (tmp_path / "secret").read_text() == "secret"


def test_it_goes_with_its_picture(local: LocalFiles, thumbnails: Thumbnails, clock: Any) -> None:
    one, two = (put(local, encoded("PNG", (width, 9))) for width in (10, 11))
    for id in (one, two):
        for size in (64, 128):
            thumbnails.thumbnail(id, size)
    thumbnails.forget([one])
    assert len(list(thumbnails.folder.iterdir())) == 2
    local.remove(two)
    half = thumbnails.folder / ".x.tmp"
    half.write_bytes(b"")
    thumbnails.tidy(half.stat().st_mtime + 4000)
    assert list(thumbnails.folder.iterdir()) == []
    with pytest.raises(NoSuchFile):
        thumbnails.thumbnail(two, 64)


def test_a_full_disk_is_told(local: LocalFiles, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    id = put(local, encoded("PNG"))
    with monkeypatch.context() as patch:
        patch.setattr("weft.graphs.files.os.fsync", full)
        with pytest.raises(NoSpace):
            thumbnails.thumbnail(id, 64)
    assert list(thumbnails.folder.iterdir()) == []
    thumbnails.thumbnail(id, 64)


def test_a_process_that_dies_is_that_pictures_end(local: LocalFiles, tmp_path: Path, drawer: Drawer) -> None:
    """Stopped, it does not answer; killed, it is replaced."""
    good = put(local, encoded("PNG"))
    thumbnails = Thumbnails(local, tmp_path / "thumbnails", seconds=60.0)
    thumbnails._drawer = drawer
    thumbnails.thumbnail(good, 64)
    process, channel = drawer._process, drawer._channel
    assert process is not None
    assert channel is not None
    os.kill(process.pid, signal.SIGSTOP)
    channel.settimeout(0.05)
    with pytest.raises(BadFile, match="takes longer than"):
        thumbnails.thumbnail(good, 128)
    assert process.returncode == -signal.SIGKILL
    again = put(local, encoded("PNG", (50, 50)))
    assert decoded(thumbnails.thumbnail(again, 64)).size == (50, 50)
    assert drawer._process is not None
    drawer._process.kill()
    drawer._process.wait()
    assert decoded(thumbnails.thumbnail(again, 128)).size == (50, 50)


def test_what_draws_has_its_own_limit_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    # In its own process it takes away those of Pillow.
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", PIL.Image.MAX_IMAGE_PIXELS)
    monkeypatch.setattr(PIL.PngImagePlugin, "MAX_TEXT_CHUNK", PIL.PngImagePlugin.MAX_TEXT_CHUNK)
    with pytest.raises(ValueError, match="too many pixels"):
        drawing.draw(io.BytesIO(encoded("PNG", (100, 100))), 64, 9_999)


def test_what_draws_ends_with_the_server() -> None:
    import subprocess
    import sys

    code = """
import sys, io, os
from weft.server.files.thumbnails import Drawer
from weft.server.files.pictures import LIMITS
drawer = Drawer(LIMITS, 60.0)
with open(sys.argv[1], "rb") as file:
    drawer.draw(file, 64)
print(drawer._process.pid, sorted(set(sys.modules) & {"PIL", "torch", "numpy", "weft.nodes"}))
os._exit(0)
"""
    root = Path(__file__).parents[3]
    picture = root / "docs/images/gallery/overview.png"
    command = [sys.executable, "-c", code, str(picture)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    pid, loaded = done.stdout.split(maxsplit=1)
    assert loaded.strip() == "[]", "the server's own process decodes nothing"
    for _ in range(600):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        __import__("time").sleep(0.05)
    else:
        pytest.fail("it is still there")
