"""How much memory objects take whose classes say nothing to the engine, by asking them.

An object that says `nbytes` is believed: that is how a class says what it holds outside of Python, such as memory of a
library. Others count by `sys.getsizeof` and by what they refer to: attributes, slots, items, what a partial or a
closure has. Classes, modules and code are shared by all and count nothing. Of one value so many objects are looked at;
the rest counts as much as those did on average.
"""

from __future__ import annotations

import gc
import logging
import sys
import types
from typing import Any

LOOKED_AT = 100_000
"""Objects of unknown classes in one value that are looked at."""
_SHARED = (
    type,
    types.ModuleType,
    types.CodeType,
    types.BuiltinFunctionType,
    types.FrameType,
    types.TracebackType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    logging.Logger,
)
"""What others have too, whoever refers to it."""
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}


def own_bytes(item: Any) -> tuple[int, list[Any]]:
    """An object as (its own bytes, what else it holds)."""
    if isinstance(item, _SHARED):
        return 0, []
    said = _said_bytes(item)
    if said is not None:
        return said, [item.obj] if type(item) is memoryview and item.obj is not None else []
    image = getattr(sys.modules.get("PIL.Image"), "Image", None)
    if image is not None and isinstance(item, image):
        width, height = item.size
        return int(width) * int(height) * _PIXEL_BYTES.get(item.mode, 4), [vars(item).get("info")]
    if isinstance(item, types.FunctionType):
        return 0, [item.__closure__, item.__defaults__, item.__kwdefaults__, item.__dict__]
    try:
        own = sys.getsizeof(item, 64)
    except Exception:  # a class with a __sizeof__ of its own that fails
        own = 64
    return own, [part for part in gc.get_referents(item) if not isinstance(part, _SHARED)]


def _said_bytes(item: Any) -> int | None:
    """What an object says of itself; None when it says nothing, or no number."""
    if type(item) is memoryview:
        return 0 if item.obj is not None else item.nbytes  # the memory is that of the object that it looks at
    try:
        said = getattr(item, "nbytes", None)
    except Exception:
        return None
    return said if type(said) is int and said >= 0 else None
