"""What all nodes of a process share without asking: it is put back after each of them, and who changed it is named.

Global random numbers (Python's, NumPy's, torch's) are restored without a word, since drawing some is no fault: a node
that needs them for its result takes a seed. The working directory, the locale and torch's default dtype are restored
and the node is named in the log; so are threads that a node leaves. Some microseconds a node, and no import: what is
not loaded cannot have been changed.

Nodes that run at the same time share all of this while they run. Where that matters, run them isolated.
"""

from __future__ import annotations

import locale
import logging
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("weft.node")

OURS = "weft-"
"""How threads of the engine begin their names."""


class Surroundings:
    """The state of the process as it is now, to go back to."""

    def __init__(self) -> None:
        self._random = random.getstate()
        self._numpy: _Numpy | None = None
        self._torch: _Torch | None = None
        self._folder = _folder()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._threads = set(threading.enumerate())
        """By object: numbers of threads are given anew, and one that ends would make up for one that was left."""
        self._said: set[tuple[str, str]] = set()
        self._running = 0
        self._lock = threading.Lock()
        self._look()

    def _look(self) -> None:
        """Find what was imported since. What a node draws that imports torch itself cannot be undone."""
        modules = sys.modules
        if self._numpy is None and "numpy.random" in modules and hasattr(modules["numpy.random"], "mtrand"):
            self._numpy = _Numpy(modules["numpy.random"])
        if self._torch is None and "torch" in modules and hasattr(modules["torch"], "default_generator"):
            self._torch = _Torch(modules["torch"])

    def enter(self) -> None:
        """Something begins to run."""
        with self._lock:
            self._running += 1

    def restore(self, who: str) -> None:
        """Put everything back.

        Args:
            who: what ran, for the log.
        """
        with self._lock:
            self._running -= 1
        random.setstate(self._random)  # a third of the time that it takes to see whether it changed
        if self._numpy is not None:
            self._numpy.restore()
        if self._torch is not None and self._torch.restore():
            self._say(who, "torch's default dtype", "it is put back")
        folder = _folder()
        if folder != self._folder and self._folder:
            self._put_back(who, f"the working directory to {folder}", lambda: os.chdir(self._folder))
        if locale.setlocale(locale.LC_ALL) != self._locale:
            self._put_back(who, "the locale", lambda: locale.setlocale(locale.LC_ALL, self._locale))
        # Of several nodes at a time nobody can tell whose threads these are, or whether they will be joined.
        if not self._running:
            self._name_threads(who)
        if self._numpy is None or self._torch is None:
            self._look()

    def _put_back(self, who: str, what: str, act: Callable[[], object]) -> None:
        try:
            act()
            self._say(who, what, "it is put back")
        except (OSError, locale.Error) as error:
            self._say(who, what, f"it cannot be put back: {error}")

    def _say(self, who: str, what: str, then: str) -> None:
        if (who, what) not in self._said:
            self._said.add((who, what))
            log.warning("%s changed %s; %s", who, what, then)

    def _name_threads(self, who: str) -> None:
        alive = set(threading.enumerate())
        left = [thread for thread in alive - self._threads if not thread.name.startswith(OURS)]
        self._threads = alive
        for thread in left:
            log.warning("%s left the thread %r running", who, thread.name)


@contextmanager
def contained(who: str) -> Iterator[None]:
    """Put everything back after the block, such as the import of a pack, and name it where it changed something."""
    around = Surroundings()
    around.enter()
    try:
        yield
    finally:
        around.restore(who)


class _Numpy:
    """NumPy's global generator, looked at in place: a copy of its state through NumPy takes longer than many nodes."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.generator = module.mtrand._rand._bit_generator
        self.state = module.get_state(legacy=False)
        self.address = None
        if self.state.get("bit_generator") == "MT19937" and not self.state.get("has_gauss"):
            import ctypes

            self.read, self.address = ctypes.string_at, self.generator.ctypes.state_address
            self.bytes = self.read(self.address, _MT_BYTES)

    def restore(self) -> None:
        if self.address is None or self.read(self.address, _MT_BYTES) != self.bytes:
            self.module.set_state(self.state)


_MT_BYTES = 625 * 4
"""Its 624 words and the place in them."""


class _Torch:
    """torch's generators and default dtype."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.dtype = torch.get_default_dtype()
        self.generators = [(torch.default_generator, torch.default_generator.get_state())]
        self.devices = False

    def restore(self) -> bool:
        """Returns whether the default dtype had been changed."""
        for generator, state in self.generators:
            generator.set_state(state)
        cuda = self.torch.cuda
        if not self.devices and cuda.is_initialized():
            self.devices = True
            # From here on: what was drawn by the node that woke the device cannot be undone.
            self.generators += [(generator, generator.get_state()) for generator in cuda.default_generators]
        if self.torch.get_default_dtype() == self.dtype:
            return False
        self.torch.set_default_dtype(self.dtype)
        return True


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
