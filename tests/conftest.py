"""What holds for all tests: a node that changes its inputs in place fails, as `Settings(debug=True)` has it."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine an example may take any time: how long is no matter of these tests.
settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weft")
os.environ["WEFT_DEBUG"] = "1"


@pytest.fixture
def inputs_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of nodes that change their inputs in place, which harms nobody outside of debug mode."""
    monkeypatch.setenv("WEFT_DEBUG", "0")
