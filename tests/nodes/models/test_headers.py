from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import read_header


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.float16)}, path, metadata={"format": "pt"})
    return path


def test_names_shapes_and_types(weights: Path) -> None:
    header = read_header(weights)
    assert {name: (info.dtype, info.shape) for name, info in header.tensors.items()} == {
        "a": ("F32", (2, 3)),
        "b": ("F16", (4,)),
    }
    assert header.metadata == {"format": "pt"}


def test_every_truncation_is_found(weights: Path) -> None:
    whole = weights.read_bytes()
    for size in range(len(whole)):
        weights.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"truncated|no sound safetensors"):
            read_header(weights)


def test_what_is_missing_at_the_end_is_told_in_bytes(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelError, match="its tensors take 32 bytes, 27 are there"):
        read_header(weights)


def _file(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ([], b"", "no JSON object"),
        ({"a": 3}, b"", "is not described"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2]}}, b"12", "does not fit its shape"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234", "not described as it has to be"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"12345678", "overlap or leave gaps"),
        ({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 2**66]}}, b"", "truncated"),
        ({}, b"more", "4 bytes follow"),
    ],
)
def test_headers_that_lie(tmp_path: Path, header: object, data: bytes, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        read_header(_file(tmp_path / "x.safetensors", header, data))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_never_gives_anything_but_a_model_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "garbage.safetensors"
    path.write_bytes(data)
    text = ""
    try:
        assert read_header(path).tensors == {}
    except ModelError as error:
        text = str(error)
    assert not text or str(path) in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.safetensors cannot be read: No such file"):
        read_header(tmp_path / "gone.safetensors")
