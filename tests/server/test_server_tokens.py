from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from weft.server.tokens import TokenError, make_token, read_token, same_token


def test_a_token_is_random_and_its_owners_alone(tmp_path: Path, no_umask: None) -> None:
    tokens = [read_token(make_token(tmp_path / "new" / f"token{number}")) for number in range(20)]
    assert len(set(tokens)) == 20
    assert all(len(token) == 43 for token in tokens), "32 bytes in base 64"
    for path in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert len(list((tmp_path / "new").iterdir())) == 20, "nothing is left beside them"


def test_a_token_that_is_there_stays(tmp_path: Path) -> None:
    path = make_token(tmp_path / "token")
    before = read_token(path)
    with pytest.raises(TokenError, match="there already"):
        make_token(path)
    assert read_token(path) == before
    assert read_token(make_token(path, replace=True)) != before
    assert os.listdir(tmp_path) == ["token"]


def test_a_link_in_its_place_is_not_followed_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenError, match="there already"):
        make_token(tmp_path / "token")
    make_token(tmp_path / "token", replace=True)
    assert not (tmp_path / "token").is_symlink()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = make_token(tmp_path / "token")
    token = read_token(path)
    path.chmod(mode)
    with pytest.raises(TokenError, match=r"chmod 600") as refused:
        read_token(path)
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "\n", "short", "x" * 31, "x" * 5000, "x" * 32 + "\n" + "y" * 32, "x " * 32, "ä" * 40]
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(TokenError, match="holds no token") as refused:
        read_token(path)
    assert len(text) < 5 or text not in str(refused.value)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, match in (("pipe", "no file"), (".", "no file|directory"), ("nothing", "weft token")):
        with pytest.raises(TokenError, match=match):
            read_token(tmp_path / name)


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenError, match="cannot be written"):
        make_token(tmp_path / "file" / "token")


def test_tokens_are_compared_whatever_they_are() -> None:
    assert same_token("abc", "abc")
    assert same_token(b"abc", "abc")
    assert not any(same_token(text, "abc") for text in ("", "ab", "abcd", "ABC", "äbc", "\udcff", b"\xff"))


def test_by_default_it_lies_with_the_data(
    weft: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_DATA", str(tmp_path / "data"))
    assert weft("token").stdout.strip() == str(tmp_path / "data" / "token")
    monkeypatch.delenv("WEFT_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    path = Path(weft("token").stdout.strip())
    assert (path.name, path.parent.name) == ("token", "weft")


def test_the_command(weft: Callable[..., Result], tmp_path: Path) -> None:
    done = weft("token", tmp_path / "token")
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "token")
    token = read_token(tmp_path / "token")
    assert token not in done.output
    again = weft("token", tmp_path / "token")
    assert again.exit_code == 2
    assert "--replace" in again.stderr
    assert read_token(tmp_path / "token") == token
    assert weft("token", tmp_path / "token", "--replace").exit_code == 0
    assert read_token(tmp_path / "token") != token
