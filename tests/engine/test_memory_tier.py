from __future__ import annotations

import array
import functools
import io
import logging
import subprocess
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.engine.toys import Square
from weft.engine.cache.memory import MemoryTier
from weft.engine.values import nbytes

MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]


def block(mib: float = 1) -> np.ndarray:
    return np.zeros(int(mib * MIB), dtype=np.uint8)


def test_least_recently_used_goes_first() -> None:
    tier = MemoryTier(int(3.5 * MIB), 0)
    for name in (b"a", b"b", b"c"):
        tier.put(name, (block(),))
    tier.get(b"a")
    tier.put(b"d", (block(),))
    assert [name in tier for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_shared_memory_counts_once_and_until_its_last_user_goes() -> None:
    tier = MemoryTier(10 * MIB, 0)
    array = block()
    tier.put(b"whole", (array,))
    tier.put(b"view", (array[10:20], [array.reshape(2, -1)]))
    assert MIB <= tier.ram_used < MIB + 4096
    tier.drop(b"whole")
    assert MIB <= tier.ram_used < MIB + 4096
    tier.drop(b"view")
    assert tier.ram_used == 0


def test_what_is_larger_than_the_budget_is_not_held() -> None:
    tier = MemoryTier(2 * MIB, 0)
    tier.put(b"large", (block(3),))
    assert (len(tier), tier.ram_used) == (0, 0)


def test_putting_a_key_again_replaces_it() -> None:
    tier = MemoryTier(10 * MIB, 0)
    for _ in range(3):
        tier.put(b"a", (block(),))
    assert tier.ram_used < 2 * MIB
    tier.clear()
    assert (len(tier), tier.ram_used) == (0, 0)


def test_torch_tensors_count_by_storage() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(MIB // 4)
    assert MIB <= nbytes((tensor, tensor[3:], [tensor.view(2, -1)], {"a": tensor})) < MIB + 4096
    assert nbytes(torch.zeros(100, device="meta")) < 1000
    assert nbytes(torch.zeros(MIB)[:1]) > MIB, "a view holds all of what it looks at"


def test_small_things_have_a_size_too() -> None:
    assert nbytes("x" * 1000) >= 1000
    assert nbytes([[1, 2], {"a": Square()}]) > nbytes([])
    loop: list[object] = []
    loop.append(loop)
    assert nbytes(loop) < 1000


@dataclass
class Plain:
    data: Any


class Slotted:
    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


class Named(tuple[Any, ...]):
    pass


class Says:
    def __init__(self, said: Any) -> None:
        self.nbytes = said


class Silent:
    """One that fails whoever asks."""

    def __sizeof__(self) -> int:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


def image() -> Any:
    return pytest.importorskip("PIL.Image").new("RGB", (512, 512))


def closing_over(data: Any) -> Callable[[], Any]:
    return lambda: data


UNKNOWN: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(MIB),
    "memoryview": lambda: memoryview(bytearray(MIB)),
    "memoryview of bytes": lambda: memoryview(bytes(MIB))[10:20],
    "array.array": lambda: array.array("d", bytes(MIB)),
    "set": lambda: set(range(50_000)),
    "frozenset": lambda: frozenset({bytes(MIB)}),
    "OrderedDict": lambda: OrderedDict(a=bytes(MIB)),
    "defaultdict": lambda: defaultdict(list, {"a": [bytes(MIB)]}),
    "deque": lambda: deque([bytearray(MIB)]),
    "subclass of tuple": lambda: Named([block()]),
    "dataclass": lambda: Plain(bytearray(MIB)),
    "slots": lambda: Slotted([block()]),
    "namespace": lambda: SimpleNamespace(a={"b": bytearray(MIB)}),
    "image": image,
    "list of images": lambda: [Plain(image())],
    "BytesIO": lambda: io.BytesIO(bytes(MIB)),
    "partial": lambda: functools.partial(print, bytearray(MIB)),
    "closure": lambda: closing_over(bytearray(MIB)),
    "says so": lambda: Says(MIB),
    "subclass of str": lambda: type("Text", (str,), {})("x" * MIB),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_class_tells_of_is_counted(name: str) -> None:
    """About a MiB each: thirty of them do not fit where five do."""
    item = UNKNOWN[name]()
    assert 0.9 * MIB < nbytes(item) < 8 * MIB
    assert nbytes([item, item, {"a": item}]) < nbytes(item) + 4096, "what is shared counts once"
    tier = MemoryTier(5 * MIB, 0)
    for number in range(30):
        tier.put(bytes([number]), (UNKNOWN[name](),))
    assert len(tier) <= 5
    assert tier.ram_used <= 5 * MIB


def test_tensors_in_objects_count_where_they_lie() -> None:
    numbers = block()
    tier = MemoryTier(10 * MIB, 0)
    tier.put(b"a", (Plain(numbers),))
    tier.put(b"b", (numbers[5:], Slotted(numbers)))
    assert MIB <= tier.ram_used < MIB + 8192


def test_what_everybody_has_counts_nothing() -> None:
    for item in (Plain, print, pytest, nbytes, [Plain, functools, block], logging.getLogger("weft")):
        assert nbytes(item) < 1000
    assert nbytes(Plain(1)) < 1000


def test_an_object_that_fails_when_it_is_asked_counts_as_little() -> None:
    assert nbytes([Silent(), Says("much"), Says(-1), Says(True)]) < 4096


def test_an_endless_web_of_objects_is_looked_at_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr("weft.engine.values.LOOKED_AT", 1000)
    monkeypatch.setattr("weft.engine.values.own_bytes", lambda item: (looked.append(item) or 100, [Plain(1), Plain(2)]))  # type: ignore[func-returns-value]
    assert nbytes(Plain(1)) > 1000 * 100
    assert len(looked) <= 1000


def test_nothing_is_imported_to_measure() -> None:
    code = (
        "import sys\nfrom weft.engine.values import nbytes\nclass A: pass\n"
        "nbytes([A(), {1}, bytearray(3)])\nprint({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stdout
