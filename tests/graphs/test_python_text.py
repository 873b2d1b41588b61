"""A document as Python: the program makes the same document again, whatever stands in it."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from typing import Any

import pytest

from tests.pasted import module
from weft.engine import Catalogue
from weft.engine.catalogue.calls import python_calls
from weft.graphs import Graph, Workflow, WorkflowError, examples
from weft.graphs.pythontext import WIDTH, Call, Calls, python_source

CALLS = python_calls(Catalogue.load())


def nothing(type: str) -> Call | None:
    return None


def again(workflow: Workflow, folder: Path, calls: Calls = nothing) -> dict[str, Any]:
    """What the program makes, as data."""
    made = module(folder / "made.py", python_source(workflow, calls)).workflow
    assert isinstance(made, Workflow)
    return made.to_dict()


@pytest.mark.parametrize("name", examples.names())
def test_every_example(name: str, tmp_path: Path) -> None:
    workflow = examples.load(name)
    assert again(workflow, tmp_path, CALLS) == workflow.to_dict()
    assert again(workflow, tmp_path) == workflow.to_dict()


def test_it_reads_as_a_person_writes_it() -> None:
    workflow = examples.load("text_to_image")
    text = python_source(workflow, CALLS)
    assert "from weft.nodes import cfg, decode, denoise, encode_prompt, load_model, save_image\n" in text
    assert '    model = graph.name(load_model(source="shapes"), "model")\n' in text
    assert "graph.add(" not in text
    assert 'image = graph.name(decode(model=model, latents=denoise_.latents), "image")' in text
    assert "guidance=[cfg_]" in text  # a variable of a function's name would hide the function
    for line in text.splitlines():
        assert len(line) <= WIDTH + 40
    assert text == python_source(workflow, CALLS)


HARD: dict[str, Any] = {
    "weft": 1,
    "meta": {"title": 'One "title"\nof two lines', "description": "", "author": {"name": "ä\u2028"}},
    "nodes": {
        "last": {
            "type": "if",
            "inputs": {"x": {"link": "a.out put"}, "class": [{"link": "b"}, None, {"value": {"link": "z"}}]},
        },
        "a": {"type": "any type", "version": 3, "inputs": {"of": {"k": [1, 2.5, -0.0, True, None, 'it\'s "so"']}}},
        "b": {
            "type": "decode",
            "mode": "bypass",
            "retry": 0,
            "timeout": 2.5,
            "inputs": {"latents": {"link": "a.node"}},
        },
        "decode": {"type": "decode", "mode": "mute", "x-more": {"y": 1}},
        "graph": {"type": "inner", "inputs": {"n": {"link": "class"}, "m": {"value": {"value": 1}}}},
        "class": {"type": "outer.1", "inputs": {"text": {"link": "graph.named"}}} | {"inputs": {}},
        "end": {"type": "t", "inputs": {"one": {"link": "graph.named"}, "two": {"link": "graph._y"}, "empty": []}},
    },
    "definitions": {
        "inner": {
            "description": "Within.",
            "inputs": {"n": {"type": "int"}, "m": {"default": None, "description": "two\nlines"}},
            "nodes": {
                "x": {
                    "type": "outer.1",
                    "mode": "mute",
                    "inputs": {"a": {"link": "inputs.n"}, "b": [{"link": "inputs.m"}]},
                },
                "given": {"type": "t", "inputs": {"x": {"link": "x.left"}}},
            },
            "outputs": {"named": {"link": "given", "type": "Image"}, "_y": {"link": "inputs.n"}},
            "ui": {"#notes": [{"text": "n"}]},
        },
        "outer.1": {"nodes": {}, "outputs": {}},
    },
    "parameters": {"seed": {"input": "b.x", "x-step": 2}, "it's": {"input": "a.of"}},
    "ui": {"a": {"pos": [1, 2]}, "#groups": [{"title": "G" * 200}], "#reroutes": {}},
    "x-own": [1, {"2": 3}],
}


@pytest.mark.parametrize("calls", [nothing, CALLS], ids=["by name", "functions"])
def test_what_the_builder_has_no_call_for(tmp_path: Path, calls: Calls) -> None:
    workflow = Workflow.parse(HARD)
    assert again(workflow, tmp_path, calls) == workflow.to_dict()


def test_an_empty_document(tmp_path: Path) -> None:
    workflow = Workflow.parse({"weft": 1, "nodes": {}})
    assert again(workflow, tmp_path) == workflow.to_dict()


def test_a_document_that_the_builder_made(tmp_path: Path) -> None:
    with Graph("Made") as graph:
        first = graph.add("load", {"source": "x"}, ("model", "vae"))
        other = graph.add("load", {"source": "y"})
        graph.allow(graph.add("use", {"a": [first.model, other, 3], "b": first.vae}), retry=2)
    workflow = graph.workflow()
    assert again(workflow, tmp_path) == workflow.to_dict()
    assert "graph.name(" not in python_source(workflow)  # ids that come by themselves need no words


@pytest.mark.parametrize("seed", range(40))
def test_documents_of_any_shape(seed: int, tmp_path: Path) -> None:
    workflow = Workflow.parse(_any_document(random.Random(seed)))
    assert again(workflow, tmp_path, CALLS if seed % 2 else nothing) == workflow.to_dict()


def _any_document(dice: random.Random) -> dict[str, Any]:
    texts = ["decode", "for", "graph", "given", "a-b", "_x", "load_model", "print", "cfg", "node", "Ünder", "'", '"']
    types = ["decode", "cfg", "denoise", "load_model", "any", "map_over", "no such"]

    def literal(depth: int = 0) -> Any:
        if depth < 2 and dice.random() < 0.3:
            if dice.random() < 0.5:
                return [literal(depth + 1) for _ in range(dice.randrange(3))]
            return {dice.choice(["a", "link", "value"]): literal(depth + 1)}
        return dice.choice([None, True, 7, -1.5, 1e300, 2**63, "", *texts])

    def nodes(count: int, sources: list[str], types: list[str]) -> dict[str, Any]:
        ids = dice.sample([text for text in texts if text.isascii() and text not in "'\""] + ["n1", "n2", "n3"], count)
        found = {}
        for place, id in enumerate(ids):
            links = ids[:place] + sources

            def item(links: list[str] = links) -> Any:
                if links and dice.random() < 0.5:
                    link = dice.choice(links)
                    more = dice.choice(["", ".latents", ".for", ".named"]) if "." not in link else ""
                    return {"link": link + more}
                return {"value": literal()}

            names = dice.sample(["model", "latents", "scale", "prompt", "class", "x y", "source"], dice.randrange(4))
            inputs = {name: [item(), item()] if dice.random() < 0.3 else item() for name in names}
            spec: dict[str, Any] = {"type": dice.choice(types), "inputs": inputs}
            spec |= dice.choice([{}, {}, {"mode": "mute"}, {"version": 2}, {"retry": 1}, {"timeout": 3}, {"x-y": [1]}])
            found[id] = spec
        order = list(found)
        dice.shuffle(order)
        return {id: found[id] for id in order}

    inner = {
        "inputs": {"a": {}, "b c": {"default": {"value": literal()}}},
        "nodes": nodes(dice.randrange(5), ["inputs.a", "inputs.b c"], types),
        "outputs": {"image": {"link": "inputs.a"}},
    }
    definitions = {"styled": inner} if dice.random() < 0.5 else {}
    return {
        "weft": 1,
        "nodes": nodes(dice.randrange(8), [], [*types, *definitions]),
        "definitions": definitions,
        "ui": {} if dice.random() < 0.5 else {"#groups": [literal()]},
    }


def test_a_document_that_leads_nowhere_is_refused() -> None:
    for link in ("gone", "a"):
        workflow = Workflow.parse({"weft": 1, "nodes": {"a": {"type": "t", "inputs": {"x": {"link": link}}}}})
        with pytest.raises(WorkflowError):
            python_source(workflow)


def test_text_of_a_document_is_never_code() -> None:
    """Nothing in it but literals and names: what a stranger wrote stays in quotes."""
    evil = '"); import os; os.remove("x") #\n\'\'\'"""\\'
    data = {
        "weft": 1,
        "meta": {"title": evil, evil: evil},
        "nodes": {
            "a": {"type": evil, "inputs": {evil: evil}},
            "b": {"type": "t", "inputs": {"x": {"link": f"a.{evil}"}}},
        },
        "ui": {evil: [evil]},
    }
    tree = ast.parse(python_source(Workflow.parse(data)))
    imported = {
        name.name for item in ast.walk(tree) if isinstance(item, ast.Import | ast.ImportFrom) for name in item.names
    }
    assert imported == {"Graph", "Workflow"}
    called = {ast.unparse(item.func) for item in ast.walk(tree) if isinstance(item, ast.Call)}
    assert called == {"Graph", "graph.add", "graph.workflow", "graph.workflow().to_dict", "Workflow.parse"}
