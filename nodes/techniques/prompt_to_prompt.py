"""Prompt-to-prompt (arXiv 2208.01626): the picture of one prompt, edited by another, with the composition kept.

Cost: while maps are taken from the source, its rows join the forward: 2 more per image with classifier-free guidance,
else 1; no forwards more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import SOURCE, base_views, check_words, prompt_texts
from weft.nodes.prompts.words import WORD, spans_in_each
from weft.nodes.technique import AttentionRule, Branch, Predictions, Site
from weft.nodes.values import Conditioning, Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.companion import Companion
    from weft.nodes.sampling.run import Run, Step

Edit = Literal["auto", "replace", "refine"]


@value("guidance.prompt_to_prompt")
@dataclass(frozen=True, eq=False, kw_only=True)
class PromptToPrompt(Guidance):
    """The prompt's cross-attention is the source's, carried over token by token; its self-attention is the source's.

    source: the prompt of the picture to edit; it is drawn along, from the same noise.
    cross_steps, self_steps: shares of the steps, from the first, in which each kind is taken over.
    weights: (words of the prompt, factor of their attention).
    self_resolution: maps with more places than its square keep their own self-attention.
    """

    # Before whatever moves the latents, so that the source starts where a run of its own would.
    order: ClassVar[int] = 5
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})

    source: Conditioning
    edit: Edit = "auto"
    cross_steps: float = 0.8
    self_steps: float = 0.4
    weights: tuple[tuple[str, float], ...] = ()
    self_resolution: int = 16

    def identity(self, index: int, calls: int) -> tuple[Any, ...] | None:
        """Of the shares of the steps only whether this one is within; None where nothing comes from the source."""
        within = tuple(index < int(share * calls) for share in (self.cross_steps, self.self_steps))
        return (self.source, self.edit, self.weights, self.self_resolution, *within) if any(within) else None

    def snapshot(self, run: Run) -> Any:
        """The source's trajectory so far."""
        state: _State | None = run.state_of(self)
        return None if state is None else state.companion.snapshot()

    def restore(self, step: Step, snapshot: Any) -> None:
        """The source's trajectory so far."""
        step.run.state(self, lambda: self._begin(step)).companion.restore(snapshot)

    def guide(self, step: Step) -> None:
        """The source's trajectory starts with the run's."""
        if self._takes(step):
            step.run.state(self, lambda: self._begin(step))

    def branches(self, step: Step) -> Iterable[Branch]:
        """The source's rows, one for each of the base's."""
        if not self._takes(step):
            return ()
        state = step.run.state(self, lambda: self._begin(step))
        state.pairs, state.index = state.companion.pairs(step), step.index
        return [own for _, own in state.pairs]

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        """The edits of the rows of the prompt, which see those of the source."""
        if not self._takes(step):
            return ()
        state = step.run.state(self, lambda: self._begin(step))
        if state.index != step.index:
            return ()
        branches = next((own, branch) for branch, own in state.pairs if branch.role == "cond")
        rules = []
        if self._until(self.cross_steps, step):
            rules.append(AttentionRule("edit", _cross, branches, lambda _, maps: state.carry(step, maps)))
        if self._until(self.self_steps, step):
            limit = self.self_resolution**2
            rules.append(AttentionRule("edit", lambda site: _small_self(site, limit), branches, _of_source))
        return rules

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """The source takes its own step; the prompt's prediction is left as it is."""
        if self._takes(step):
            state = step.run.state(self, lambda: self._begin(step))
            state.companion.advance(step, state.pairs, predictions)
        return prediction

    def _until(self, share: float, step: Step) -> bool:
        return step.index < int(share * step.calls)

    def _takes(self, step: Step) -> bool:
        """Whether anything comes from the source in this step; after that it need not be drawn on."""
        return self._until(max(self.cross_steps, self.self_steps), step)

    def _begin(self, step: Step) -> _State:
        """Raises ValueError for words that are not there, or prompts that cannot be matched."""
        import torch

        from weft.nodes.prompts.alignment import refined, replaced
        from weft.nodes.sampling.companion import Companion

        target = next(branch for branch in step.base_branches() if branch.role == "cond").conditioning
        self._fit(target)
        targets, sources = target.singles(), self.source.singles()
        weights = [(spans_in_each(targets, words), factor) for words, factor in self.weights]
        matrices, owns = [], []
        for image in range(max(len(targets), len(sources))):
            before, after = (each[image if len(each) > 1 else 0] for each in (sources, targets))
            if not (before.tokens and after.tokens):
                raise ValueError("prompt_to_prompt: a prompt comes without its tokens: link `encode_prompt`")
            same_count = len(after.spans) == len(before.spans)
            match = replaced if self.edit == "replace" or (self.edit == "auto" and same_count) else refined
            matrix, own = match(before, after)
            factors = torch.ones(matrix.shape[1])
            for spans, factor in weights:
                for first, end in spans[image if len(targets) > 1 else 0]:
                    factors[first:end] = factor
            matrices.append(matrix * factors)
            owns.append(own * factors)
        device = step.latents.device
        return _State(Companion(step, self.source), torch.stack(matrices).to(device), torch.stack(owns).to(device))

    def _fit(self, target: Conditioning) -> None:
        """Raises ValueError for a source that the loop cannot bring to the prompt's length, nor the prompt to its."""
        lengths = sorted(prompt.text.shape[1] for prompt in (self.source, target))
        longer = max(self.source, target, key=lambda prompt: prompt.text.shape[1])
        if target.text.shape[2] != self.source.text.shape[2] or (lengths[1] - lengths[0]) % longer.chunk_length:
            raise ValueError("prompt_to_prompt: source and prompt were encoded with different lengths or models")


@dataclass(eq=False)
class _State:
    """The source's trajectory, its rows of the present step, and how its attention is carried over.

    matrix: (1 or B, L, L). own: (1 or B, L). L is the length of the longer prompt.
    """

    companion: Companion
    matrix: Tensor
    own: Tensor
    pairs: list[tuple[Branch, Branch]] = field(default_factory=list)
    index: int = -1

    def carry(self, step: Step, probabilities: Tensor) -> Tensor:
        """The source's rows as they are, then the prompt's from them; (2 n, heads, queries, keys).

        Keys after the prompts, which fill them up beside a longer one, are the same in both.
        """
        import torch

        source, target = probabilities.chunk(2)
        matrix, own = self.matrix.to(source.dtype), self.own.to(source.dtype)
        if len(matrix) > 1 and step.rows is not None:
            matrix, own = matrix[step.rows.units.images][:, None], own[step.rows.units.images][:, None, None]
        else:
            matrix, own = matrix[0], own[0]
        length = own.shape[-1]
        carried = source[..., :length] @ matrix + target[..., :length] * own
        return torch.cat([source, torch.cat([carried, source[..., length:]], dim=-1)])


def _cross(site: Site) -> bool:
    return site.kind == "cross"


def _small_self(site: Site, limit: int) -> bool:
    return site.kind == "self" and site.resolution[0] * site.resolution[1] <= limit


def _of_source(site: Site, probabilities: Tensor) -> Tensor:
    """The source's rows twice."""
    import torch

    source, _ = probabilities.chunk(2)
    return torch.cat([source, source])


def _check(view: NodeView) -> Iterable[Problem]:
    """Weighted words that the prompt has, and as many words as the source where they replace each other."""
    sources = prompt_texts(view, "source")
    weights = view.literals.get("weights")
    for base in base_views(view):
        texts = prompt_texts(base)
        if isinstance(weights, Mapping):
            yield from check_words(view, "weights", weights, texts)
        # Of prompts for each image of a batch it is not told here which meet.
        for source, text in zip(sources, texts, strict=True) if len(sources) == len(texts) == 1 else ():
            counts = len(WORD.findall(source)), len(WORD.findall(text))
            if view.literals.get("edit") == "replace" and counts[0] != counts[1]:
                message = (
                    f"replacing needs as many words in the source as in the prompt of {base.id}, and they have "
                    f"{counts[0]} and {counts[1]}: use edit `refine`"
                )
                yield Problem(code="bad_value", node=view.id, input="edit", message=message, given="replace")


@node("prompt_to_prompt", category="guidance", tags=(SOURCE,), check=_check)
def prompt_to_prompt(
    source: Conditioning,
    edit: Edit = "auto",
    cross_steps: Annotated[float, Range(0.0, 1.0)] = 0.8,
    self_steps: Annotated[float, Range(0.0, 1.0)] = 0.4,
    weights: dict[str, float] = {},  # noqa: B006 - the signature is the schema; it is never changed
    self_resolution: Annotated[int, Range(0, 1024)] = 16,
) -> Guidance:
    """Edit a generated picture by editing its prompt, with the composition kept (prompt-to-prompt, arXiv 2208.01626).

    The source prompt's picture is drawn along from the same noise, and the prompt of the base (`cfg`) takes over where
    its words looked. With the same seed, the source alone gives the picture that is edited.

    Args:
        source: the prompt of the picture to edit; the prompt of `cfg` is what it shall become.
        edit: replace takes the n-th word for the n-th; refine keeps what both prompts have in common and lets new words
            find their own place; auto replaces when both have as many words.
        cross_steps: the share of the steps in which words look where the source's did; less lets the edit change more.
        self_steps: the share of the steps in which the layout is the source's.
        weights: by word of the prompt, how much more or less attention it gets: 0 takes it away, 2 doubles it, negative
            values work too. They act within `cross_steps`.
        self_resolution: self-attention maps with more than this many rows and columns stay the edit's own.
    """
    if any(not word.strip() for word in weights):
        raise ValueError("prompt_to_prompt: a word to weigh is empty")
    return PromptToPrompt(
        source=source,
        edit=edit,
        cross_steps=cross_steps,
        self_steps=self_steps,
        weights=tuple(weights.items()),
        self_resolution=self_resolution,
    )
