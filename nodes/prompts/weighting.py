"""The syntax of weighted prompts: compel's, and the ``(word:1.2)`` that people paste. Light: no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLUS, MINUS = 1.1, 0.9
MAX_DEPTH = 32
MAX_WEIGHT = 100.0

_SYNTAX = '()"+-,.='
_NUMBER = re.compile(r"\d+\.\d*|\.\d+|\d+")
_TAIL = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$")
_OPERATOR = re.compile(r"\s*\.\s*(\w+)\s*\(")
_OPERATED = re.compile(r'[)"]\s*\.\s*(blend|and|add|swap|attend)\s*\(')
_CALLED = {"and": "and", "add": "and", "blend": "blend"}


class WeightingError(ValueError):
    """A weighted prompt that cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Weighted:
    """A prompt in pieces, each with the weight of its words. Neighbours differ in weight."""

    fragments: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(text for text, _ in self.fragments)


@dataclass(frozen=True)
class Blend:
    """A mix of prompts' states by weights, which add up to 1 after ``normalize``."""

    parts: tuple[Weighted, ...]
    weights: tuple[float, ...]
    normalize: bool = True


@dataclass(frozen=True)
class Conjunction:
    """Prompts that are encoded apart and read side by side."""

    parts: tuple[Weighted | Blend, ...]
    weights: tuple[float, ...]


def parse(text: str) -> Conjunction:
    """A weighted prompt; one that uses no operator is a conjunction of one.

    Raises:
        WeightingError: it cannot be read.
    """
    if not _OPERATED.search(text):
        return Conjunction((_weighted(text),), (1.0,))
    reader = _Reader(text)
    found = reader.operation(0)
    if text[reader.place :].strip():
        raise WeightingError(f"after .blend(...) or .and(...) nothing can follow, not {text[reader.place :].strip()!r}")
    return found if isinstance(found, Conjunction) else Conjunction((found,), (1.0,))


class _Reader:
    """Reads ``("one", "two").blend(0.7, 0.3)``, whose parts may be such themselves."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def operation(self, depth: int) -> Conjunction | Blend:
        """A list of prompts and what is done with it."""
        if depth > 1:
            raise WeightingError("operators nest too deep: .and(...) can hold .blend(...), and no more")
        self._take("(")
        parts: list[Weighted | Blend] = []
        while True:
            self._skip()
            if self._peek() == '"':
                parts.append(_weighted(self._quoted()))
            elif self._peek() == "(":
                inner = self.operation(depth + 1)
                if isinstance(inner, Conjunction):
                    raise WeightingError(".and(...) cannot stand within another operator")
                parts.append(inner)
            else:
                raise WeightingError(
                    f'an operator needs quoted prompts, as in ("one", "two").blend(0.7, 0.3); at character '
                    f"{self.place + 1} is {self.text[self.place : self.place + 12]!r}"
                )
            self._skip()
            if self._peek() != ",":
                break
            self.place += 1
        self._take(")")
        match = _OPERATOR.match(self.text, self.place)
        name = match[1] if match else ""
        if match is None or name not in _CALLED:
            hint = "; to swap words within a picture use prompt_to_prompt" if name == "swap" else ""
            raise WeightingError(f"a list of prompts needs .blend(...) or .and(...) after it{hint}")
        end = self.text.find(")", match.end())
        if end < 0:
            raise WeightingError(f".{name}( is never closed")
        words = [word.strip() for word in self.text[match.end() : end].split(",") if word.strip()]
        self.place = end + 1
        normalize = "no_normalize" not in words
        weights = _weights([word for word in words if word != "no_normalize"], len(parts), name)
        if _CALLED[name] == "and":
            return Conjunction(tuple(parts), weights)
        plain = [part for part in parts if isinstance(part, Weighted)]
        if len(plain) < len(parts):
            raise WeightingError(".blend(...) takes quoted prompts, not other operators")
        if normalize and sum(weights) == 0:
            raise WeightingError("the weights of .blend(...) add up to 0: add no_normalize, or change one")
        return Blend(tuple(plain), weights, normalize)

    def _peek(self) -> str:
        return self.text[self.place : self.place + 1]

    def _skip(self) -> None:
        while self._peek().isspace():
            self.place += 1

    def _take(self, letter: str) -> None:
        self._skip()
        if self._peek() != letter:
            raise WeightingError(f"{letter!r} is missing at character {self.place + 1} of {self.text!r}")
        self.place += 1

    def _quoted(self) -> str:
        end = self.place + 1
        while end < len(self.text) and self.text[end] != '"':
            end += 2 if self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise WeightingError(f"the quote at character {self.place + 1} is never closed")
        inner, self.place = self.text[self.place + 1 : end], end + 1
        return inner.replace('\\"', '"')


def _weights(words: list[str], count: int, name: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in words)
    except ValueError:
        raise WeightingError(f".{name}(...) takes numbers, not {', '.join(words)}") from None
    if not found:
        return (1.0,) * count
    if len(found) != count:
        raise WeightingError(f".{name}(...) has {len(found)} weights for {count} prompts")
    if any(not abs(weight) <= MAX_WEIGHT for weight in found):
        raise WeightingError(f"weights of .{name}(...) go from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
    return found


def _weighted(text: str) -> Weighted:
    """Words with weights: groups in parentheses or quotes, each perhaps followed by +, - or a number."""
    # Each open group: what opened it, where, and its pieces so far, with weights relative to it.
    groups: list[tuple[str, int, list[list[str | float]]]] = [("", 0, [])]
    word = ""
    at = 0

    def flush() -> None:
        nonlocal word
        if word.strip():
            groups[-1][2].append([word, 1.0])
        word = ""

    while at < len(text):
        letter = text[at]
        if letter == "\\" and text[at + 1 : at + 2] in (*_SYNTAX, "\\"):
            word += text[at + 1]
            at += 2
            continue
        at += 1
        closes = letter == ")" or (letter == '"' and groups[-1][0] == '"')
        if closes:
            if letter == ")" and groups[-1][0] != "(":
                raise WeightingError(f") at character {at} closes nothing; write \\) for a plain one")
            flush()
            _, _, pieces = groups.pop()
            weight = _tail(pieces) if letter == ")" else 1.0
            factor, at = _suffix(text, at)
            groups[-1][2].extend([piece, _number(own) * weight * factor] for piece, own in pieces)
        elif letter == "(" or (letter == '"' and '"' in text[at:]):
            flush()
            if len(groups) > MAX_DEPTH:
                raise WeightingError(f"parentheses nest deeper than {MAX_DEPTH}")
            groups.append((letter, at, []))
        elif letter in "+-" and word and not word[-1].isspace():
            end = at
            while text[end : end + 1] == letter:
                end += 1
            following = text[end : end + 1]
            if end == at and following and not following.isspace() and following not in _SYNTAX:
                word += letter  # a hyphen within a word
                continue
            head, _, last = word.rpartition(" ")
            word = head
            flush()
            groups[-1][2].append([last, (PLUS if letter == "+" else MINUS) ** (end - at + 1)])
            at = end
        else:
            word += " " if letter.isspace() else letter
    flush()
    if len(groups) > 1:
        opener, place, _ = groups[-1]
        raise WeightingError(f"{opener} at character {place} is never closed; write \\{opener} for a plain one")
    return Weighted(_fused(groups[0][2]))


def _number(item: str | float) -> float:
    return float(item)


def _tail(pieces: list[list[str | float]]) -> float:
    """The weight in ``(word:1.2)``, taken off the last piece."""
    match = _TAIL.search(str(pieces[-1][0])) if pieces and pieces[-1][1] == 1.0 else None
    if match is None:
        return 1.0
    pieces[-1][0] = str(pieces[-1][0])[: match.start()]
    weight = float(match[1])
    if not 0 <= weight <= MAX_WEIGHT:
        raise WeightingError(f"the weight {match[1]} is not between 0 and {MAX_WEIGHT:g}")
    return weight


def _suffix(text: str, at: int) -> tuple[float, int]:
    """The weight right after a group, and where it ends."""
    letter = text[at : at + 1]
    if letter and letter in "+-":
        end = at
        while text[end : end + 1] == letter:
            end += 1
        return (PLUS if letter == "+" else MINUS) ** (end - at), end
    match = _NUMBER.match(text, at)
    if match is None:
        return 1.0, at
    weight = float(match[0])
    if weight > MAX_WEIGHT:
        raise WeightingError(f"the weight {match[0]} is not between 0 and {MAX_WEIGHT:g}")
    return weight, match.end()


def _fused(pieces: list[list[str | float]]) -> tuple[tuple[str, float], ...]:
    """Pieces in order, neighbours of one weight joined."""
    found: list[tuple[str, float]] = []
    for text, weight in pieces:
        words, number = " ".join(str(text).split()), float(weight)
        if not words:
            continue
        if found and found[-1][1] == number:
            found[-1] = (f"{found[-1][0]} {words}", number)
        else:
            found.append((words, number))
    return tuple(found)
