"""One attention processor for every site, put in place only while techniques have rules.

Rows that no rule matches go through scaled-dot-product attention as ever; a site without a matching rule is handed
back to the processor that was there. So nothing changes, in numbers or in memory, where no rule is active.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from nodes.technique import AttentionOp, AttentionRule, Site

if TYPE_CHECKING:
    from nodes.sampling.rows import Rows

_ORDER: tuple[AttentionOp, ...] = ("bias", "capture", "edit", "identity", "add")


class Processors:
    """The rules of the present forward, shared by the processors of all sites."""

    def __init__(self) -> None:
        self._rules: Sequence[AttentionRule] = ()
        self._rows: Rows | None = None

    def begin(self, rules: Sequence[AttentionRule], rows: Rows) -> None:
        """Let these rules act on the forward that follows."""
        self._rules, self._rows = rules, rows

    def end(self) -> None:
        """The forward is done."""
        self._rules, self._rows = (), None

    def matching(self, site: Site) -> list[tuple[AttentionRule, list[int]]]:
        """The rules for a site, in the order in which they apply, each with the numbers of its rows."""
        if not self._rules or self._rows is None:
            return []
        found = []
        for rule in sorted(self._rules, key=lambda rule: _ORDER.index(rule.op)):
            spans = [self._rows.span(branch) for branch in rule.branches if branch in self._rows.branches]
            if spans and rule.where(site):
                found.append((rule, [row for span in spans for row in range(span.start, span.stop)]))
        return found


class Processor:
    """Attention at one site: `original` unless a rule matches."""

    def __init__(self, site: Site, original: Any, shared: Processors) -> None:
        self.site = site
        self.original = original
        self.shared = shared

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        rules = self.shared.matching(self.site)
        if not rules:
            return self.original(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        # UNets of the families here have neither spatial, group nor query norms in attention, nor masks.
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for states in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        output = self._attend(rules, query, key, value)
        output = attn.to_out[1](attn.to_out[0](output.transpose(1, 2).flatten(2).to(query.dtype)))
        if attn.residual_connection:
            output = output + hidden_states
        return output / attn.rescale_output_factor

    def _attend(
        self, rules: list[tuple[AttentionRule, list[int]]], query: Tensor, key: Tensor, value: Tensor
    ) -> Tensor:
        """Output (R, heads, queries, d): explicit softmax for the rows that rules look into, else the fused kernel."""
        total = query.shape[0]
        explicit = sorted({row for rule, rows in rules if rule.op in ("bias", "capture", "edit") for row in rows})
        identity = {row for rule, rows in rules if rule.op == "identity" for row in rows}
        fused = [row for row in range(total) if row not in identity and row not in set(explicit)]
        parts: dict[int, Tensor] = {}
        if len(fused) == total:
            parts.update(enumerate(functional.scaled_dot_product_attention(query, key, value)))
        elif fused:
            output = functional.scaled_dot_product_attention(query[fused], key[fused], value[fused])
            parts.update(zip(fused, output, strict=True))
        if explicit:
            probabilities = self._probabilities(rules, explicit, query[explicit], key[explicit])
            parts.update(zip(explicit, probabilities @ value[explicit], strict=True))
        for row in identity:
            parts[row] = value[row]
        output = torch.stack([parts[row] for row in range(total)])
        for rule, rows in rules:
            if rule.op == "add" and rule.function is not None:
                addition = torch.zeros_like(output)
                addition[rows] = rule.function(self.site, query[rows]).to(output.dtype)
                output = output + addition
        return output

    def _probabilities(
        self, rules: list[tuple[AttentionRule, list[int]]], explicit: list[int], query: Tensor, key: Tensor
    ) -> Tensor:
        place = {row: number for number, row in enumerate(explicit)}
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        for rule, rows in rules:
            if rule.op == "bias" and rule.function is not None:
                at = [place[row] for row in rows]
                logits = _put(logits, at, rule.function(self.site, logits[at]))
        probabilities = logits.softmax(dim=-1)
        for rule, rows in rules:
            if rule.function is None or rule.op not in ("capture", "edit"):
                continue
            at = [place[row] for row in rows]
            result = rule.function(self.site, probabilities[at])
            if rule.op == "edit":
                probabilities = _put(probabilities, at, result)
        return probabilities


def _put(target: Tensor, rows: list[int], replacement: Tensor) -> Tensor:
    """`target` with some rows replaced; not in place, so that gradients pass."""
    if rows == list(range(target.shape[0])):
        return replacement.to(target.dtype)
    return target.index_copy(0, torch.tensor(rows, device=target.device), replacement.to(target.dtype))


def sites(unet: Any, height: int, width: int) -> dict[str, tuple[Site, Any]]:
    """Every attention site of a UNet, in the order of its modules: module path -> (site, module).

    height, width: size of the latents (of one view) that it will be given.
    """
    depth = len(unet.config.down_block_types)
    found = {}
    for name, module in unet.named_modules():
        if not name.endswith((".attn1", ".attn2")):
            continue
        parts = name.split(".")
        place = cast(Literal["down", "mid", "up"], parts[0].split("_")[0])
        # The last level is not halved again, so the mid block shares it.
        level = depth - 1 if place == "mid" else int(parts[1]) if place == "down" else depth - 1 - int(parts[1])
        rows, columns = height, width
        for _ in range(level):
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        kind: Literal["self", "cross"] = "self" if name.endswith("attn1") else "cross"
        found[name] = (Site(name, kind, place, (rows, columns), module.heads), module)
    return found


@contextmanager
def processors_in(unet: Any, height: int, width: int) -> Iterator[Processors]:
    """Put this module's processors into a UNet, and put the former ones back at the end, whatever happens."""
    shared = Processors()
    found = list(sites(unet, height, width).values())
    originals = [(module, module.processor) for _, module in found]
    try:
        for site, module in found:
            module.set_processor(Processor(site, module.processor, shared))
        yield shared
    finally:
        for module, original in originals:
            module.set_processor(original)
