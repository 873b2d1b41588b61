"""The table of types: whoever has it, and the rules of docs/server.md, knows what the engine knows of what fits."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from weft.engine import Catalogue, node
from weft.engine.catalogue.describe import describe_input, describe_node
from weft.engine.catalogue.type_table import type_table
from weft.engine.declaring.types import accepts, describe

CATALOGUE = Catalogue.load()
TABLE = type_table(CATALOGUE)


def parts(text: str, mark: str) -> list[str]:
    """A text taken apart where a mark stands outside of brackets and quotes."""
    found, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += (letter == "[") - (letter == "]") if not quoted else 0
        if letter == mark and not depth and not quoted:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found]


def fits(wanted: str, given: str, variables: dict[str, list[str]]) -> bool:
    """The rules as the page says them, on nothing but texts and the table."""
    if "any" in (wanted, given):
        return True
    if len(arms := parts(given, "|")) > 1:
        return all(fits(wanted, arm, variables) for arm in arms)
    if len(arms := parts(wanted, "|")) > 1:
        return any(fits(arm, given, variables) for arm in arms)
    if wanted in variables:
        return not variables[wanted] or any(fits(option, given, variables) for option in variables[wanted])
    if wanted == "list" or given == "list" or wanted.startswith("list[") or given.startswith("list["):
        items = [item_of(text) for text in (wanted, given)]
        return items[0] is not None and items[1] is not None and fits(items[0], items[1], variables)
    wanted, given = (literal(text.partition("[")[0]) for text in (wanted, given))
    return wanted in TABLE[given]["fits"]


def item_of(text: str) -> str | None:
    """What a list is of; None of what is no list."""
    return text[5:-1] if text.startswith("list[") else "any" if text == "list" else None


def literal(text: str) -> str:
    """The type of a choice such as "auto" or 8; another text as it is."""
    return "str" if text.startswith('"') else "int" if text.lstrip("-").isdigit() else text


def test_the_rules_and_the_table_say_what_the_engine_does() -> None:
    inputs = [port for kind in CATALOGUE for port in kind.inputs.values()]
    outputs = [port.type for kind in CATALOGUE for port in kind.outputs.values() if not port.generic]
    plain = list(dict.fromkeys([*outputs, *(port.type for port in inputs if not port.generic)]))
    given = [*plain, *(list[tp] for tp in plain), *(list[list[tp]] for tp in plain[:8]), list]  # type: ignore[valid-type]
    wanted = {
        (tp, describe_input(port).get("variables") and json.dumps(describe_input(port)["variables"]))
        for port in inputs
        for tp in (port.type, port.item)
    }
    assert len(wanted) > 40
    wrong = [
        (describe(tp), describe(source))
        for (tp, variables), source in itertools.product(sorted(wanted, key=str), given)
        if fits(describe(tp), describe(source), json.loads(variables or "{}")) != accepts(tp, source)
    ]
    assert wrong == []


def test_what_stands_in_it() -> None:
    assert TABLE["int"] == {"fits": ["float", "int"], "literal": True}
    assert TABLE["bool"]["fits"] == ["bool"]
    assert TABLE["Image"] == {"fits": ["Image"], "literal": False}
    assert not {"any", "list", "T"} & set(TABLE)


def test_a_port_says_what_its_variable_may_be() -> None:
    types = {node_type.name: describe_node(node_type) for node_type in CATALOGUE}
    during = types["during"]
    assert [port.get("variables") for port in during["outputs"]] == [{"T": ["Guidance", "Control"]}]
    collect = types["collect"]
    assert (collect["outputs"][0]["type"], collect["outputs"][0]["variables"]) == ("list[T]", {"T": []})


class Base:
    pass


@dataclass
class Derived(Base):
    pass


N = TypeVar("N", int, float)
B = TypeVar("B", bound=Base)


def test_subclasses_paths_and_variables() -> None:
    @node("own_a")
    def own_a(base: Base, path: Path, mode: Literal["a", 2], number: N, bound: B, more: dict[str, Derived]) -> Derived:
        return Derived()

    own = type_table(Catalogue([own_a.node_type]))
    assert own["Derived"]["fits"] == ["Base", "Derived"]
    assert own["Base"]["fits"] == ["Base"]
    assert own["str"]["fits"] == ["Path", "str"]
    assert own["dict"] == {"fits": ["dict"], "literal": True}
    ports = describe_node(own_a.node_type)["inputs"]
    assert {name: options for port in ports for name, options in port.get("variables", {}).items()} == {
        "N": ["int", "float"],
        "B": ["Base"],
    }
