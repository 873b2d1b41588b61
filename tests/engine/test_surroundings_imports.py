"""What a library says to the process when it is imported is no doing of the node that needed it first."""

from __future__ import annotations

import logging
import os

import pytest

from weft.engine.surroundings import Surroundings


def test_a_variable_of_a_library_stays_and_is_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.delenv("TOY_VARIABLE", raising=False)
    around = Surroundings(host_waits=True)
    with caplog.at_level(logging.WARNING, "weft"):
        around.enter()
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "somewhere")
        around.restore("a")
        assert caplog.messages == []
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "somewhere"
        around.enter()
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
        monkeypatch.setenv("TOY_VARIABLE", "x")
        around.restore("b")
    assert caplog.messages == ["b changed the environment; it is put back"]
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "somewhere", "only its coming is the library's"
    assert "TOY_VARIABLE" not in os.environ
