"""What holds for all tests: a node that changes its inputs in place fails, as `Settings(debug=True)` has it, and a file
of tests leaves the process as it was, so that no other file's results depend on which ones ran before.
"""

from __future__ import annotations

import locale
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine an example may take any time: how long is no matter of these tests.
settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weft")
os.environ["WEFT_DEBUG"] = "1"

OF_OTHERS = {"PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR", "LD_LIBRARY_PATH", "PATH"}
"""Variables that pytest sets, and that torch and OpenCV change when they are imported."""


@pytest.fixture(scope="module", autouse=True)
def process_stays_as_it_is() -> Iterator[None]:
    """Each file may compute with as many threads as it likes; whatever else it changes it puts back itself."""
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    before = _process()
    yield
    if threads is not None:
        sys.modules["torch"].set_num_threads(threads)
    after = _process()
    # What was not there yet, such as torch's default dtype, has no state to go back to.
    left = [name for name, was in before.items() if was is not None and was != after[name]]
    if "environment" in left:
        left += sorted(name for name, _ in before["environment"].items() ^ after["environment"].items())
    assert not left, f"this file leaves the process changed: {', '.join(left)}"


def _process() -> dict[str, Any]:
    """What tests share without asking. No values of variables: they may be secret."""
    torch = sys.modules.get("torch")
    environment = {name: hash(text) for name, text in os.environ.items() if name not in OF_OTHERS}
    return {
        "environment": environment,
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "umask": _umask(),
        "log level": (logging.root.level, logging.root.manager.disable, logging.getLogger("weft").level),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "dtype": torch.get_default_dtype() if torch is not None else None,
        "gradients": torch.is_grad_enabled() if torch is not None else None,
    }


def _umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


@pytest.fixture
def inputs_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of nodes that change their inputs in place, which harms nobody outside of debug mode."""
    monkeypatch.setenv("WEFT_DEBUG", "0")
