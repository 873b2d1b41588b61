"""Documents with techniques that do not fit: found by `check` where files and literals tell, else at their node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file, save_file

from tests.nodes.sampling.conftest import BUILDERS
from tests.tiny import tiny_sd1
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft.engine import Cache, NodeError, RunFailed, check, run
from weft.graphs import Problem, WorkflowError

Folder = Callable[[str], Path]
Nodes = dict[str, Any]
BUILDERS["sd1_eight"] = lambda folder: tiny_sd1(folder, unet_in=8)
BUILDERS["sd1_deep"] = lambda folder: tiny_sd1(folder, unet_in=5)


def link(name: str) -> dict[str, str]:
    return {"link": name}


def made(source: Path | str, guidance: Nodes | None = None, controls: Nodes | None = None, **options: Any) -> Nodes:
    """The nodes of a text to image run; techniques by id, and what more there is by `more`."""
    more: Nodes = options.pop("more", {})
    guidance, controls = guidance or {}, controls or {}
    base = {"cfg": {"type": "cfg", "inputs": {"prompt": link("prompt")}}} if options.pop("base", True) else {}
    inputs = {"model": link("model"), "guidance": [link(id) for id in (*base, *guidance)], "steps": 2, **options}
    if controls:
        inputs["controls"] = [link(id) for id in controls]
    return {
        "model": {"type": "load_model", "inputs": {"source": str(source), "dtype": "float32", "device": "cpu"}},
        "prompt": {"type": "encode_prompt", "inputs": {"model": link("model"), "text": "a red circle"}},
        **base,
        **guidance,
        **controls,
        **more,
        "draw": {"type": "denoise", "inputs": inputs},
    }


def node(kind: str, **inputs: Any) -> Nodes:
    return {"type": kind, "inputs": inputs}


def found(nodes: Nodes, target: str = "draw") -> list[Problem]:
    return check({"weft": 1, "nodes": nodes}, targets=[target])


def only(nodes: Nodes, target: str = "draw") -> Problem:
    """The one problem that there is; the run does not start either."""
    (problem,) = found(nodes, target)
    with pytest.raises(WorkflowError):
        run({"weft": 1, "nodes": nodes}, targets=[target], cache=Cache.none())
    return problem


def failure(nodes: Nodes, target: str = "draw", **options: Any) -> NodeError:
    """How a run fails that `check` has nothing against."""
    assert found(nodes, target) == []
    with pytest.raises(RunFailed) as caught:
        run({"weft": 1, "nodes": nodes}, targets=[target], cache=Cache.none(), **options)
    return caught.value.errors[0]


@pytest.fixture(scope="module")
def files(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nets for SD 1.x and SDXL, pictures of two sizes, and LoRAs."""
    root = tmp_path_factory.mktemp("bad-input")
    for family in ("sd1", "sdxl", "sd1_four"):
        tiny_controlnet(root / f"net-{family}", folder(family))
        tiny_adapter(root / f"t2i-{family}", folder(family))
        tiny_image_adapter(root / f"ip-{family}", folder(family))
    for width, height in ((128, 128), (64, 96)):
        Pillow.new("RGB", (width, height), "white").save(root / f"{width}.png")
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    pair = {"lora.down.weight": torch.ones(2, 32), "lora.up.weight": torch.ones(32, 2)}
    save_file({f"{layer}.{name}": item for name, item in pair.items()}, root / "good.safetensors")
    content = (root / "good.safetensors").read_bytes()
    (root / "cut.safetensors").write_bytes(content[:-20])
    other = layer.replace("mid_block", "middle")
    save_file({f"{other}.{name}": item for name, item in pair.items()}, root / "other.safetensors")
    tall = {f"{layer}.lora.down.weight": torch.ones(2, 48), f"{layer}.lora.up.weight": torch.ones(48, 2)}
    save_file(tall, root / "tall.safetensors")
    custom = "down_blocks.9.attn2.processor.to_k_custom_diffusion.weight"
    save_file({custom: torch.ones(2, 2)}, root / "custom.safetensors")
    return root


# A word that is not in the prompt


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_word_that_is_not_in_the_prompt(folder: Folder, wrapped: bool) -> None:
    subjects = {"subjects": node("attend_and_excite", subjects=["cirle"])}
    if wrapped:
        nodes = made(folder("sd1"), {"early": node("during", technique=link("subjects"), end=0.5)}, more=subjects)
    else:
        nodes = made(folder("sd1"), subjects)
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "subjects", "subjects")
    assert problem.message == "'cirle' is not in the prompt, whose words are: a, red, circle; did you mean 'circle'?"


def test_a_word_that_a_run_makes(folder: Folder) -> None:
    """The prompt is put together by another node, so only the run knows its words."""
    nodes = made(folder("sd1"), {"subjects": node("attend_and_excite", subjects=["square"])})
    nodes["words"] = node("join_text", texts=["a red", "circle"], separator=" ")
    nodes["prompt"]["inputs"]["text"] = link("words")
    error = failure(nodes)
    assert error.node == "draw"
    assert "'square' is not in the prompt, whose words are: a, red, circle" in error.message


# A mask or hint of another size


CONTROLS: dict[str, tuple[str, str]] = {
    "controlnet": ("net-sd1", "hint"),
    "t2i_adapter": ("t2i-sd1", "hint"),
    "ip_adapter": ("ip-sd1/ip-adapter.safetensors", "mask"),
}


def control(files: Path, kind: str, source: str, **inputs: Any) -> tuple[Nodes, Nodes]:
    """A control by the id `control`, and its loader and pictures."""
    more = {
        "net": node(f"load_{kind}", source=str(files / source)),
        "small": node("load_image", path=str(files / "64.png")),
        "right": node("load_image", path=str(files / "128.png")),
        "edges": node("canny", image=link("small")),
        "grey": node("image_to_mask", image=link("edges")),
    }
    inputs = ({"image": link("small")} if kind == "ip_adapter" else {"hint": link("right")}) | inputs
    return {"control": node(kind, net=link("net"), **inputs)}, more


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_hint_or_mask_of_another_size(folder: Folder, files: Path, kind: str, wrapped: bool) -> None:
    """From a file, through nodes that keep its size, at a denoise that makes the model's own size."""
    source, input = CONTROLS[kind]
    controls, more = control(files, kind, source, **{input: link("grey" if input == "mask" else "edges")})
    if wrapped:
        more |= controls
        controls = {"early": node("during", technique=link("control"), end=0.5)}
    problem = only(made(folder("sd1"), controls=controls, more=more))
    assert (problem.code, problem.node, problem.input) == ("bad_value", "control", input)
    assert (problem.given, problem.expected) == ("64 x 96", "128 x 128")


def test_sizes_that_fit_or_cannot_be_known(folder: Folder, files: Path) -> None:
    controls, more = control(files, "controlnet", "net-sd1", hint=link("edges"))
    assert found(made(folder("sd1"), controls=controls, more=more, width=64, height=96)) == []
    # A file's orientation may turn it.
    assert found(made(folder("sd1"), controls=controls, more=more, width=96, height=64)) == []
    more["fitted"] = node("resize_to", image=link("edges"), like=link("right"))
    controls["control"]["inputs"]["hint"] = link("fitted")
    assert found(made(folder("sd1"), controls=controls, more=more)) == []
    # How large a crop is depends on more than is looked at.
    more["fitted"] = node("crop", image=link("edges"), width=32)
    assert found(made(folder("sd1"), controls=controls, more=more)) == []


def test_masks_of_another_size(folder: Folder, files: Path) -> None:
    mask = {
        "picture": node("load_image", path=str(files / "128.png")),
        "start": node("encode_image", model=link("model"), image=link("picture")),
        "mask": node("rectangle_mask", width=96, height=128),
        "soft": node("feather_mask", mask=link("mask")),
    }
    problem = only(made(folder("sd1"), more=mask, start=link("start"), mask=link("soft")))
    assert (problem.node, problem.input, problem.given) == ("draw", "mask", "96 x 128")
    mask["mask"] = node("rectangle_mask", width=16, height=16)
    # One mask pixel for each latent pixel.
    assert found(made(folder("sd1"), more=mask, start=link("start"), mask=link("soft"))) == []
    regions = {"parts": node("regions", prompts=[link("prompt"), link("prompt")], masks=[link("soft"), link("wide")])}
    mask["wide"] = node("columns_mask", width=256, height=128)
    problem = only(made(folder("sd1"), regions, more=mask))
    assert (problem.node, problem.input, problem.given) == ("parts", "masks", "256 x 128")


@pytest.mark.parametrize(
    ("name", "id", "input"),
    [("sd1_deep", "deep", "depth"), ("sd1_eight", "edit", "image"), ("sd1", "keep", "mask")],
)
def test_other_pictures_of_another_size(folder: Folder, files: Path, name: str, id: str, input: str) -> None:
    """Depth, the picture to edit, DiffEdit's mask."""
    small = {"small": node("load_image", path=str(files / "64.png"))}
    if id == "deep":
        nodes = made(folder(name), controls={"deep": node("depth_control", depth=link("small"))}, more=small)
    elif id == "edit":
        edit = node("instruct_pix2pix", model=link("model"), image=link("small"), prompt=link("prompt"))
        nodes = made(folder(name), {"edit": edit}, more=small, base=False)
    else:
        small |= {
            "right": node("load_image", path=str(files / "128.png")),
            "path": node("invert", model=link("model"), guidance=[link("cfg")], image=link("right"), steps=2),
            "mask": node("rectangle_mask", width=96, height=128),
        }
        keep = {"keep": node("diffedit", trajectory=link("path.trajectory"), mask=link("mask"))}
        nodes = made(folder(name), controls=keep, more=small)
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("bad_value", id, input)
    assert (problem.given, problem.expected) == ("96 x 128" if id == "keep" else "64 x 96", "128 x 128")


def test_a_size_that_depends_on_itself(folder: Folder) -> None:
    """A run that begins with its own trajectory is a circle, and nothing else is said of it."""
    more = {"mask": node("rectangle_mask", width=96, height=128)}
    keep = {"keep": node("diffedit", trajectory=link("draw.trajectory"), mask=link("mask"))}
    (problem,) = found(made(folder("sd1"), controls=keep, more=more))
    assert problem.code == "cycle"


def test_a_hint_whose_size_a_run_finds(folder: Folder, files: Path) -> None:
    controls, more = control(files, "controlnet", "net-sd1", hint=link("part"))
    more["part"] = node("crop", image=link("right"), width=64)
    error = failure(made(folder("sd1"), controls=controls, more=more))
    assert error.node == "draw"
    assert "the hint of controlnet is 64 x 128 and the image 128 x 128" in error.message


# Networks for another family


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("controlnet", "net-sdxl", "is for SDXL and the model is Stable Diffusion 1.x"),
        ("controlnet", "net-sd1_four", "has levels of [16, 32, 32, 32] and the model [16, 32]"),
        ("t2i_adapter", "t2i-sdxl", "is for SDXL and the model is Stable Diffusion 1.x"),
        ("t2i_adapter", "t2i-sd1_four", "it is for another model"),
        ("ip_adapter", "ip-sdxl/ip-adapter.safetensors", "cross-attention layers, tokens"),
        ("ip_adapter", "ip-sd1_four/ip-adapter.safetensors", "cross-attention layers, tokens"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_a_network_for_another_family(
    folder: Folder, files: Path, kind: str, source: str, expected: str, behind: bool
) -> None:
    """Also where the model comes through nodes that change its weights, and the control through a window."""
    controls, more = control(files, kind, source)
    nodes = made(folder("sd1"), controls=controls, more=more)
    if behind:
        nodes |= {"lora": node("apply_lora", model=link("model"), source=str(files / "good.safetensors"))}
        nodes |= {"early": node("during", technique=link("control"), end=0.5)}
        nodes["draw"]["inputs"] |= {"model": link("lora"), "controls": [link("early")]}
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "control", "net")
    assert expected in problem.message
    assert source in str(problem.given)


def test_networks_that_fit(folder: Folder, files: Path) -> None:
    for kind, (source, _) in CONTROLS.items():
        for family in ("sd1", "sdxl", "sd1_four"):
            controls, more = control(files, kind, source.replace("sd1", family))
            nodes = made(folder(family), controls=controls, more=more, width=128, height=128)
            assert found(nodes) == [], (kind, family)


def test_a_network_that_a_run_finds(folder: Folder, files: Path) -> None:
    """The name comes from another node, so only the run knows it."""
    controls, more = control(files, "controlnet", "net-sdxl")
    more |= {"name": node("text", value=str(files / "net-sdxl"))}
    more["net"]["inputs"]["source"] = link("name")
    error = failure(made(folder("sd1"), controls=controls, more=more))
    assert error.node == "draw"
    assert "is for SDXL and the model is Stable Diffusion 1.x: use a ControlNet for Stable" in error.message


def test_files_outside_the_roots_are_not_looked_into(folder: Folder, files: Path) -> None:
    controls, more = control(files, "controlnet", "net-sdxl", hint=link("edges"))
    nodes = made(folder("sd1"), controls=controls, more=more)
    problems = check({"weft": 1, "nodes": nodes}, targets=["draw"], roots=[folder("sd1")])
    assert {problem.node for problem in problems if problem.code != "path_outside_root"} == set()


# Adapters


def lora(folder: Folder, path: Path, **inputs: Any) -> Nodes:
    nodes = made(folder("sd1"))
    nodes["lora"] = node("apply_lora", model=link("model"), source=str(path), **inputs)
    return nodes


def test_an_adapter_whose_keys_match_nothing(folder: Folder, files: Path) -> None:
    problem = only(lora(folder, files / "other.safetensors"), "lora")
    assert (problem.code, problem.node, problem.input) == ("bad_value", "lora", "source")
    assert "1 of 1 layers match nothing in this model, first unet.middle.attentions.0" in problem.message
    assert "kohya names (lora_unet_down_blocks_0_..._to_q.lora_down.weight)" in problem.message
    # Not being strict passes over some, not over all.
    assert "match nothing" in only(lora(folder, files / "other.safetensors", strict=False), "lora").message
    assert found(lora(folder, files / "good.safetensors"), "lora") == []


def test_an_adapter_for_another_family(folder: Folder, files: Path) -> None:
    problem = only(lora(folder, files / "tall.safetensors"), "lora")
    assert "Is it for another model family?" in problem.message


def test_an_adapter_whose_keys_a_run_finds(folder: Folder, files: Path) -> None:
    nodes = lora(folder, files / "other.safetensors")
    nodes["name"] = node("text", value=str(folder("sd1")))
    nodes["model"]["inputs"]["source"] = link("name")
    error = failure(nodes, "lora")
    assert error.node == "lora"
    assert "1 of 1 layers match nothing in this model, first unet.middle.attentions.0" in error.message


def test_a_truncated_adapter(folder: Folder, files: Path) -> None:
    problem = only(lora(folder, files / "cut.safetensors"), "lora")
    assert (problem.code, problem.node, problem.input) == ("bad_value", "lora", "source")
    assert "truncated" in problem.message


def test_custom_diffusion_that_matches_nothing(folder: Folder, files: Path) -> None:
    nodes = made(folder("sd1"))
    nodes["custom"] = node("load_custom_diffusion", model=link("model"), source=str(files / "custom.safetensors"))
    problem = only(nodes, "custom")
    assert (problem.node, problem.input) == ("custom", "source")
    assert "1 of 1 tensors match nothing in this model, first down_blocks.9.attn2" in problem.message


def test_an_ip_adapter_with_other_keys(folder: Folder, files: Path) -> None:
    controls, more = control(files, "ip_adapter", "good.safetensors")
    problem = only(made(folder("sd1"), controls=controls, more=more))
    assert (problem.code, problem.node, problem.input) == ("bad_value", "net", "source")
    assert "is no IP-Adapter" in problem.message
    assert "it holds unet.mid_block.attentions.0" in problem.message


@pytest.mark.parametrize("kind", CONTROLS)
def test_truncated_networks(folder: Folder, files: Path, tmp_path: Path, kind: str) -> None:
    source = files / CONTROLS[kind][0]
    weights = source if source.is_file() else source / "diffusion_pytorch_model.safetensors"
    cut = tmp_path / source.name if source.is_file() else tmp_path / "net" / weights.name
    cut.parent.mkdir(exist_ok=True)
    cut.write_bytes(weights.read_bytes()[:-40])
    if not source.is_file():
        (cut.parent / "config.json").write_bytes((source / "config.json").read_bytes())
    controls, more = control(tmp_path, kind, str(cut if source.is_file() else cut.parent))
    more |= {
        name: node("load_image", path=str(files / f"{size}.png")) for name, size in (("small", 64), ("right", 128))
    }
    problem = only(made(folder("sd1"), controls=controls, more=more))
    assert (problem.node, problem.input) == ("net", "source")
    assert "truncated" in problem.message


# Channels


def test_an_8_channel_model_without_an_image(folder: Folder) -> None:
    problem = only(made(folder("sd1_eight")))
    assert (problem.code, problem.node, problem.input) == ("missing_input", "draw", "guidance")
    assert "takes 8 channels and is given 4: it is an image-editing model: use `instruct_pix2pix`" in problem.message


def test_other_models_without_what_they_read(folder: Folder) -> None:
    problem = only(made(folder("sd1_deep")))
    assert (problem.node, problem.input) == ("draw", "controls")
    assert "use `depth_control`" in problem.message
    problem = only(made(folder("sd1_inpaint")))
    assert (problem.node, problem.input) == ("draw", "masked")
    assert "link `mask` and `masked`" in problem.message


def test_a_plain_model_with_too_many_channels(folder: Folder, files: Path) -> None:
    more = {"right": node("load_image", path=str(files / "128.png"))}
    edit = node("instruct_pix2pix", model=link("model"), image=link("right"), prompt=link("prompt"))
    problem = only(made(folder("sd1"), {"edit": edit}, more=more, base=False))
    assert (problem.code, problem.node) == ("conflict", "draw")
    assert problem.message.endswith("(edit)")
    problem = only(made(folder("sd1"), controls={"deep": node("depth_control", depth=link("right"))}, more=more))
    assert problem.message.endswith("(deep)")
    # What such models want they get.
    assert found(made(folder("sd1_eight"), {"edit": edit}, more=more, base=False)) == []
    deep = {"deep": node("depth_control", depth=link("right"))}
    assert found(made(folder("sd1_deep"), controls=deep, more=more)) == []


def test_a_mask_without_a_start(folder: Folder) -> None:
    nodes = made(folder("sd1"), more={"mask": node("rectangle_mask", width=128, height=128)}, mask=link("mask"))
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("missing_input", "draw", "start")


def test_others_techniques_say_that_they_give_channels(folder: Folder, tmp_path: Path) -> None:
    """One that says nothing is taken to give none, and the problem says how to tell."""
    from weft.engine import Catalogue

    (tmp_path / "theirs.py").write_text(
        "from weft.engine import node\nfrom weft.nodes.checks import CHANNELS, adds_channels\n"
        "from weft.nodes.values import Guidance\n"
        + "".join(
            f"\n\n@node('{name}', category='guidance', tags=({tags}))\ndef {name}() -> Guidance:\n"
            '    """Nothing."""\n    return Guidance()\n'
            for name, tags in (("silent", ""), ("four", "adds_channels(4),"), ("some", "CHANNELS,"))
        )
    )
    catalogue = Catalogue.load([tmp_path])

    def said(kind: str, source: str) -> list[Problem]:
        nodes = made(folder(source), {"mine": node(kind)})
        return check({"weft": 1, "nodes": nodes}, catalogue, targets=["draw"])

    (problem,) = said("silent", "sd1_eight")
    assert (problem.code, problem.given, problem.expected) == ("missing_input", 4, 8)
    assert problem.message.endswith(
        "Does mine (silent) add channels? Its node has to say so, with the tag of `adds_channels`"
    )
    assert said("silent", "sd1") == []
    assert said("four", "sd1_eight") == []
    (problem,) = said("four", "sd1")
    assert (problem.code, problem.given, problem.expected) == ("conflict", 8, 4)
    assert problem.message.endswith("it was not trained for (mine)")
    # How many it gives the run finds.
    assert said("some", "sd1_eight") == said("some", "sd1") == []


# Views and windows


@pytest.mark.parametrize(
    ("size", "canvas"), [({}, 128), ({"width": 192, "height": 192}, 192), ({"start": link("start")}, 128)]
)
def test_a_view_larger_than_the_canvas(folder: Folder, files: Path, size: Nodes, canvas: int) -> None:
    """That the document gives, that is the model's own, or that of the start."""
    more = {
        "right": node("load_image", path=str(files / "128.png")),
        "start": node("encode_image", model=link("model"), image=link("right")),
    }
    nodes = made(folder("sd1"), {"views": node("multidiffusion", view_width=256)}, more=more, **size)
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "views", "view_width")
    assert (problem.given, problem.expected) == (256, canvas)


@pytest.mark.parametrize("kind", ["during", *CONTROLS])
def test_a_window_that_ends_before_it_starts(folder: Folder, files: Path, kind: str) -> None:
    if kind == "during":
        nodes = made(folder("sd1"), {"control": node("during", technique=link("pag"), start=0.6, end=0.3)})
        nodes["pag"] = node("pag")
    else:
        controls, more = control(files, kind, CONTROLS[kind][0], start=0.6, end=0.3)
        nodes = made(folder("sd1"), controls=controls, more=more)
    problem = only(nodes)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "control", "end")


def test_a_window_that_a_run_finds(folder: Folder) -> None:
    nodes = made(folder("sd1"), {"control": node("during", technique=link("pag"), start=0.6, end=link("number"))})
    nodes |= {"pag": node("pag"), "number": node("number", value=0.3)}
    error = failure(nodes)
    assert (error.node, error.type) == ("control", "during")
    assert "the window ends, at 0.3, before it starts, at 0.6" in error.message


def test_check_loads_no_torch(folder: Folder, files: Path) -> None:
    """All of this is known from headers and JSON."""
    import json

    controls, more = control(files, "ip_adapter", "ip-sdxl/ip-adapter.safetensors", mask=link("grey"))
    nodes = lora(folder, files / "other.safetensors") | made(folder("sd1"), controls=controls, more=more)
    program = (
        "import json, sys\nfrom weft.engine import check\n"
        "problems = check(json.load(sys.stdin), targets=['draw', 'lora'])\n"
        "heavy = [name for name in ('torch', 'diffusers', 'cv2', 'PIL') if name in sys.modules]\n"
        "print(sorted({problem.node for problem in problems}), heavy)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps({"weft": 1, "nodes": nodes}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['control', 'lora'] []"


def test_sound_files_pass(files: Path) -> None:
    """The tests above would say nothing if every file here were unsound."""
    assert len(load_file(files / "good.safetensors")) == 2
