"""One attention processor for every site, put in place only while techniques have rules.

Rows that no rule matches go through scaled-dot-product attention as ever; a site without a matching rule is handed
back to the processor that was there. So nothing changes, in numbers or in memory, where no rule is active.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from weft.nodes.technique import AttentionOp, AttentionRule, Site

if TYPE_CHECKING:
    from weft.nodes.technique.layout import Rows

_ORDER: tuple[AttentionOp, ...] = ("bias", "capture", "edit", "identity", "add")


class Processors:
    """The rules of the present forward, shared by the processors of all sites."""

    def __init__(self) -> None:
        self._rules: Sequence[AttentionRule] = ()
        self._rows: Rows | None = None

    def begin(self, rules: Sequence[AttentionRule], rows: Rows) -> None:
        """Let these rules act on the forward that follows."""
        self._rules, self._rows = sorted(rules, key=lambda rule: _ORDER.index(rule.op)), rows

    def end(self) -> None:
        """The forward is done."""
        self._rules, self._rows = (), None

    def matching(self, site: Site) -> list[tuple[AttentionRule, list[int]]]:
        """The rules for a site, in the order in which they apply, each with the numbers of its rows."""
        if not self._rules or self._rows is None:
            return []
        found = []
        for rule in self._rules:
            if rule.where(site):
                spans = [self._rows.span(branch) for branch in rule.branches if branch in self._rows.branches]
                if spans:
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
        identity = sorted({row for rule, rows in rules if rule.op == "identity" for row in rows}.difference(explicit))
        fused = sorted(set(range(total)).difference(explicit, identity))
        parts: list[tuple[list[int], Tensor]] = []
        if fused:
            inputs = (_take(query, fused), _take(key, fused), _take(value, fused))
            parts.append((fused, functional.scaled_dot_product_attention(*inputs)))
        if explicit:
            probabilities = self._probabilities(rules, explicit, _take(query, explicit), _take(key, explicit))
            parts.append((explicit, probabilities @ _take(value, explicit)))
        if identity:
            parts.append((identity, _take(value, identity)))
        output = _joined(parts)
        for rule, rows in rules:
            if rule.op == "add" and rule.function is not None:
                output = _added(output, rows, rule.function(self.site, _take(query, rows)).to(output.dtype))
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


def _adjoining(rows: list[int]) -> bool:
    """Whether the numbers count up one by one."""
    return rows[-1] - rows[0] == len(rows) - 1 and rows == list(range(rows[0], rows[-1] + 1))


def _take(states: Tensor, rows: list[int]) -> Tensor:
    """Some rows; a view where they lie side by side."""
    return states[rows[0] : rows[-1] + 1] if _adjoining(rows) else states[rows]


def _joined(parts: list[tuple[list[int], Tensor]]) -> Tensor:
    """All rows in order again."""
    if len(parts) == 1:
        return parts[0][1]
    if all(_adjoining(rows) for rows, _ in parts):
        return torch.cat([part for _, part in sorted(parts, key=lambda item: item[0][0])])
    single = {row: part[number] for rows, part in parts for number, row in enumerate(rows)}
    return torch.stack([single[row] for row in sorted(single)])


def _added(output: Tensor, rows: list[int], addition: Tensor) -> Tensor:
    """`output` with `addition` to some rows."""
    if rows == list(range(output.shape[0])):
        return output + addition
    if torch.is_grad_enabled():  # not in place: a gradient may pass here
        return output.index_add(0, torch.tensor(rows, device=output.device), addition)
    if _adjoining(rows):
        _take(output, rows).add_(addition)
        return output
    return output.index_add_(0, torch.tensor(rows, device=output.device), addition)


def _put(target: Tensor, rows: list[int], replacement: Tensor) -> Tensor:
    """`target` with some rows replaced; not in place, so that gradients pass."""
    if rows == list(range(target.shape[0])):
        return replacement.to(target.dtype)
    return target.index_copy(0, torch.tensor(rows, device=target.device), replacement.to(target.dtype))


def sites(unet: Any, height: int, width: int) -> dict[str, tuple[Site, Any]]:
    """Every attention site of a UNet, in the order of its modules: module path -> (site, module).

    height, width: size of the latents (of one view) that it will be given.
    """
    known = _known.setdefault(unet, {})
    if (height, width) not in known:
        known[height, width] = _sites(unet, height, width)
    return known[height, width]


_known: weakref.WeakKeyDictionary[Any, dict[tuple[int, int], dict[str, tuple[Site, Any]]]] = weakref.WeakKeyDictionary()
"""Walking through all modules takes a millisecond, several times a run."""


def _sites(unet: Any, height: int, width: int) -> dict[str, tuple[Site, Any]]:
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
