"""Each code of the contract, by a document that is nearly right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engine import toys
from weft.engine import Catalogue, Problem, WorkflowError, check, node, run
from weft.graphs import Workflow

Doc = Callable[..., dict[str, Any]]


def right() -> dict[str, Any]:
    return {
        "weft": 1,
        "nodes": {
            "one": {"type": "number", "inputs": {"value": 1}},
            "cut": {"type": "divide", "inputs": {"a": {"link": "one"}, "by": 2}},
            "square": {"type": "square", "inputs": {"side": 2}},
            "side": {"type": "side", "inputs": {"square": {"link": "square"}}},
            "all": {"type": "total", "inputs": {"items": [{"link": "cut.rest"}, {"link": "one"}, 3], "mode": "sum"}},
            "end": {"type": "show", "inputs": {"value": {"link": "side"}}},
        },
        "parameters": {"one": {"input": "one.value"}},
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """The right document with the value at `a/b/c` replaced, or taken out by `...`."""
    document = right()
    place: Any = document
    *way, last = path.split("/")
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def the_one(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_the_right_one_has_no_problem(catalogue: Catalogue) -> None:
    assert check(right(), catalogue) == []


NEAR_MISSES: list[tuple[str, Any, str, str | None, str | None, str | None]] = [
    ("nodes/one/type", "numbr", "unknown_node_type", "one", None, "number"),
    ("nodes/cut/inputs/bye", 2, "unknown_input", "cut", "bye", "by"),
    ("nodes/cut/inputs/a", ..., "missing_input", "cut", "a", None),
    ("nodes/side/inputs/square", ..., "missing_input", "side", "square", None),
    ("nodes/one/inputs/value", "1", "bad_value", "one", "value", "1"),
    ("nodes/one/inputs/value", 5.7, "bad_value", "one", "value", "6"),
    ("nodes/one/inputs/value", True, "bad_value", "one", "value", None),
    ("nodes/one/inputs/value", None, "bad_value", "one", "value", None),
    ("nodes/one/inputs/value", [1], "bad_value", "one", "value", None),
    ("nodes/side/inputs/square", 4, "bad_value", "side", "square", None),
    ("nodes/all/inputs/items", 3, "bad_value", "all", "items", None),
    ("nodes/all/inputs/items", [{"link": "one"}, "3"], "bad_value", "all", "items", "3"),
    ("nodes/cut/inputs/by", 0, "out_of_range", "cut", "by", None),
    ("nodes/cut/inputs/by", 101, "out_of_range", "cut", "by", None),
    ("nodes/all/inputs/mode", "summ", "not_a_choice", "all", "mode", "sum"),
    ("nodes/cut/inputs/a", {"link": "oen"}, "unknown_link", "cut", "a", "one"),
    ("nodes/all/inputs/items", [{"link": "cut.rset"}], "unknown_output", "all", "items", "cut.rest"),
    ("nodes/side/inputs/square", {"link": "one"}, "type_mismatch", "side", "square", None),
    ("nodes/side/inputs/scale", {"link": "square"}, "type_mismatch", "side", "scale", None),
    ("nodes/all/inputs/items", {"link": "one"}, "type_mismatch", "all", "items", None),
    ("nodes/cut/inputs/a", [{"link": "one"}], "type_mismatch", "cut", "a", None),
    ("nodes/cut/inputs/a", {"link": "cut"}, "cycle", "cut", "a", None),
    ("nodes/one/version", 2, "unknown_version", "one", None, None),
    ("weft", 2, "bad_document", None, None, None),
    ("nodes/one/inputs", 3, "bad_document", "one", None, None),
    ("parameters/one/input", "on.value", "unknown_link", None, None, "one.value"),
]


@pytest.mark.parametrize(("path", "value", "code", "node", "input", "suggestion"), NEAR_MISSES)
def test_near_miss(
    path: str,
    value: Any,
    code: str,
    node: str | None,
    input: str | None,
    suggestion: str | None,
    catalogue: Catalogue,
) -> None:
    document = changed(path, value)
    problem = the_one(check(document, catalogue))
    assert (problem.severity, problem.code) == ("error", code)
    assert problem.node == node
    assert problem.input == input
    if suggestion is not None:
        assert problem.suggestion == suggestion
    with pytest.raises(WorkflowError) as raised:
        run(document, catalogue=catalogue)
    assert raised.value.problems == [problem]


def test_all_problems_at_once(catalogue: Catalogue) -> None:
    document = right()
    document["nodes"]["one"]["inputs"] = {"value": "x", "valu": 2}
    document["nodes"]["cut"]["inputs"]["by"] = 1000
    document["nodes"]["side"]["inputs"]["square"] = {"link": "nowhere"}
    document["nodes"]["end"]["type"] = "sho"
    codes = sorted(problem.code for problem in check(document, catalogue))
    assert codes == ["bad_value", "out_of_range", "unknown_input", "unknown_link", "unknown_node_type"]


def test_a_cycle_lists_its_nodes(catalogue: Catalogue, document: Doc) -> None:
    wheel = document(
        a=("add", {"a": {"link": "c"}}), b=("add", {"a": {"link": "a"}}), c=("add", {"a": {"link": "b"}}),
        end=("show", {"value": {"link": "c"}}),
    )  # fmt: skip
    problem = the_one(check(wheel, catalogue))
    assert problem.code == "cycle"
    assert sorted(problem.given) == ["a", "b", "c"]


def test_nothing_to_make(catalogue: Catalogue, document: Doc) -> None:
    only = document(one=("number", {}))
    assert the_one(check(only, catalogue)).code == "no_output"
    assert check(only, catalogue, targets=["one"]) == []
    assert the_one(check(only, catalogue, targets=[])).code == "no_output"
    assert the_one(check({"weft": 1, "nodes": {}}, catalogue)).code == "no_output"


def test_targets_that_are_not_there(catalogue: Catalogue) -> None:
    problem = the_one(check(right(), catalogue, targets=["cutt"]))
    assert (problem.code, problem.suggestion) == ("unknown_link", "cut")
    problem = the_one(check(right(), catalogue, targets=["cut.wole"]))
    assert (problem.code, problem.suggestion) == ("unknown_output", "cut.whole")


def test_a_nodes_own_check_finds_conflicts(catalogue: Catalogue, document: Doc) -> None:
    def with_terms(*names: str) -> dict[str, Any]:
        return document(
            x=("base_term", {}), y=("base_term", {}), z=("square", {}),
            all=("terms", {"terms": [{"link": name} for name in names]}),
        )  # fmt: skip

    assert check(with_terms("x", "z"), catalogue) == []
    problem = the_one(check(with_terms("x", "z", "y"), catalogue))
    assert (problem.code, problem.node, problem.message) == ("conflict", "all", "x and y are both bases.")


def test_an_own_check_that_fails_is_a_warning(document: Doc) -> None:
    @node("odd", output=True, check=lambda view: 1 / 0)  # type: ignore[arg-type, return-value]
    def odd() -> int:
        return 1

    problem = the_one(check(document(odd=("odd", {})), Catalogue([odd])))
    assert problem.severity == "warning"
    assert "ZeroDivisionError" in problem.message


def test_too_large(catalogue: Catalogue) -> None:
    nodes = {f"n{i}": {"type": "number"} for i in range(10_001)}
    assert the_one(check({"weft": 1, "nodes": nodes}, catalogue)).code == "too_large"


def test_paths_stay_within_the_roots(catalogue: Catalogue, document: Doc, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hat.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("b")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "secret.txt")

    def codes(path: str, roots: list[Path] | None) -> list[str]:
        doc = document(r=("read", {"path": path}), end=("show", {"value": {"link": "r"}}))
        return [problem.code for problem in check(doc, catalogue, roots=roots)]

    roots = [tmp_path / "in"]
    assert codes("hat.txt", roots) == []
    assert codes(str(tmp_path / "in" / "hat.txt"), roots) == []
    for outside in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "a\0b"):
        assert codes(outside, roots) == ["path_outside_root"], outside
    assert codes("secret.txt", None) == [], "unbounded: relative to the working directory"
    assert codes("hat.txt", []) == ["path_outside_root"]


def test_a_missing_file_is_found_before_the_run(catalogue: Catalogue, document: Doc, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("a")
    doc = document(r=("read", {"path": "phot.txt"}), end=("show", {"value": {"link": "r"}}))
    problem = the_one(check(doc, catalogue))
    assert (problem.code, problem.suggestion) == ("bad_value", "photo.txt")
    assert (
        the_one(check(document(r=("read", {"path": "."}), end=("show", {"value": 1})), catalogue)).code == "bad_value"
    )


def test_types_flow_through_generic_nodes(catalogue: Catalogue, document: Doc) -> None:
    def through(source: str, user: tuple[str, str]) -> list[Problem]:
        name, input = user
        # In the file the user stands before what it uses: the order carries no meaning.
        return check(
            document(
                end=("show", {"value": {"link": "use"}}), use=(name, {input: {"link": "b"}}),
                b=("same", {"value": {"link": "a"}}), a=("same", {"value": {"link": "s"}}), s=(source, {}),
            ),
            catalogue,
        )  # fmt: skip

    assert through("square", ("side", "square")) == []
    assert through("square", ("count_corners", "shape")) == []
    problem = the_one(through("shape", ("side", "square")))
    assert (problem.code, problem.given, problem.expected) == ("type_mismatch", "Shape", "Square")


def test_two_inputs_of_one_typevar_have_to_agree(catalogue: Catalogue, document: Doc) -> None:
    def pick(first: str, second: str) -> list[Problem]:
        return check(
            document(
                a=(first, {}), b=(second, {}), p=("pick", {"first": {"link": "a"}, "second": {"link": "b"}}),
                end=("show", {"value": {"link": "p"}}),
            ),
            catalogue,
        )  # fmt: skip

    assert pick("square", "shape") == []
    assert the_one(pick("square", "number")).code == "type_mismatch"


class Cut(NamedTuple):
    count: int
    piece: toys.Square


def test_a_link_to_the_wrong_output_suggests_the_right_one(document: Doc) -> None:
    @node("cut")
    def cut() -> Cut:
        return Cut(1, toys.Square())

    doc = document(c=("cut", {}), s=("side", {"square": {"link": "c"}}))
    problem = the_one(check(doc, Catalogue([cut, toys.side]), targets=["s"]))
    assert (problem.code, problem.suggestion) == ("type_mismatch", "c.piece")


def test_old_versions_are_migrated(catalogue: Catalogue, document: Doc) -> None:
    old = document(g=("grown", {"quantity": 4}))
    old["nodes"]["g"]["version"] = 1
    untouched = copy.deepcopy(old)
    workflow = Workflow.parse(old)
    assert check(workflow, catalogue) == []
    assert run(workflow, catalogue=catalogue)["g"] == 8
    assert old == untouched
    assert workflow.nodes["g"].inputs == {"quantity": 4}
    old["nodes"]["g"]["version"] = 2
    assert [problem.code for problem in check(old, catalogue)] == ["unknown_version"], "its migration fails"
    old["nodes"]["g"]["version"] = 4
    assert the_one(check(old, catalogue)).code == "unknown_version"


def test_what_cannot_be_read_is_a_problem_too(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"weft": 1,\n "nodes": {,}}')
    problem = the_one(check(tmp_path / "bad.json", catalogue))
    assert problem.code == "bad_document"
    assert "Line 2, column 12" in problem.message
    assert the_one(check(tmp_path / "none.json", catalogue)).code == "bad_document"
    with pytest.raises(TypeError, match="not int"):
        check(3, catalogue)


def test_unknown_keys_are_warnings_and_run(catalogue: Catalogue) -> None:
    document = right() | {"extra": 1}
    problem = the_one(check(document, catalogue))
    assert problem.severity == "warning"
    assert run(document, catalogue=catalogue)["end"] == 2.0


def test_a_check_sees_the_nodes_around(catalogue: Catalogue) -> None:
    """Upstream by `sources` and `other`, downstream by `users`."""
    seen: dict[str, Any] = {}

    def look(view: Any) -> list[Any]:
        seen["users"] = [(user.id, user.type.name) for user in view.users()]
        (source,) = view.sources("value")
        seen["literals"] = view.other(source[0]).literals
        seen["missing"] = view.other("nowhere")
        return []

    @node("looking", check=look)
    def looking(value: int) -> int:
        """Looks around."""
        return value

    catalogue = Catalogue([*toys.NODES, looking])
    links = {"value": {"link": "middle"}}
    document = {
        "weft": 1,
        "nodes": {
            "first": {"type": "steps", "inputs": {"count": 5}},
            "middle": {"type": "looking", "inputs": {"value": {"link": "first"}}},
            "a": {"type": "lazily", "inputs": links},
            "b": {"type": "lazily", "inputs": links},
        },
    }
    assert check(document, catalogue, targets=["a"]) == []
    assert seen == {"users": [("a", "lazily"), ("b", "lazily")], "literals": {"count": 5}, "missing": None}
