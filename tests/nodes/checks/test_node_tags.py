"""What nodes say of themselves: the tags, that ours are true, and that nothing else is asked."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from weft import nodes
from weft.engine import Node, node
from weft.engine.catalogue.describe import describe_node
from weft.nodes.checks import (
    BASE,
    CHANNELS,
    START,
    VIEWS,
    adds_channels,
    denoises,
    misdeclared,
    says,
    size_of,
    size_unknown_if,
    starts_from,
)
from weft.nodes.checks.tags import added_channels, argument, arguments, run_input
from weft.nodes.technique import Technique

ROOT = Path(__file__).parents[3]
OURS = [item for item in vars(nodes).values() if isinstance(item, Node)]


def declared(*tags: str) -> Any:
    @node("one", tags=tags)
    def one(image: float = 0.0, mask: float = 0.0) -> float:
        """A node with tags."""
        return image + mask

    return one.node_type


# The tags themselves


def test_tags_are_plain_text_that_anybody_can_read() -> None:
    told = describe_node(declared(size_of("image", "mask"), adds_channels("latents"), denoises(mask="mask"), "theirs"))
    assert json.loads(json.dumps(told))["tags"] == [
        "size:of=image,mask",
        "one:channels=latents",
        "run:denoises=mask,mask",
        "theirs",
    ]


def test_a_word_is_found_with_arguments_and_without() -> None:
    plain, full = declared(CHANNELS, START), declared(adds_channels(3), starts_from("image"), size_of("mask"))
    assert all(says(kind, word) for kind in (plain, full) for word in (CHANNELS, START))
    assert not says(plain, VIEWS)
    assert (argument(plain, START), argument(full, START)) == (None, "image")
    assert arguments(full, "size:of") == [("mask",)]
    # A word that only begins like another is another.
    assert not says(declared("one:starters=image"), START)


@pytest.mark.parametrize(
    ("tag", "count"),
    [
        ("cfg", 0),
        (CHANNELS, None),
        (adds_channels(3), 3),
        (adds_channels("latents"), 16),
        ("one:channels=many", None),
        ("one:channels=-1", None),
        ("one:channels=" + "9" * 5000, None),
    ],
)
def test_how_many_channels(tag: str, count: int | None) -> None:
    assert added_channels(declared(tag), 16) == count


def test_inputs_of_a_run_have_names() -> None:
    kind = declared(denoises(mask="where", guidance="terms"))
    assert [run_input(kind, name) for name in ("mask", "guidance", "start")] == ["where", "terms", "start"]
    assert run_input(declared("run:denoises=mask"), "mask") == "mask"


def test_what_cannot_be_meant_is_refused_at_the_declaration() -> None:
    wrong: list[Any] = [
        lambda: size_of("two words"),
        lambda: starts_from(""),
        lambda: adds_channels(0),
        lambda: adds_channels(-4),
        lambda: size_unknown_if("mode", "a,b"),
    ]
    for make in wrong:
        with pytest.raises(ValueError, match=r"name of an input|adds 1 to|comma"):
            make()
    with pytest.raises(ValueError, match="'maks' is none of model, guidance"):
        denoises(maks="mask")


def test_tags_that_name_no_input_are_found() -> None:
    assert misdeclared(declared(size_of("image", "mask"))) == []
    tags = (size_of("imgae"), size_unknown_if("mode", "fit"), denoises(mask="mask", start="begin"))
    assert misdeclared(declared(*tags)) == ["imgae", "mode", "begin"]


# Ours


@pytest.mark.parametrize("ours", OURS, ids=lambda ours: ours.node_type.name)
def test_our_tags_name_inputs_that_there_are(ours: Node[..., Any]) -> None:
    assert misdeclared(ours.node_type) == []


def made_by(ours: Node[..., Any]) -> list[type[Technique]]:
    """The classes of techniques that a node's function calls by name."""
    function = ours.node_type.fn
    module = importlib.import_module(function.__module__)
    called = [
        getattr(module, item.func.id, None)
        for item in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name)
    ]
    return [made for made in called if isinstance(made, type) and issubclass(made, Technique)]


TECHNIQUES = [(ours, made) for ours in OURS for made in made_by(ours)]


def test_there_are_techniques_to_look_at() -> None:
    names = {ours.node_type.name for ours, _ in TECHNIQUES}
    assert len(names) >= 17
    assert {"cfg", "instruct_pix2pix", "depth_control", "multidiffusion", "diffedit", "from_inversion"} <= names


@pytest.mark.parametrize(("ours", "made"), TECHNIQUES, ids=lambda item: getattr(item, "__name__", ""))
def test_a_technique_says_what_its_class_does(ours: Node[..., Any], made: type[Technique]) -> None:
    kind = ours.node_type

    def overrides(hook: str) -> bool:
        return getattr(made, hook) is not getattr(Technique, hook)

    assert says(kind, BASE) == made.base
    assert says(kind, VIEWS) == overrides("views")
    assert says(kind, START) == overrides("start")
    assert (argument(kind, START) is not None) == overrides("origin")
    assert says(kind, CHANNELS) == overrides("channels")
    assert not overrides("channels") or added_channels(kind, 4) is not None


# Nothing asks for a name


def names_asked(tree: ast.AST) -> list[int]:
    """Lines where the name of a node's type is used for anything but a message."""
    told = {
        id(part) for item in ast.walk(tree) if isinstance(item, ast.FormattedValue) for part in ast.walk(item.value)
    }
    return [
        item.lineno
        for item in ast.walk(tree)
        if isinstance(item, ast.Attribute)
        and item.attr == "name"
        and id(item) not in told
        and (
            (isinstance(item.value, ast.Attribute) and item.value.attr in ("type", "node_type"))
            or (isinstance(item.value, ast.Name) and item.value.id in ("kind", "type", "node_type"))
        )
    ]


def test_names_of_nodes_are_for_messages() -> None:
    for code in (
        "view.type.name == 'denoise'",
        "TABLE.get(view.type.name)",
        "name = kind.name",
        "match found.node_type.name:\n    case 'cfg': ...",
        "{kind.name for _, kind in view.sources('x')}",
        "TABLE[node_type.name]",
    ):
        assert names_asked(ast.parse(code)) == [1], code
    assert names_asked(ast.parse("f'{id} ({kind.name})'")) == []
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "nodes").rglob("*.py"))
        for line in names_asked(ast.parse(path.read_text("utf-8")))
    ]
    assert wrong == []
