"""Pictures of a prompt that are compared with one another; their latents are kept in a folder that outlives the run."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.basic.decode import decode
from weft.nodes.basic.denoise import denoise
from weft.nodes.basic.encode_prompt import encode_prompt
from weft.nodes.sampling.content import Contents, code, machine
from weft.nodes.techniques.cfg import cfg
from weft.nodes.training.denoiser import model_identity
from weft.nodes.training.encoding import read_tensors, write_tensors
from weft.nodes.values.model import Model
from weft.nodes.values.pictures import Latents
from weft.nodes.values.techniques import Guidance


@dataclass(frozen=True)
class Drawing:
    """How candidates are drawn. count: of one prompt, in one batch. steps: of DDIM. eta: of its noise."""

    count: int
    steps: int
    guidance: float
    eta: float


class Candidates:
    """Draws pictures that are compared.

    Latents that an earlier run drew are decoded again, which gives the same pictures to the last bit. So what a run had
    when it was killed is not drawn anew, nor are the first pairs when more are wanted.
    """

    def __init__(self, model: Model, how: Drawing, ctx: Context) -> None:
        self._model, self._how, self._ctx = model, how, ctx
        self._inner = Context(cancel=ctx.token)
        """Its own progress and its steps of earlier runs are not this node's; its end is."""
        self._bases: dict[str, Guidance] = {}
        self._keys: dict[str, str] = {}
        self._has_warned = False

    def pictures(self, prompt: str, seed: int) -> Tensor:
        """The candidates of a prompt: (count, H, W, 3) in [0, 1]. Picture k is drawn with seed + k.

        Raises:
            Cancelled: the run was cancelled; what was drawn before is kept.
        """
        return decode(self._model, Latents(self._latents(prompt, seed)), ctx=self._inner).pixels

    def _latents(self, prompt: str, seed: int) -> Tensor:
        if prompt not in self._keys:
            self._keys[prompt] = candidates_key(self._model, prompt, self._how)
        name = f"{seed:019d}"
        with contextlib.ExitStack() as opened:
            try:
                folder = opened.enter_context(self._ctx.shared_workspace(self._keys[prompt]))
            except OSError as error:
                if not self._has_warned:
                    self._has_warned = True
                    self._ctx.log.warning("pictures cannot be kept for later runs, which draw them anew: %s", error)
                return self._draw(prompt, seed)
            latents = (read_tensors(folder, name) or {}).get("latents")
            if latents is None or not self._fits(latents):
                latents = self._draw(prompt, seed)
                write_tensors(folder, name, {"latents": latents})
            return latents

    def _fits(self, latents: Tensor) -> bool:
        """Whether what was read can be what was written."""
        shape = (self._how.count, self._model.latent_channels)
        fits = latents.dtype == torch.float32 and latents.dim() == 4 and tuple(latents.shape[:2]) == shape
        return fits and bool(torch.isfinite(latents).all())

    def _draw(self, prompt: str, seed: int) -> Tensor:
        model, how = self._model, self._how
        if prompt not in self._bases:
            self._bases[prompt] = cfg(encode_prompt(model, prompt), scale=how.guidance)
        return denoise(
            model,
            [self._bases[prompt]],
            steps=how.steps,
            scheduler="ddim",
            eta=how.eta,
            seed=seed,
            batch=how.count,
            ctx=self._inner,
        ).latents.samples.contiguous()


def candidates_key(model: Model, prompt: str, how: Drawing) -> str:
    """Identifies what a seed gives: model, prompt, settings, code and machine."""
    parts = (code(), machine(torch.device(model.device)), model_identity(model), prompt, asdict(how))
    return Contents().key(("candidates", *parts)).hex()
