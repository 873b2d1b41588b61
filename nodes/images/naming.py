"""Names of saved files with places in them: `cat_{seed}`, `cat_{counter}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weft.graphs.problems import near
from weft.nodes.images.encoding import SUFFIXES, FileFormat
from weft.nodes.images.saving import stem_problem

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_OF_NODE = re.compile(r"[^{}]+\.[A-Za-z_]\w*")
_KNOWN = "places are {seed}, {denoise.seed} of the node denoise, and {counter}; a brace itself is written twice"


@dataclass(frozen=True, slots=True)
class Name:
    """A name without its suffix. `suffix` begins with a dot; `format` is what the file holds."""

    template: str
    suffix: str
    format: FileFormat

    @classmethod
    def of(cls, name: str, format: str = "auto") -> Name:
        """The name as it was given: with `auto` its suffix says the format, and none says PNG.

        A suffix of the format is taken off the name and kept; others belong to the name, as in `v1.5`.
        """
        typed = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)
        wanted: Any = (SUFFIXES[typed] if typed else "png") if format == "auto" else format
        if typed is None or SUFFIXES[typed] != wanted:
            return cls(name, next(suffix for suffix, kind in SUFFIXES.items() if kind == wanted), wanted)
        return cls(name[: -len(typed)], typed, wanted)

    def problem(self) -> str | None:
        """Why nothing can be saved under it, as a sentence; None when something can."""
        shown = f"the name {self.template[:60]!r}"
        for text, place in _tokens(self.template):
            if place is None and text in "{}":
                return f"{shown} has a single {text}: {_KNOWN}"
            if place is not None and place not in ("seed", "counter") and not _OF_NODE.fullmatch(place):
                hint = near(place, ("seed", "counter"))
                return f"{shown} has the place {text}: {f'did you mean {{{hint}}}? ' if hint else ''}{_KNOWN}"
        if any(place == "counter" for _, place in _tokens(self.template.rpartition("/")[0])):
            return f"{shown} counts folders: {{counter}} stands in the file's own name, after the last /"
        return stem_problem(self._filled(dict.fromkeys(self._seed_places(), 2**63 - 1), 1))

    @property
    def counts(self) -> bool:
        """Whether the name holds {counter}."""
        return any(place == "counter" for _, place in _tokens(self.template))

    @property
    def needs_seeds(self) -> bool:
        """Whether the name holds {seed} or a node's."""
        return bool(self._seed_places())

    def with_seeds(self, seeds: Mapping[str, int]) -> Seeded:
        """The name with its seeds filled in.

        seeds: of what made the image, by `node.input`. Raises ValueError where a place has none, or {seed} several.
        """
        values = {}
        for place in self._seed_places():
            if place == "seed":
                different = set(seeds.values())
                if len(different) != 1:
                    listed = ", ".join(f"{{{name}}}" for name in seeds)
                    several = f"the run has several seeds: choose one of {listed}"
                    none = "no seed is known: {seed} needs a run, and a node in it with a seed"
                    raise ValueError(f"the name {self.template[:60]!r}: {several if different else none}")
                values[place] = different.pop()
            elif place in seeds:
                values[place] = seeds[place]
            else:
                hint = near(place, seeds)
                other = f"did you mean {{{hint}}}?" if hint else f"there are {', '.join(seeds) or 'none'}"
                raise ValueError(f"the name {self.template[:60]!r}: no node and input {place} has a seed; {other}")
        return Seeded(self, values)

    def _seed_places(self) -> list[str]:
        return [place for _, place in _tokens(self.template) if place is not None and place != "counter"]

    def _filled(self, values: Mapping[str, int], number: int) -> str:
        texts = []
        for text, place in _tokens(self.template):
            if place == "counter":
                text = f"{number:04}"
            elif place is not None:
                text = str(values[place])
            texts.append({"{{": "{", "}}": "}"}.get(text, text))
        return "".join(texts)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A name whose seeds are known."""

    name: Name
    seeds: Mapping[str, int]

    def __call__(self, number: int) -> str:
        """The name of one file of the series, counted from 1: `cat`, `cat_2`, or with {counter} `cat_0001`."""
        text = self.name._filled(self.seeds, number)
        return text if number == 1 or self.name.counts else f"{text}_{number}"


def escaped(name: str) -> str:
    """The template that stands for these very characters."""
    return name.replace("{", "{{").replace("}", "}}")


def _tokens(template: str) -> Iterator[tuple[str, str | None]]:
    """Pieces of a template in order: (text, None), or (text, what stands in its braces)."""
    at = 0
    for match in _TOKEN.finditer(template):
        if match.start() > at:
            yield template[at : match.start()], None
        yield match[0], match[1]
        at = match.end()
    if at < len(template):
        yield template[at:], None
