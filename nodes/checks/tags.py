"""What a node says of itself to the checks of other nodes: tags, which are plain text, so that any pack can say it too.

    @node("sharpen", category="image", tags=(size_of("image"),))
    def sharpen(image: Image) -> Image: ...

A tag is a word, or a word with arguments: `size_of("image")` is "size:of=image". Checks, editors and servers read the
same tags (`weft nodes NAME --json` shows them), and none of them knows a node by its name. Of what a node does not say
nothing is claimed, with one exception: a technique that does not say that it adds channels, or gives latents to start
from, is taken not to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from weft.engine.declaring.node_type import NodeType

BASE = "guidance:base"
"""Tag of the terms of which `guidance` takes exactly one; their input `prompt` is the run's prompt."""
WRAPS = "guidance:wraps"
"""Tag of nodes that hand on what is wired to their input `technique`, changed; checks look through them."""
VIEWS = "one:views"
"""Tag of techniques that divide the canvas into views."""
START = "one:start"
"""Tag of techniques that give the latents to start from; see `starts_from`."""
SOURCE = "one:source"
"""Tag of techniques that take the prompt's attention from another prompt."""
CHANNELS = "one:channels"
"""Tag of techniques that give the denoiser channels beside the latents, which every step needs; see `adds_channels`."""

RUN = "run:denoises"
SIZE_OF_RUN = "size:run"
"""Tag of a node that makes images, or noise for them, of its own width and height; for those that are 0, of the size of
what it starts with, or of the model's."""
SIZE_OF = "size:of"
SIZE_GIVEN = "size:given"
SIZE_OF_FILE = "size:file"
SIZE_UNKNOWN = "size:unknown"
SAME_SIZE = "same_size:image"
SAME_SIZE_OR_LATENT = "same_size:latents"
MODEL_OF = "model:of"
MODEL_UNKNOWN = "model:unknown"
MODEL_NAMED = "model:named"
LATENTS_OF = "latents:of"
NET = "net"
PROMPT = "prompt:text"
PROMPT_OF = "prompt:of"

_SIZES_AND_STEPS = ("width", "height", "steps", "sigmas", "timesteps")
RUN_INPUTS: Mapping[str, str] = MappingProxyType(
    {name: name for name in ("model", "guidance", "controls", "start", "mask", "masked", "noise", *_SIZES_AND_STEPS)}
)
"""What checks read of a node with the denoise loop, and the inputs that they read unless `denoises` names others."""


def size_of(input: str, *others: str) -> str:
    """What the node makes has the size of the picture or latents at this input; of several, at the first linked one."""
    return _tag(SIZE_OF, input, *others)


def size_given(width: str = "width", height: str = "height") -> str:
    """What the node makes has the size that these two inputs give in pixels, where both are written out and not 0."""
    return _tag(SIZE_GIVEN, width, height)


def size_of_file(path: str) -> str:
    """What the node makes has the size of the image file that this input names."""
    return _tag(SIZE_OF_FILE, path)


def size_unknown_if(input: str, *settings: str) -> str:
    """The size of what the node makes cannot be told where this input is linked, or has one of these settings."""
    for setting in settings:
        if "," in setting:
            raise ValueError(f"{setting!r}: a setting in a tag has no comma")
    return ",".join([_tag(SIZE_UNKNOWN, input), *settings])


def same_size(input: str, or_latents: bool = False) -> str:
    """Pictures at this input must have the size of the made image; or_latents: or a pixel for each latent pixel."""
    return _tag(SAME_SIZE_OR_LATENT if or_latents else SAME_SIZE, input)


def model_of(input: str) -> str:
    """The model that the node hands on has the layers of the one at this input."""
    return _tag(MODEL_OF, input)


def model_unknown_with(input: str) -> str:
    """Where this input is linked, the layers of the model that the node hands on cannot be told."""
    return _tag(MODEL_UNKNOWN, input)


def model_named(source: str) -> str:
    """This input names the model as `load_model.source` does; an input `prediction`, if there is one, is read likewise.

    Beside `model_of`, it holds where no model is linked.
    """
    return _tag(MODEL_NAMED, source)


def latents_of(model: str, batch: str = "") -> str:
    """The node makes latents of the model at this input; where `batch` is named, as many as that input says."""
    return _tag(LATENTS_OF, model, *((batch,) if batch else ()))


def adds_channels(count: int | Literal["latents"]) -> str:
    """The technique adds so many channels to the denoiser's input, or as many as the model's latents have."""
    if count != "latents" and not (isinstance(count, int) and 0 < count < 10_000):
        raise ValueError(f"a technique adds 1 to 9,999 channels, or 'latents', not {count!r}")
    return f"{CHANNELS}={count}"


def starts_from(input: str) -> str:
    """The technique gives the latents to start from, of the size of the trajectory or the latents at this input."""
    return _tag(START, input)


def denoises(**inputs: str) -> str:
    """The node has the denoise loop. inputs: by keys of `RUN_INPUTS`, those of its inputs that have other names."""
    unknown = inputs.keys() - RUN_INPUTS.keys()
    if unknown:
        raise ValueError(f"{min(unknown)!r} is none of {', '.join(RUN_INPUTS)}")
    return _tag(RUN, *(part for name, input in inputs.items() for part in (name, input)))


def names_net(kind: str, source: str) -> str:
    """This input names a network of some kind, such as "controlnet", that the node loads for techniques."""
    return _tag(f"{NET}:{_name(kind)}", source)


def encodes(text: str) -> str:
    """The node makes a prompt of the text at this input, taken word by word."""
    return _tag(PROMPT, text)


def prompt_of(input: str) -> str:
    """The prompt that the node hands on has the words of that, or of those, at this input."""
    return _tag(PROMPT_OF, input)


def _tag(word: str, *inputs: str) -> str:
    return f"{word}={','.join(map(_name, inputs))}" if inputs else word


def _name(text: str) -> str:
    if not text.isidentifier():
        raise ValueError(f"{text!r} is no name of an input")
    return text


def says(node_type: NodeType, word: str) -> bool:
    """Whether a node has a tag, with arguments or without."""
    return any(tag.partition("=")[0] == word for tag in node_type.tags)


def arguments(node_type: NodeType, word: str) -> list[tuple[str, ...]]:
    """The arguments of each of a node's tags with this word, as far as there are any."""
    pairs = [tag.partition("=") for tag in node_type.tags]
    return [tuple(rest.split(",")) for name, _, rest in pairs if name == word and rest]


def argument(node_type: NodeType, word: str) -> str | None:
    """The first argument of a node's first tag with this word."""
    return next((given[0] for given in arguments(node_type, word)), None)


def run_input(node_type: NodeType, name: str) -> str:
    """What a node with the denoise loop calls one of `RUN_INPUTS`."""
    for given in arguments(node_type, RUN):
        renamed = dict(zip(given[::2], given[1::2], strict=False))
        if name in renamed:
            return renamed[name]
    return RUN_INPUTS[name]


def added_channels(node_type: NodeType, latent_channels: int) -> int | None:
    """How many channels a technique adds, for a model with so many in its latents; None where it does not say."""
    if not says(node_type, CHANNELS):
        return 0
    count = argument(node_type, CHANNELS)
    if count == "latents":
        return latent_channels
    return int(count) if count is not None and count.isdecimal() and len(count) < 5 else None


def misdeclared(node_type: NodeType) -> list[str]:
    """The inputs that a node's tags name and that it does not have. For the tests of packs."""
    sizes = (SIZE_OF, SIZE_GIVEN, SIZE_OF_FILE, SAME_SIZE, SAME_SIZE_OR_LATENT)
    words = (*sizes, MODEL_OF, MODEL_UNKNOWN, MODEL_NAMED, LATENTS_OF, START, PROMPT, PROMPT_OF)
    named = [input for word in words for given in arguments(node_type, word) for input in given]
    named += [given[0] for given in arguments(node_type, SIZE_UNKNOWN)]
    named += [input for given in arguments(node_type, RUN) for input in given[1::2]]
    named += [tag.partition("=")[2] for tag in node_type.tags if tag.startswith(f"{NET}:")]
    named += ["technique"] if says(node_type, WRAPS) else []
    return [input for input in dict.fromkeys(named) if input not in node_type.inputs]
