from __future__ import annotations

import asyncio
import errno
import gc
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine import toys
from tests.engine.stored import change_entries, flip_last_bit
from tests.engine.toys import add, divide, number, show, total
from weft.engine import (
    Cache,
    Cancelled,
    CancelToken,
    Catalogue,
    Context,
    LaneSizes,
    Result,
    RunFailed,
    Settings,
    WorkflowError,
    node,
    run,
)
from weft.engine.events import Event
from weft.graphs import Graph, Workflow

Doc = Callable[..., dict[str, Any]]
Run = Callable[..., Result]


def link(text: str) -> dict[str, str]:
    return {"link": text}


def diamond(value: int = 7) -> dict[str, Any]:
    return {
        "weft": 1,
        "nodes": {
            "top": {"type": "total", "inputs": {"items": [link("left.whole"), link("right"), link("left.rest")]}},
            "left": {"type": "divide", "inputs": {"a": link("n")}},
            "right": {"type": "add", "inputs": {"a": link("n")}},
            "n": {"type": "number", "inputs": {"value": value}},
        },
    }


def chain(length: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": {"type": "number"}}
    for i in range(1, length - 1):
        nodes[f"n{i}"] = {"type": "add", "inputs": {"a": link(f"n{i - 1}")}}
    nodes["end"] = {"type": "show", "inputs": {"value": link(f"n{length - 2}")}}
    return {"weft": 1, "nodes": nodes}


# -- what comes out


def test_a_diamond(run_toys: Run, calls: Counter[str]) -> None:
    result = run_toys(diamond())
    assert result["top"] == 3 + 8 + 1
    assert (result.ran, result.cached) == (4, 0)
    assert calls == {"number": 1, "divide": 1, "add": 1, "total": 1}


@pytest.mark.parametrize("form", ["path", "text path", "dict", "workflow", "graph"])
def test_every_form_of_a_workflow_runs(form: str, run_toys: Run, tmp_path: Path) -> None:
    workflow = Workflow.parse(diamond())
    workflow.save(tmp_path / "d.json")
    with Graph() as g:
        n = number(7)
        left = divide(n)
        total([left.whole, add(n), left.rest]).named("top")  # type: ignore[list-item, attr-defined]
    sources: dict[str, Any] = {
        "path": tmp_path / "d.json",
        "text path": str(tmp_path / "d.json"),
        "dict": diamond(),
        "workflow": workflow,
        "graph": g,
    }
    assert run_toys(sources[form])["top"] == 12


def test_results_by_handle_and_by_name(catalogue: Catalogue) -> None:
    with Graph() as g:
        cut = divide(number(7), by=2)
        end = show(cut.rest)
    result = run(g, targets=[cut, end], catalogue=catalogue, cache=Cache())
    assert (result[cut], result[cut.rest], result[end]) == (3, 1, 1)
    assert (result["divide"], result["divide.rest"]) == (3, 1)
    with pytest.raises(KeyError, match=r"no target.*did you mean 'divide'"):
        result["divid"]
    with pytest.raises(KeyError, match="no output 'rset'"):
        result["divide.rset"]


def test_a_run_inside_a_recording_computes(catalogue: Catalogue) -> None:
    @node("calls_another")
    def calls_another() -> int:
        return add(1, 2)

    with Graph() as g:
        calls_another()
        result = run(g, targets=["calls_another"], catalogue=Catalogue([calls_another]), cache=Cache())
    assert result["calls_another"] == 3
    assert list(g.workflow().nodes) == ["calls_another"]


def test_targets_run_what_they_need_only(run_toys: Run, calls: Counter[str]) -> None:
    result = run_toys(diamond(), ["right"])
    assert (result["right"], result.ran) == (8, 2)
    assert calls == {"number": 1, "add": 1}


def test_an_empty_list_of_targets_is_refused(run_toys: Run, calls: Counter[str]) -> None:
    with pytest.raises(WorkflowError, match="no_output"):
        run_toys(diamond(), [])
    assert not calls


@pytest.mark.usefixtures("inputs_may_change")
def test_literals_are_copies(document: Doc) -> None:
    @node("spoils", output=True)
    def spoils(items: list[int], data: dict[str, Any]) -> int:
        items.append(1)
        data["x"].append(2)
        return 0

    workflow = Workflow.parse(document(s=("spoils", {"items": [5], "data": {"x": []}})))
    run(workflow, catalogue=Catalogue([spoils]), cache=Cache())
    assert workflow.nodes["s"].inputs == {"items": [5], "data": {"x": []}}


def test_lazy_inputs_are_called(run_toys: Run, document: Doc) -> None:
    doc = document(n=("number", {"value": 4}), l=("lazily", {"value": link("n")}))
    assert run_toys(doc, ["l"])["l"] == 4


def test_values_over_links_are_held_to_the_port(run_toys: Run, document: Doc) -> None:
    doc = document(n=("number", {"value": 0}), d=("divide", {"a": 1, "by": link("n")}))
    with pytest.raises(RunFailed, match="by must be 1 to 100, not 0"):
        run_toys(doc, ["d"])
    doc = document(t=("text", {"value": "summ"}), d=("total", {"items": [1], "mode": link("t")}))
    with pytest.raises(RunFailed, match="mode must be one of"):
        run_toys(doc)


def test_a_node_that_returns_the_wrong_number_of_outputs(document: Doc) -> None:
    @node("short", output=True)
    def short() -> toys.Parts:
        return (1,)  # type: ignore[return-value]

    with pytest.raises(RunFailed, match=r"1 values instead of \(whole, rest\)"):
        run(document(s=("short", {})), catalogue=Catalogue([short]), cache=Cache())


# -- the cache


def test_a_second_run_does_nothing(run_toys: Run, calls: Counter[str]) -> None:
    cache = Cache()
    first = run_toys(diamond(), cache=cache)
    second = run_toys(diamond(), cache=cache)
    assert (second.ran, second.cached) == (0, 4)
    assert second["top"] == first["top"]
    assert calls.total() == 4


def test_one_changed_literal_runs_it_and_its_descendants(run_toys: Run, calls: Counter[str]) -> None:
    cache = Cache()
    run_toys(diamond(), cache=cache)
    calls.clear()
    doc = diamond()
    doc["nodes"]["right"]["inputs"]["b"] = 5
    result = run_toys(doc, cache=cache)
    assert (result["top"], result.ran, result.cached) == (16, 2, 2)
    assert calls == {"add": 1, "total": 1}


def test_two_workflows_in_turn_stay_cached(run_toys: Run, calls: Counter[str]) -> None:
    cache = Cache()
    for value in (1, 2, 1, 2):
        run_toys(diamond(value), cache=cache)
    assert calls["total"] == 2


def test_another_process_finds_it_on_disk(run_toys: Run, calls: Counter[str], tmp_path: Path) -> None:
    first = run_toys(diamond(), cache=Cache(tmp_path / "c"))
    events: list[Event] = []
    second = run_toys(diamond(), cache=Cache(tmp_path / "c"), on_event=events.append)
    assert (second.ran, second["top"]) == (0, first["top"])
    assert calls.total() == 4
    tiers = {event.node: event.tier for event in events if event.event == "node_cached"}  # type: ignore[attr-defined]
    assert tiers == {"top": "disk", "left": "unneeded", "right": "unneeded", "n": "unneeded"}


def test_nothing_above_a_hit_is_loaded(
    run_toys: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Doc
) -> None:
    doc = document(s=("square", {}), a=("side", {"square": link("s")}), e=("show", {"value": link("a")}))
    run_toys(doc, cache=Cache(tmp_path / "c"))
    doc["nodes"]["e"]["type"] = "total"
    doc["nodes"]["e"]["inputs"] = {"items": [1]}
    doc["nodes"]["f"] = {"type": "side", "inputs": {"square": link("s"), "scale": link("a")}}
    cache = Cache(tmp_path / "c")
    loaded = []
    monkeypatch.setattr(cache, "get", lambda key, get=cache.get: loaded.append(key) or get(key))
    result = run_toys(doc, ["f"], cache=cache)
    assert (result.ran, len(loaded)) == (1, 2)


def test_no_cache_keeps_nothing(run_toys: Run, calls: Counter[str]) -> None:
    for _ in range(2):
        run_toys(diamond(), cache=Cache.none())
    assert calls.total() == 8


def test_equal_nodes_compute_once_and_both_deliver(run_toys: Run, calls: Counter[str], document: Doc) -> None:
    doc = document(
        a=("number", {"value": 3}), b=("number", {"value": 3}), x=("show", {"value": link("a")}),
        y=("show", {"value": link("b")}), t=("total", {"items": [link("a"), link("b")]}),
    )  # fmt: skip
    result = run_toys(doc, cache=Cache.none())
    assert (result["x"], result["y"], result["t"]) == (3, 3, 6)
    assert calls == {"number": 1, "show": 1, "total": 1}
    assert (result.ran, result.cached) == (3, 2)


def test_impure_nodes_run_each_time_and_so_do_their_users(run_toys: Run, calls: Counter[str], document: Doc) -> None:
    cache = Cache()
    doc = document(c=("clock", {}), n=("number", {}), s=("total", {"items": [link("c"), link("n")]}))
    assert [run_toys(doc, cache=cache)["s"] for _ in range(3)] == [1, 2, 3]
    assert calls == {"clock": 3, "number": 1, "total": 3}
    assert len(cache.memory) == 1, "what can never be found again is not kept"


def test_a_changed_file_is_read_again(run_toys: Run, calls: Counter[str], document: Doc, tmp_path: Path) -> None:
    cache = Cache()
    doc = document(r=("read", {"path": "f.txt"}), s=("show", {"value": link("r")}))
    (tmp_path / "f.txt").write_text("a")
    assert run_toys(doc, cache=cache)["s"] == "a"
    assert run_toys(doc, cache=cache).ran == 0
    (tmp_path / "f.txt").write_text("b")
    assert run_toys(doc, cache=cache)["s"] == "b"
    assert calls == {"read": 2, "show": 2}


def test_a_node_that_forgot_its_fingerprint_sees_changed_files_too(
    run_toys: Run, calls: Counter[str], document: Doc, tmp_path: Path
) -> None:
    cache = Cache()
    (tmp_path / "root").mkdir()
    (tmp_path / "f.txt").write_text("not this one")
    doc = document(n=("length", {"path": "f.txt"}))
    lengths = []
    for text in ("a", "a", "ab"):
        (tmp_path / "root/f.txt").write_text(text)
        lengths.append(run_toys(doc, ["n"], cache=cache, roots=[tmp_path / "root"])["n"])
    assert lengths == [1, 1, 2]
    assert calls["length"] == 2


@pytest.mark.parametrize("folder", [None, "c"])
def test_a_file_that_is_gone_is_written_again(
    folder: str | None, run_toys: Run, calls: Counter[str], document: Doc, tmp_path: Path
) -> None:
    cache = Cache(folder)
    doc = document(t=("text", {"value": "hello"}), w=("write", {"text": link("t"), "name": "sub/x"}))
    made = run_toys(doc, cache=cache, out=tmp_path / "o").outputs
    assert [(item.node, item.kind, item.path) for item in made] == [("w", "text", str(tmp_path / "o/sub/x.txt"))]
    path = tmp_path / "o/sub/x.txt"
    assert run_toys(doc, cache=cache, out=tmp_path / "o").ran == 0
    path.unlink()
    assert run_toys(doc, cache=cache, out=tmp_path / "o").ran == 1
    path.write_text("damaged")
    assert run_toys(doc, cache=cache, out=tmp_path / "o").ran == 1
    assert path.read_text() == "hello"
    assert run_toys(doc, cache=cache, out=tmp_path / "other").ran == 1, "another folder is another result"
    assert calls["write"] == 4


def test_a_damaged_hit_is_computed_again(run_toys: Run, calls: Counter[str], tmp_path: Path) -> None:
    run_toys(diamond(), cache=Cache(tmp_path / "c"))
    assert change_entries(tmp_path / "c", flip_last_bit) == 4
    cache = Cache(tmp_path / "c")
    assert run_toys(diamond(), cache=cache)["top"] == 12
    assert calls.total() == 8
    assert cache.disk is not None
    assert cache.disk.counts.corrupt > 0


def test_a_hit_whose_body_turns_out_damaged_is_planned_around(
    run_toys: Run, tmp_path: Path, calls: Counter[str], document: Doc
) -> None:
    import numpy as np

    @node("array")
    def array(n: int) -> Any:
        calls["array"] += 1
        return np.arange(n)

    @node("last", output=True)
    def last(array: Any, more: int = 0) -> int:
        return int(array[-1]) + more

    catalogue = Catalogue([array, last])

    def doc(more: int) -> dict[str, Any]:
        return document(a=("array", {"n": 1000}), l=("last", {"array": link("a"), "more": more}))

    run(doc(0), catalogue=catalogue, cache=Cache(tmp_path / "c"))
    for entry in (tmp_path / "c").rglob("*.weft"):
        data = bytearray(entry.read_bytes())
        assert b"I64" in data
        data[-1] ^= 1  # in the body: the head still says that all is well
        entry.write_bytes(data)
    result = run(doc(1), catalogue=catalogue, cache=Cache(tmp_path / "c"))
    assert (result["l"], result.ran, calls["array"]) == (1000, 2, 2)


def test_a_value_that_cannot_be_stored_is_made_again(
    run_toys: Run, calls: Counter[str], document: Doc, tmp_path: Path
) -> None:
    doc = document(l=("live", {"number": 5}), u=("use_live", {"live": link("l")}))
    assert run_toys(doc, cache=Cache(tmp_path / "c"))["u"] == 5
    assert run_toys(doc, cache=Cache(tmp_path / "c")).ran == 0, "its user's result is stored"
    doc["nodes"]["s"] = {"type": "show", "inputs": {"value": link("l")}}
    run_toys(doc, ["s"], cache=Cache(tmp_path / "c"))
    assert calls == {"live": 2, "use_live": 1, "show": 1}


def test_intermediates_are_dropped_after_their_last_use(document: Doc) -> None:
    class Big:
        pass

    alive: list[weakref.ref[Big]] = []
    most = 0

    @node("big")
    def big(n: int) -> Any:
        nonlocal most
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
        made = Big()
        alive.append(weakref.ref(made))
        return made

    @node("small", output=True)
    def small(big: Any) -> int:
        return 1

    nodes = {f"s{i}": ("small", {"big": link(f"b{i}")}) for i in range(20)}
    nodes |= {f"b{i}": ("big", {"n": i}) for i in range(20)}
    one = Settings(lanes=LaneSizes(cpu=1))
    run(document(**nodes), catalogue=Catalogue([big, small]), cache=Cache.none(), settings=one)
    assert len(alive) == 20
    assert most <= 1


def test_the_first_output_of_a_sweep_comes_first(document: Doc) -> None:
    order: list[str] = []

    @node("make")
    def make(n: int) -> int:
        order.append(f"make {n}")
        return n

    @node("save", output=True)
    def save(n: int) -> int:
        order.append(f"save {n}")
        return n

    nodes: dict[str, Any] = {f"m{i}": ("make", {"n": i}) for i in range(3)}
    nodes |= {f"s{i}": ("save", {"n": link(f"m{i}")}) for i in range(3)}
    one = Settings(lanes=LaneSizes(cpu=1))
    run(document(**nodes), catalogue=Catalogue([make, save]), cache=Cache(), settings=one)
    assert order == ["make 0", "save 0", "make 1", "save 1", "make 2", "save 2"]


# -- failures


def test_a_failure_names_the_node_and_keeps_what_was_finished(
    run_toys: Run, calls: Counter[str], document: Doc
) -> None:
    cache = Cache()
    doc = document(n=("number", {"value": 2}), s=("show", {"value": link("n")}), b=("boom", {"value": link("n")}))
    with pytest.raises(RunFailed) as raised:
        run_toys(doc, cache=cache)
    error = raised.value.error
    assert (error.node, error.type, error.exception, error.message) == ("b", "boom", "ValueError", "it broke")
    assert "raise ValueError(message)" in error.traceback
    assert "engine/executor.py" not in error.traceback
    assert isinstance(error.__cause__, ValueError)
    assert raised.value.result is not None
    assert (raised.value.result["s"], raised.value.result.ran) == (2, 2)
    doc["nodes"]["b"] = {"type": "show", "inputs": {"value": link("n")}}
    assert run_toys(doc, cache=cache).ran == 0
    assert calls == {"number": 1, "show": 1, "boom": 1}


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/out/a.png"),
            "the disk is full: could not write /out/a.png",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: nothing could be written"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.png"), "no such file or folder: a.png"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError("too much"), "MemoryError: too much"),
    ],
)
def test_failures_in_words(cause: BaseException, message: str, document: Doc) -> None:
    @node("fails", output=True)
    def fails() -> int:
        raise cause

    with pytest.raises(RunFailed) as raised:
        run(document(f=("fails", {})), catalogue=Catalogue([fails]), cache=Cache())
    assert raised.value.error.message == message


def test_a_full_cache_disk_does_not_fail_the_run(
    run_toys: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path / "c")
    assert cache.disk is not None

    def full(file: Any, part: Any) -> None:
        file.write(b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_pack(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("weft.engine.cache.disk._write_all", full)
    monkeypatch.setattr("weft.engine.cache.pack.Pack.put", full_pack)
    assert run_toys(diamond(), cache=cache)["top"] == 12
    assert [path for path in (tmp_path / "c").rglob("*") if path.is_file()] == []
    assert cache.disk.counts.failed_writes == 4
    assert len([record for record in caplog.records if "the disk is full" in record.message]) == 1
    monkeypatch.undo()
    assert run_toys(diamond(), cache=Cache(tmp_path / "c")).ran == 4


def test_a_listener_that_raises_does_not_fail_the_run(run_toys: Run, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("no")

    assert run_toys(diamond(), on_event=broken)["top"] == 12
    assert "listener" in caplog.text


# -- cancelling


def test_cancel_between_nodes(run_toys: Run, calls: Counter[str]) -> None:
    cancel, cache = CancelToken(), Cache()

    def stop(event: Event) -> None:
        if event.event == "node_finished":
            cancel.cancel()

    with pytest.raises(Cancelled):
        run_toys(diamond(), cancel=cancel, cache=cache, on_event=stop)
    assert calls.total() == 1
    result = run_toys(diamond(), cache=cache)
    assert (result.ran, result.cached) == (3, 1)


def test_cancel_inside_a_node(run_toys: Run, document: Doc) -> None:
    cancel = CancelToken()
    seen: list[int] = []

    def stop(event: Event) -> None:
        if event.event == "node_progress":
            seen.append(event.step)  # type: ignore[attr-defined]
            if len(seen) == 3:
                cancel.cancel()

    with pytest.raises(Cancelled):
        run_toys(document(s=("steps", {"count": 100})), ["s"], cancel=cancel, on_event=stop)
    assert seen == [1, 2, 3]


def test_a_cancelled_token_starts_nothing(run_toys: Run, calls: Counter[str]) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        run_toys(diamond(), cancel=cancel)
    assert not calls


def test_a_node_that_catches_everything_cannot_swallow_a_cancel(document: Doc) -> None:
    cancel = CancelToken()

    @node("stubborn", output=True)
    def stubborn(ctx: Context | None = None) -> int:
        assert ctx is not None
        cancel.cancel()
        try:
            ctx.check_cancelled()
        except Exception:
            return 1
        return 2

    with pytest.raises(Cancelled):
        run(document(s=("stubborn", {})), catalogue=Catalogue([stubborn]), cancel=cancel, cache=Cache())


def test_keyboard_interrupt_in_a_node_ends_the_run(document: Doc) -> None:
    @node("interrupted", output=True)
    def interrupted() -> int:
        raise KeyboardInterrupt

    events: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        run(document(s=("interrupted", {})), catalogue=Catalogue([interrupted]), cache=Cache(), on_event=events.append)
    assert events[-1].event == "job_cancelled"


# -- async nodes


def test_async_nodes_run_beside_each_other_and_beside_others(document: Doc) -> None:
    started = {name: threading.Event() for name in "ab"}

    @node("waits")
    async def waits(name: str, other: str) -> str:
        started[name].set()
        while not started[other].is_set():
            await asyncio.sleep(0.001)
        return name

    @node("sync")
    def sync() -> str:
        assert started["a"].wait(10), "an async node was started before"
        return "c"

    doc = document(a=("waits", {"name": "a", "other": "b"}), b=("waits", {"name": "b", "other": "a"}), c=("sync", {}))
    before = threading.active_count()
    result = run(doc, ["a", "b", "c"], catalogue=Catalogue([waits, sync]), cache=Cache())
    assert (result["a"], result["b"], result["c"]) == ("a", "b", "c")
    assert threading.active_count() == before


def test_a_failure_stops_async_nodes_in_flight(document: Doc) -> None:
    started = threading.Event()
    ended: list[str] = []

    @node("forever")
    async def forever() -> int:
        started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return 1

    @node("fails")
    def fails() -> int:
        started.wait(10)
        raise ValueError("no")

    doc = document(a=("forever", {}), b=("fails", {}))
    with pytest.raises(RunFailed, match="no"):
        run(doc, ["a", "b"], catalogue=Catalogue([forever, fails]), cache=Cache())
    assert ended == ["cancelled"]


def test_an_async_node_that_is_stopped_before_it_starts(document: Doc) -> None:
    @node("never_starts")
    async def never_starts(n: int) -> int:
        return n

    @node("fails")
    def fails() -> int:
        raise ValueError("no")

    nodes = {f"a{n}": ("never_starts", {"n": n}) for n in range(50)}
    with pytest.raises(RunFailed, match="no"):
        run(
            document(**nodes, b=("fails", {})),
            [*nodes, "b"],
            catalogue=Catalogue([never_starts, fails]),
            cache=Cache(),
        )


def test_an_async_node_that_exits_fails_alone(document: Doc) -> None:
    @node("exits", output=True)
    async def exits() -> int:
        raise SystemExit(3)

    with pytest.raises(RunFailed, match="SystemExit: 3"):
        run(document(e=("exits", {})), catalogue=Catalogue([exits]), cache=Cache())


def test_cancel_stops_an_async_node_at_once(document: Doc) -> None:
    cancel = CancelToken()

    @node("sleeps", output=True)
    async def sleeps() -> int:
        threading.Timer(0.02, cancel.cancel).start()
        await asyncio.sleep(3600)
        return 1

    with pytest.raises(Cancelled):
        run(document(s=("sleeps", {})), catalogue=Catalogue([sleeps]), cancel=cancel, cache=Cache())


def test_a_run_inside_an_event_loop_works(run_toys: Run, document: Doc) -> None:
    @node("now", output=True)
    async def now() -> int:
        return 1

    async def main() -> int:
        return int(run(document(n=("now", {})), catalogue=Catalogue([now]), cache=Cache())["n"])

    assert asyncio.run(main()) == 1


def test_runs_at_the_same_time_in_one_process(run_toys: Run) -> None:
    cache = Cache()
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda n: run_toys(diamond(n % 5), cache=cache)["top"], range(40))
        for n, result in enumerate(results):
            value = n % 5
            assert result == value // 2 + value % 2 + value + 1


# -- size


def test_a_chain_of_10_000_is_no_matter_of_recursion(run_toys: Run) -> None:
    cache = Cache()
    result = run_toys(chain(10_000), cache=cache)
    assert (result["end"], result.ran) == (9_998, 10_000)
    again = run_toys(chain(10_000), cache=cache)
    assert (again["end"], again.ran, again.cached) == (9_998, 0, 10_000)


def test_a_fan_of_10_000(run_toys: Run, document: Doc) -> None:
    nodes: dict[str, Any] = {f"n{i}": ("number", {"value": i}) for i in range(9_999)}
    nodes["t"] = ("total", {"items": [link(f"n{i}") for i in range(9_999)]})
    assert run_toys(document(**nodes))["t"] == sum(range(9_999))
