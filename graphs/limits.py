"""How large things may be: checked before memory is taken for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read from outside. Pass another instance where one is accepted to raise or lower them.

    Args:
        max_bytes: size of a document's JSON text in UTF-8.
        max_nodes: nodes in a document.
        max_inside: definitions inside each other; nodes together with those inside of definitions are at most
            `max_nodes`.
        max_depth: nested brackets in a document, the outermost counts 1.
        max_values: objects, lists and what is in them, all together; None for no such bound. Each takes far more memory
            than its few bytes of text.
        max_problems: problems that are gathered before a check gives up; a broken document of 8 MiB has millions.
        max_pixels: width times height of a PNG that is opened for its text.
        max_text_bytes: all text in a PNG together, after decompression.
        max_chunks: chunks in a PNG.
    """

    max_bytes: int = 8 * 1024 * 1024
    max_nodes: int = 10_000
    max_inside: int = 16
    max_depth: int = 64
    max_values: int | None = None
    max_problems: int = 1000
    max_pixels: int = 128 * 1024 * 1024
    max_text_bytes: int = 16 * 1024 * 1024
    max_chunks: int = 100_000


LIMITS = Limits()
"""The defaults, used wherever no other limits are given."""
