"""Workflows out of pictures and documents, what is refused of them, and the examples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.files.pictures import encoded, png, text_bomb
from tests.server.payloads import TRAVERSALS
from weft.graphs import Workflow, WorkflowError, examples
from weft.graphs.exif import packed
from weft.graphs.png import embed
from weft.server.documents.errors import NoSuchWorkflow
from weft.server.documents.examples import all_examples, example, example_image
from weft.server.documents.importing import MAX_IMPORT, import_document
from weft.server.documents.reading import prototype_keys, read_document

DOCUMENT = {"weft": 1, "meta": {"title": "One"}, "nodes": {"a": {"type": "t", "inputs": {"x": [1, {"y": 2}]}}}}
A1111 = "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: some"


def exif(text: str) -> bytes:
    """As that program writes it, with Pillow's own writer."""
    import PIL.Image

    block = PIL.Image.Exif()
    block.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    return block.tobytes()


def test_a_document_and_a_picture_of_ours_are_what_they_are() -> None:
    text = json.dumps(DOCUMENT)
    pictures = [embed(encoded("PNG"), {"weft_workflow": text})]
    pictures += [encoded(format, exif=packed({"weft_workflow": text})) for format in ("JPEG", "WEBP")]
    for data in (text.encode(), b"\xef\xbb\xbf" + text.encode(), *pictures):
        found = import_document(data)
        assert (found.workflow, found.notes) == (Workflow.parse(DOCUMENT), ())


@pytest.mark.parametrize(
    "data",
    [
        embed(encoded("PNG"), {"parameters": A1111}),
        encoded("JPEG", exif=exif(A1111)),
        encoded("WEBP", exif=exif(A1111)),
        encoded("WEBP", lossless=True, exif=exif(A1111)),
    ],
)
def test_pictures_of_others_come_with_notes(data: bytes) -> None:
    found = import_document(data)
    assert found.workflow.nodes["prompt"].inputs["text"] == "a cat"
    assert found.workflow.nodes["denoise"].inputs["steps"] == 20
    assert any("Noise" in note for note in found.notes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"not json", "Line 1, column 1"),
        (b"PK\3\4" + bytes(40), "Line 1"),
        (b"[" * 100_000, "deep"),
        (b'{"weft": 1, "nodes": {"a": {"type": "t", "inputs": {"x": ' + b"9" * 2_000_000 + b"}}}}", "64 bits"),
        (encoded("PNG"), "no metadata that are understood"),
        (encoded("JPEG"), "no metadata that are understood"),
        (encoded("WEBP"), "no metadata that are understood"),
        (encoded("GIF"), "of the kind GIF"),
        (encoded("PNG")[:40], "cut off"),
        (png(100_000, 100_000), "pixels"),
        (text_bomb(80_000_000), "bytes of text"),
        (embed(encoded("PNG"), {"weft_workflow": "[" * 1000}), "deep"),
        (embed(encoded("PNG"), {"parameters": "x" * 300_000}), "characters"),
        (encoded("PNG") + bytes(MAX_IMPORT), "at most 33,554,432"),
        (b" " * (8 * 1024 * 1024 + 1), "at most 8,388,608"),
    ],
)
def test_what_holds_none_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(WorkflowError, match=words):
        import_document(data)


@pytest.mark.parametrize("key", ["__proto__", "constructor", "prototype"])
@pytest.mark.parametrize(
    "place",
    [
        lambda key: {**DOCUMENT, key: {}},
        lambda key: {**DOCUMENT, "meta": {key: 1}},
        lambda key: {**DOCUMENT, "ui": {"a": {"deep": [[{key: {"polluted": 1}}]]}}},
        lambda key: {**DOCUMENT, "nodes": {key: {"type": "t"}}},
        lambda key: {**DOCUMENT, "nodes": {"a": {"type": "t", "inputs": {key: 1}}}},
        lambda key: {**DOCUMENT, "nodes": {"a": {"type": "t", key: {}, "inputs": {"x": [{"b": {key: 1}}]}}}},
        lambda key: {**DOCUMENT, "parameters": {key: {"input": "a.x"}}},
        lambda key: {**DOCUMENT, "definitions": {key: {}}},
    ],
)
def test_prototype_keys_are_refused_wherever_they_stand(key: str, place: Any) -> None:
    data = place(key)
    text = json.dumps(data)
    escaped = text.replace(key, "".join(f"\\u{ord(letter):04x}" for letter in key))
    picture = embed(encoded("PNG"), {"weft_workflow": text})
    for read, source in (
        (read_document, data),
        (read_document, text),
        (import_document, escaped.encode()),
        (import_document, picture),
    ):
        with pytest.raises(WorkflowError) as refused:
            read(source)
        problems = [problem for problem in refused.value.problems if problem.given == key]
        assert problems, refused.value
        assert problems[0].code == "bad_document"
        assert f"The key '{key}' in " in problems[0].message


def test_each_prototype_key_is_told_with_its_place() -> None:
    data = {**DOCUMENT, "nodes": {"a": {"type": "t", "inputs": {"x": {"constructor": 1}}}}, "ui": {"__proto__": 1}}
    problems = {problem.given: problem for problem in prototype_keys(data)}
    assert problems.keys() == {"constructor", "__proto__"}
    assert (problems["constructor"].node, problems["__proto__"].node) == ("a", None)
    assert "in nodes.a.inputs.x is" in problems["constructor"].message
    many = {**DOCUMENT, "meta": {"list": [{"prototype": 1}] * 5000}}
    assert len(list(prototype_keys(many))) == 1000
    assert list(prototype_keys({"a": "__proto__", "b": ["constructor"]})) == [], "texts are only texts"


def test_a_depth_that_no_document_has_is_told_and_not_recursed_into() -> None:
    deep: Any = {"constructor": 1}
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(WorkflowError):
        read_document({**DOCUMENT, "meta": {"deep": deep}})


def test_every_example_is_listed_and_given() -> None:
    listed = all_examples()
    assert [item.name for item in listed] == examples.names()
    assert all(item.title and item.description for item in listed)
    shown = [item for item in listed if item.image]
    assert len(shown) >= 40
    assert all(item.image == f"/api/v1/examples/{item.name}/image" for item in shown)
    assert example_image(shown[0].name).startswith(b"RIFF")
    with pytest.raises(NoSuchWorkflow, match="no picture"):
        example_image(next(item.name for item in listed if not item.image))
    for item in listed[:3]:
        assert read_document(example(item.name)) == examples.load(item.name)
    with pytest.raises(NoSuchWorkflow, match="Did you mean 'sweep'"):
        example("sweeep")
    for name in TRAVERSALS:
        with pytest.raises(NoSuchWorkflow):
            example(name)
