"""Recording a graph in Python."""

from __future__ import annotations

import asyncio
import copy
import operator
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weft.graphs import Graph, Handle, Link, Workflow, check_form, current_graph


def load(g: Graph, **inputs: Any) -> Handle:
    return g.add("load_model", inputs, ("model",))


def denoise(g: Graph, **inputs: Any) -> Handle:
    return g.add("denoise", inputs, ("latents", "trajectory"))


def test_what_is_recorded_is_a_document_like_any_other() -> None:
    g = Graph("red circle", description="one node after the other")
    model = load(g, source="shapes")
    done = denoise(g, model=model, guidance=[model, 3], seed=7)
    g.add("save", {"latents": done.latents, "name": Path("red"), "opts": {"link": "literal"}}, version=2)
    g.parameter("seed", done, "seed")
    workflow = g.workflow()
    assert workflow == Workflow.parse(
        {
            "weft": 1,
            "meta": {"title": "red circle", "description": "one node after the other"},
            "nodes": {
                "load_model": {"type": "load_model", "inputs": {"source": "shapes"}},
                "denoise": {
                    "type": "denoise",
                    "inputs": {"model": {"link": "load_model"}, "guidance": [{"link": "load_model"}, 3], "seed": 7},
                },
                "save": {
                    "type": "save",
                    "version": 2,
                    "inputs": {
                        "latents": {"link": "denoise.latents"},
                        "name": "red",
                        "opts": {"value": {"link": "literal"}},
                    },
                },
            },
            "parameters": {"seed": {"input": "denoise.seed"}},
        }
    )
    assert check_form(workflow) == []


def test_ids_are_made_from_types_and_stay_unique() -> None:
    g = Graph()
    g.add("t", {}, id="t_2")
    assert [g.add("t", {}).node for _ in range(4)] == ["t", "t_3", "t_4", "t_5"]
    assert g.add("pack/node v1", {}).node == "pack_node_v1"
    assert g.add("3d", {}).node == "_3d"
    long = [g.add("x" * 64, {}).node for _ in range(2)]
    assert len(set(long)) == 2
    assert check_form(g.workflow()) == []
    with pytest.raises(ValueError, match="'t' already"):
        g.add("t", {}, id="t")
    with pytest.raises(ValueError, match="not a letter"):
        g.add("t", {}, id="a b")


def test_renaming_reaches_links_and_parameters_made_before() -> None:
    g = Graph()
    model = load(g)
    done = denoise(g, model=model)
    g.parameter("source", model, "source")
    assert model.named("base") is model
    assert done.latents.named("loop").node == "loop"
    assert g.name(done, "loop") is done
    workflow = g.workflow()
    assert list(workflow.nodes) == ["base", "loop"]
    assert workflow.nodes["loop"].inputs == {"model": Link("base")}
    assert workflow.parameters["source"].input == "base.source"
    assert load(g).node == "load_model"
    with pytest.raises(ValueError, match="already"):
        model.named("loop")


def test_outputs_are_attributes_items_and_unpacked() -> None:
    g = Graph()
    done = denoise(g)
    latents, trajectory = done
    assert (latents.link, trajectory.link) == (Link("denoise", "latents"), Link("denoise", "trajectory"))
    assert done.trajectory.link == done["trajectory"].link == trajectory.link
    assert done.link == Link("denoise")
    assert load(g).model.link == Link("load_model", "model")
    # Outputs that are called what handles have themselves.
    odd = g.add("odd", {}, ("node", "graph"))
    assert odd["node"].output == "node"


def test_an_output_that_is_not_there_names_the_nearest() -> None:
    g = Graph()
    done = denoise(g)
    with pytest.raises(AttributeError, match="no output 'latent'; it has latents, trajectory; did you mean 'latents'"):
        _ = done.latent
    with pytest.raises(KeyError, match="no output 'x'"):
        _ = done["x"]
    with pytest.raises(AttributeError, match="no value yet"):
        _ = done.latents.samples
    with pytest.raises(AttributeError):
        copy.copy(done).__array_interface__  # noqa: B018 (what libraries probe for is not an output)


@pytest.mark.parametrize(
    "use",
    [
        bool, int, float, len, abs, list, operator.neg, operator.not_, "{}".format,
        lambda h: h == h, lambda h: h != 1, lambda h: h < 1, lambda h: h >= 1, lambda h: h + 1, lambda h: 2 * h,
        lambda h: h[0], lambda h: f"a {h}", lambda h: 1 in h, lambda h: h(), lambda h: h @ h, lambda h: [1, 2][h],
    ],
)  # fmt: skip
def test_a_handle_has_no_value(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="the graph is being recorded"):
        use(load(Graph()))


def test_a_handle_is_a_key_and_shows_itself() -> None:
    g = Graph()
    one, two = load(g), load(g)
    results = {one: 1, two: 2}
    assert (results[one], results[two]) == (1, 2)
    assert repr(two) == "<Handle load_model_2>"
    assert repr(denoise(g).latents) == "<Handle denoise.latents>"


def test_wrong_inputs_name_node_and_input() -> None:
    g, other = Graph(), Graph()
    foreign = load(other)
    with pytest.raises(ValueError, match=r"'model' of the node 'denoise' takes <Handle load_model>, .* another graph"):
        denoise(g, model=foreign)
    with pytest.raises(ValueError, match="another graph"):
        denoise(g, guidance=[foreign])
    with pytest.raises(TypeError, match="'x' of the node 'denoise': object is not JSON"):
        denoise(g, x=object())
    with pytest.raises(ValueError, match="'x' of the node 'denoise': nan is not a finite number"):
        denoise(g, x=float("nan"))
    with pytest.raises(TypeError, match="Handle is not JSON"):
        denoise(g, x=[[load(g)]])
    # What failed left nothing behind.
    assert list(g.workflow().nodes) == ["load_model"]


def test_parameters_belong_to_nodes_of_the_graph() -> None:
    g = Graph()
    load(g)
    g.parameter("source", "load_model", "source")
    with pytest.raises(ValueError, match="already"):
        g.parameter("source", "load_model", "source")
    with pytest.raises(ValueError, match="did you mean 'load_model'"):
        g.parameter("x", "load_modl", "source")
    with pytest.raises(ValueError, match="another graph"):
        g.parameter("x", load(Graph()), "source")
    with pytest.raises(TypeError, match="not a node"):
        g.parameter("x", 3, "source")


def test_the_current_graph_is_the_innermost() -> None:
    assert current_graph() is None
    with Graph("outer") as outer:
        with Graph("inner") as inner:
            assert current_graph() is inner
        assert current_graph() is outer
        with outer:
            assert current_graph() is outer
        assert current_graph() is outer
        with pytest.raises(RuntimeError), Graph():
            raise RuntimeError
        assert current_graph() is outer
    assert current_graph() is None


def test_threads_and_tasks_record_for_themselves() -> None:
    seen: list[Graph | None] = []
    with Graph():
        thread = threading.Thread(target=lambda: seen.append(current_graph()))
        thread.start()
        thread.join()
    assert seen == [None]

    async def record(title: str) -> str:
        with Graph(title):
            await asyncio.sleep(0)
            graph = current_graph()
            assert graph is not None
            return graph.title

    async def both() -> list[str]:
        return list(await asyncio.gather(record("a"), record("b")))

    assert asyncio.run(both()) == ["a", "b"]


def test_10_000_nodes_are_recorded_and_renamed() -> None:
    g = Graph()
    last = load(g)
    for _ in range(9_999):
        last = denoise(g, model=last)
    last.named("last")
    workflow = g.workflow()
    assert len(workflow.nodes) == 10_000
    assert check_form(workflow) == []
