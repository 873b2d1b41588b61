"""`weft why`: what made a node run again."""

from __future__ import annotations

import json
from typing import Any

from tests.server.conftest import TOYS

NODES = ("--nodes", TOYS)


def test_in_words_and_as_json(weft: Any, write: Any) -> None:
    file = write(
        parameters={"words": "t.text"},
        t=("toy_text", {"text": "ab"}),
        s=("toy_save", {"text": {"link": "t"}, "name": "x"}),
    )
    assert weft("why", file, "s", *NODES).stdout == "s has to run: as far as is known it never ran before.\n"
    assert weft("run", file, "-q", *NODES).exit_code == 0
    assert weft("why", file, "s", *NODES).stdout == "s is cached, so it does not run.\n"
    done = weft("why", file, "s", "--set", "words=other", *NODES)
    assert done.stdout == 's has to run:\n  t: text was "ab" and is "other" (through s)\n'
    data = json.loads(weft("why", file, "s", "--set", "words=other", "--json", *NODES).stdout)
    assert data["state"] == "changed"
    assert data["causes"] == [
        {"node": "t", "what": "input", "input": "text", "was": '"ab"', "now": '"other"', "through": ["s"]}
    ]


def test_a_wrong_node(weft: Any, write: Any) -> None:
    file = write(text=("toy_text", {"text": "ab"}))
    done = weft("why", file, "txt", *NODES)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Did you mean 'text'?" in done.stderr
