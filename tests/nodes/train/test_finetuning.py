"""Adapters, whole denoisers and denoisers that edit: trained, cancelled and run again, checked, and applied."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.nodes.training.recipes.pictures_of import dataset
from tests.nodes.training.train_case import Told, context
from tests.tiny import tiny_sd1
from tests.tiny_words import calm
from weft.engine import Cancelled, CancelToken, Context, Problem, check
from weft.graphs import Graph
from weft.nodes import load_model, shapes_dataset, train_dreambooth, train_instruct_pix2pix, train_lora
from weft.nodes.techniques.wired import applied
from weft.nodes.training.lora_settings import KINDS, LoraSettings
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.lora import LoraRecipe
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained

STEPS = 5
OPTIONS = TrainOptions(accumulation=2, ema=0.9)


def trained(which: str, model: Model, ctx: Context) -> Trained:
    """A short training over a data set that its batch does not divide."""
    shared: dict[str, Any] = {"learning_rate": 1e-3, "batch": 2, "seed": 4, "options": OPTIONS, "ctx": ctx}
    if which == "dreambooth":
        return train_dreambooth(model, dataset(3, 2), STEPS, text_encoder=True, **shared)
    if which == "instruct_pix2pix":
        return train_instruct_pix2pix(model, dataset(3, pairs=True), STEPS, dropout=0.2, **shared)
    return train_lora(model, dataset(3, 2), STEPS, kind=which, text_encoder=True, **shared)


@pytest.mark.parametrize("which", ["lora", "dora", "lokr", "loha", "oft", "dreambooth", "instruct_pix2pix"])
def test_cancelled_and_run_again_it_ends_as_if_nothing_had_been(which: str, model: Model, cache: Any) -> None:
    """To the last bit: adapter, average and curve."""
    whole = trained(which, model, context(cache / "whole"))
    cancel = CancelToken()

    def stop(step: int) -> None:
        if step == 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        trained(which, model, context(cache / "parts", Told(stop), cancel))
    torch.rand(3)
    told = Told()
    again = trained(which, model, context(cache / "parts", told))
    assert told.of("resumed") == [{"steps": 3, "total": STEPS}]
    assert again.adapter.digest == whole.adapter.digest
    assert {k: v[1].tolist() for k, v in again.curve.columns.items()} == {
        k: v[1].tolist() for k, v in whole.curve.columns.items()
    }


@pytest.fixture(scope="module")
def model_of_calm_attention(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Sharp attention makes much of rounding, and an adapter in the weights is rounded otherwise than beside them."""
    return load_model(str(calm(tiny_sd1(tmp_path_factory.mktemp("calm") / "sd1", sample_size=8))))


@pytest.mark.parametrize("kind", KINDS)
def test_applied_it_predicts_what_was_trained(kind: str, model_of_calm_attention: Model) -> None:
    """The denoiser of the model that the adapter is on is the one that learned, and so are the text encoders."""
    model = model_of_calm_attention
    done = train_lora(model, dataset(2), 3, 1e-2, kind=kind, alpha=0.0 if kind == "oft" else 6.0, text_encoder=True)
    own = LoraSettings(kind, 4, 0.0 if kind == "oft" else 6.0, text_encoder=True)
    recipe = LoraRecipe(model, Material(model, dataset(2), Context(), captions=False), TrainOptions(), own)
    with torch.no_grad():
        for group in recipe.groups().values():
            for name, parameter in group.items():
                parameter.copy_(done.adapter.tensors[name])
    _compared(model, applied(model, done.adapter), {"unet": recipe.unet, **recipe.encoders})


def test_an_applied_dreambooth_predicts_what_was_trained(model: Model) -> None:
    done = train_dreambooth(model, dataset(2), 2, 1e-3, text_encoder=True).adapter
    with_it = applied(model, done)
    for component in ("unet", "text_encoder"):
        state = with_it.parts().component(component).state_dict()
        tensors = {name.partition(".")[2]: t for name, t in done.tensors.items() if name.startswith(f"{component}.")}
        for name, tensor in state.items():
            assert tensor.equal(tensors[name if name in tensors else f"text_model.{name}"])


def test_an_applied_instruct_pix2pix_reads_a_picture(model: Model) -> None:
    done = train_instruct_pix2pix(model, dataset(2, pairs=True), 2, 1e-3, 1).adapter
    with_it = applied(model, done)
    assert (with_it.unet_channels, model.unet_channels) == (8, 4)
    state = with_it.parts().unet.state_dict()
    assert all(tensor.equal(done.tensors[f"unet.{name}"]) for name, tensor in state.items())


def _compared(model: Model, with_it: Model, modules: dict[str, Any]) -> None:
    parts, before = with_it.parts(), model.parts()
    generator = torch.Generator().manual_seed(2)
    latents, states = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 7, 32, generator=generator)
    given = {"unet": (latents, torch.tensor([300]), states), "text_encoder": (torch.arange(20).view(1, 20),)}
    for component, module in modules.items():
        with torch.no_grad():
            learned = module.eval()(*given[component])[0]
            ours = parts.component(component)(*given[component])[0]
            plain = before.component(component)(*given[component])[0]
        assert float((learned - plain).abs().max()) > 1e-3
        torch.testing.assert_close(ours, learned, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("inputs", "input", "words"),
    [
        ({"targets": ["to_q", "to_kk"]}, "targets", "no layer of the denoiser is named 'to_kk': did you mean to_k"),
        ({"targets": []}, "targets", "no layers are named"),
        ({"kind": "oft", "rank": 1}, "rank", "a rank of 2 or more"),
        ({"kind": "oft", "rank": 5}, "rank", "does not divide"),
        ({"kind": "oft", "alpha": 1.0}, "alpha", "leave alpha at 0"),
    ],
)
def test_what_does_not_go_is_told_before_the_run(inputs: dict[str, Any], input: str, words: str, model: Model) -> None:
    told = _told(model, **inputs)
    assert [problem.input for problem in told] == [input]
    assert words in told[0].message


def test_presets_are_no_problem(model: Model) -> None:
    assert _told(model, targets=["attention+conv", "to_q"]) == []


def _told(model: Model, **inputs: Any) -> list[Problem]:
    """What a check says of a training of a model."""
    with Graph() as graph:
        train_lora(load_model(model.location), shapes_dataset(), **inputs)
    return [problem for problem in check(graph.workflow()) if problem.input in ("kind", "rank", "alpha", "targets")]
