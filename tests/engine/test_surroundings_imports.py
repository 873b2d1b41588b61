"""What a library says to the process when it is imported is no doing of the node that needed it first."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from weft.engine.surroundings import Surroundings, contained


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


def test_folders_that_a_library_puts_in_front_when_it_is_imported_are_no_nodes_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What OpenCV does; anything else that changes the variable is a node's doing as before."""
    own = os.path.join(tmp_path, "cv2", "..", "lib64")
    for before in (None, "/before"):
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "cv2", raising=False)
            patch.delenv("LD_LIBRARY_PATH", raising=False)
            if before is not None:
                patch.setenv("LD_LIBRARY_PATH", before)
            text = f"{own}{os.pathsep}{before or ''}"
            with contained("a stranger"):
                patch.setenv("LD_LIBRARY_PATH", text)
            assert os.environ.get("LD_LIBRARY_PATH") == before, "nobody knows the library"
            assert "a stranger changed the environment; it is put back" in caplog.text
            caplog.clear()
            module = ModuleType("cv2")
            module.__file__ = os.path.join(tmp_path, "cv2", "__init__.py")
            with contained("an import"):
                patch.setitem(sys.modules, "cv2", module)
                patch.setenv("LD_LIBRARY_PATH", text)
            assert (os.environ["LD_LIBRARY_PATH"], caplog.text) == (text, "")
            for wrong in ("/other", f"/elsewhere{os.pathsep}{text}", f"{tmp_path}/cv2-not{os.pathsep}{text}"):
                with contained("a node"):
                    patch.setenv("LD_LIBRARY_PATH", wrong)
                assert os.environ["LD_LIBRARY_PATH"] == text, wrong
