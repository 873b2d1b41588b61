"""Nodes of somebody else's pack, which say what they do, get each of the checks that ours get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Pillow

from tests.nodes.sampling.conftest import BUILDERS
from tests.tiny import tiny_sd1
from tests.tiny_nets import tiny_controlnet
from weft.engine import Catalogue, Node, NodeView, check, node
from weft.graphs import Problem
from weft.nodes.checks import (
    BASE,
    SIZE_OF_RUN,
    VIEWS,
    WRAPS,
    adds_channels,
    check_fit,
    check_net,
    check_techniques,
    denoises,
    encodes,
    model_named,
    model_of,
    names_net,
    same_size,
    size_given,
    size_of,
    size_of_file,
    size_unknown_if,
    starts_from,
)
from weft.nodes.nets.handles import ControlNet
from weft.nodes.values import Conditioning, Control, Guidance, Image, Latents, Mask, Model, Trajectory

if TYPE_CHECKING:
    from weft.nodes.models.description import Description

Folder = Callable[[str], Path]
Nodes = dict[str, Any]
BUILDERS["sd1_eight"] = lambda folder: tiny_sd1(folder, unet_in=8)
BUILDERS["sd1_deep"] = lambda folder: tiny_sd1(folder, unet_in=5)
NEVER = "check runs no node"


# Their pack


@node("their_sharpen", category="image", tags=(size_of("picture"),))
def sharpen(picture: Image) -> Image:
    """A picture of the size of another."""
    raise AssertionError(NEVER)


@node("their_gradient", category="image", tags=(size_given("across", "down"),))
def gradient(across: int, down: int) -> Image:
    """A picture of a given size."""
    raise AssertionError(NEVER)


@node("their_photo", category="image", tags=(size_of_file("file"),))
def photo(file: str) -> Image:
    """A picture from a file."""
    raise AssertionError(NEVER)


@node("their_shrink", category="image", tags=(size_of("like"), size_unknown_if("how", "within", "about")))
def shrink(like: Image, how: str = "exact") -> Image:
    """A picture of the size of another, or of one that nobody knows."""
    raise AssertionError(NEVER)


@node("their_secret", category="image")
def secret(picture: Image) -> Image:
    """A picture of which nothing is said."""
    raise AssertionError(NEVER)


@node("their_hint", category="control", tags=(same_size("picture"),))
def hint(picture: Image) -> Control:
    """A technique with a picture of the image's size."""
    raise AssertionError(NEVER)


@node("their_area", category="control", tags=(same_size("where", or_latents=True),))
def area(where: Mask) -> Control:
    """A technique with a mask of the image's size, or of the latents'."""
    raise AssertionError(NEVER)


@node("their_deep", category="control", tags=(adds_channels(1),))
def deep() -> Control:
    """A technique that adds a channel."""
    raise AssertionError(NEVER)


@node("their_edit", category="guidance", tags=(BASE, adds_channels("latents")))
def edit(prompt: Conditioning) -> Guidance:
    """A base term that adds as many channels as the latents have."""
    raise AssertionError(NEVER)


@node("their_views", category="guidance", tags=(VIEWS,))
def views() -> Guidance:
    """A technique that divides the canvas."""
    raise AssertionError(NEVER)


@node("their_begin", category="control", tags=(starts_from("path"),))
def begin(path: Trajectory) -> Control:
    """A technique that starts with a trajectory's latents."""
    raise AssertionError(NEVER)


@node("their_wrapper", category="guidance", tags=(WRAPS,))
def wrapper(technique: Control) -> Control:
    """A technique, changed."""
    raise AssertionError(NEVER)


@node("their_merge", category="model", tags=(model_of("ours"),))
def merge(ours: Model) -> Model:
    """A model with other weights."""
    raise AssertionError(NEVER)


@node("their_checkpoint", category="model", tags=(model_named("name"),))
def checkpoint(name: str) -> Model:
    """A model by name."""
    raise AssertionError(NEVER)


@node("their_encoder", category="prompt", tags=(encodes("words"),))
def encoder(model: Model, words: str) -> Conditioning:
    """A prompt."""
    raise AssertionError(NEVER)


@node("their_controlnet", category="model", tags=(names_net("controlnet", "name"),))
def controlnet_by_name(name: str) -> ControlNet:
    """A ControlNet by name."""
    raise AssertionError(NEVER)


@node("their_net", category="model", tags=(names_net("theirs", "name"),))
def net_by_name(name: str) -> ControlNet:
    """A network of a kind of their own, in the form of a ControlNet."""
    raise AssertionError(NEVER)


def _misfit(source: str, path: Path, model: Description) -> str | None:
    wanted = (path / "family.txt").read_text("utf-8")
    return None if wanted == model.family else f"{path.name} is for {wanted}"


def _check_follow(view: NodeView) -> Iterator[Problem]:
    yield from check_net(view, "theirs", _misfit, "network")


@node("their_follow", category="control", check=_check_follow)
def follow(network: ControlNet) -> Control:
    """A technique with a network of their own kind."""
    raise AssertionError(NEVER)


def _check_run(view: NodeView) -> Iterable[Problem]:
    yield from check_techniques(view)
    yield from check_fit(view)


_NAMES = {"model": "network", "guidance": "terms", "controls": "extras", "start": "begin", "mask": "where"}
_SIZES = {"masked": "blank", "width": "across", "height": "down", "steps": "times"}


@node(
    "their_run",
    category="sampling",
    tags=(denoises(**_NAMES, **_SIZES), SIZE_OF_RUN, same_size("where", or_latents=True)),
    check=_check_run,
)
def their_run(
    network: Model,
    terms: list[Guidance],
    extras: list[Control] = [],  # noqa: B006
    begin: Latents | None = None,
    where: Mask | None = None,
    blank: Latents | None = None,
    across: int = 0,
    down: int = 0,
    times: int = 4,
) -> Latents:
    """The denoise loop under other names."""
    raise AssertionError(NEVER)


PACK: list[Node[..., Any]] = [
    sharpen, gradient, photo, shrink, secret, hint, area, deep, edit, views, begin, wrapper, merge, checkpoint, encoder,
    controlnet_by_name, net_by_name, follow, their_run,
]  # fmt: skip


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found = Catalogue.load()
    for theirs in PACK:
        found.add(theirs)
    return found


@pytest.fixture(scope="module")
def files(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ControlNet for SDXL, networks of their own kind, and a picture of 64 x 96."""
    root = tmp_path_factory.mktemp("packs")
    tiny_controlnet(root / "net-sdxl", folder("sdxl"))
    Pillow.new("RGB", (64, 96), "white").save(root / "64.png")
    for family in ("sd1", "sdxl"):
        (root / f"own-{family}").mkdir()
        (root / f"own-{family}" / "family.txt").write_text(family, "utf-8")
    return root


def link(name: str) -> dict[str, str]:
    return {"link": name}


def of(kind: str, **inputs: Any) -> Nodes:
    return {"type": kind, "inputs": inputs}


def wired(source: Path, controls: Iterable[str] = (), **nodes: Nodes) -> Nodes:
    """A run of 128 x 128, the model's own size, with some controls, and whatever nodes there are besides."""
    return {
        "model": of("load_model", source=str(source)),
        "prompt": of("encode_prompt", model=link("model"), text="a red circle"),
        "cfg": of("cfg", prompt=link("prompt")),
        "draw": of(
            "denoise", model=link("model"), guidance=[link("cfg")], controls=[link(id) for id in controls], steps=2
        ),
    } | nodes


def run_of_theirs(**inputs: Any) -> Nodes:
    return of("their_run", **({"network": link("model"), "terms": [link("cfg")]} | inputs))


def found(nodes: Nodes, catalogue: Catalogue) -> list[Problem]:
    return check({"weft": 1, "nodes": nodes}, catalogue, targets=["draw"])


def only(nodes: Nodes, catalogue: Catalogue) -> tuple[str, str | None, str | None]:
    """Code, node and input of the one problem that there is."""
    (problem,) = found(nodes, catalogue)
    return problem.code, problem.node, problem.input


# Sizes


def test_their_pictures_have_a_size(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    source = of("load_image", path=str(files / "64.png"))
    for picture in (
        of("their_sharpen", picture=link("small")),
        of("their_gradient", across=64, down=96),
        of("their_photo", file=str(files / "64.png")),
        of("their_shrink", like=link("small"), how="exact"),
    ):
        deep = of("depth_control", depth=link("picture"))
        (problem,) = found(wired(folder("sd1_deep"), ["deep"], deep=deep, picture=picture, small=source), catalogue)
        assert (problem.code, problem.node, problem.input) == ("bad_value", "deep", "depth"), picture
        assert (problem.given, problem.expected) == ("64 x 96", "128 x 128")


def test_where_they_say_nothing_nothing_is_claimed(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    source = of("load_image", path=str(files / "64.png"))
    for picture in (
        of("their_secret", picture=link("small")),
        of("their_shrink", like=link("small"), how="within"),
        of("their_shrink", like=link("small"), how="about"),
        of("their_shrink", like=link("small"), how=link("word")),
        of("their_gradient", across=64, down=link("number")),
    ):
        more = {"picture": picture, "small": source, "word": of("text", value="exact")}
        more["number"] = of("integer", value=96)
        nodes = wired(folder("sd1_deep"), ["deep"], deep=of("depth_control", depth=link("picture")), **more)
        assert found(nodes, catalogue) == [], picture


@pytest.mark.parametrize("wrapped", [False, True])
def test_pictures_of_their_techniques(folder: Folder, files: Path, catalogue: Catalogue, wrapped: bool) -> None:
    more = {"small": of("load_image", path=str(files / "64.png")), "hint": of("their_hint", picture=link("small"))}
    more["wrapper"] = of("their_wrapper", technique=link("hint"))
    nodes = wired(folder("sd1"), ["wrapper" if wrapped else "hint"], **more)
    assert only(nodes, catalogue) == ("bad_value", "hint", "picture")
    nodes["draw"]["inputs"] |= {"width": 64, "height": 96}
    assert found(nodes, catalogue) == []


def test_masks_of_their_techniques_may_have_latent_size(folder: Folder, catalogue: Catalogue) -> None:
    for side, right in ((128, True), (16, True), (64, False)):
        area = of("their_area", where=link("mask"))
        nodes = wired(folder("sd1"), ["area"], area=area, mask=of("rectangle_mask", width=side, height=side))
        assert (found(nodes, catalogue) == []) == right
        assert right or only(nodes, catalogue) == ("bad_value", "area", "where")


ODD = (
    "size:unknown=",
    "size:given=picture",
    "size:of=",
    "size:of=nothing",
    "run:denoises=mask",
    "one:start=",
    "same_size:image=",
)


@pytest.mark.parametrize("tag", ODD)
def test_tags_that_make_no_sense_claim_nothing(folder: Folder, files: Path, catalogue: Catalogue, tag: str) -> None:
    @node("odd_picture", category="image", tags=(tag,))
    def odd_picture(picture: Image) -> Image:
        raise AssertionError(NEVER)

    @node("odd_control", category="control", tags=(tag,))
    def odd_control(picture: Image) -> Control:
        raise AssertionError(NEVER)

    wider = Catalogue([*catalogue, odd_picture, odd_control])
    more = {
        "small": of("load_image", path=str(files / "64.png")),
        "odd": of("odd_picture", picture=link("small")),
        "deep": of("depth_control", depth=link("odd")),
        "control": of("odd_control", picture=link("odd")),
    }
    assert found(wired(folder("sd1_deep"), ["deep", "control"], **more), wider) == []


# Channels, and what there is once


def test_their_techniques_add_channels(folder: Folder, catalogue: Catalogue) -> None:
    deep = {"deep": of("their_deep")}
    assert found(wired(folder("sd1_deep"), ["deep"], **deep), catalogue) == []
    (problem,) = found(wired(folder("sd1"), ["deep"], **deep), catalogue)
    assert (problem.code, problem.node, problem.given, problem.expected) == ("conflict", "draw", 5, 4)
    assert problem.message.endswith("(deep)")
    base = {"cfg": of("their_edit", prompt=link("prompt"))}
    assert found(wired(folder("sd1_eight"), **base), catalogue) == []
    assert only(wired(folder("sd1"), **base), catalogue) == ("conflict", "draw", "guidance")


def test_what_there_is_once(folder: Folder, catalogue: Catalogue) -> None:
    nodes = wired(folder("sd1"), views=of("their_views"), ours=of("multidiffusion"))
    nodes["draw"]["inputs"]["guidance"] = [link(id) for id in ("cfg", "views", "ours")]
    assert only(nodes, catalogue) == ("conflict", "draw", "guidance")
    path = of("invert", model=link("model"), guidance=[link("cfg")], latents=link("noise"), steps=2)
    more = {"path": path, "noise": of("noise", model=link("model"), width=128, height=128)}
    both = {name: of(kind, **{input: link("path.trajectory")}) for name, kind, input in (
        ("theirs", "their_begin", "path"), ("ours", "from_inversion", "trajectory"),
    )}  # fmt: skip
    problems = found(wired(folder("sd1"), both, **both, **more), catalogue)
    assert [(problem.code, problem.input) for problem in problems] == [("conflict", "controls")]
    assert "theirs (their_begin) and ours (from_inversion) both give the latents to start from" in problems[0].message
    # Adding channels to some, and limiting this to a part of the run.
    window = of("during", technique=link("deep"), end=0.5)
    nodes = wired(folder("sd1_deep"), ["window"], deep=of("their_deep"), window=window)
    assert only(nodes, catalogue) == ("conflict", "window", "technique")


def test_the_size_of_what_their_technique_starts_with(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    more = {
        "small": of("load_image", path=str(files / "64.png")),
        "path": of("invert", model=link("model"), guidance=[link("cfg")], image=link("small"), steps=2),
        "begin": of("their_begin", path=link("path.trajectory")),
        "hint": of("their_hint", picture=link("square")),
        "square": of("their_gradient", across=128, down=128),
    }
    problems = found(wired(folder("sd1"), ["begin", "hint"], **more), catalogue)
    assert [(problem.node, problem.expected) for problem in problems] == [("hint", "64 x 96")]
    more["hint"] = of("their_hint", picture=link("small"))
    assert found(wired(folder("sd1"), ["begin", "hint"], **more), catalogue) == []


# Models, networks and prompts


def models_of_theirs(source: Path) -> dict[str, Nodes]:
    return {
        "merged": {"merged": of("their_merge", ours=link("model"))},
        "loaded": {"loaded": of("their_checkpoint", name=str(source))},
    }


@pytest.mark.parametrize("way", ["merged", "loaded"])
def test_a_model_of_theirs_is_known(folder: Folder, files: Path, catalogue: Catalogue, way: str) -> None:
    """Our techniques, and our nodes that change models, look through theirs."""
    more = models_of_theirs(folder("sd1"))[way]
    more |= {
        "net": of("load_controlnet", source=str(files / "net-sdxl")),
        "control": of("controlnet", net=link("net"), hint=link("square")),
        "square": of("their_gradient", across=128, down=128),
    }
    nodes = wired(folder("sd1"), ["control"], **more)
    nodes["draw"]["inputs"]["model"] = link(way)
    assert only(nodes, catalogue) == ("bad_value", "control", "net")
    deep = wired(folder("sd1_deep"), **models_of_theirs(folder("sd1_deep"))[way])
    deep["draw"]["inputs"]["model"] = link(way)
    assert only(deep, catalogue) == ("missing_input", "draw", "controls")


def test_our_technique_with_a_network_that_they_load(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    more = {
        "net": of("their_controlnet", name=str(files / "net-sdxl")),
        "control": of("controlnet", net=link("net"), hint=link("square")),
        "square": of("their_gradient", across=128, down=128),
    }
    (problem,) = found(wired(folder("sd1"), ["control"], **more), catalogue)
    assert (problem.node, problem.input) == ("control", "net")
    assert "is for SDXL and the model is Stable Diffusion 1.x" in problem.message


@pytest.mark.parametrize("wrapped", [False, True])
def test_their_technique_with_a_network(folder: Folder, files: Path, catalogue: Catalogue, wrapped: bool) -> None:
    for family, right in (("sd1", True), ("sdxl", False)):
        more = {"net": of("their_net", name=str(files / f"own-{family}"))}
        more |= {"follow": of("their_follow", network=link("net"))}
        if wrapped:
            more["window"] = of("during", technique=link("follow"), end=0.5)
        problems = found(wired(folder("sd1"), ["window" if wrapped else "follow"], **more), catalogue)
        messages = [(problem.node, problem.input, problem.message) for problem in problems]
        assert messages == ([] if right else [("follow", "network", "own-sdxl is for sdxl")])
    # A network of another kind than theirs is not looked into.
    more["net"] = of("their_controlnet", name=str(files / "own-sdxl"))
    assert found(wired(folder("sd1"), ["follow"], **more), catalogue) == []


def test_words_behind_their_encoder(folder: Folder, catalogue: Catalogue) -> None:
    more = {
        "prompt": of("their_encoder", model=link("model"), words="two blue squares"),
        "focus": of("attend_and_excite", subjects=["circle"]),
    }
    nodes = wired(folder("sd1"), **more)
    nodes["draw"]["inputs"]["guidance"] = [link("cfg"), link("focus")]
    (problem,) = found(nodes, catalogue)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "focus", "subjects")
    assert problem.message == "'circle' is not in the prompt, whose words are: two, blue, squares"
    nodes["focus"]["inputs"]["subjects"] = ["squares"]
    assert found(nodes, catalogue) == []
    # The same beside a base term of theirs.
    nodes["cfg"] = of("their_edit", prompt=link("prompt"))
    nodes["model"]["inputs"]["source"] = str(folder("sd1_eight"))
    nodes["focus"]["inputs"]["subjects"] = ["circle"]
    assert only(nodes, catalogue) == ("bad_value", "focus", "subjects")


# A loop of theirs


def test_their_run_is_a_run(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    nodes = wired(folder("sd1"), draw=run_of_theirs(terms=[link("views")]), views=of("their_views"))
    assert only(nodes, catalogue) == ("missing_input", "draw", "terms")
    nodes = wired(folder("sd1_deep"), draw=run_of_theirs())
    assert only(nodes, catalogue) == ("missing_input", "draw", "extras")
    nodes = wired(folder("sd1_inpaint"), draw=run_of_theirs())
    assert only(nodes, catalogue) == ("missing_input", "draw", "blank")
    mask = of("rectangle_mask", width=128, height=128)
    nodes = wired(folder("sd1"), draw=run_of_theirs(where=link("mask")), mask=mask)
    assert only(nodes, catalogue) == ("missing_input", "draw", "begin")
    start = {"start": of("encode_image", model=link("model"), image=link("square")), "mask": mask}
    start["square"] = of("their_gradient", across=64, down=64)
    nodes = wired(folder("sd1"), draw=run_of_theirs(where=link("mask"), begin=link("start")), **start)
    assert only(nodes, catalogue) == ("bad_value", "draw", "where")
    nodes["draw"]["inputs"] |= {"across": 128, "down": 128}
    assert found(nodes, catalogue) == []


def test_our_techniques_look_at_their_run(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    def at(**technique: Nodes) -> Nodes:
        return wired(folder("sd1"), draw=run_of_theirs(terms=[link("cfg"), *map(link, technique)]), **technique)

    assert only(at(focus=of("attend_and_excite", subjects=["cirle"])), catalogue) == ("bad_value", "focus", "subjects")
    assert only(at(wide=of("multidiffusion", view_width=256)), catalogue) == ("bad_value", "wide", "view_width")
    (problem,) = found(at(concept=of("sega", concept=link("prompt"), warmup=6)), catalogue)
    assert (problem.severity, problem.node, problem.input) == ("warning", "concept", "warmup")
    assert "warms up at step 6 and draw has 4 steps" in problem.message
    more = {
        "net": of("load_controlnet", source=str(files / "net-sdxl")),
        "control": of("controlnet", net=link("net"), hint=link("square")),
        "square": of("their_gradient", across=64, down=128),
    }
    nodes = wired(folder("sd1"), draw=run_of_theirs(extras=[link("control")]), **more)
    assert {(problem.node, problem.input) for problem in found(nodes, catalogue)} == {
        ("control", "net"),
        ("control", "hint"),
    }


def test_one_network_at_two_runs(folder: Folder, files: Path, catalogue: Catalogue) -> None:
    """One message says it for all models that it is right for; each model that it is wrong for is named once."""
    more = {
        "net": of("load_controlnet", source=str(files / "net-sdxl")),
        "control": of("controlnet", net=link("net"), hint=link("square")),
        "square": of("their_gradient", across=128, down=128),
        "other": of("load_model", source=str(folder("sdxl"))),
        "words": of("encode_prompt", model=link("other"), text="a red circle"),
        "term": of("cfg", prompt=link("words")),
    }
    nodes = wired(folder("sd1"), ["control"], **more)
    nodes["again"] = nodes["draw"]
    nodes["right"] = run_of_theirs(
        network=link("other"), terms=[link("term")], extras=[link("control")], across=128, down=128
    )
    problems = check({"weft": 1, "nodes": nodes}, catalogue, targets=["draw", "again", "right"])
    assert [(problem.node, problem.input) for problem in problems] == [("control", "net")]
