from __future__ import annotations

import numpy as np
import pytest

from tests.engine.toys import Square
from weft.engine.cache.memory import MemoryTier
from weft.engine.values import nbytes

MIB = 1024 * 1024


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
