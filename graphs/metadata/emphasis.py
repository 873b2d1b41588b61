"""Prompts that mark words as AUTOMATIC1111 does, `(word)` and `[word]`, written as `weighted_prompt` reads them."""

from __future__ import annotations

import re

MORE, LESS = 1.1, round(1 / 1.1, 4)
_WEIGHT = re.compile(r":\s*(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})\s*\Z")
_WORDS = re.compile(r"\b(?:BREAK|AND)\b")
_SIGN = re.compile(r"\\.|[()\[\]]|[^\\()\[\]]+|\\", re.DOTALL)
_PLAIN_HERE = re.compile(r"\+{2,}|-{2,}|(?<=\S)[+-](?=\s|,|\)|$)")
_ESCAPED = re.compile(r"\\([()\[\]\\])")
_DEEPEST = 30


def translated(text: str, notes: list[str], what: str) -> tuple[str, bool]:
    """The same prompt in weft's own way, and whether any word in it counts more or less.

    What has no counterpart (`BREAK`, `AND`, `[from:to:when]`, `[one|other]`) is kept as words and noted; brackets
    without a partner become plain letters.

    Args:
        what: names the prompt in notes.
    """
    if word := _WORDS.search(text):
        notes.append(f"{what}: {word[0]} divides a prompt there; here it is not understood and stays a word.")
    groups: list[tuple[str, list[str]]] = [("", [])]
    weighs = False
    for match in _SIGN.finditer(text):
        sign = match[0]
        opened, pieces = groups[-1]
        if sign in ("(", "[") and len(groups) <= _DEEPEST:
            groups.append((sign, []))
        elif (opened, sign) in (("(", ")"), ("[", "]")):
            groups.pop()
            groups[-1][1].append(_group(opened, "".join(pieces), notes, what))
            weighs = True
        elif sign in ("(", ")"):
            pieces.append(f"\\{sign}")
        elif sign in ("\\[", "\\]"):
            pieces.append(sign[1])
        else:
            pieces.append(_PLAIN_HERE.sub(lambda found: "".join(f"\\{letter}" for letter in found[0]), sign))
    while len(groups) > 1:
        opened, pieces = groups.pop()
        groups[-1][1].append(("\\(" if opened == "(" else opened) + "".join(pieces))
    return ("".join(groups[0][1]), True) if weighs else (_ESCAPED.sub(r"\1", text), False)


def _group(opened: str, inside: str, notes: list[str], what: str) -> str:
    if not inside.strip():
        return inside
    if opened == "[":
        if re.search(r"[:|]", inside) and not inside.endswith(")"):
            notes.append(f"{what}: [{inside[:60]}] changes words between steps there; here its words stay throughout.")
            words = re.split(r"[:|]", inside)
            if _WEIGHT.search(inside):  # when to change
                words.pop()
            return " ".join(filter(None, map(str.strip, words)))
        return f"({inside}){LESS}"
    if weight := _WEIGHT.search(inside):
        return f"({inside[: weight.start()]}){float(weight[1]):g}" if inside[: weight.start()].strip() else ""
    return f"({inside}){MORE}"
