from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from weft.nodes import encode_prompt, load_model
from weft.nodes.models import build
from weft.nodes.models.residency import Residency
from weft.nodes.values import Patch


class Thing:
    """Stands for a module: knows where it is."""

    def __init__(self, log: list[str], name: str, device: str) -> None:
        self.log, self.name, self.device = log, name, device
        log.append(f"load {name}")

    def to(self, device: str) -> None:
        self.log.append(f"{self.name} to {device}")
        self.device = device


@pytest.fixture
def log() -> list[str]:
    return []


def use(residency: Residency, log: list[str], name: str, device: str = "gpu", size: int = 10) -> None:
    residency.acquire(name, device, size, lambda: Thing(log, name, device)).release()


def test_one_load_for_all(log: list[str]) -> None:
    residency = Residency(100, 100)
    first = residency.acquire("a", "gpu", 10, lambda: Thing(log, "a", "gpu"))
    second = residency.acquire("a", "gpu", 10, lambda: Thing(log, "a", "gpu"))
    assert first.item is second.item
    assert log == ["load a"]


def test_least_recently_used_moves_off_then_out(log: list[str]) -> None:
    residency = Residency(host_bytes=20, device_bytes=20)
    for name in "ab":
        use(residency, log, name)
    use(residency, log, "a")  # now b is the older
    use(residency, log, "c")
    assert residency.resident() == {"b": "cpu", "a": "gpu", "c": "gpu"}
    use(residency, log, "d")
    use(residency, log, "e")
    assert residency.resident() == {"a": "cpu", "c": "cpu", "d": "gpu", "e": "gpu"}, "b went out"
    assert residency.used_bytes("gpu") == residency.used_bytes("cpu") == 20
    log.clear()
    use(residency, log, "a")
    assert log == ["d to cpu", "a to gpu"] or log == ["d to cpu", "c to cpu", "a to gpu"]
    log.clear()
    use(residency, log, "b")
    assert log[-1] == "load b"


def test_what_is_in_use_stays(log: list[str]) -> None:
    residency = Residency(host_bytes=100, device_bytes=10)
    lease = residency.acquire("a", "gpu", 10, lambda: Thing(log, "a", "gpu"))
    use(residency, log, "b")
    assert residency.resident("gpu").keys() >= {"a"}
    assert "a to cpu" not in log
    lease.release()
    lease.release()  # a second time does nothing
    residency.trim()
    assert residency.used_bytes("gpu") <= 10


def test_a_full_host_means_out_at_once(log: list[str]) -> None:
    residency = Residency(host_bytes=5, device_bytes=10)
    use(residency, log, "a")
    use(residency, log, "b")
    assert residency.resident() == {"b": "gpu"}
    assert "a to cpu" not in log


def test_a_component_over_the_budget_still_loads(log: list[str]) -> None:
    residency = Residency(host_bytes=5, device_bytes=5)
    use(residency, log, "a", size=50)
    use(residency, log, "b", size=50)
    assert residency.resident() == {"b": "gpu"}


def test_devices_have_their_own_budgets(log: list[str]) -> None:
    residency = Residency(host_bytes=0, device_bytes=10)
    use(residency, log, "a", "gpu:0")
    use(residency, log, "b", "gpu:1")
    assert residency.resident() == {"a": "gpu:0", "b": "gpu:1"}


def test_a_failed_load_leaves_nothing_and_is_tried_again(log: list[str]) -> None:
    residency = Residency(100, 100)
    with pytest.raises(OSError, match="gone"):
        residency.acquire("a", "gpu", 10, lambda: (_ for _ in ()).throw(OSError("gone")))
    assert residency.resident() == {}
    use(residency, log, "a")
    assert log == ["load a"]


def test_a_device_that_is_fuller_than_thought_is_cleared_and_tried_again(log: list[str]) -> None:
    residency = Residency(host_bytes=100, device_bytes=100)
    use(residency, log, "a")

    def load() -> Thing:
        if "gpu" in residency.resident().values() and "a" in residency.resident("gpu"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Thing(log, "b", "gpu")

    assert residency.acquire("b", "gpu", 10, load).item.name == "b"
    assert residency.resident() == {"a": "cpu", "b": "gpu"}
    with pytest.raises(torch.OutOfMemoryError):
        residency.acquire("c", "gpu", 10, lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("again")))
    assert "c" not in residency.resident()


def test_a_component_that_cannot_come_back_is_not_held_for_ever(log: list[str]) -> None:
    residency = Residency(host_bytes=100, device_bytes=10)
    use(residency, log, "a")
    use(residency, log, "b")

    def fail(device: str) -> None:
        raise RuntimeError("device lost")

    with residency._lock:
        residency._entries["a"].item.to = fail
    with pytest.raises(RuntimeError, match="device lost"):
        residency.acquire("a", "gpu", 10, lambda: Thing(log, "a", "gpu"))
    residency.clear()
    assert residency.resident() == {}


def test_threads_load_once_and_keep_the_budget(log: list[str]) -> None:
    residency = Residency(host_bytes=20, device_bytes=30)
    wrong: list[str] = []
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        start.wait()
        for turn in range(60):
            name = "abcdef"[(seed * 7 + turn * 5) % 6]
            lease = residency.acquire(name, "gpu", 10, lambda name=name: Thing(log, name, "gpu"))
            if lease.item.device != "gpu" or lease.item.name != name:
                wrong.append(name)
            lease.release()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    residency.trim()
    assert not wrong
    assert residency.used_bytes("gpu") <= 30
    assert residency.used_bytes("cpu") <= 20


def test_waiters_of_a_failed_load_try_for_themselves() -> None:
    residency = Residency(100, 100)
    loading, go = threading.Event(), threading.Event()
    results: list[Any] = []

    def fails() -> Any:
        loading.set()
        go.wait()
        raise OSError("first")

    def first() -> None:
        try:
            residency.acquire("a", "gpu", 1, fails)
        except OSError as error:
            results.append(str(error))

    one = threading.Thread(target=first)
    one.start()
    loading.wait()
    two = threading.Thread(target=lambda: results.append(residency.acquire("a", "gpu", 1, lambda: "good").item))
    two.start()
    go.set()
    one.join()
    two.join()
    assert sorted(results) == ["first", "good"]


# ---- with models ----


def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the components that are loaded from now on."""
    names: list[str] = []
    original = build.load

    def load(description: Any, component: str, *rest: Any) -> torch.nn.Module:
        names.append(component)
        return original(description, component, *rest)

    monkeypatch.setattr(build, "load", load)
    return names


def test_naming_a_model_loads_nothing_and_two_names_load_once(
    models: Path, residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = loads(monkeypatch)
    one, two = load_model(str(models / "sd1")), load_model(str(models / ".." / models.name / "sd1"))
    assert names == []
    assert residency.resident() == {}
    encode_prompt(one, "a red circle")
    assert names == ["text_encoder"], "a prompt needs no denoiser"
    a, b = one.parts(), two.parts()
    assert a.unet is b.unet
    assert names == ["text_encoder", "unet"]


def test_a_reload_gives_the_same_bytes(models: Path, residency: Residency) -> None:
    model = load_model(str(models / "sdxl"))
    before = {k: v.clone() for k, v in model.parts().unet.state_dict().items()}
    first = model.parts().unet
    residency.clear()
    assert residency.resident() == {}
    again = model.parts().unet
    assert again is not first
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.state_dict().items())


def test_parts_hold_their_modules_until_dropped(models: Path, residency: Residency) -> None:
    model = load_model(str(models / "sd1"))
    parts = model.parts()
    assert parts.unet is not None
    residency.clear()
    assert len(residency.resident()) == 1
    del parts
    gc.collect()
    residency.clear()
    assert residency.resident() == {}


def test_a_budget_smaller_than_a_model_works(models: Path, residency: Residency) -> None:
    residency._host_bytes = 1000
    model = load_model(str(models / "sd1"))
    for _ in range(2):
        with model.parts() as parts:
            assert parts.unet is not None
            assert parts.vae is not None
        assert residency.resident() == {}


def test_the_bytes_announced_are_those_taken(models: Path, residency: Residency) -> None:
    for dtype in ("float32", "float16"):
        with load_model(str(models / "sd1"), dtype=dtype).parts() as parts:  # type: ignore[arg-type]
            taken = sum(t.numel() * t.element_size() for t in parts.unet.state_dict().values())
            (entry,) = [e for e in residency._entries.values() if e.key[1] == "unet" and e.leases]  # type: ignore[index]
            assert entry.nbytes == taken


def test_weights_outlive_their_file(models: Path, tmp_path: Path, residency: Residency) -> None:
    """Modules stand on memory of their own, not on a map of a file that may be overwritten."""
    import shutil

    folder = shutil.copytree(models / "sd1", tmp_path / "m")
    parts = load_model(str(folder)).parts()
    before = {k: v.clone() for k, v in parts.unet.state_dict().items()}
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    with path.open("r+b") as file:
        file.seek(0)
        file.write(b"\0" * path.stat().st_size)
    assert all(torch.equal(tensor, before[name]) for name, tensor in parts.unet.state_dict().items())


def test_patches_change_a_copy_and_leave_the_base_alone(models: Path, residency: Residency) -> None:
    import dataclasses

    class Twice(Patch):
        @property
        def key(self) -> str:
            return "twice"

        def touches(self, component: str) -> bool:
            return component == "unet"

        def apply(self, component: str, module: Any, parts: Any) -> None:
            module.conv_in.weight.mul_(2)

    base = load_model(str(models / "sd1"))
    patched = dataclasses.replace(base, patches=(Twice(), Twice()))
    before = base.parts().unet.conv_in.weight.clone()
    assert torch.equal(patched.parts().unet.conv_in.weight, before * 4)
    assert torch.equal(base.parts().unet.conv_in.weight, before)
    a, b = base.parts(), patched.parts()
    assert a.vae is b.vae, "what no patch touches is shared"
    assert a.unet is not b.unet
