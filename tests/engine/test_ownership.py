"""Copies for whoever gets a value, and what of a node's result is taken as it is."""

from __future__ import annotations

import enum
import io
import random
import weakref
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.changing import SAMPLES, Bundle, change, shown
from tests.engine.toys import Live, Square
from weft.engine.cache.content import content_checksum
from weft.engine.ownership import copies_for, copy_for, take_over


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: Any
    right: Any


class Named(dict[str, Any]):
    """A table with an attribute."""

    label = ""


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_copy_is_equal_and_apart(kind: str) -> None:
    value = SAMPLES[kind]()
    copy = copy_for(value)
    assert type(copy) is type(value)
    assert shown(copy) == shown(value)
    assert content_checksum(copy) == content_checksum(value)
    change(copy)
    assert shown(value) == shown(SAMPLES[kind]())
    assert content_checksum(copy) != content_checksum(value)


@pytest.mark.parametrize(
    "value",
    [1, "a", None, b"b", 1.5, Colour.RED, Path("a"), (1, ("b", 2)), frozenset({1}), Square(4, 2.0), Live(1), len,
     torch.float32, torch.Size([1, 2]), Pair(1, 2), range(3), np.float32(1)],
)  # fmt: skip
def test_what_cannot_change_or_is_alive_is_passed_on(value: Any) -> None:
    assert copy_for(value) is value
    assert take_over([value]) is value


def test_inputs_that_cannot_change_stay_one_dict() -> None:
    inputs = {"a": 1, "b": "text"}
    assert copies_for(inputs) is inputs


def test_a_value_that_holds_itself_and_one_object_twice() -> None:
    inner = torch.zeros(2)
    value: list[Any] = [inner, inner]
    value.append({"again": (value, inner)})
    copy = copy_for(value)
    assert copy is not value
    assert copy[2]["again"][0] is copy
    assert copy[0] is copy[1] is copy[2]["again"][1] is not inner


@pytest.mark.parametrize("wrap", [lambda item: [item], lambda item: (item,), lambda item: {"a": item}, Bundle])
def test_nothing_nests_too_deep(wrap: Callable[[Any], Any]) -> None:
    value: Any = [1]
    innermost = value
    for _ in range(20_000):
        value = wrap(value)
    copy = copy_for(value)
    checksum = content_checksum(value)
    innermost.append(2)
    assert content_checksum(copy) == checksum != content_checksum(value)
    for item in (copy, value):  # a chain of so many objects is taken apart one by one, as Python may not
        rest = [item]
        while rest:
            item = rest.pop()
            if isinstance(item, (list, tuple)) and item:
                rest.append(item[0])


def test_containers_of_other_classes_stay_of_them() -> None:
    named = Named(a=[1])
    named.label = "x"
    values: list[Any] = [OrderedDict(a=[1]), defaultdict(list, a=[1]), Counter(a=1), named, Pair([1], 2)]
    copies = copy_for(values)
    assert copies == values
    assert [type(item) for item in copies] == [type(item) for item in values]
    assert copies[1]["new"] == []
    assert copies[3].label == "x"
    for item in copies[:4]:
        item["a"] = 99
    copies[4].left.append(2)
    assert [values[0], values[1], values[3], values[4].left] == [{"a": [1]}, {"a": [1]}, {"a": [1]}, [1]]


def test_generators_and_files_in_memory_are_states_of_their_own() -> None:
    values = [random.Random(1), np.random.default_rng(1), np.random.RandomState(1), torch.Generator().manual_seed(1)]
    first, second = copy_for(values), copy_for(values)

    def drawn(sources: list[Any]) -> list[float]:
        return [sources[0].random(), sources[1].random(), sources[2].rand(), float(torch.rand(1, generator=sources[3]))]

    assert drawn(first) == drawn(second) == drawn(values)
    file = io.BytesIO(b"abc")
    assert (copy_for(file).read(), copy_for(file).read()) == (b"abc", b"abc")


def test_views_go_on_sharing_their_memory() -> None:
    base = torch.arange(6.0)
    copy = copy_for({"all": base, "rows": base.view(2, 3), "end": base[2:]})
    copy["all"][5] = 99
    assert (copy["rows"][1, 2], copy["end"][3], base[5]) == (99, 99, 5)


def test_a_small_view_of_much_memory_is_copied_alone() -> None:
    base = torch.zeros(1000)
    assert copy_for(base[:10]).untyped_storage().nbytes() == 40


def test_numbers_that_stand_for_many_take_no_more_memory() -> None:
    tensor = copy_for(torch.ones(3, 1).expand(3, 1000))
    assert tensor.untyped_storage().nbytes() == 12
    assert tensor.stride() == (1, 0)
    array = copy_for(np.broadcast_to(np.ones((3, 1)), (3, 1000)))
    assert (array.shape, array.strides, array.base.nbytes) == ((3, 1000), (8, 0), 24)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.rand(2, 3).t(),
        torch.rand(4).to(torch.bfloat16),
        torch.tensor(3),
        torch.empty(0, 4),
        torch.rand(3, dtype=torch.complex64).conj(),
        torch.rand(3).to_sparse(),
        torch.rand(2, requires_grad=True),
        torch.nn.Parameter(torch.rand(2), requires_grad=False),
        torch.empty(3, device="meta"),
    ],
)
def test_tensors_keep_what_they_are(tensor: torch.Tensor) -> None:
    copy = copy_for([tensor])[0]
    assert copy is not tensor
    for name in ("dtype", "shape", "layout", "device", "requires_grad", "is_leaf"):
        assert getattr(copy, name) == getattr(tensor, name)
    assert type(copy) is type(tensor)
    if tensor.layout is torch.strided:
        assert copy.stride() == tensor.stride()
    if tensor.device.type != "meta":
        assert torch.equal(copy.detach().to_dense(), tensor.detach().to_dense())


def test_gradients_flow_through_a_copy() -> None:
    weight = torch.ones(2, requires_grad=True)
    copy_for(weight * 3).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3]


def test_arrays_keep_what_they_are() -> None:
    frozen = np.ones(3)
    frozen.flags.writeable = False
    masked = np.ma.masked_array([1, 2], mask=[True, False])
    record = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    fortran = np.asfortranarray(np.ones((2, 3)))
    copies = copy_for([frozen, masked, record, fortran])
    assert not copies[0].flags.writeable
    assert copies[1].mask.tolist() == [True, False]
    assert copies[2].dtype == record.dtype
    assert copies[3].flags.f_contiguous


# -- what is taken as it is, and what is copied

_kept: list[Any] = []


def address(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.data_ptr()
    return int(value.__array_interface__["data"][0])


@pytest.mark.parametrize(
    "wrap", [lambda item: item, lambda item: [item], lambda item: {"a": (item, 1)}, lambda item: Bundle(item, [item])]
)
@pytest.mark.parametrize("make", [lambda: torch.ones(3), lambda: np.ones(3), lambda: (torch.ones(3) * 2).detach()])
def test_what_nobody_else_refers_to_is_taken_as_it_is(make: Callable[[], Any], wrap: Callable[[Any], Any]) -> None:
    box = [wrap(make())]
    first = box[0]
    inner = first.samples if isinstance(first, Bundle) else first["a"][0] if isinstance(first, dict) else first
    inner = inner[0] if isinstance(inner, list) else inner
    place, twice = address(inner), isinstance(first, Bundle)
    del first, inner
    taken = take_over(box)
    assert box == []
    inner = taken.samples if isinstance(taken, Bundle) else taken["a"][0] if isinstance(taken, dict) else taken
    inner = inner[0] if isinstance(inner, list) else inner
    if twice:
        assert taken.samples is taken.notes[0], "referred to twice: copied once"
    else:
        assert address(inner) == place


def kept(value: Any) -> Any:
    _kept.append(value)
    return value


def kept_view(value: Any) -> Any:
    _kept.append(value[:2])
    return value


def kept_detached(value: torch.Tensor) -> torch.Tensor:
    _kept.append(value.detach())
    return value


def kept_storage(value: torch.Tensor) -> torch.Tensor:
    _kept.append(value.untyped_storage())
    return value


def kept_array(value: torch.Tensor) -> torch.Tensor:
    _kept.append(value.numpy())
    return value


def kept_weakly(value: Any) -> Any:
    _kept.append(weakref.ref(value))
    return value


def only_a_view(value: Any) -> Any:
    _kept.append(value)
    return value[:2]


@pytest.mark.parametrize(
    ("keep", "make"),
    [
        *((keep, make) for keep in (kept, kept_view, kept_weakly, only_a_view) for make in (np.zeros, torch.zeros)),
        *((keep, torch.zeros) for keep in (kept_detached, kept_storage, kept_array)),
        (lambda value: torch.from_numpy(kept(value)), np.zeros),
        (lambda value: kept(value).numpy(), torch.zeros),
        (lambda value: np.from_dlpack(kept(value)), torch.zeros),
    ],
)
def test_what_somebody_may_have_kept_is_copied(keep: Callable[[Any], Any], make: Callable[[int], Any]) -> None:
    box = [keep(make(4))]
    place = address(box[0])
    assert address(take_over(box)) != place


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_container_that_was_kept_takes_nothing_of_what_is_in_it_along(kind: str) -> None:
    outer = {"inner": [SAMPLES[kind]()]}
    for box in ([outer], [outer["inner"]], [(outer["inner"],)], [Bundle(outer)]):
        taken = take_over(box)
        before = shown(taken)
        change(outer["inner"][0])
        assert shown(taken) == before
        outer["inner"][0] = SAMPLES[kind]()


def test_an_image_that_reads_its_file_later_is_read_at_once(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "a.png")
    taken = take_over([Image.open(tmp_path / "a.png")])
    (tmp_path / "a.png").unlink()
    assert (type(taken), taken.format, taken.getpixel((0, 0))) == (Image.Image, "PNG", (1, 2, 3))


# -- checksums of content


def test_what_differs_has_other_checksums() -> None:
    values: list[Any] = [
        1, 1.0, True, "1", b"1", None, [], (), {}, [1], (1,), [[1]], [1, 1], ["ab", "c"], ["a", "bc"],
        {"a": 1, "b": 2}, {"b": 2, "a": 1}, {1}, frozenset({1}), torch.ones(2), torch.ones(2, 1),
        torch.ones(2, dtype=torch.float64), np.ones(2), np.ones((2, 1)),
        Bundle(1), Bundle(1, name="other"), bytearray(b"1"), 10**5000, 10**5000 + 1,
    ]  # fmt: skip
    assert len({content_checksum(value) for value in values}) == len(values)
    assert [content_checksum(value) for value in values] == [content_checksum(value) for value in values]


def test_a_value_that_holds_itself_has_a_checksum() -> None:
    value: list[Any] = [1]
    value.append(value)
    before = content_checksum(value)
    assert content_checksum(value) == before
    value[0] = 2
    assert content_checksum(value) != before
