"""The hook points, each through a small technique written here, compared with diffusers where it has the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import difference, seeded, set_scheduler
from weft.nodes.prompts.encode import encode
from weft.nodes.sampling.loop import Denoised, denoise_loop
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.run import Run, Step
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.technique import AttentionRule, Branch, Order, Predictions, Residuals, Site, Technique, View
from weft.nodes.technique.layout import Rows
from weft.nodes.techniques.cfg import ClassifierFree
from weft.nodes.values import Control, Guidance, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT, NEGATIVE = "a red circle", "a blue square"


@pytest.fixture(scope="session")
def calm(model: Models) -> Callable[[str], Any]:
    """A copy of a tiny model's UNet whose attention is less sharp.

    Batches of other sizes round differently; the sharp one makes 1e-2 of that in a few steps.
    """

    @cache
    def make(name: str) -> Any:
        unet = copy.deepcopy(model(name).parts().unet)
        with torch.no_grad():
            for weight_name, weight in unet.named_parameters():
                if weight_name.endswith(("to_q.weight", "to_k.weight")):
                    weight.mul_(0.3)
        return unet

    return make


@pytest.fixture
def prepare(model: Models, calm: Callable[[str], Any]) -> Callable[..., Run]:
    """Makes a run of the tiny SD 1 model with CFG and the techniques given."""
    kept: list[Any] = []

    def make(
        *techniques: Technique,
        name: str = "sd1",
        steps: int = 4,
        batch: int = 1,
        scheduler: str = "ddim",
        scale: float = 5.0,
        size: tuple[int, int] = (8, 8),
        base: bool = True,
        sharp: bool = False,
    ) -> Run:
        parts = model(name).parts()
        kept.append(parts)
        shape = (batch, 4, *size)
        sources = generators(7, batch)
        guidance = ClassifierFree(prompt=encode(parts, PROMPT), negative=encode(parts, NEGATIVE), scale=scale)
        return Run(
            unet=parts.unet if sharp else calm(name),
            schedule=Schedule(build_scheduler(scheduler, model(name).scheduler), steps),
            shape=shape,
            generators=sources,
            noise=draw(shape, sources, "cpu"),
            device=torch.device("cpu"),
            dtype=torch.float32,
            techniques=[*([guidance] if base else []), *techniques],
        )

    return make


Prepare = Callable[..., Run]


def result(run: Run, **options: Any) -> Tensor:
    return denoise_loop(run, **options).path[-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Perturbed(Guidance):
    """Perturbed-attention guidance, as short as the contract allows: one more row, identity attention in the middle."""

    order: ClassVar[int] = Order.PERTURBED
    scale: float = 3.0

    def branches(self, step: Step) -> Iterable[Branch]:
        base = next(t for t in step.run.techniques if t.base)
        assert isinstance(base, ClassifierFree)
        return (step.run.state(self, lambda: Branch("perturbed", "perturbed", base.prompt)),)

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        return (AttentionRule("identity", middle_self, tuple(self.branches(step))),)

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        (branch,) = self.branches(step)
        return prediction + self.scale * (predictions.role("cond") - predictions[branch])


def middle_self(site: Site) -> bool:
    return site.place == "mid" and site.kind == "self"


def all_self(site: Site) -> bool:
    return site.kind == "self"


@pytest.mark.parametrize("scale", [5.0, 1.0])
def test_rows_attention_and_combine_make_pag(model: Models, pipe: Pipes, prepare: Prepare, scale: float) -> None:
    """Equal to diffusers' PAG pipeline, with and without classifier-free guidance, for a batch."""
    oracle = pipe("sd1_four", "StableDiffusionPAGPipeline")
    before = dict(oracle.unet.attn_processors)
    set_scheduler(oracle, "ddim")
    theirs = oracle(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=scale,
        pag_scale=3.0,
        num_inference_steps=3,
        num_images_per_prompt=2,
        height=128,
        width=128,
        generator=seeded(7, 2),
        output_type="latent",
    ).images
    oracle.unet.set_attn_processor(before)
    run = prepare(Perturbed(), name="sd1_four", steps=3, batch=2, scale=scale, size=(16, 16), sharp=True)
    done = denoise_loop(run)
    assert difference(done.path[-1], theirs) <= 1e-4
    rows = 3 if scale > 1 else 2
    assert (done.calls, done.rows) == (3, 3 * 2 * rows)


def test_processors_are_put_back(prepare: Prepare) -> None:
    run = prepare(Perturbed())
    before = [module.processor for module in run.unet.modules() if hasattr(module, "processor")]
    result(run)
    result(prepare())
    after = [module.processor for module in run.unet.modules() if hasattr(module, "processor")]
    assert all(a is b for a, b in zip(before, after, strict=True))

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Failing(Perturbed):
        def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        result(prepare(Failing()))
    after = [module.processor for module in run.unet.modules() if hasattr(module, "processor")]
    assert all(a is b for a, b in zip(before, after, strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe(Guidance):
    """One rule on the conditional rows; keeps what it saw."""

    op: str
    where: Callable[[Site], bool] = all_self
    function: Callable[[Site, Tensor], Any] | None = None
    seen: list[tuple[Site, Tensor]] = field(default_factory=list)

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        base = next(t for t in step.run.techniques if t.base)
        cond = tuple(branch for branch in base.branches(step) if branch.role == "cond")
        return (AttentionRule(self.op, self.where, cond, self._see),)  # type: ignore[arg-type]

    def _see(self, site: Site, x: Tensor) -> Any:
        self.seen.append((site, x))
        return self.function(site, x) if self.function else x


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_captured_probabilities(prepare: Prepare, kind: str) -> None:
    probe = Probe(op="capture", where=lambda site: site.kind == kind)
    with_capture = result(prepare(probe, name="sd1_four", steps=1, batch=2, size=(16, 12)))
    assert difference(with_capture, result(prepare(name="sd1_four", steps=1, batch=2, size=(16, 12)))) <= 1e-4
    sites = [site for site, _ in probe.seen]
    # Three levels with attention of four, one layer down and two up each, and the middle.
    assert len(sites) == 3 * (1 + 2) + 1
    assert {site.place for site in sites} == {"down", "mid", "up"}
    assert {site.resolution for site in sites} == {(16, 12), (8, 6), (4, 3), (2, 2)}
    for site, probabilities in probe.seen:
        rows, columns = site.resolution
        assert probabilities.shape == (2, site.heads, rows * columns, rows * columns if kind == "self" else 77)
        assert torch.allclose(probabilities.sum(-1), torch.ones(()), atol=1e-5)


def test_unchanged_edit_and_bias_change_nothing(prepare: Prepare) -> None:
    plain = result(prepare(steps=2, batch=2))
    for op in ("edit", "bias"):
        assert difference(result(prepare(Probe(op=op), steps=2, batch=2)), plain) <= 1e-4


def test_edits_change_and_captures_do_not_see_them(prepare: Prepare) -> None:
    edit = Probe(op="edit", function=lambda site, p: torch.full_like(p, 1 / p.shape[-1]))
    capture = Probe(op="capture")
    edited = result(prepare(edit, capture, steps=1))
    assert difference(edited, result(prepare(steps=1))) > 1e-3
    alone = Probe(op="capture")
    result(prepare(alone, steps=1))
    assert torch.allclose(capture.seen[0][1], alone.seen[0][1], atol=1e-6)


def test_bias_and_add(prepare: Prepare) -> None:
    """A bias of minus infinity on all keys but the first gives every query the first value: as does an edit."""

    def first_only(site: Site, logits: Tensor) -> Tensor:
        masked = torch.full_like(logits, -1e9)
        masked[..., 0] = 0
        return masked

    def one_hot(site: Site, p: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.zeros(p.shape[:-1], dtype=torch.long), p.shape[-1]).to(p.dtype)

    a = result(prepare(Probe(op="bias", function=first_only), steps=1))
    b = result(prepare(Probe(op="edit", function=one_hot), steps=1))
    assert difference(a, b) <= 1e-4
    nothing = result(prepare(Probe(op="add", function=lambda site, q: torch.zeros_like(q)), steps=1))
    assert difference(nothing, result(prepare(steps=1))) <= 1e-5
    something = result(prepare(Probe(op="add", function=lambda site, q: torch.ones_like(q)), steps=1))
    assert difference(something, nothing) > 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Tiled(Guidance):
    """Views of 8 x 8, stride 4; the last column of views may wrap."""

    boxes: tuple[View, ...]

    def views(self, run: Run) -> Sequence[View]:
        return self.boxes


def test_views_equal_panorama(prepare: Prepare, pipe: Pipes, calm: Callable[[str], Any]) -> None:
    """One forward for all views and one scheduler step; diffusers makes a forward and a step per view."""
    oracle = pipe("sd1", "StableDiffusionPanoramaPipeline")
    oracle.register_modules(unet=calm("sd1"))
    set_scheduler(oracle, "ddim")
    torch.manual_seed(0)
    noise = torch.randn(1, 4, 64, 72)
    theirs = oracle(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=1.0,
        num_inference_steps=2,
        height=512,
        width=576,
        latents=noise.clone(),
        output_type="latent",
    ).images
    views = tuple(View(0, left, 64, 64) for left in (0, 8))
    run = prepare(Tiled(boxes=views), steps=2, scale=1.0, size=(64, 72))
    run.noise = noise
    done = denoise_loop(run)
    assert difference(done.path[-1], theirs) <= 1e-4
    assert (done.calls, done.rows) == (2, 2 * 2)


def test_one_view_of_everything_is_no_view(prepare: Prepare) -> None:
    whole = Tiled(boxes=(View(0, 0, 8, 8),))
    assert difference(result(prepare(whole, batch=2)), result(prepare(batch=2))) <= 1e-5


def test_views_wrap(prepare: Prepare) -> None:
    """The same canvas shifted around gives the same picture shifted around."""
    views = tuple(View(0, left, 8, 8) for left in (0, 4, 8, 12))
    plain = prepare(Tiled(boxes=views), steps=2, size=(8, 16))
    noise = plain.noise
    shifted = prepare(Tiled(boxes=views), steps=2, size=(8, 16))
    shifted.noise = noise.roll(4, dims=-1)
    assert difference(result(plain).roll(4, dims=-1), result(shifted)) <= 1e-3


def test_bad_views(prepare: Prepare) -> None:
    with pytest.raises(ValueError, match="32 of 128 latent pixels uncovered"):
        result(prepare(Tiled(boxes=(View(0, 0, 8, 8), View(0, 4, 8, 8))), size=(8, 16)))
    with pytest.raises(ValueError, match="larger than the canvas"):
        result(prepare(Tiled(boxes=(View(0, 0, 8, 24),)), size=(8, 16)))
    with pytest.raises(ValueError, match="one size"):
        result(prepare(Tiled(boxes=(View(0, 0, 8, 8), View(0, 8, 8, 4))), size=(8, 16)))
    with pytest.raises(ValueError, match="there can be one"):
        result(prepare(Tiled(boxes=(View(0, 0, 8, 8),)), Tiled(boxes=(View(0, 0, 8, 8),))))


@dataclass(frozen=True, eq=False, kw_only=True)
class Again(Guidance):
    """A second round on latents that the first round's result gives."""

    scale: float = 0.5

    def second(self, step: Step, predictions: Predictions) -> Iterable[Branch]:
        first = next(branch for branch in predictions if branch.role == "uncond")
        latents = step.renoise(step.x0(predictions[first]).clamp(-1, 1), step.epsilon(predictions[first]))
        again = Branch("again", "again", first.conditioning, latents=latents, like=first)
        step.run.state(self, dict[str, Branch])["again"] = again
        return (again,)

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        again = step.run.state(self, dict[str, Branch])["again"]
        return prediction + self.scale * (predictions.role("uncond") - predictions[again])


@dataclass(frozen=True, eq=False, kw_only=True)
class Push(Control):
    """Constant residuals; counts how often it is asked."""

    amount: float = 0.1
    asked: list[int] = field(default_factory=list)

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        self.asked.append(rows.sample.shape[0])
        total, (height, width) = rows.sample.shape[0], rows.sample.shape[-2:]
        skips = [(16, 1), (16, 1), (16, 1), (16, 2), (32, 2), (32, 2)]
        down = [torch.full((total, c, height // f, width // f), self.amount) for c, f in skips]
        return Residuals(down, torch.full((total, 32, height // 2, width // 2), self.amount))


def test_second_round_shares_residuals(prepare: Prepare) -> None:
    push = Push()
    done = denoise_loop(prepare(Again(), push, steps=3, batch=2))
    assert (done.calls, done.rows) == (6, 3 * (4 + 2))
    assert push.asked == [4, 4, 4]
    assert difference(done.path[-1], result(prepare(push, steps=3, batch=2))) > 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class PushEach(Push):
    """Other residuals for each image, and for each view."""

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        whole = super().residuals(step, rows)
        sizes = [1.0 + 2 * image + (view.left if view is not None else 0) / 4 for view, image in rows.units.pairs]
        each = torch.tensor(sizes * len(rows.branches))[:, None, None, None]
        assert whole.mid is not None
        return Residuals([part * each for part in whole.down], whole.mid * each)


@pytest.mark.parametrize("views", [False, True])
def test_second_round_shares_the_residuals_of_its_own_images(prepare: Prepare, views: bool) -> None:
    """A batch, or views, in several forwards: the second round's rows take those of the same images and views."""

    def go(units: int | None, batch: int = 3) -> Tensor:
        push = PushEach()
        canvas = [Tiled(boxes=(View(0, 0, 8, 8), View(0, 4, 8, 8)))] if views else []
        run = prepare(Again(), push, *canvas, steps=2, batch=batch, size=(8, 12 if views else 8))
        path = denoise_loop(run, max_units=units).path
        assert len(push.asked) == 2 * len({*range(0, batch * (2 if views else 1), units or 100)})
        return path[-1]

    whole = go(None)
    for units in (1, 2):
        assert difference(go(units), whole) <= 1e-3
    # The first image has its own: those of a last one would show.
    assert difference(go(1)[:1], go(1, batch=1)) <= 1e-3


def test_residuals_add_up(prepare: Prepare) -> None:
    once = result(prepare(Push(amount=0.3), steps=2))
    twice = result(prepare(Push(amount=0.1), Push(amount=0.2), steps=2))
    assert difference(once, twice) <= 1e-3
    assert difference(once, result(prepare(steps=2))) > 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Descend(Guidance):
    """Moves the latents against the gradient of their conditional prediction's size."""

    rate: float = 0.1

    def guide(self, step: Step) -> Tensor:
        base = next(t for t in step.run.techniques if t.base)
        cond = next(branch for branch in base.branches(step) if branch.role == "cond")
        with torch.enable_grad():
            latents = step.latents.detach().requires_grad_()
            loss = step.predict([cond], latents, grad=True)[cond].square().sum()
            (gradient,) = torch.autograd.grad(loss, latents)
        return step.latents - self.rate * gradient / gradient.norm()


def test_gradient_guide(prepare: Prepare) -> None:
    done = denoise_loop(prepare(Descend(), steps=2))
    assert done.calls == 4
    assert not done.path[-1].requires_grad
    assert difference(done.path[-1], result(prepare(steps=2))) > 1e-3


def test_gradient_is_that_of_the_function(prepare: Prepare) -> None:
    """Against a difference quotient, in the direction of the gradient."""
    found: list[tuple[float, float]] = []

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Measure(Guidance):
        def guide(self, step: Step) -> None:
            base = next(t for t in step.run.techniques if t.base)
            cond = next(branch for branch in base.branches(step) if branch.role == "cond")

            def loss(latents: Tensor, grad: bool) -> Tensor:
                return step.predict([cond], latents, grad=grad)[cond].square().sum()

            with torch.enable_grad():
                latents = step.latents.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(loss(latents, True), latents)
            small = 1e-2 * gradient / gradient.norm()
            quotient = (loss(step.latents + small, False) - loss(step.latents - small, False)) / 2e-2
            found.append((float(gradient.norm()), float(quotient)))

    result(prepare(Measure(), steps=1))
    assert found[0][1] == pytest.approx(found[0][0], rel=0.05)


@dataclass(frozen=True, eq=False, kw_only=True)
class Note(Guidance):
    """Writes down when it is called."""

    word: str
    order: ClassVar[int] = Order.DEFAULT
    log: list[tuple[str, int]]

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        self.log.append((self.word, step.index))
        return prediction


@dataclass(frozen=True, eq=False, kw_only=True)
class Early(Note):
    order: ClassVar[int] = Order.SEMANTIC


def test_order_and_windows(prepare: Prepare) -> None:
    log: list[tuple[str, int]] = []
    result(
        prepare(
            Note(word="b", log=log),
            Note(word="c", log=log, window=(0.25, 0.75)),
            Early(word="a", log=log, window=(0.5, 1.0)),
            steps=4,
        )
    )
    assert log == [("b", 0), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("c", 2), ("a", 3), ("b", 3)]
    with pytest.raises(ValueError, match="start <= end"):
        Note(word="x", log=log, window=(0.7, 0.2))


def test_inactive_technique_costs_and_changes_nothing(prepare: Prepare) -> None:
    done = denoise_loop(prepare(Perturbed(window=(0.0, 0.0)), Again(window=(0.4, 0.4)), steps=4))
    assert (done.calls, done.rows) == (4, 8)
    assert torch.equal(done.path[-1], result(prepare(steps=4)))


def test_splitting_changes_nothing(prepare: Prepare) -> None:
    """A batch in pieces of one or two images, with rules, residuals and a second round."""

    def go(units: int | None) -> Denoised:
        return denoise_loop(prepare(Perturbed(), Again(), Push(), steps=2, batch=3), max_units=units)

    whole = go(None)
    for units in (1, 2):
        assert difference(go(units).path[-1], whole.path[-1]) <= 1e-3
    assert go(1).calls == 3 * whole.calls
    assert go(1).rows == whole.rows


def test_out_of_memory_halves_the_forward(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepare(steps=2, batch=4)
    real, sizes = run.unet.forward, []

    def small_only(sample: Tensor, *args: Any, **options: Any) -> Any:
        sizes.append(sample.shape[0])
        if sample.shape[0] > 4:
            raise torch.OutOfMemoryError("too much")
        return real(sample, *args, **options)

    monkeypatch.setattr(run.unet, "forward", small_only)
    split = result(run)
    assert sizes == [8, 4, 4, 4, 4]
    monkeypatch.undo()
    assert difference(split, result(prepare(steps=2, batch=4))) <= 1e-4


def test_prompts_of_two_lengths(prepare: Prepare) -> None:
    """They cannot share a tensor, so each length has a forward; the numbers are those of one at a time."""
    run = prepare(steps=2)
    base = next(t for t in run.techniques if t.base)
    assert isinstance(base, ClassifierFree)
    assert base.negative is not None
    short = type(base.negative)(base.negative.text[:, :40], None)
    run.techniques = [ClassifierFree(prompt=base.prompt, negative=short, scale=5.0)]
    done = denoise_loop(run)
    assert (done.calls, done.rows) == (4, 4)
    assert bool(torch.isfinite(done.path[-1]).all())


def test_needs_make_the_base_give_more(prepare: Prepare) -> None:
    @dataclass(frozen=True, eq=False, kw_only=True)
    class Needy(Guidance):
        needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

        def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
            return prediction + 0 * predictions.role("uncond")

    done = denoise_loop(prepare(Needy(), scale=1.0, steps=2))
    assert done.rows == 4
    assert difference(done.path[-1], result(prepare(scale=1.0, steps=2))) <= 1e-5


def test_one_base(prepare: Prepare) -> None:
    with pytest.raises(ValueError, match="exactly one base term, such as cfg, and there is none"):
        result(prepare(base=False))
    second = ClassifierFree(prompt=prepare().techniques[0].prompt)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"not 2 \(ClassifierFree, ClassifierFree\)"):
        result(prepare(second))


def test_state_belongs_to_a_run(prepare: Prepare) -> None:
    """A technique is a frozen value: used twice, it begins anew."""

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Momentum(Guidance):
        def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
            past = step.run.state(self, list[Tensor])
            past.append(prediction)
            return sum(past, start=torch.zeros(())) / len(past)

    technique = Momentum()
    assert torch.equal(result(prepare(technique)), result(prepare(technique)))
    assert difference(result(prepare(technique)), result(prepare())) > 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Share(Guidance):
    """Adds the mean over all of its kind, and notes who was asked together."""

    amount: float
    asked: list[tuple[float, ...]]

    @staticmethod
    def combine_together(
        techniques: Sequence[Share], step: Step, predictions: Predictions, prediction: Tensor
    ) -> Tensor:
        techniques[0].asked.append(tuple(one.amount for one in techniques))
        return prediction + sum(one.amount for one in techniques) / len(techniques)

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        raise AssertionError("asked alone")


@dataclass(frozen=True, eq=False, kw_only=True)
class ShareToo(Share):
    """Of the same kind, since it adds the same term."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Double(Guidance):
    """Shows where in the order it is asked."""

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        return prediction * 2


def test_techniques_of_one_kind_combine_together_in_the_place_of_the_first(prepare: Prepare) -> None:
    """Those that are active, each once; of a subclass too; what stands between them comes after."""
    asked: list[tuple[float, ...]] = []
    first = Share(amount=1.0, asked=asked)
    late = ShareToo(amount=3.0, asked=asked, window=(0.5, 1.0))
    seen: list[Tensor] = []
    run = prepare(first, Double(), late, steps=4, scale=1.0)
    denoise_loop(run, watch=lambda step, prediction: seen.append(prediction))
    assert asked == [(1.0,), (1.0,), (1.0, 3.0), (1.0, 3.0)]
    alone: list[Tensor] = []
    plain = prepare(steps=4, scale=1.0)
    denoise_loop(plain, watch=lambda step, prediction: alone.append(prediction))
    torch.testing.assert_close(seen[0], (alone[0] + 1.0) * 2)


def test_the_base_of_a_run_makes_predictions_of_its_own(prepare: Prepare) -> None:
    """`base_prediction` has the base's term and what rescales it, and no other technique's."""
    found: list[tuple[Tensor, Tensor]] = []

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Look(Guidance):
        def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
            assert step.run.base in step.run.techniques
            assert [branch.role for branch in step.base_branches()] == ["uncond", "cond"]
            uncond, cond = predictions.role("uncond"), predictions.role("cond")
            found.append((step.base_prediction(predictions), uncond + 3.0 * (cond - uncond)))
            return prediction

    denoise_loop(prepare(Double(), Look(), steps=2, scale=3.0))
    assert len(found) == 2
    assert all(made.equal(expected) for made, expected in found)
