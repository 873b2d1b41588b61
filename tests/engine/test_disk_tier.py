from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.engine.toys import Live, Shape, Square
from weft.engine import Cache, Files, value
from weft.engine.cache import codec
from weft.engine.cache.checksum import Checksum, checksum
from weft.engine.cache.disk import DiskTier
from weft.engine.values import _by_class, _by_name

MIB = 1024 * 1024
KEY = bytes(range(20))


@value("disk.holder")
@dataclass(frozen=True, eq=False)
class Holder:
    item: Any
    label: str = ""


@pytest.fixture
def tier(tmp_path: Path) -> DiskTier:
    return DiskTier(tmp_path / "cache", 100 * MIB)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, Holder):
        return same(a.item, b.item) and a.label == b.label
    return repr(a) == repr(b)


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.builds(Square, st.integers(0, 9), st.floats(0, 1))
    | npst.arrays(
        st.sampled_from(["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "?", ">f4"]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ).map(lambda array: array.astype(array.dtype.newbyteorder("=")))
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(-5, 5), inner, max_size=3)
        | st.builds(Holder, inner, st.text())
    ),
    max_leaves=8,
)


@given(VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_values_come_back_as_they_were(tier: DiskTier, item: Any) -> None:
    tier.drop(KEY)
    assert tier.put(KEY, (item,), {})
    assert KEY in tier
    assert same(tier.get(KEY), (item,))


def test_torch_tensors_come_back_as_they_were(tier: DiskTier) -> None:
    torch = pytest.importorskip("torch")
    shared = torch.randn(4, 5)
    tensors = [
        shared, shared.t(), torch.tensor(3.5), torch.zeros(0, 3), torch.randn(3).bfloat16(), torch.randn(3).half(),
        torch.arange(5), torch.tensor([True, False]), torch.randn(2), shared,
        torch.zeros(3, dtype=torch.uint8), torch.randn(2, 3).double(),
    ]  # fmt: skip
    assert tier.put(KEY, (tensors, Holder(shared)), {})
    found = tier.get(KEY)
    assert found is not None
    back, holder = found
    for before, after in zip(tensors, back, strict=True):
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        assert torch.equal(before, after)
    assert back[0] is back[9] is holder.item, "what was shared is shared again"


def test_what_would_come_back_as_something_else_is_not_kept(tier: DiskTier) -> None:
    torch = pytest.importorskip("torch")
    swapped = np.arange(3, dtype=np.int32).astype(np.dtype(np.int32).newbyteorder())
    for item in (torch.randn(2, requires_grad=True), torch.nn.Parameter(torch.zeros(1)), swapped):
        assert not tier.put(KEY, (item,), {})
        assert KEY not in tier


def test_an_entry_under_another_keys_name_is_no_result(tier: DiskTier) -> None:
    other = bytes(reversed(KEY[:-1])) + b"o"
    tier.put(KEY, (1,), {})
    path = tier._path(other)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tier._path(KEY).read_bytes())
    assert tier.get(other) is None
    assert tier.counts.corrupt == 1
    assert tier.get(KEY) == (1,)


@pytest.mark.parametrize("seed", range(20))
def test_two_flipped_bits_of_one_page_are_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = rng.standard_normal(1024).astype("<f4")
    whole = checksum(body)
    words = body.view("<u4")
    for _ in range(200):
        first, second = rng.choice(len(words), 2, replace=False)
        bits = [31, 31] if rng.random() < 0.5 else rng.integers(0, 32, 2)
        for place, bit in zip((first, second), bits, strict=True):
            words[place] ^= np.uint32(1 << int(bit))
        assert checksum(body) != whole
        for place, bit in zip((first, second), bits, strict=True):
            words[place] ^= np.uint32(1 << int(bit))


def test_presence_is_answered_without_the_tensors(tier: DiskTier, monkeypatch: pytest.MonkeyPatch) -> None:
    tier.put(KEY, (np.zeros(8 * MIB, dtype=np.uint8),), {})

    def no(*_: Any) -> Any:
        raise AssertionError("the body was read")

    monkeypatch.setattr(codec, "decode", no)
    monkeypatch.setattr("weft.engine.cache.disk.checksum", no)
    assert KEY in tier


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_a_changed_byte_anywhere_is_a_miss(tier: DiskTier, data: st.DataObject) -> None:
    tier.put(KEY, (np.arange(20), Square(), "text"), {"type": "x"})
    path = tier._path(KEY)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    before = tier.counts.corrupt
    older = content[:8] in (b"WEFTc01\n", b"WEFTc02\n")  # one bit off: taken for an entry of an older format
    assert tier.get(KEY) is None
    assert tier.counts.corrupt == before + (not older)
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 65_536, (1 << 20) - 1, 1 << 20, (1 << 21) + 5000])
def test_the_checksum_minds_every_byte_and_no_cut_into_parts(size: int) -> None:
    rng = np.random.default_rng(size)
    body = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    whole = checksum(body)
    for cuts in ([1], [8, 4096], sorted(rng.integers(0, size + 1, 9).tolist())):
        parts = Checksum()
        for start, end in itertools.pairwise([0, *(min(cut, size) for cut in cuts), size]):
            parts.update(body[start:end])
        assert parts.digest() == whole
    for place in {0, size // 2, size - 1} if size else ():
        changed = bytearray(body)
        changed[place] ^= 1 << int(rng.integers(8))
        assert checksum(changed) != whole
    if size >= 3 * 4096:
        swapped = body[4096:8192] + body[:4096] + body[8192:]
        assert checksum(swapped) != whole, "pages have places"
    if size:
        assert checksum(body[:-1]) != whole
        assert checksum(body + b"\0") != whole


def test_an_entry_of_an_older_format_is_a_quiet_miss(tier: DiskTier, caplog: pytest.LogCaptureFixture) -> None:
    tier.put(KEY, (1,), {})
    path = tier._path(KEY)
    path.write_bytes(b"WEFTc01\n" + path.read_bytes()[8:])
    assert KEY not in tier
    assert (tier.counts.corrupt, caplog.records, path.exists()) == (0, [], False)


@given(st.integers(0, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_entry_that_is_cut_off_is_a_miss(tier: DiskTier, length: int) -> None:
    tier.put(KEY, (np.arange(50),), {})
    path = tier._path(KEY)
    content = path.read_bytes()
    path.write_bytes(content[: min(length, len(content) - 1)])
    assert KEY not in tier
    assert not path.exists()


def test_what_cannot_be_written_is_left_out(tier: DiskTier) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for item in (Live(1), object(), {1, 2}, loop, np.array(["a"]), lambda: 1, "\ud800"):
        assert not tier.put(KEY, (item,), {})
    assert files(tier.folder) == []


def test_a_value_class_that_changed_is_a_miss(tier: DiskTier) -> None:
    @value("disk.changing")
    @dataclass(frozen=True)
    class Changing:
        a: int

    tier.put(KEY, (Changing(1),), {})
    entry = _by_name["disk.changing"]
    assert KEY in tier
    try:
        _by_name["disk.changing"] = type(entry)(entry.name, 2, entry.cls, entry.fields)
        assert KEY not in tier
        assert tier.get(KEY) is None
        del _by_name["disk.changing"]
        assert KEY not in tier, "its pack is not installed"
    finally:
        _by_name["disk.changing"] = entry
    assert tier.get(KEY) == (Changing(1),), "and nothing was removed"
    _by_name.pop("disk.changing"), _by_class.pop(Changing)


def test_a_value_is_a_frozen_dataclass_with_a_name_of_its_own() -> None:
    with pytest.raises(TypeError, match="frozen"):
        value("disk.mutable")(dataclass(Live))
    with pytest.raises(ValueError, match=r"toys\.Square.*Other"):

        @value("toy.square")
        @dataclass(frozen=True)
        class Other:
            pass


def test_the_least_recently_used_are_removed_beyond_the_budget(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, 10 * MIB)
    keys = [bytes([n]) * 20 for n in range(12)]
    for age, key in enumerate(keys[:9]):
        assert tier.put(key, (np.zeros(MIB, dtype=np.uint8),), {})
        os.utime(tier._path(key), (1000 + age, 1000 + age))
    assert tier.get(keys[0]) is not None, "used just now"
    for key in keys[9:]:
        assert tier.put(key, (np.zeros(MIB, dtype=np.uint8),), {})
    assert keys[0] in tier
    assert keys[1] not in tier
    assert all(key in tier for key in keys[9:])
    entries, used = tier.usage()
    assert used <= 10 * MIB
    assert tier.counts.evicted == 12 - entries
    assert not tier.put(b"x" * 20, (np.zeros(11 * MIB, dtype=np.uint8),), {}), "larger than the whole budget"


@pytest.mark.parametrize("stage", ["open", "write", "replace"])
def test_a_full_disk_leaves_nothing_half_written(
    stage: str, tier: DiskTier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"open": "builtins.open", "write": "weft.engine.cache.disk._write_all", "replace": "os.replace"}[stage]
    with monkeypatch.context() as patch:
        patch.setattr(target, full)
        assert not tier.put(KEY, (np.arange(9),), {})
        assert not tier.put(KEY, (np.arange(9),), {})
    assert files(tier.folder) == []
    assert tier.counts.failed_writes == 2
    assert caplog.text.count("the disk is full") == 1
    assert tier.put(KEY, (np.arange(9),), {}), "and it works when there is room again"


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put(KEY, (1,))
    assert cache.find(KEY) == "memory"


def test_verify_and_clear(tier: DiskTier) -> None:
    keys = [bytes([n]) * 20 for n in range(5)]
    for key in keys:
        tier.put(key, (np.arange(9),), {})
    path = tier._path(keys[3])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    sound, wrong = tier.verify()
    assert sound == 4
    assert len(wrong) == 1
    assert keys[3].hex() in wrong[0]
    assert not path.exists()
    assert tier.clear() == 4
    assert tier.usage() == (0, 0)


def test_what_writers_that_died_left_is_removed_in_time(tier: DiskTier) -> None:
    tier.put(KEY, (1,), {})
    old, new = (tier._path(KEY).with_name(f".x.{name}.tmp") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    tier.usage()
    assert not old.exists()
    assert new.exists()


def test_a_result_that_stands_for_files_needs_them(tier: DiskTier, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    tier.put(KEY, ([Files.of(path)],), {})
    assert KEY in tier
    path.write_text("b")
    assert KEY not in tier
    path.unlink()
    assert KEY not in tier
    path.write_text("a")
    assert KEY in tier


WRITER = """
import sys
import numpy as np
from weft.engine.cache.disk import DiskTier
tier = DiskTier(sys.argv[1], 2_000_000)
rng = np.random.default_rng(int(sys.argv[2]))
for n in range(300):
    k = int(rng.integers(0, 40))
    key = bytes([k]) * 20
    found = tier.get(key)
    if found is not None:
        assert found[0].shape == (100_000,) and (found[0] == k).all(), k
    else:
        tier.put(key, (np.full(100_000, k, dtype=np.uint8),), {})
    if n % 50 == 49 and sys.argv[2] == "0":
        tier.clear()
assert tier.counts.corrupt == 0, tier.counts
assert tier.counts.failed_writes == 0, tier.counts
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """Three write, evict and read, one of them clears now and then: nobody ever sees half an entry."""
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)], cwd=root, stderr=subprocess.PIPE)
        for n in range(3)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    assert [path for path in files(tmp_path) if path.suffix == ".tmp"] == []


def test_a_cache_gives_what_is_on_disk_and_holds_it_in_memory(tmp_path: Path) -> None:
    Cache(tmp_path).put(KEY, (Shape(3),))
    cache = Cache(tmp_path)
    assert cache.find(KEY) == "disk"
    assert cache.get(KEY) == (Shape(3),)
    assert cache.find(KEY) == "memory"
    cache.drop(KEY)
    assert cache.find(KEY) is None
