"""Words that are learned: they begin where they should, learn as the reference does, and nothing else changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from tests.tiny_words import batches_of, drawn_of, gradients, tiny_items
from tests.word_reference import Reference
from weft.engine import Context
from weft.nodes import load_model
from weft.nodes.prompts.encode import encode
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipes.textual_inversion import InversionSettings, TextualInversionRecipe
from weft.nodes.training.sentences import Sentences, WordMaterial
from weft.nodes.training.trainer import Goal, train
from weft.nodes.training.words import NewWord, Words
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset

SIDE = 32
AS_REFERENCE = TrainOptions(clip_norm=0.0)
WORDS = (NewWord("<new>", 2, "red"), NewWord("<other>", 2, "cat"))
CAPTIONS = ("a photo of <new>", "<new> on white with <other>", "the large <other>", "<other> and <new>")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that predicts noise, one that predicts v, and one with two text encoders."""
    root = tmp_path_factory.mktemp("words")
    return {
        "epsilon": tiny_sd1(root / "epsilon"),
        "v": tiny_sd2(root / "v"),
        "sdxl": tiny_sdxl(root / "sdxl"),
    }


def model_of(folder: Path) -> Model:
    return load_model(str(folder), dtype="float32", device="cpu")


def recipe_of(folder: Path, options: TrainOptions = AS_REFERENCE, **settings: Any) -> TextualInversionRecipe:
    model = model_of(folder)
    own = InversionSettings(**({"words": WORDS, "weight_decay": 0.01} | settings))
    said = Sentences(tuple(word.token for word in own.words), ())
    dataset = Dataset(tuple(tiny_items(CAPTIONS, side=SIDE)))
    return TextualInversionRecipe(model, WordMaterial(model, dataset, Context(), said, classes=False), options, own)


def reference_of(folder: Path) -> Reference:
    return Reference(folder, [word.token for word in WORDS], [word.init for word in WORDS], 2)


@pytest.mark.parametrize("kind", ["epsilon", "v", "sdxl"])
def test_the_first_step_is_that_of_the_reference(folders: dict[str, Path], kind: str) -> None:
    recipe, reference = recipe_of(folders[kind]), reference_of(folders[kind])
    (samples,) = batches_of(recipe, 1, 4)
    batch = recipe.batch([recipe.material.instances[k] for k in samples.items], samples, "")
    loss = recipe.losses(samples).mean()
    wanted = reference.inversion_loss(drawn_of(recipe, batch), SIDE)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=0.0)
    found = gradients(recipe, loss)
    tables = torch.autograd.grad(wanted, reference.tables)
    ends = ["text_encoder", "text_encoder_2"][: len(tables)]
    for end, table in zip(ends, tables, strict=True):
        own = torch.cat([found[f"word.{word.token}.{end}"] for word in WORDS])
        expected = table[reference.ids]
        assert expected.abs().max() > 0
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", ["epsilon", "v", "sdxl"])
def test_the_rows_after_some_steps_are_those_of_the_reference(folders: dict[str, Path], kind: str) -> None:
    """The script steps on the whole table and copies the other rows back."""
    steps, batch, rate = 5, 2, 1e-2
    recipe, reference = recipe_of(folders[kind]), reference_of(folders[kind])
    before = [table.detach().clone() for table in reference.tables]
    optimizer = torch.optim.AdamW(reference.tables, lr=rate, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    losses = []
    for samples in batches_of(recipe, steps, batch):
        one = recipe.batch([recipe.material.instances[k] for k in samples.items], samples, "")
        loss = reference.inversion_loss(drawn_of(recipe, one), SIDE)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        with torch.no_grad():
            for table, rest in zip(reference.tables, before, strict=True):
                keep = torch.ones(len(table), dtype=torch.bool)
                keep[reference.ids] = False
                table[keep] = rest[keep]
    result = train(recipe, Goal(steps, rate, batch), AS_REFERENCE, Context())
    assert result.curve.column("loss")[1] == pytest.approx(losses, rel=1e-5)
    ends = ["text_encoder", "text_encoder_2"][: len(before)]
    for end, rows, table in zip(ends, reference.rows(), before, strict=True):
        own = torch.cat([result.adapter.tensors[f"word.{word.token}.{end}"] for word in WORDS])
        assert (own - table[reference.ids]).abs().max() > rate
        torch.testing.assert_close(own, rows, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["epsilon", "sdxl"])
def test_nothing_of_the_model_changes(folders: dict[str, Path], kind: str) -> None:
    model = model_of(folders[kind])
    parts = model.parts()
    names = ["unet", *(name for name in parts.components if name.startswith("text_encoder"))]
    before = {name: copy.deepcopy(parts.component(name).state_dict()) for name in names}
    sizes = [len(tokenizer) for tokenizer in parts.tokenizers]
    said = encode(parts, "a red cat").text
    recipe = recipe_of(folders[kind])
    train(recipe, Goal(2, 1e-2, 2), AS_REFERENCE, Context())
    assert [len(tokenizer) for tokenizer in parts.tokenizers] == sizes
    for name in names:
        after = parts.component(name).state_dict()
        assert after.keys() == before[name].keys()
        assert all(torch.equal(after[key], tensor) for key, tensor in before[name].items()), name
    assert not any(p.requires_grad for name in names for p in parts.component(name).parameters())
    assert torch.equal(encode(parts, "a red cat").text, said)
    # The frozen weights are no copies, and the modules around them are.
    assert recipe.unet.conv_in.weight is parts.unet.conv_in.weight
    assert recipe.unet is not parts.unet


class Shapes(TorchDispatchMode):
    """Remembers how many rows the tensors have that operators make."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.rows |= {part.shape[0] for part in tree_flatten(out)[0] if isinstance(part, Tensor) and part.ndim}
        return out


def test_no_step_depends_on_how_many_words_there_are(folders: dict[str, Path]) -> None:
    recipe = recipe_of(folders["epsilon"])
    vocabulary = recipe.parts.text_encoders[0].get_input_embeddings().num_embeddings
    (samples,) = batches_of(recipe, 1, 2)
    recipe.losses(samples)  # what is read once is read
    own = list(recipe.groups()["words"].values())
    optimizer = torch.optim.AdamW(own, lr=1e-3)
    with Shapes() as shapes:
        recipe.losses(samples).mean().backward()
        optimizer.step()
    assert 2 in shapes.rows
    assert not shapes.rows & set(range(vocabulary, vocabulary + 8))
    learned = [
        p for module in (recipe.unet, *recipe.words.encoders.values()) for p in module.parameters() if p.requires_grad
    ]
    assert [tuple(p.shape) for p in learned] == [(2, 32), (2, 32)]
    # What a checkpoint holds is rows: weights, and two moments of each.
    result = train(recipe, Goal(1, 1e-3, 2), AS_REFERENCE, Context())
    saved = load_file(Path(result.checkpoint.folder) / "state.safetensors")
    assert [tuple(tensor.shape) for tensor in saved.values()] == [(2, 32)] * 6


def words_of(folder: Path, *words: NewWord, seed: int = 0) -> dict[str, Tensor]:
    """What words begin with."""
    return {name: p.detach() for name, p in Words(model_of(folder).parts(), words, seed).parameters.items()}


def row(folder: Path, word: str) -> Tensor:
    """Of a word of the model's own."""
    parts = model_of(folder).parts()
    (number,) = parts.tokenizers[0](word, add_special_tokens=False).input_ids
    return parts.text_encoders[0].get_input_embeddings().weight[number].detach()


def test_words_begin_as_the_words_that_are_named(folders: dict[str, Path]) -> None:
    folder = folders["epsilon"]
    red, cat, star = (row(folder, word) for word in ("red", "cat", "star"))
    found = words_of(
        folder,
        NewWord("<one>", 1, "red"),
        NewWord("<each>", 2, "red cat"),
        NewWord("<again>", 3, "red cat"),
        NewWord("<fewer>", 2, "red cat star"),
        NewWord("<mean>", 2, "red cat star", "mean"),
    )
    assert torch.equal(found["word.<one>.text_encoder"], red[None])
    assert torch.equal(found["word.<each>.text_encoder"], torch.stack([red, cat]))
    assert torch.equal(found["word.<again>.text_encoder"], torch.stack([red, cat, red]))
    torch.testing.assert_close(found["word.<fewer>.text_encoder"], torch.stack([(red + cat) / 2, star]))
    torch.testing.assert_close(found["word.<mean>.text_encoder"], torch.stack([(red + cat + star) / 3] * 2))


def test_words_without_a_beginning_are_drawn_like_the_others(folders: dict[str, Path]) -> None:
    folder = folders["sdxl"]
    found = words_of(folder, NewWord("<new>", 64))
    assert set(found) == {"word.<new>.text_encoder", "word.<new>.text_encoder_2"}
    table = model_of(folder).parts().text_encoders[0].get_input_embeddings().weight
    own = found["word.<new>.text_encoder"]
    assert float(own.std()) == pytest.approx(float(table.std()), rel=0.1)
    assert torch.equal(own, words_of(folder, NewWord("<new>", 64))["word.<new>.text_encoder"])
    assert not torch.equal(own, words_of(folder, NewWord("<new>", 64), seed=1)["word.<new>.text_encoder"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((NewWord("cat</w>"),), "'cat</w>' is one that the model knows already"),
        ((NewWord("<new>"), NewWord("<new>")), "'<new>' is one that the model knows already"),
        ((NewWord("<new>", 2), NewWord("<new>_1")), "'<new>_1' is one that the model knows already"),
        ((NewWord("<new>_1"), NewWord("<new>")), "'<new>_1' is one that the model knows already"),
        ((NewWord("<|endoftext|>"),), "'<|endoftext|>' is one that the model knows already"),
        ((NewWord("two words"),), "'two words' is no token"),
        ((NewWord(""),), "'' is no token"),
    ],
)
def test_tokens_that_are_taken_are_refused(folders: dict[str, Path], words: tuple[NewWord, ...], reason: str) -> None:
    with pytest.raises(TrainingError) as error:
        words_of(folders["epsilon"], *words)
    assert reason in str(error.value)


@pytest.mark.parametrize("kind", ["epsilon", "sdxl"])
def test_texts_are_read_as_prompts_are(folders: dict[str, Path], kind: str) -> None:
    """Texts of one chunk beside one of two, in one batch, with words that are learned and without."""
    parts = model_of(folders[kind]).parts()
    words = Words(parts, WORDS)
    long = "a red cat and a blue dog on the left of the large star, " * 8
    plain = ["a red cat", long, "a star"]
    found, pooled = words.texts.states(plain)
    for place, text in enumerate(plain):
        wanted = encode(parts, text)
        length = wanted.text.shape[1]
        torch.testing.assert_close(found[place, :length], wanted.text[0], rtol=1e-5, atol=1e-5)
        if pooled is not None:
            assert wanted.pooled is not None
            torch.testing.assert_close(pooled[place], wanted.pooled[0], rtol=1e-5, atol=1e-5)
    empty = encode(parts, "").text[0]
    torch.testing.assert_close(found[0, 77:], empty, rtol=1e-5, atol=1e-5)
    # `<new>` begins as "red red", and `<other>` as "cat cat".
    live, _ = words.texts.states(["a <new> <other>", long, f"a <new> <other> {long}"])
    torch.testing.assert_close(live[0, :77], encode(parts, "a red red cat cat").text[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(live[1], found[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(live[2], encode(parts, f"a red red cat cat {long}").text[0], rtol=1e-5, atol=1e-5)
    assert live.requires_grad
    assert not found.requires_grad


def test_norms_are_held(folders: dict[str, Path]) -> None:
    share = 0.1
    free, held = (
        train(recipe_of(folders["epsilon"], hold_norm=hold), Goal(4, 0.5, 2), AS_REFERENCE, Context()).adapter.tensors
        for hold in (0.0, share)
    )
    begin = words_of(folders["epsilon"], *WORDS)
    for name, rows in begin.items():
        ratio = held[name].norm(dim=1) / rows.norm(dim=1)
        assert ratio.max() <= (1 + share) * 1.00001
        assert ratio.min() >= 1 / (1 + share) / 1.00001
        assert (free[name].norm(dim=1) / rows.norm(dim=1)).max() > 1 + share


def test_holding_a_norm_that_is_at_its_limit_changes_nothing(folders: dict[str, Path]) -> None:
    """Else what a validation does between two steps would be in the weights."""
    words = Words(model_of(folders["epsilon"]).parts(), WORDS)
    weights = {name: p.detach() * 3 + 0.01 * torch.arange(32) for name, p in words.parameters.items()}
    words.hold(weights, 0.2)
    once = {name: tensor.clone() for name, tensor in weights.items()}
    words.hold(weights, 0.2)
    assert all(torch.equal(weights[name], tensor) for name, tensor in once.items())


def test_checkpointed_encoders_give_the_same_gradients(folders: dict[str, Path]) -> None:
    (samples,) = batches_of(recipe_of(folders["epsilon"]), 1, 4)
    found = []
    for checkpointing in (False, True):
        recipe = recipe_of(folders["epsilon"], TrainOptions(gradient_checkpointing=checkpointing))
        layers = [getattr(p, "gradient_checkpointing", False) for p in recipe.words.encoders["text_encoder"].modules()]
        assert any(layers) is checkpointing
        found.append(gradients(recipe, recipe.losses(samples).mean()))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
