"""Files of adapters onto the disk: whole or not at all, under names that are free, within the output folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open

from weft.nodes.images.saving import SaveError
from weft.nodes.training.files.layouts import Part, _token_files
from weft.nodes.training.files.writing import save_parts
from weft.nodes.values.training import Adapter

METADATA = {f"key {number}": 'é\n\x1f"\\' * number for number in range(12)}


def file(value: float = 1.0) -> list[Part]:
    return [Part("", {"b": torch.full((2, 3), value), "a": torch.zeros(1)}, METADATA)]


def folder(value: float = 1.0) -> list[Part]:
    return [Part("unet/config.json", text="{}\n"), Part("unet/x.safetensors", file(value)[0].tensors, METADATA)]


def content(path: Path) -> None:
    """What a verification may be: nothing is wrong."""
    assert path.name.startswith("whole")


@pytest.mark.parametrize("parts", [file, folder])
def test_equal_content_is_used_again_and_other_content_gets_a_number(
    tmp_path: Path, parts: Callable[[float], list[Part]]
) -> None:
    """However often: safetensors writes metadata in another order each time."""
    first = save_parts(parts(1.0), tmp_path, "dogs/a", content)
    for _ in range(8):
        assert save_parts(parts(1.0), tmp_path, "dogs/a.safetensors", content) == first
    second = save_parts(parts(2.0), tmp_path, "dogs/a", content)
    assert second != first
    assert save_parts(parts(2.0), tmp_path, "dogs/a", content) == second
    ending = ".safetensors" if parts is file else ""
    assert {path.name for path in (tmp_path / "dogs").iterdir()} == {f"a{ending}", f"a_2{ending}"}
    with safe_open(first[-1], "pt") as stored:
        assert stored.metadata() == METADATA
        assert torch.equal(stored.get_tensor("b"), torch.ones(2, 3))


@pytest.mark.parametrize("parts", [file, folder])
def test_what_is_not_content_leaves_nothing(tmp_path: Path, parts: Callable[[], list[Part]]) -> None:
    seen = []

    def refuse(path: Path) -> None:
        seen.append(path.exists())
        raise ValueError("it is not the adapter")

    (tmp_path / "there").mkdir()
    for name in ("a", "new/within/a", "there/a"):
        with pytest.raises(ValueError, match="not the adapter"):
            save_parts(parts(), tmp_path, name, refuse)
    assert seen == [True] * 3
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_of_tensors(*args: Any, **kwargs: Any) -> None:
    """As safetensors says it, after a part of the file."""
    Path(args[1]).write_bytes(b"half")
    raise SafetensorError('Error while serializing: I/O error: Os { code: 28, kind: StorageFull, message: "No space" }')


@pytest.mark.parametrize("parts", [file, folder])
@pytest.mark.parametrize("place", ["safetensors.torch.save_file", "os.fsync", "claim"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: Callable[[], list[Part]], place: str
) -> None:
    """While the tensors are written, when they are flushed, and when the file gets its name."""
    if place == "claim":
        monkeypatch.setattr(os, "link", full)
        monkeypatch.setattr(os, "replace", full)
    else:
        monkeypatch.setattr(place, full_of_tensors if "safetensors" in place else full)
    with pytest.raises(SaveError, match=r"no room to save .*a: it takes 28 bytes\. Nothing was saved") as caught:
        save_parts(parts(), tmp_path, "new/a", content)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT: the name is taken first; and nothing empty stays under it where that fails then."""

    def none(*args: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", none)
    assert save_parts(file(1.0), tmp_path, "a", content) == [tmp_path / "a.safetensors"]
    assert save_parts(file(2.0), tmp_path, "a", content) == [tmp_path / "a_2.safetensors"]
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SaveError):
        save_parts(file(3.0), tmp_path, "a", content)
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "a_2.safetensors"}


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "", "con", "a\\b", "a:b", "x/", "a\x00"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"name|relative"):
        save_parts(file(), tmp_path / "out", name, content)
    assert list(tmp_path.rglob("*")) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    with pytest.raises(SaveError, match="outside the output folder"):
        save_parts(file(), out, "link/new/x", content)
    assert list(elsewhere.iterdir()) == []
    (own,) = save_parts(file(), elsewhere, "a", content)
    (out / "a.safetensors").symlink_to(own)
    assert save_parts(file(), out, "a", content) == [out / "a_2.safetensors"]


def test_a_token_is_no_path() -> None:
    """Files of words are named by their tokens, of which nothing leads out of the folder, and none meet."""
    tokens = ["../../x", "x", "<X>", "a/b", "...", "犬" * 300, "pytorch_custom_diffusion_weights"]
    tensors = {f"word.{token}.text_encoder": torch.zeros(1, 4) for token in tokens}
    adapter = Adapter.of("custom_diffusion", tensors, {}, "", "sd1")
    parts = _token_files(adapter)
    assert [part.metadata["token"] for part in parts] == tokens
    names = [part.path for part in parts]
    assert len({name.lower() for name in names}) == len(names)
    assert "pytorch_custom_diffusion_weights.safetensors" not in names
    for name in names:
        assert Path(name).name == name
        assert not name.startswith(".")
        assert len(name.encode()) <= 200
