"""What enters the key of a result, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import toys
from weft.engine import Catalogue, node
from weft.engine.catalogue.code import code_fingerprint
from weft.engine.plain import canonical, pack
from weft.engine.planning.plan import make_plan
from weft.graphs import Workflow

Doc = Callable[..., dict[str, Any]]
CATALOGUE = toys.catalogue()


def key(document: dict[str, Any], target: str, catalogue: Catalogue = CATALOGUE, out: str = "/out") -> bytes:
    plan = make_plan(Workflow.parse(document), catalogue, [target], out)
    return plan.steps[plan.numbers[target]].key


def literal_key(value: Any, type: str = "any") -> bytes:
    return key({"weft": 1, "nodes": {"n": {"type": type, "inputs": {"value": {"value": value}}}}}, "n")


def test_values_that_differ_only_by_type_differ() -> None:
    values = [1, 1.0, True, [], {}, 0, 0.0, False, None, "", "1", [1], [[1]], {"a": 1}, "None", -0.0]
    assert len({literal_key(value) for value in values}) == len(values)


def test_a_link_is_no_literal_that_looks_like_one() -> None:
    linked = key({"weft": 1, "nodes": {"a": {"type": "any"}, "n": _any({"link": "a"})}}, "n")
    assert literal_key({"link": "a"}) != linked
    assert key({"weft": 1, "nodes": {"a": {"type": "any"}, "n": _any([{"link": "a"}])}}, "n") != linked


def _any(value: Any) -> dict[str, Any]:
    return {"type": "any", "inputs": {"value": value}}


def test_an_int_at_a_float_port_is_that_float() -> None:
    assert literal_key(7, "real") == literal_key(7.0, "real")
    assert literal_key(7, "real") != literal_key(7.5, "real")


def test_ids_order_ui_and_parameters_do_not_enter(document: Doc) -> None:
    a = document(x=("number", {"value": 3}), y=("add", {"a": {"link": "x"}, "b": 2}))
    b = document(zz=("add", {"b": 2, "a": {"link": "q.value"}}), q=("number", {"value": 3}))
    b |= {"ui": {"q": {"x": 3}}, "meta": {"title": "t"}, "parameters": {"p": {"input": "q.value"}}}
    assert key(a, "y") == key(b, "zz")


def test_an_absent_input_counts_as_its_default(document: Doc) -> None:
    assert key(document(n=("add", {"a": 1})), "n") == key(document(n=("add", {"a": 1, "b": 1})), "n")
    assert key(document(n=("add", {"a": 1})), "n") != key(document(n=("add", {"a": 1, "b": 2})), "n")
    assert key(document(n=("total", {"items": []})), "n") == key(
        document(n=("total", {"items": [], "mode": "sum"})), "n"
    )


def test_ancestors_outputs_and_order_in_lists_enter(document: Doc) -> None:
    def of(items: list[str], value: int = 7) -> bytes:
        nodes = {
            "n": ("number", {"value": value}),
            "d": ("divide", {"a": {"link": "n"}}),
            "t": ("total", {"items": [{"link": item} for item in items]}),
        }
        return key(document(**nodes), "t")

    assert of(["d"]) == of(["d.whole"]), "the first output, by name or not"
    different = [of(["d"]), of(["d.rest"]), of(["d", "d.rest"]), of(["d.rest", "d"]), of(["d"], value=8)]
    assert len(set(different)) == len(different)


def test_the_output_folder_enters_the_keys_of_nodes_that_write_alone(document: Doc) -> None:
    doc = document(t=("text", {"value": "a"}), w=("write", {"text": {"link": "t"}, "name": "n"}))
    assert key(doc, "w", out="/a") != key(doc, "w", out="/b")
    assert key(doc, "t", out="/a") == key(doc, "t", out="/b")


def test_the_version_enters(document: Doc) -> None:
    def declared(version: int) -> Catalogue:
        @node("n", version=version)
        def n() -> int:
            return 1

        return Catalogue([n])

    assert key(document(n=("n", {})), "n", declared(1)) != key(document(n=("n", {})), "n", declared(2))


def test_code_enters_for_nodes_outside_this_package(tmp_path: Any, document: Doc) -> None:
    def loaded(name: str, helper: str) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pack.py").write_text(
            "from weft.engine import node\nfrom ._help import f\n\n@node('p')\ndef p() -> int:\n    return f()\n"
        )
        (folder / "_help.py").write_text(helper)
        catalogue = Catalogue()
        catalogue.add_folder(folder)
        assert not catalogue.failures
        return key(document(n=("p", {})), "n", catalogue)

    first = loaded("a", "def f(): return 1")
    assert loaded("b", "def f(): return 1") == first, "where it lies does not matter"
    assert loaded("c", "def f(): return 2") != first, "what a node calls is part of it"


def test_our_own_nodes_carry_no_code() -> None:
    from weft.engine.catalogue.describe import describe_node

    assert code_fingerprint(describe_node) is None
    assert code_fingerprint(toys.add.node_type.fn) is not None


def test_nodes_that_never_cache_have_a_new_key_each_time(document: Doc) -> None:
    doc = document(c=("clock", {}), a=("add", {"a": {"link": "c"}}))
    assert key(doc, "c") != key(doc, "c")
    assert key(doc, "a") != key(doc, "a")


def test_a_fingerprint_enters(document: Doc, tmp_path: Any) -> None:
    file = tmp_path / "f.txt"
    doc = document(r=("read", {"path": str(file)}))
    file.write_text("a")
    first = key(doc, "r")
    assert key(doc, "r") == first
    file.write_text("b")
    assert key(doc, "r") != first
    file.unlink()
    assert key(doc, "r") != key(doc, "r"), "without a fingerprint it has to run"


def test_a_fingerprint_of_a_linked_input_cannot_be_known(document: Doc, tmp_path: Any) -> None:
    (tmp_path / "f.txt").write_text("a")
    doc = document(t=("text", {"value": str(tmp_path / "f.txt")}), r=("read", {"path": {"link": "t"}}))
    assert key(doc, "r") != key(doc, "r")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """A form in which values are equal when they are the same JSON, types included."""
    if isinstance(value, list):
        return ["list", *map(typed, value)]
    if isinstance(value, dict):
        return ["dict", *sorted([name, typed(item)] for name, item in value.items())]
    return [type(value).__name__, repr(value)]


@given(JSON, JSON)
def test_packed_forms_are_equal_exactly_when_values_are(a: Any, b: Any) -> None:
    same = pack(canonical(a)) == pack(canonical(b))
    assert same == (repr(typed(a)) == repr(typed(b)))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert pack(canonical(value)) == pack(canonical(backwards))


@pytest.mark.parametrize("n", [2**64, -(2**63) - 1, 2**63, 10**30])
def test_large_ints_have_keys_of_their_own(n: int) -> None:
    assert pack(n) != pack(n + 1)
    assert pack([n]) != pack([str(n)])


def test_chance_stays_out_of_the_provenance(document: Doc) -> None:
    """Else the same picture, saved after a node that always runs, would be another file each time."""
    from weft.engine.planning.provenance import provenance

    doc = document(c=("clock", {}), a=("add", {"a": {"link": "c"}}), n=("number", {"value": 1}))
    workflow = Workflow.parse(doc)
    texts = [provenance(workflow, make_plan(workflow, CATALOGUE, ["a", "n"], "out")) for _ in range(2)]
    assert texts[0] == texts[1]
    assert list(json.loads(texts[0]["weft_run"])["keys"]) == ["n"]


def test_keys_stay_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache is worth nothing when another version of the engine finds nothing in it."""
    nodes = {
        "n": {"type": "number", "inputs": {"value": 7}},
        "r": {"type": "real", "inputs": {"value": 7}},
        "t": {"type": "text", "inputs": {"value": "é" * 300}},
        "d": {"type": "divide", "inputs": {"a": {"link": "n"}}},
        "s": {"type": "total", "inputs": {"items": [{"link": "d.rest"}, 3, {"link": "n"}]}},
        "l": {"type": "total", "inputs": {"items": [1, 2, 3]}},
        "o": {"type": "any", "inputs": {"value": {"value": {"b": [1, 2.0, None, True], "a": {}}}}},
    }
    known = {
        "n": "93f6d4cb4baf669b776392019da495d12c336e30",
        "r": "6d62457dc9360bcd2eec6f4b9a7e5d1f463f941c",
        "t": "f66b07994edfa2ad267112ea5554a451e77fd570",
        "d": "aab5deb5441216c21e9728b886cfbec9ac07b3a9",
        "s": "464fbc007b3feb24c65a7a708dc550674193845b",
        "l": "2993a8838939db6946713839983ba2b0ebdf2bd9",
        "o": "a5d008a268e5e8daa08ffc053ff013fc695219b8",
    }
    catalogue = toys.catalogue()
    monkeypatch.setattr(catalogue, "code", lambda node_type: None)  # that of the toys changes with each test
    assert {id: key({"weft": 1, "nodes": nodes}, id, catalogue).hex() for id in nodes} == known
