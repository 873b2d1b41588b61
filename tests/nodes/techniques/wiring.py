"""Any set of techniques wired into one small run, as values or, inside a graph, as the document of that run.

Everything is made by calling nodes, so the same lines compute outside `with Graph():` and record within.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from tests.nodes.sampling.conftest import BUILDERS
from tests.nodes.techniques.conftest import _calm, _distilled
from tests.tiny import tiny_sd1
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft import nodes
from weft.graphs import Graph, Workflow

Mode = Literal["on", "off", "other", "never"]
"""`other`: a second one of the kind, with other settings. `never`: a base whose window is empty."""
SIDE = 64
SEED = 5
HIDDEN = "mid_block.attentions.0.transformer_blocks.0.attn2"


def _thin(folder: Path) -> Path:
    """The model with one layer a level, calm: half the time of the usual tiny one."""
    from diffusers import UNet2DConditionModel

    from tests.tiny import _liven, _seeded

    config = json.loads((folder / "unet" / "config.json").read_text("utf-8"))
    with _seeded(4):
        unet = UNet2DConditionModel.from_config({**config, "layers_per_block": 1})
        _liven(unet)
        if config.get("time_cond_proj_dim"):
            unet.time_embedding.cond_proj.weight.data *= 20
        unet.save_pretrained(folder / "unet")
    return _calm(folder)


BUILDERS |= {
    "thin": lambda folder: _thin(tiny_sd1(folder)),
    "thin_5": lambda folder: _thin(tiny_sd1(folder, unet_in=5)),
    "thin_8": lambda folder: _thin(tiny_sd1(folder, unet_in=8)),
    "thin_9": lambda folder: _thin(tiny_sd1(folder, unet_in=9)),
    "thin_lcm": lambda folder: _thin(_distilled(folder)),
}


class Files:
    """What the runs read, written when first asked for."""

    def __init__(self, root: Path, models: Callable[[str], Path]) -> None:
        self.root = root
        self.models = models

    @cached_property
    def picture(self) -> str:
        from PIL import Image

        generator = torch.Generator().manual_seed(3)
        pixels = (torch.rand(SIDE, SIDE, 3, generator=generator) * 255).byte().numpy()
        Image.fromarray(pixels).save(self.root / "picture.png")
        return str(self.root / "picture.png")

    @cached_property
    def controlnet(self) -> str:
        return str(tiny_controlnet(self.root / "controlnet", self.models("thin")))

    @cached_property
    def adapter(self) -> str:
        return str(tiny_adapter(self.root / "adapter", self.models("thin")))

    @cached_property
    def image_adapter(self) -> str:
        return str(tiny_image_adapter(self.root / "image_adapter", self.models("thin")))

    def tensors(self, name: str, seed: int, shapes: dict[str, tuple[int, ...]]) -> str:
        """A safetensors file of random numbers."""
        from safetensors.torch import save_file

        path = self.root / name
        if not path.exists():
            generator = torch.Generator().manual_seed(seed)
            save_file({key: torch.randn(shape, generator=generator) * 0.5 for key, shape in shapes.items()}, path)
        return str(path)

    def trained(self, kind: str) -> str:
        """The denoiser of a model, trained on: its weights moved a little."""
        from safetensors.torch import load_file, save_file

        path = self.root / f"trained-{kind}.safetensors"
        if not path.exists():
            weights = load_file(self.models(kind) / "unet" / "diffusion_pytorch_model.safetensors")
            generator = torch.Generator().manual_seed(9)
            moved = {
                name: tensor + 0.1 * tensor.abs().mean() * torch.randn(tensor.shape, generator=generator)
                for name, tensor in weights.items()
            }
            save_file(moved, path)
        return str(path)


class Kit:
    """What runs share: each node is called once for the same inputs. One for all values, one for each graph."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._made: dict[Any, Any] = {}

    def __call__(self, name: str, *inputs: Any, **options: Any) -> Any:
        """The result, or the handle, of a node."""
        key = (name, *map(_key, inputs), *((option, _key(item)) for option, item in sorted(options.items())))
        if key not in self._made:
            # The inputs are kept, so that no other object gets the identity of one.
            self._made[key] = (getattr(nodes, name)(*inputs, **options), inputs, options)
        return self._made[key][0]

    def model(self, kind: str) -> Any:
        return self("load_model", str(self.files.models(kind)), dtype="float32", device="cpu")

    @property
    def picture(self) -> Any:
        return self("load_image", self.files.picture)

    def mask(self, **options: Any) -> Any:
        return self("columns_mask", SIDE, SIDE, **options)

    @property
    def clean(self) -> Any:
        return self("encode_image", self.model("thin"), self.picture)

    @property
    def trajectory(self) -> Any:
        """Of the plain model, higher up than any run begins but those of 999 timesteps."""
        base = self("cfg", self("encode_prompt", self.model("thin"), "a photo"), scale=1.0)
        return self("invert", self.model("thin"), [base], latents=self.clean, steps=4).trajectory


def _key(item: Any) -> Any:
    if item is None or isinstance(item, (str, int, float, bool)):
        return item
    return tuple(map(_key, item)) if isinstance(item, (list, tuple)) else id(item)


@dataclass(eq=False)
class Wiring:
    """One run as it is put together: model, prompt, base, then everything else."""

    kit: Kit
    kind: str = "thin"
    steps: int = 2
    scale: float = 5.0
    window: tuple[float, float] | None = None
    text: str = "a red circle and a blue square"
    model: Any = None
    prompt: Any = None
    bases: list[Any] = field(default_factory=list)
    guidance: list[Any] = field(default_factory=list)
    controls: list[Any] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def encode(self, text: str) -> Any:
        return self.kit("encode_prompt", self.model, text)

    def begin(self) -> None:
        self.model = self.kit.model(self.kind)

    def base(self) -> None:
        if self.prompt is None:
            self.prompt = self.encode(self.text)

    def run(self) -> Any:
        """What `denoise` gives."""
        self.base()
        if not self.bases:
            self.bases = [nodes.cfg(self.prompt, self.encode("a dog"), scale=self.scale)]
        if self.window is not None:
            # The window is around what there is besides the base, or else around the base.
            start, end = self.window
            if self.guidance or self.controls:
                self.guidance = [nodes.during(item, start, end) for item in self.guidance]
                self.controls = [nodes.during(item, start, end) for item in self.controls]
            else:
                self.bases = [nodes.during(item, start, end) for item in self.bases]
        settings: dict[str, Any] = {"scheduler": "ddim", "width": SIDE, "height": SIDE, "seed": SEED} | self.options
        guidance = [*self.bases, *self.guidance]
        return nodes.denoise(self.model, guidance, self.controls, steps=self.steps, **settings)


Part = Callable[[Wiring, Mode], None]
EARLY: dict[str, Part] = {}
"""What changes the model, then the prompt, in this order."""
LATE: dict[str, Part] = {}


def early(part: Part) -> Part:
    EARLY[part.__name__] = part
    return part


def late(part: Part) -> Part:
    LATE[part.__name__] = part
    return part


@early
def latent_consistency(w: Wiring, mode: Mode) -> None:
    # It begins at the noisiest level there is, and the inversion does not reach so far.
    w.options |= {"scheduler": "lcm", "strength": 0.5}


@early
def load_dreambooth(w: Wiring, mode: Mode) -> None:
    w.model = w.kit("load_dreambooth", w.kit.files.trained(w.kind), w.model)


@early
def load_textual_inversion(w: Wiring, mode: Mode) -> None:
    token, word = ("<x>", "red") if mode != "other" else ("<y>", "blue")
    path = w.kit.files.tensors(f"{word}.safetensors", len(word), {token: (2, 32)})
    w.model = w.kit("load_textual_inversion", w.model, [path])
    if mode != "off":
        w.text = w.text.replace(word, token)


@early
def load_custom_diffusion(w: Wiring, mode: Mode) -> None:
    projection = "to_k" if mode != "other" else "to_v"
    name = f"{HIDDEN}.processor.{projection}_custom_diffusion.weight"
    w.model = w.kit(
        "load_custom_diffusion", w.model, w.kit.files.tensors(f"{projection}.safetensors", 2, {name: (32,) * 2})
    )


@early
def apply_lora(w: Wiring, mode: Mode) -> None:
    layer = f"unet.{HIDDEN}.to_out.0" if mode != "other" else f"unet.{HIDDEN}.to_q"
    shapes = {f"{layer}.lora_A.weight": (4, 32), f"{layer}.lora_B.weight": (32, 4)}
    path = w.kit.files.tensors(f"lora-{layer[-1]}.safetensors", 1, shapes)
    w.model = w.kit("apply_lora", w.model, path, 0.0 if mode == "off" else 1.0)


@early
def edit_model(w: Wiring, mode: Mode) -> None:
    source, destination = ("a square", "a blue square") if mode != "other" else ("a circle", "a green circle")
    w.model = w.kit("edit_model", w.model, source, destination, templates=False)


@early
def weighted_prompt(w: Wiring, mode: Mode) -> None:
    text = w.text if mode == "off" else w.text.replace("circle", "(circle)1.4")
    w.prompt = w.kit("weighted_prompt", w.model, text)


@early
def pix2pix_zero(w: Wiring, mode: Mode) -> None:
    w.base()
    source, target = (["a circle"], ["a triangle"]) if mode != "other" else (["a square"], ["a cat"])
    if mode == "off":
        edit = w.kit("pix2pix_zero", w.model, w.prompt, source, source, 0.0)
    else:
        edit = w.kit("pix2pix_zero", w.model, w.prompt, source, target, 5.0)
    w.prompt = edit.prompt
    w.guidance.append(edit.guidance)


@late
def cfg(w: Wiring, mode: Mode) -> None:
    if mode == "off":
        w.scale = 1.0
        return
    made: Any = nodes.cfg(w.prompt, w.encode("a dog"), scale=w.scale)
    w.bases.append(nodes.during(made, 0.5, 0.5) if mode == "never" else made)


@late
def instruct_pix2pix(w: Wiring, mode: Mode) -> None:
    share = 1.5 if mode != "other" else 2.0
    w.bases.append(w.kit("instruct_pix2pix", w.model, w.kit.picture, w.prompt, w.encode("a dog"), w.scale, share))


@late
def sega(w: Wiring, mode: Mode) -> None:
    concept = w.encode("green" if mode != "other" else "a large star")
    w.guidance.append(nodes.sega(concept, scale=0.0 if mode == "off" else 6.0, warmup=0, threshold=0.5))


@late
def sag(w: Wiring, mode: Mode) -> None:
    w.guidance.append(nodes.sag({"on": 0.75, "off": 0.0, "other": 2.0}[mode]))


@late
def pag(w: Wiring, mode: Mode) -> None:
    w.guidance.append(nodes.pag(0.0 if mode == "off" else 3.0, layers=["down" if mode == "other" else "mid"]))


@late
def attend_and_excite(w: Wiring, mode: Mode) -> None:
    subjects = ["circle"] if mode != "other" else ["square"]
    scale = 0.0 if mode == "off" else 200.0
    w.guidance.append(nodes.attend_and_excite(subjects, scale=scale, thresholds={"0": 0.05}, refinements=2))


@late
def prompt_to_prompt(w: Wiring, mode: Mode) -> None:
    # In every step of a run of one, too.
    share = 0.0 if mode == "off" else 1.0
    source = w.encode("a green circle and a black square")
    w.guidance.append(nodes.prompt_to_prompt(source, cross_steps=share, self_steps=share, edit="refine"))


@late
def multidiffusion(w: Wiring, mode: Mode) -> None:
    views: Any = nodes.multidiffusion(48, SIDE, 16)
    w.guidance.append(nodes.during(views, 0.5, 0.5) if mode == "off" else views)


@late
def regions(w: Wiring, mode: Mode) -> None:
    mask = w.kit.mask(end=0.5) if mode != "other" else w.kit.mask(start=0.25, end=0.75)
    prompt = w.encode("a cat" if mode != "other" else "a white star")
    w.guidance.append(nodes.regions([prompt], [mask], 0.0 if mode == "off" else 0.8))


@late
def rescale_guidance(w: Wiring, mode: Mode) -> None:
    w.guidance.append(nodes.rescale_guidance({"on": 0.7, "off": 0.0, "other": 0.4}[mode]))


@late
def during(w: Wiring, mode: Mode) -> None:
    w.window = (0.0, 1.0) if mode == "off" else (0.5, 1.0)


@late
def controlnet(w: Wiring, mode: Mode) -> None:
    net = w.kit("load_controlnet", w.kit.files.controlnet)
    w.controls.append(nodes.controlnet(net, w.kit.picture, {"on": 1.0, "off": 0.0, "other": 0.5}[mode]))


@late
def t2i_adapter(w: Wiring, mode: Mode) -> None:
    net = w.kit("load_t2i_adapter", w.kit.files.adapter)
    w.controls.append(nodes.t2i_adapter(net, w.kit.picture, {"on": 1.0, "off": 0.0, "other": 0.5}[mode]))


@late
def ip_adapter(w: Wiring, mode: Mode) -> None:
    net = w.kit("load_ip_adapter", w.kit.files.image_adapter)
    w.controls.append(nodes.ip_adapter(net, w.kit.picture, {"on": 1.0, "off": 0.0, "other": 0.5}[mode]))


@late
def depth_control(w: Wiring, mode: Mode) -> None:
    w.controls.append(nodes.depth_control(w.kit.picture))


@late
def from_inversion(w: Wiring, mode: Mode) -> None:
    begin: Any = nodes.from_inversion(w.kit.trajectory)
    w.controls.append(nodes.during(begin, 0.5, 0.5) if mode == "off" else begin)


@late
def diffedit(w: Wiring, mode: Mode) -> None:
    edit: Any = nodes.diffedit(w.kit.trajectory, w.kit.mask(end=0.5))
    w.controls.append(nodes.during(edit, 0.5, 0.5) if mode == "off" else edit)


@late
def inpaint(w: Wiring, mode: Mode) -> None:
    if mode == "off":  # all of it is made anew, from the first step on
        w.options |= {"start": w.kit.clean, "mask": w.kit.mask(), "strength": 1.0}
    else:
        w.options |= {"start": w.kit.clean, "mask": w.kit.mask(start=0.25)}


@late
def inpaint_channels(w: Wiring, mode: Mode) -> None:
    mask = w.kit.mask(start=0.25)
    masked = w.kit("encode_masked_image", w.kit.model("thin"), w.kit.picture, mask)
    w.options |= {"mask": mask, "masked": masked}


@late
def image_to_image(w: Wiring, mode: Mode) -> None:
    w.options |= {"start": w.kit.clean, "strength": 0.5}


@late
def own_noise(w: Wiring, mode: Mode) -> None:
    seed = {"on": 11, "off": SEED, "other": 12}[mode]
    w.options["noise"] = w.kit("noise", w.model, seed, width=w.options.get("width", SIDE), height=SIDE)


def wire(kit: Kit, kind: str, parts: Iterable[tuple[str, Mode]], steps: int = 2) -> Any:
    """A run with these techniques: what `denoise` gives."""
    wiring = Wiring(kit, kind, steps)
    wiring.begin()
    wanted = list(parts)
    for stage in (EARLY, LATE):
        for name, part in stage.items():
            for chosen, mode in wanted:
                if chosen == name:
                    part(wiring, mode)
        wiring.base()
    return wiring.run()


def document(files: Files, kind: str, parts: Iterable[tuple[str, Mode]]) -> Workflow:
    """The same run as a document."""
    with Graph() as graph:
        wire(Kit(files), kind, parts)
    return graph.workflow()
