"""Texts lose what must not leave the machine, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from weft.server.scrub import HIDDEN, Scrubber

SECRET = "hf_abcdefghijklmnop"
SCRUB = Scrubber(
    {"/srv/weft": "<data>", "/srv/weft/models": "<models>", "/var/people/ann": "~"},
    [SECRET, "short"],
    ["srv", "var", "etc", "proc"],
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("no such file: /srv/weft/files/a.png", "no such file: <data>/files/a.png"),
        ("'/srv/weft/models/x y/a.safetensors'", "'<models>/x y/a.safetensors'"),
        ("/srv/weft", "<data>"),
        ("/srv/weft2/files/a.png", "<path>/a.png"),
        ("/srv/weft-old", "<path>"),
        ("in /var/people/ann/pictures: denied", "in ~/pictures: denied"),
        ("in /var/people/bob/pictures: denied", "in <path>/pictures: denied"),
        ("[Errno 2] No such file: '/etc/weft/my secret.db'", "[Errno 2] No such file: '<path>/my secret.db'"),
        ('File "/etc/python/site.py", line 3', 'File "<path>/site.py", line 3'),
        ("(/etc/a/b,/etc/c/d)", "(<path>/b,<path>/d)"),
        ("path=/proc/self/environ", "path=<path>/environ"),
        ("/etc/passwd", "<path>"),
        ("C:\\Users\\ann\\weft\\a.png is locked", "<path>/a.png is locked"),
        ("\\\\server\\share\\a.png", "<path>/a.png"),
        ("POST /api/v1/jobs/1/cancel", "POST /api/v1/jobs/1/cancel"),
        ("/problems/too_large, and/or 1/2, a/etc/b", "/problems/too_large, and/or 1/2, a/etc/b"),
        ("http://127.0.0.1:9338/api", "http://127.0.0.1:9338/api"),
        ("a short text", "a short text"),
        (f"the key {SECRET}!", f"the key {HIDDEN}!"),
        (f"/srv/weft/{SECRET}/x", f"<data>/{HIDDEN}/x"),
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {HIDDEN}"),
        ("(b'authorization', b'Basic abcd')", f"(b'authorization', b'Basic {HIDDEN}')"),
        ("a basic explanation, the bearer understands", "a basic explanation, the bearer understands"),
        ("cookie: a=b; weft_session=abcdef; c=d", f"cookie: a=b; weft_session={HIDDEN}; c=d"),
        ("http://127.0.0.1:9338/#token=abcdef", f"http://127.0.0.1:9338/#token={HIDDEN}"),
        ("", ""),
    ],
)
def test_texts(text: str, clean: str) -> None:
    assert SCRUB(text) == clean
    assert SCRUB(clean) == clean, "once more changes nothing"


def test_data() -> None:
    data = {"a": ["/srv/weft/x", 1, None, {"/etc/x/y": True}], "b": (SECRET,), "c": 0.5}
    assert SCRUB.data(data) == {"a": ["<data>/x", 1, None, {"<path>/y": True}], "b": [HIDDEN], "c": 0.5}
    assert SCRUB.secret_data(data)["a"][0] == "/srv/weft/x"
    assert SCRUB.secret_data(data)["b"] == [HIDDEN]


def test_a_secret_may_come_later_and_lie_in_another() -> None:
    scrub = Scrubber(secrets=["12345678"])
    scrub.hide("12345678-and-more")
    assert scrub("12345678-and-more 12345678") == f"{HIDDEN} {HIDDEN}"


def test_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "very-secret-value")
    monkeypatch.setenv("WEFT_TOKEN", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    scrub = Scrubber.of_machine({tmp_path / "link": "<data>"}, ["our-own-token"])
    text = scrub(f"{tmp_path}/link/a {tmp_path}/real/b {Path.home()}/c {tempfile.gettempdir()}/d very-secret-value")
    assert text.split() == ["<data>/a", "<data>/b", "~/c", "<temporary>/d", HIDDEN]
    assert scrub("our-own-token") == HIDDEN
    for path in (Path(__file__), Path(pytest.__file__)):
        assert str(path.parent) not in scrub(f"in {path}")


def test_a_long_text_takes_no_long_time() -> None:
    for text in ("/etc/" * 100_000, "'" + "/etc/x" * 100_000, "a/" * 200_000, "Bearer " * 50_000, "C:\\" * 100_000):
        SCRUB(text)
