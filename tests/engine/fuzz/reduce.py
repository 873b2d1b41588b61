"""The smallest document that still goes wrong, where one does by itself."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from tests.engine.fuzz.documents import Document
from tests.engine.fuzz.evaluator import Evaluator, expected
from tests.engine.fuzz.nodes import AMOUNTS, CATALOGUES
from weft.engine import Cache, RunFailed, run


def reduced(what: dict[str, Any]) -> dict[str, Any]:
    """A report on a wrong run, with `smallest` where the document is wrong over a cache of its own too."""
    amount = what.get("amount", AMOUNTS[0])
    said = "right: what was in the cache, or what ran meanwhile, has to do with it"
    for target in what["targets"]:
        document = _needed(what["document"], target)
        try:
            if not _is_wrong(document, target, amount):
                continue
        except Exception as error:  # its files or its pack are gone: the batch makes them again
            said = f"not known: {type(error).__name__}: {error}"
            continue
        return what | {"smallest": _smaller(document, target, amount), "target": target}
    return what | {"alone": said}


def _needed(document: Document, target: str) -> Document:
    """What a target reaches."""
    nodes: dict[str, Any] = document["nodes"]
    seen, stack = {target}, [target]
    while stack:
        for item in nodes[stack.pop()]["inputs"].values():
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict) and "link" in part and part["link"] not in seen:
                    seen.add(part["link"])
                    stack.append(part["link"])
    return {"weft": 1, "nodes": {id: spec for id, spec in nodes.items() if id in seen}}


def _smaller(document: Document, target: str, amount: int) -> Document:
    """With literals in the place of links, as long as that is wrong too."""
    for id in list(document["nodes"]):
        for name, item in document["nodes"].get(id, {"inputs": {}})["inputs"].items():
            if isinstance(item, dict) and "link" in item:
                changed = copy.deepcopy(document)
                changed["nodes"][id]["inputs"][name] = 2
                changed = _needed(changed, target)
                with contextlib.suppress(Exception):  # that input takes no number
                    if _is_wrong(changed, target, amount):
                        document = changed
    return document


def _is_wrong(document: Document, target: str, amount: int) -> bool:
    """In one of three runs over one cache."""
    catalogue = CATALOGUES[AMOUNTS.index(amount)]
    wanted = expected(Evaluator(document, amount, None, catalogue), [target])
    cache = Cache(memory_bytes=1 << 20)
    for _ in range(3):
        try:
            found: str | None = repr([run(document, [target], catalogue=catalogue, cache=cache)[target]])
        except RunFailed as error:
            found = None if "it broke" in str(error) else str(error)
        if found != (None if wanted is None else repr(wanted)):
            return True
    return False
