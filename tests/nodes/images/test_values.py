"""Constants, arithmetic and text."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from weft.nodes import (
    add,
    add_integers,
    boolean,
    divide,
    divide_integers,
    fill_text,
    integer,
    join_text,
    limit_number,
    multiply,
    multiply_integers,
    number,
    remainder,
    round_number,
    subtract,
    text,
)


def test_constants_give_what_they_hold() -> None:
    assert integer(3) == 3
    assert number(2.5) == 2.5
    assert text("a $b") == "a $b"
    assert boolean(True) is True
    kinds = {declared.node_type.outputs["value"].type for declared in (integer, number, text, boolean)}
    assert kinds == {int, float, str, bool}


def test_arithmetic() -> None:
    assert add(1.5, 2.0) == 3.5
    assert subtract(1.5, 2.0) == -0.5
    assert multiply(1.5, 2.0) == 3.0
    assert divide(1.0, 4.0) == 0.25
    assert add_integers(7, -2) == 5
    assert multiply_integers(7, -2) == -14
    assert divide_integers(-7, 2) == -4
    assert remainder(-7, 3) == 2
    assert limit_number(1.5) == 1.0
    assert limit_number(-0.5, -0.25, 3.0) == -0.25


def test_rounding_gives_whole_numbers() -> None:
    assert [round_number(value) for value in (0.5, 1.5, 2.4, -0.6)] == [0, 2, 2, -1]
    assert round_number(-1.5, "down") == -2
    assert round_number(-1.5, "up") == -1
    assert type(round_number(2.0)) is int


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: divide(1.0, 0.0), "cannot divide 1.0 by 0"),
        (lambda: divide_integers(1, 0), "cannot divide 1 by 0"),
        (lambda: remainder(1, 0), "cannot divide 1 by 0"),
        (lambda: multiply(1e300, 1e300), "not a finite number"),
        (lambda: add(1e308, 1e308), "not a finite number"),
        (lambda: divide(1.0, 1e-320), "not a finite number"),
        (lambda: add_integers(2**63 - 1, 1), "does not fit 64 bits"),
        (lambda: multiply_integers(2**40, 2**40), "does not fit 64 bits"),
        (lambda: round_number(1e30), "does not fit 64 bits"),
        (lambda: limit_number(0.0, 2.0, 1.0), "above high"),
    ],
)
def test_what_has_no_result_says_so(compute: Callable[[], float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute()


def test_whole_numbers_stay_whole_and_numbers_do_not_pass_for_them() -> None:
    for declared in (add_integers, multiply_integers, divide_integers, remainder, round_number):
        assert declared.node_type.outputs["value"].type is int
    assert add_integers.node_type.inputs["a"].type is int
    assert add.node_type.outputs["value"].type is float


def test_joining() -> None:
    assert join_text(["a red circle", "", "  ", "white background"]) == "a red circle, white background"
    assert join_text(["a", "", "b"], "-", skip_empty=False) == "a--b"
    assert join_text([]) == ""


def test_filling_knows_its_four_places_and_nothing_else() -> None:
    assert fill_text("a $a circle, ${b}ish", a="red", b="blue") == "a red circle, blueish"
    assert fill_text("$$5 $x ${x} $ 100% {a} {0.__class__} ${a.b} ${", a="z") == (
        "$5 $x ${x} $ 100% {a} {0.__class__} ${a.b} ${"
    )
    assert fill_text("$a", a="$b", b="no") == "$b"  # what is filled in is not filled again
    assert fill_text("$a $b $c $d", a=1, b=0.5, c=True, d=False) == "1 0.5 true false"


def test_texts_are_bounded_before_memory_is_taken() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="could fill memory"):
            fill_text("$a" * 400_000, a="x" * 1_000_000)
        with pytest.raises(ValueError, match="the limit is 1,000,000"):
            join_text(["x" * 999_999] * 1000)
        with pytest.raises(ValueError, match="the limit is 1,000,000"):
            fill_text("x" * 1_000_001)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
