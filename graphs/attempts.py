"""How often a node is called again when it fails, and how long a call of it may take: what a document may say."""

from __future__ import annotations

import math
from typing import Any

from weft.graphs.problems import shown

MOST_RETRIES = 100


def retry_fault(retry: Any) -> str | None:
    """What is wrong with a number of further calls; None when nothing is."""
    if retry is None or (type(retry) is int and 0 <= retry <= MOST_RETRIES):
        return None
    return f'"retry" is a whole number from 0 to {MOST_RETRIES}, not {shown(retry)}.'


def timeout_fault(timeout: Any) -> str | None:
    """What is wrong with the seconds that a call may take; None when nothing is."""
    if timeout is None or (type(timeout) in (int, float) and 0 < timeout < math.inf):
        return None
    return f'"timeout" is a number of seconds above 0, not {shown(timeout)}.'
