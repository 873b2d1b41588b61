"""What all code of a process shares without asking: generators of random numbers, the working directory, and the like.

The rule: it belongs to the host, the program that called `run`.

- A node that may draw from the generators of the process (Python's, NumPy's, torch's) runs with no other of its kind
  beside it. It begins with the generators as they were when the run began, and what it drew is taken back when it ends.
  Nothing is put back around any other node, so a seeded node beside eight others gives what it gives alone.
- The working directory, the locale, the environment and torch's default dtype are put back after a node, which is named
  in the log, when nothing else of the process is at work: no other node of any run, and no thread of the host but the
  one that waits for the run. Else they stay, and the log says so. Threads that a node leaves are named, and are not the
  host's in later runs. After the import of a pack they are put back as long as no node is at work. A worker process has
  no host: between two runs all of them are put back, whoever left them (`engine.isolation.handover`).
- A node that took longer than it may, and ends after its run, puts nothing back: the host has gone on, and what it set
  meanwhile is its own.

While a node draws, a thread of the host that draws from the same generators meets its numbers. Where that matters,
nodes run isolated. What is not imported cannot have been changed, and looking imports nothing.
"""

from __future__ import annotations

import contextlib
import locale
import logging
import os
import random
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("weft.node")

OURS = "weft-"
"""How threads of the engine begin their names."""

BY_IMPORTS = frozenset({"TORCHINDUCTOR_CACHE_DIR"})
"""Variables that libraries add when they are imported, which is once in a process; torch this one."""

FOLDERS_OF_IMPORTS = {"LD_LIBRARY_PATH": "cv2", "PATH": "cv2"}
"""Variables of folders before which a library puts those of its own when it is imported; OpenCV these."""

CARETAKERS = frozenset({"tqdm._monitor"})
"""Modules whose threads do no work of anybody's, and stay once they are there; tqdm's redraws bars that stand still."""

_drawing = threading.Lock()
"""Held by the one node of the process that may draw now."""
_turn = threading.local()
"""`_turn.now`: what this thread has to give back when it waits for others (see `waiting`)."""
_working = 0
_callers: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that started runs: they are the host's, whichever node is at work when they come."""
_strays: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that nodes left, in this run or an earlier one: the host does nothing in them."""
_count = threading.Lock()
"""For `_working`, and for the two sets of threads."""


class Surroundings:
    """The state of the process as it is when a run begins, to go back to.

    Args:
        host_waits: the host waits with all its threads, as far as it matters: for the import of a pack, which is short
            and which it asked for. Of a run that is not said, but seen from the threads that there are.
    """

    def __init__(self, *, host_waits: bool = False) -> None:
        self._host_waits = host_waits
        self._first: dict[str, Any] = {}
        if _drawing.acquire(blocking=False):  # else what is there now is a node's, and is met when that is over
            try:
                self._first = _now(_modules())
            finally:
                _drawing.release()
        self._folder = _folder()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._environment = _environment()
        self._dtype = _default_dtype()
        self._caller = threading.current_thread()
        with _count:
            _callers.add(self._caller)
        self._threads = set(threading.enumerate())
        """By object: numbers of threads are given anew, and one that ends would make up for one that was left."""
        self._drew = False
        self._over = False
        self._turns: set[_Turn] = set()
        self._said: set[tuple[str, str]] = set()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """A turn with the generators of the process: in it they are as they were when the run began."""
        turn = _Turn(self._first)
        with _count:
            self._turns.add(turn)
            if self._over:
                turn.end()
        try:
            turn.take()
            _turn.now = turn
            yield
        finally:
            _turn.now = None
            turn.give()
            with _count:
                self._turns.discard(turn)

    def end(self) -> None:
        """The run is over, and the host goes on: what nodes that nobody waits for find or leave is not put back."""
        with _count:
            self._over = True
            turns = list(self._turns)
        for turn in turns:
            turn.end()
        self._folder, self._locale = _folder(), locale.setlocale(locale.LC_ALL)
        self._environment, self._dtype = _environment(), _default_dtype()

    def enter(self) -> None:
        """Something begins to run."""
        global _working
        with _count:
            _working += 1

    def restore(self, who: str, *, drew: bool = False) -> None:
        """Something ended.

        Args:
            who: what ran, for the log.
            drew: whether it may have drawn without a turn of its own, as async nodes do.
        """
        global _working
        with _count:
            _working -= 1
            alone = not _working
        # Of several nodes at a time nobody can tell whose threads these are, or whether they will be joined.
        if alone and not self._over and not self._threads.issuperset(threading.enumerate()):
            self._name_threads(who)
        self._drew = self._drew or drew
        if self._drew and alone and not self._over and self._is_host_idle():
            self._drew = False
            _set(_modules(), self._first)
        self._compare(who, alone)

    def put_back(self, who: str) -> None:
        """Put everything back but generators and threads. For when nothing at all is at work.

        Args:
            who: what may have changed something, for the log.
        """
        self._compare(who, True)

    def _compare(self, who: str, alone: bool) -> None:
        folder = _folder()
        if folder != self._folder and self._folder:
            self._put_back(who, alone, f"the working directory to {folder}", lambda: os.chdir(self._folder))
        if locale.setlocale(locale.LC_ALL) != self._locale:
            self._put_back(who, alone, "the locale", lambda: locale.setlocale(locale.LC_ALL, self._locale))
        if not _same_environment(self._environment):
            self._take_over_imports()
        if not _same_environment(self._environment):
            self._put_back(who, alone, "the environment", self._restore_environment)
        dtype = _default_dtype()
        if dtype is not self._dtype:
            if self._dtype is None:  # torch was imported since
                self._dtype = sys.modules["torch"].float32
            if dtype is not self._dtype:
                put = sys.modules["torch"].set_default_dtype
                self._put_back(who, alone, "torch's default dtype", lambda: put(self._dtype))

    def _is_host_idle(self) -> bool:
        """Whether every other thread is one of the engine, takes care of a library, or was left by a node and named."""
        here = (self._caller, threading.current_thread())
        return self._host_waits or all(
            thread in here or _is_nobodys(thread) or thread in _strays for thread in threading.enumerate()
        )

    def _take_over_imports(self) -> None:
        """Keep what a library said to the process when it was imported: that is no doing of the node that needed it."""
        now = _environment()
        for name in now.keys() - self._environment.keys():
            if os.fsdecode(name) in BY_IMPORTS:
                self._environment[name] = now[name]
        for said, library in FOLDERS_OF_IMPORTS.items():
            name = getattr(os.environ, "encodekey", str)(said)
            before, text = os.fsdecode(self._environment.get(name, "")), os.fsdecode(now.get(name, ""))
            if text != before and _are_in_front(library, text, before):
                self._environment[name] = now[name]

    def _restore_environment(self) -> None:
        now = _environment()
        for name in now.keys() - self._environment.keys():
            del os.environ[os.fsdecode(name)]
        for name, text in self._environment.items():
            if now.get(name) != text:
                os.environ[os.fsdecode(name)] = os.fsdecode(text)

    def _put_back(self, who: str, alone: bool, what: str, act: Callable[[], object]) -> None:
        if self._over:
            self._say(f"{who}, or the host since that run is over,", what, "it stays so")
            return
        if not alone or not self._is_host_idle():
            self._say(who, what, "it stays so, since something else of this process is at work")
            return
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
        with _count:
            strange = alive - self._threads - set(_callers)
            left = [thread for thread in strange if not _is_nobodys(thread)]
            _strays.update(left)
        self._threads = alive
        for thread in left:
            log.warning("%s left the thread %r running", who, thread.name)


@contextmanager
def contained(who: str) -> Iterator[None]:
    """Put everything back after the block, such as the import of a pack, and name it where it changed something."""
    around = Surroundings(host_waits=True)
    around.enter()
    try:
        # In the middle of a node's turn its numbers are not ours to put back.
        with around.drawing() if may_begin_to_draw() else contextlib.nullcontext():
            yield
    finally:
        around.restore(who)


@contextmanager
def waiting() -> Iterator[None]:
    """While a node waits for others (a lazy input, a run of its own) they may draw; then it goes on where it was."""
    turn = getattr(_turn, "now", None)
    if turn is None:
        yield
        return
    own = turn.give()
    _turn.now = None
    try:
        yield
    finally:
        turn.take(own)
        _turn.now = turn


def has_turn() -> bool:
    """Whether this thread is in the middle of a turn."""
    return getattr(_turn, "now", None) is not None


def may_begin_to_draw() -> bool:
    """Whether no node has the generators; a hint, since another may take them at once."""
    return not _drawing.locked()


class _Turn:
    """One node's time with the generators of the process.

    Args:
        first: how every drawing node of the run begins; filled with what is there when a library is first met.
    """

    def __init__(self, first: dict[str, Any]) -> None:
        self._first = first
        self._host: dict[str, Any] = {}
        self._has_it = False
        self._over = False
        self._lock = threading.Lock()

    def take(self, own: dict[str, Any] | None = None) -> None:
        """Wait for the turn, and set the generators: as the run began, or as the node left them."""
        _drawing.acquire()
        with self._lock:
            self._has_it = True
            if self._over:
                return
            modules = _modules()
            self._host = _now(modules)
            for name, state in self._host.items():
                self._first.setdefault(name, state)
            _set(modules, self._first if own is None else own)

    def give(self) -> dict[str, Any]:
        """Set them back to the host's, and let others go on; returns how far the node came.

        What the node imported itself stays as it is: nobody knows what it was before. Nothing happens where the turn
        was waited for in vain, since Ctrl-C came.
        """
        with self._lock:
            if not self._has_it:
                return {}
            try:
                modules = _modules()
                own = _now(modules)
                if not self._over:
                    _set(modules, self._host)
                return own
            finally:
                self._has_it = False
                _drawing.release()

    def end(self) -> None:
        """The host goes on with its own numbers, whatever the node that has the turn does."""
        with self._lock:
            if self._has_it and not self._over:
                _set(_modules(), self._host)
            self._over = True


def _modules() -> dict[str, Any]:
    """The generators that there are, by name."""
    found: dict[str, Any] = {"random": random}
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and hasattr(numpy, "mtrand"):
        found["numpy"] = numpy
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        found["torch"] = torch.default_generator
        cuda = getattr(torch, "cuda", None)
        if cuda is not None and cuda.is_initialized():
            found |= {f"cuda:{place}": generator for place, generator in enumerate(cuda.default_generators)}
    return found


def _now(modules: dict[str, Any]) -> dict[str, Any]:
    states: dict[str, Any] = {}
    for name, source in modules.items():
        if name == "random":
            states[name] = source.getstate()
        else:
            states[name] = source.get_state(legacy=False) if name == "numpy" else source.get_state()
    return states


def _set(modules: dict[str, Any], states: dict[str, Any]) -> None:
    for name, source in modules.items():
        if name in states:
            (source.setstate if name == "random" else source.set_state)(states[name])


def _is_nobodys(thread: threading.Thread) -> bool:
    """Whether a thread is of the engine, or of a library that takes care of itself: no node left it, no host works."""
    return thread.name.startswith(OURS) or type(thread).__module__ in CARETAKERS


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _environment() -> dict[Any, Any]:
    """A copy, as Python keeps it: comparing it so takes a tenth of decoding each entry."""
    return dict(getattr(os.environ, "_data", os.environ))


def _same_environment(before: dict[Any, Any]) -> bool:
    return bool(getattr(os.environ, "_data", os.environ) == before)


def _are_in_front(library: str, text: str, before: str) -> bool:
    """Whether all that came to a variable of folders is folders named from the library's own, in front."""
    path = getattr(sys.modules.get(library), "__file__", None)
    if not path or not text.endswith(before):
        return False
    new = [place for place in text.removesuffix(before).split(os.pathsep) if place]
    return all(place.startswith(os.path.join(os.path.dirname(path), "")) for place in new)


def _default_dtype() -> Any:
    torch = sys.modules.get("torch")
    return torch.get_default_dtype() if torch is not None and hasattr(torch, "get_default_dtype") else None
