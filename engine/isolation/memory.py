"""How much memory a worker may take: refused by the system where it can, and counted where it cannot."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from weft.engine.isolation.guard import children

_WORDS = ("can't allocate memory", "cannot allocate memory", "std::bad_alloc", "bad allocation")
"""What libraries say that raise errors of their own; torch does."""


def allow(count: int | None) -> None:
    """Have the system refuse this process, and each process that it starts, more than so many bytes.

    On Linux what is refused is private memory that can be written (RLIMIT_DATA), from the moment when it is asked for
    and not when it is first used. Files that are only read and memory shared with others are not part of it, nor is a
    device's own. Other systems refuse nothing.

    Args:
        count: how many bytes; None for as many as there are.
    """
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = resource.RLIM_INFINITY if count is None else count
    if hard != resource.RLIM_INFINITY:
        wanted = hard if count is None else min(count, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def taken(guard: int | None, allowed: int | None) -> int:
    """How many bytes the processes below a guard hold, or where there is none this process; 0 if the system is silent.

    Args:
        guard: the process whose children, and theirs, are counted.
        allowed: above this, what several processes share is counted once, which takes a look at all their pages.
    """
    processes = _below(guard) if guard is not None else set()
    processes.add(os.getpid())
    total = sum(map(_resident, processes))
    if allowed is None or total <= allowed or len(processes) == 1:
        return total
    return sum(map(_share, processes))


def below(guard: int) -> int:
    """How many bytes the processes below a guard hold, seen from outside; 0 where the system is silent."""
    return sum(map(_resident, _below(guard)))


def is_refusal(error: BaseException) -> bool:
    """Whether it says that there was no memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    with contextlib.suppress(Exception):
        text = str(error).lower()
        return isinstance(error, (RuntimeError, OSError)) and any(words in text for words in _WORDS)
    return False


def _below(process: int) -> set[int]:
    found: set[int] = set()
    pending = [process]
    while pending:
        new = children(pending.pop()) - found
        found |= new
        pending.extend(new)
    return found


def _resident(process: int) -> int:
    try:
        with open(f"/proc/{process}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # it has ended
        return 0


def _share(process: int) -> int:
    """Like `_resident`, with its part of what it shares."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(process)
