"""The terms in which techniques and the denoise loop speak: branches, predictions, attention, residuals, views.

Notation: B images, C latent channels, H x W latent size, V views; a branch is B rows of the one batched forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.values.prompt import Conditioning

AttentionOp = Literal["bias", "capture", "edit", "identity", "add"]


class Order:
    """Places in the order of `guide`, `combine` and `after_step`; equal places keep the order of the wires."""

    BASE: ClassVar[int] = 0
    SEMANTIC: ClassVar[int] = 10
    PERTURBED: ClassVar[int] = 20
    SELF_ATTENTION: ClassVar[int] = 30
    DEFAULT: ClassVar[int] = 50
    RESCALE: ClassVar[int] = 90
    NOISE: ClassVar[int] = 95


@dataclass(frozen=True, eq=False)
class Branch:
    """One evaluation of the denoiser per image, joined with all others in one forward. Its object is its identity.

    A row that a technique compares with another one should differ from it in what is compared alone: take
    `dataclasses.replace` of the other branch, so that both are treated equally by all techniques.

    name: for messages.
    role: `cond` and `uncond` are the base's; an added branch has its technique's own word, or `uncond` where it must
        be treated as one (zero image channels in InstructPix2Pix, no hint in ControlNet's guess mode).
    conditioning: text (1 or B, L, D) and what belongs to it. Keep the object from step to step: the loop remembers
        the concatenated states by it.
    latents: (B, C, H, W), unscaled, in place of the loop's; None takes the loop's.
    like: a branch of the first round whose residuals this one, of the second round, shares.
    guidance_scale: for models that take the scale as an embedding (distilled ones); others ignore it.
    pictures: whether pictures that serve as prompts (IP-Adapter) condition it; None goes by the role, see
        `sees_pictures`.
    """

    name: str
    role: str
    conditioning: Conditioning
    latents: Tensor | None = None
    like: Branch | None = None
    guidance_scale: float | None = None
    pictures: bool | None = None

    @property
    def sees_pictures(self) -> bool:
        """Whether pictures that serve as prompts condition it: unless it says so itself, all but `uncond`."""
        return self.role != "uncond" if self.pictures is None else self.pictures


class Predictions(dict[Branch, "Tensor"]):
    """The model's outputs (B, C, H, W), float32, by branch; views are merged to the whole canvas.

    They are in the model's own form (noise, v): `Step.x0` and `Step.epsilon` convert.
    """

    def role(self, role: str) -> Tensor:
        """The prediction of the first branch with this role; the base's branches come first."""
        for branch, prediction in self.items():
            if branch.role == role:
                return prediction
        raise KeyError(f"no branch with role {role!r} in this step, only {sorted({b.role for b in self})}")


@dataclass(frozen=True)
class Site:
    """One attention layer: its module path, kind, place, resolution of its queries (rows, columns) and heads."""

    name: str
    kind: Literal["self", "cross"]
    place: Literal["down", "mid", "up"]
    resolution: tuple[int, int]
    heads: int


@dataclass(frozen=True, eq=False)
class AttentionRule:
    """What to do at some attention sites for the rows of some branches; all other rows are left alone.

    op, with n rows, h heads, q queries, k keys, d channels a head, and `function(site, x)`:

    - `bias`: x are the logits (n, h, q, k); returns new logits
    - `capture`: x are the probabilities (n, h, q, k), to look at; the result is ignored
    - `edit`: x are the probabilities; returns new probabilities
    - `identity`: no function; every query's output is its own value
    - `add`: x are the queries (n, h, q, d); returns what to add to the output (n, h, q, d) (image prompts)

    They apply in this order, so that a capture never sees an edit. branches: rows come concatenated in this order;
    branches that are not in a forward are passed over, and a rule without any left does nothing there.
    """

    op: AttentionOp
    where: Callable[[Site], bool]
    branches: tuple[Branch, ...]
    function: Callable[[Site, Tensor], Any] | None = None


@dataclass(frozen=True, eq=False)
class Residuals:
    """Additions inside the denoiser, for every row of one forward. The loop sums those of several techniques.

    down: one per skip connection, mid: of the mid block, as ControlNet returns them.
    intra: one per down block, as T2I-Adapter returns them.
    """

    down: Sequence[Tensor] = ()
    mid: Tensor | None = None
    intra: Sequence[Tensor] = ()


@dataclass(frozen=True)
class View:
    """A window of the canvas in latent pixels. One that passes the right or the lower edge wraps around."""

    top: int
    left: int
    height: int
    width: int
