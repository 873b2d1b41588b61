"""Messages say a thing once, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from weft.graphs.problems import Problem


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ("It cannot be: no such file..", "It cannot be: no such file."),
        ("It cannot be: is it there?.", "It cannot be: is it there?"),
        ('Not "a.". Or b.. Did you?', 'Not "a.". Or b. Did you?'),
        ("Wait ... and see ...", "Wait ... and see ..."),
        ("It leaves the folder by ../.. and ..", "It leaves the folder by ../.. and .."),
        ("So much for that...", "So much for that..."),
    ],
)
def test_no_full_stop_is_doubled(message: str, read: str) -> None:
    assert Problem(code="bad_value", message=message).message == read


def test_missing_weights_of_dreambooth_name_the_command(weft: Callable[..., Result], tmp_path: Path) -> None:
    done = weft("check", "load_dreambooth")
    assert done.exit_code == 2
    assert "These weights do not ship: `python -m weft.nodes.shapes.training.dreambooth` makes them." in done.stdout
    assert "shapes.training" not in weft("check", "load_dreambooth", "--set", "trained.source=gone").stdout
