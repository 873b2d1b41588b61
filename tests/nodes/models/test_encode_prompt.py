"""encode_prompt beside diffusers' own, live."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from tests.tiny import tiny_sdxl
from weft.nodes import encode_prompt, load_model
from weft.nodes.prompts.encode import encode, unconditional

LONG = "red " * 200
# diffusers cuts a long prompt; its states are those of our first chunk.
PROMPTS = ["a red circle left of a blue square", "", "zebra-crossing, (CAFÉ) 12", LONG]


@pytest.fixture(scope="module")
def pipelines(models: Path) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in ("sd1", "sd1_old", "sd2"):
        made[name] = StableDiffusionPipeline.from_pretrained(models / name, safety_checker=None)
    for name in ("sdxl", "sdxl_old"):
        made[name] = StableDiffusionXLPipeline.from_pretrained(models / name)
    return made


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", ["sd1", "sd1_old", "sd2"])
def test_sd_states_equal_diffusers(models: Path, pipelines: dict[str, Any], name: str, prompt: str) -> None:
    with torch.no_grad():
        expected, negative = pipelines[name].encode_prompt(prompt, "cpu", 1, True)
    model = load_model(str(models / name))
    found = encode_prompt(model, prompt)
    length = 40 if name == "sd1_old" else 77
    assert torch.equal(found.text[:, :length], expected)
    assert found.pooled is None
    assert torch.equal(unconditional(model).text, negative)
    assert found.text.shape[1] == len(found.tokens) == length * (1 if prompt != LONG else -(-200 // (length - 2)))


@pytest.mark.parametrize("clip_skip", [0, 1])
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", ["sdxl", "sdxl_old"])
def test_sdxl_states_and_pooled_equal_diffusers(
    models: Path, pipelines: dict[str, Any], name: str, prompt: str, clip_skip: int
) -> None:
    with torch.no_grad():  # as its __call__ does; with gradients other kernels run
        text, negative, pooled, negative_pooled = pipelines[name].encode_prompt(
            prompt, device="cpu", clip_skip=clip_skip or None
        )
    model = load_model(str(models / name))
    found = encode_prompt(model, prompt, clip_skip=clip_skip)
    assert torch.equal(found.text[:, :77], text)
    assert (found.text.shape[1] > 77) == (prompt == LONG)
    assert found.pooled is not None
    # The last bit depends on how a weight is aligned in memory; diffusers leaves it where it lies in the file.
    assert torch.allclose(found.pooled, pooled, rtol=0, atol=1e-6)
    # An absent negative prompt is zeros for SDXL; "" as a negative prompt is its encoding.
    absent = unconditional(model)
    assert absent.pooled is not None
    assert torch.equal(absent.text, negative)
    assert torch.equal(absent.pooled, negative_pooled)
    assert not absent.text.any()


def test_sdxl_without_zeroing_takes_the_empty_prompt(tmp_path: Path) -> None:
    model = load_model(str(tiny_sdxl(tmp_path / "m", force_zeros=False)))
    assert torch.equal(unconditional(model).text, encode_prompt(model, "").text)


@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_clip_skip_takes_earlier_states_through_the_final_norm(models: Path, name: str) -> None:
    # diffusers raises here with transformers 5 (it looks for .text_model), so the formula is the oracle.
    model = load_model(str(models / name))
    parts = model.parts()
    tokenizer, encoder = parts.tokenizers[0], parts.text_encoders[0]
    ids = tokenizer("a red circle", padding="max_length", max_length=77, return_tensors="pt").input_ids
    captured: list[torch.Tensor] = []
    hook = encoder.encoder.layers[0].register_forward_hook(lambda _m, _i, out: captured.append(out))
    with torch.no_grad():
        encoder(ids)
    hook.remove()
    state = captured[0][0] if isinstance(captured[0], tuple) else captured[0]
    expected = encoder.final_layer_norm(state)
    found = encode_prompt(model, "a red circle", clip_skip=1).text
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, encode_prompt(model, "a red circle").text, atol=1e-2)


def test_clip_skip_beyond_the_layers_is_refused(models: Path) -> None:
    with pytest.raises(ValueError, match="clip_skip 2 leaves no layer: the text encoder has 2"):
        encode_prompt(load_model(str(models / "sd1")), "a", clip_skip=2)


@pytest.mark.parametrize(("name", "room"), [("sd1", 75), ("sd1_old", 38), ("sdxl", 75)])
def test_what_does_not_fit_goes_on_in_the_next_chunk(
    models: Path, caplog: pytest.LogCaptureFixture, name: str, room: int
) -> None:
    text = "red " * room + "blue square"
    with caplog.at_level(logging.INFO):
        found = encode_prompt(load_model(str(models / name)), text)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("weft")]
    assert messages == [f"the prompt has {room + 2} tokens: it is encoded in 2 chunks of up to {room}"]
    assert len(found.spans) == room + 2
    assert found.spans[-2:] == (("blue", room + 3, room + 4), ("square", room + 4, room + 5))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        encode_prompt(load_model(str(models / name)), "red " * room)
    assert not [record for record in caplog.records if record.name.startswith("weft")]


@pytest.mark.parametrize(("name", "room"), [("sd1", 75), ("sd1_old", 38), ("sdxl", 75)])
def test_what_is_cut_off_is_named_once(models: Path, caplog: pytest.LogCaptureFixture, name: str, room: int) -> None:
    """Where texts are compared place by place."""
    text = "red " * room + "blue square"
    with caplog.at_level(logging.WARNING), load_model(str(models / name)).parts() as parts:
        found = encode(parts, text, cut=True)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("weft")]
    assert len(messages) == 1
    assert f"{room + 2} tokens" in messages[0]
    assert "left out is 'blue square'" in messages[0]
    assert len(found.spans) == room
    assert found.text.shape[1] == room + 2


def test_spans_follow_the_tokens(models: Path) -> None:
    found = encode_prompt(load_model(str(models / "sd1")), "a Zebra, red circle")
    assert [word for word, _, _ in found.spans] == ["a", "zebra", ",", "red", "circle"]
    for word, start, end in found.spans:
        assert "".join(found.tokens[start:end]).replace("</w>", "") == word
    assert found.spans[0][1] == 1
    assert encode_prompt(load_model(str(models / "sd1")), "").spans == ()


def test_float16_states_come_in_float16(models: Path) -> None:
    model = load_model(str(models / "sd1"), dtype="float16")
    assert encode_prompt(model, "a red circle").text.dtype == torch.float16
