"""What was written, held against the adapter: read by diffusers', PEFT's and transformers' own loaders on a model.

Both sides see the same inputs. A difference beyond rounding is an error, and so is a file that changes nothing.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.errors import ModelError
from weft.nodes.nets.image_prompt import make_image_adapter
from weft.nodes.nets.live import load_net
from weft.nodes.techniques.wired import applied
from weft.nodes.training.denoiser import shared_copy
from weft.nodes.training.files.layouts import CUSTOM, words_layout
from weft.nodes.values.model import Model
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, learned_words
from weft.nodes.weights.embeddings import token_names

TOLERANCES = {"float32": 1e-3, "float16": 3e-2, "bfloat16": 1e-1}
"""Relative L2 distances that rounding may make, by the model's number format."""
_OF_THE_CHANGE = 0.25
"""And as a part of what the adapter changes, which may itself be less than these."""


def verifier(adapter: Adapter, model: Model, layout: str, dtype: torch.dtype) -> Callable[[Path], None]:
    """What is called with the written file or folder, and raises ModelError where it is not the adapter."""
    rounded = _rounded(adapter, dtype)
    checks: dict[str, Callable[[Path], None]] = {
        "lora": lambda path: _check_lora(path, rounded, model, layout),
        "embedding": lambda path: _check_words(path, rounded, model, layout),
        "custom_diffusion": lambda path: _check_custom(path, rounded, model),
        "weights": lambda path: _check_weights(path, rounded, model),
        "unet_delta": lambda path: _check_weights(path, rounded, model),
        "controlnet": lambda path: _check_net(path, rounded, model, "ControlNetModel"),
        "t2i_adapter": lambda path: _check_net(path, rounded, model, "T2IAdapter"),
        "ip_adapter": lambda path: _check_image_adapter(path, rounded, model),
    }
    check = checks[adapter.kind]

    def verify(path: Path) -> None:
        try:
            with _quiet():
                check(path)
        except ModelError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # loaders raise all of these
            message = f"what was written of {called(adapter)} cannot be loaded: {type(error).__name__}: {error}"
            raise ModelError(f"{message}. Nothing was saved") from error

    return verify


_reading = threading.Lock()
"""Held while `_quiet`: two at once would put back each other's level."""


@contextmanager
def _quiet() -> Iterator[None]:
    """While diffusers' loaders read what was written: what is wrong with it is raised here, and not in their log."""
    logger = logging.getLogger("diffusers")
    with _reading:
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


def _rounded(adapter: Adapter, dtype: torch.dtype) -> Adapter:
    """The adapter with the numbers that the file has."""
    if dtype == torch.float32:
        return adapter
    tensors = {
        n: t if n.endswith(".alpha") or not t.is_floating_point() else t.to(dtype).float()
        for n, t in adapter.tensors.items()
    }
    return Adapter.of(adapter.kind, tensors, adapter.settings, adapter.base, adapter.family)


def _compare(what: str, model: Model, adapter: Adapter, wanted: Tensor, loaded: Tensor, without: Tensor | None) -> None:
    tolerance = TOLERANCES[model.dtype]
    size = wanted.double().norm().clamp(min=1e-12)
    distance = float((loaded.double() - wanted.double()).norm() / size)
    if without is not None:
        change = float((wanted.double() - without.double()).norm() / size)
        tolerance = min(tolerance, max(_OF_THE_CHANGE * change, 0.1 * tolerance))
    if not distance <= tolerance:  # NaN too
        raise ModelError(
            f"what was written of {called(adapter)} is not the adapter: {what} differs by {distance:.2g} (relative), "
            f"{tolerance:.2g} is rounding. Nothing was saved"
        )
    if without is not None and not torch.equal(wanted, without) and torch.equal(loaded, without):
        raise ModelError(
            f"what was written of {called(adapter)} changes nothing where it is loaded ({what}). Nothing was saved"
        )


def _same_weights(adapter: Adapter, own: Any, read: Any) -> None:
    """Two modules have the same weights to the bit: what training changed may be less than a forward shows."""
    wanted, loaded = ({n: t for n, t in one.state_dict().items() if t.is_floating_point()} for one in (own, read))
    for name, item in loaded.items():
        # Learned words may have made a table of embeddings longer.
        if name not in wanted or not torch.equal(wanted[name][: len(item)] if item.ndim else wanted[name], item):
            raise ModelError(
                f"what was written of {called(adapter)} is not the adapter: the weight {name} differs. "
                "Nothing was saved"
            )


def _pipeline(model: Model) -> Any:
    """A pipeline of diffusers over copies that loaders may put layers into. It has no VAE."""
    with IMPORTING:
        from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    parts = model.parts()
    encoders, tokenizers = copy.deepcopy(parts.text_encoders), copy.deepcopy(parts.tokenizers)
    common: Any = {
        "vae": None,
        "unet": shared_copy(parts.unet),
        "scheduler": DDIMScheduler(clip_sample=False, steps_offset=1),
    }
    if model.family == "sdxl":
        return StableDiffusionXLPipeline(
            text_encoder=encoders[0], text_encoder_2=encoders[1], tokenizer=tokenizers[0], tokenizer_2=tokenizers[1],
            **common,
        )  # fmt: skip
    return StableDiffusionPipeline(
        text_encoder=encoders[0], tokenizer=tokenizers[0], safety_checker=None, feature_extractor=None,
        requires_safety_checker=False, **common,
    )  # fmt: skip


def _random(shape: tuple[int, ...], seed: int, like: Any) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    first = next(like.parameters())
    return drawn.to(first.device, first.dtype)


@torch.no_grad()
def forward(unet: Any, **more: Any) -> Tensor:
    """What a denoiser predicts for fixed random latents and text, on the CPU in float32."""
    config = unet.config
    side = max(16, 2 ** len(config.block_out_channels))
    added: dict[str, Any] = dict(more)
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added |= {"text_embeds": _random((1, pooled), 3, unet), "time_ids": _random((1, 6), 4, unet).abs() * 512}
    latents = _random((1, config.in_channels, side, side), 1, unet)
    text = _random((1, 7, config.cross_attention_dim), 2, unet)
    sample = unet(latents, 500, encoder_hidden_states=text, added_cond_kwargs=added or None).sample
    return sample.float().cpu()


@torch.no_grad()
def _states(encoder: Any, tokenizer: Any, words: str) -> Tensor:
    ids = tokenizer(words, return_tensors="pt", truncation=True).input_ids
    return encoder(ids.to(next(encoder.parameters()).device)).last_hidden_state.float().cpu()


def _check_lora(path: Path, adapter: Adapter, model: Model, layout: str) -> None:
    changed, pipe = applied(model, adapter).parts(), _pipeline(model)
    parts = model.parts()
    names = ["unet", "text_encoder", "text_encoder_2"]
    touched = [name for name in names if any(key.startswith(f"{name}.") for key in adapter.tensors)] or names
    touched = [name for name in touched if name in parts.components]
    if layout == "peft":
        with IMPORTING:
            from peft import PeftModel
        modules = {}
        for name in touched:
            folder = path / name if (path / name).is_dir() else path
            modules[name] = PeftModel.from_pretrained(getattr(pipe, name), folder).get_base_model()
    else:
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="written")
        modules = {name: getattr(pipe, name) for name in touched}
    for name, module in modules.items():
        module.to(dtype=next(parts.component(name).parameters()).dtype).eval()
        if name == "unet":
            sides = [forward(one) for one in (changed.unet, module, parts.unet)]
        else:
            tokenizer = parts.component(name.replace("text_encoder", "tokenizer"))
            encoders = (changed.component(name), module, parts.component(name))
            sides = [_states(one, tokenizer, "a photo of a red circle") for one in encoders]
        _compare(f"the {name}'s output", model, adapter, sides[0], sides[1], sides[2])


def _check_words(path: Path, adapter: Adapter, model: Model, layout: str) -> None:
    from safetensors.torch import load_file

    pipe, changed = _pipeline(model), applied(model, adapter).parts()
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    words = learned_words(adapter)
    for file in files:
        state = load_file(file)
        token = _token_of(file)
        if layout == "sdxl":
            for name, key in (("text_encoder", "clip_l"), ("text_encoder_2", "clip_g")):
                tokenizer = getattr(pipe, name.replace("text_encoder", "tokenizer"))
                pipe.load_textual_inversion(
                    state[key], token=token, text_encoder=getattr(pipe, name), tokenizer=tokenizer
                )
        else:
            pipe.load_textual_inversion(str(file.parent), weight_name=file.name, token=token)
    for token, rows in words.items():
        for name, vectors in rows.items():
            text = " ".join(token_names(token, len(vectors)))
            tokenizer = name.replace("text_encoder", "tokenizer")
            wanted = _states(changed.component(name), changed.component(tokenizer), text)
            loaded = _states(getattr(pipe, name), getattr(pipe, tokenizer), text)
            _compare(f"the {name}'s states of {token}", model, adapter, wanted, loaded, None)


def _token_of(file: Path) -> str:
    from weft.nodes.models.headers import read_header

    return read_header(file).metadata["token"]


def _check_custom(path: Path, adapter: Adapter, model: Model) -> None:
    """diffusers' own loader leaves the denoiser as it is (its issue 9320), so the weights are folded in here."""
    from safetensors.torch import load_file

    unet = shared_copy(model.parts().unet)
    for name, item in load_file(path / CUSTOM).items():
        attention, _, rest = name.partition(".processor.")
        projection, _, ending = rest.partition("_custom_diffusion.")
        layer = unet.get_submodule(f"{attention}.{projection}" + (".0" if ending.startswith("0.") else ""))
        kind = ending.removeprefix("0.")
        old = getattr(layer, kind)
        setattr(layer, kind, torch.nn.Parameter(item.to(old.device, old.dtype), requires_grad=False))
    without_words = {name: item for name, item in adapter.tensors.items() if name.startswith("unet.")}
    plain = Adapter.of(adapter.kind, without_words, adapter.settings, adapter.base, adapter.family)
    wanted = forward(applied(model, plain).parts().unet)
    _compare("the denoiser's output", model, adapter, wanted, forward(unet), forward(model.parts().unet))
    words = {name: item for name, item in adapter.tensors.items() if name.startswith("word.")}
    if words:
        taught = Adapter.of("embedding", words, adapter.settings, adapter.base, adapter.family)
        folder = [file for file in sorted(path.glob("*.safetensors")) if file.name != CUSTOM]
        for file in folder:
            token = _token_of(file)
            own = {name: item for name, item in words.items() if name.startswith(f"word.{token}.")}
            one = Adapter.of("embedding", own, taught.settings, adapter.base, adapter.family)
            (rows,) = learned_words(one).values()
            _check_words(file, one, model, words_layout(rows))


def _check_weights(path: Path, adapter: Adapter, model: Model) -> None:
    with IMPORTING:
        import transformers
        from diffusers import UNet2DConditionModel

    changed, parts = applied(model, adapter).parts(), model.parts()
    for name in dict.fromkeys(key.partition(".")[0] for key in adapter.tensors):
        own = changed.component(name)
        place, dtype = next(own.parameters()).device, next(own.parameters()).dtype
        if name == "unet":
            read: Any = UNet2DConditionModel.from_pretrained(path, subfolder="unet", torch_dtype=dtype)
            _same_weights(adapter, own, read.to(place))
            _compare("the denoiser's output", model, adapter, forward(own), forward(read.eval()), None)
            continue
        kind: Any = getattr(transformers, type(own).__name__)
        read = kind.from_pretrained(path / name, torch_dtype=dtype).to(place).eval()
        _same_weights(adapter, own, read)
        tokenizer = parts.component(name.replace("text_encoder", "tokenizer"))
        sides = [_states(one, tokenizer, "a photo of a red circle") for one in (own, read)]
        _compare(f"the {name}'s states", model, adapter, sides[0], sides[1], None)


@torch.no_grad()
def _check_net(path: Path, adapter: Adapter, model: Model, kind: str) -> None:
    with IMPORTING:
        import diffusers

    device, dtype = torch.device(model.device), getattr(torch, model.dtype)
    own = load_net(called(adapter), "", adapter.digest, lambda _: None, device, dtype, adapter=adapter).item  # type: ignore[arg-type,return-value]
    read: Any = getattr(diffusers, kind).from_pretrained(path, torch_dtype=dtype).to(device).eval()
    _same_weights(adapter, own, read)
    outputs = []
    for net in (own, read):
        config = net.config
        if kind == "T2IAdapter":
            side = 8 * max(int(config.downscale_factor), 8)
            outputs.append(
                torch.cat([part.flatten() for part in net(_random((1, config.in_channels, side, side), 1, net).abs())])
            )
            continue
        side = max(16, 2 ** len(config.block_out_channels))
        scale = 2 ** (len(config.conditioning_embedding_out_channels) - 1)
        added = None
        if config.addition_embed_type == "text_time":
            pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            added = {"text_embeds": _random((1, pooled), 3, net), "time_ids": _random((1, 6), 4, net).abs() * 512}
        down, middle = net(
            _random((1, config.in_channels, side, side), 1, net),
            500,
            encoder_hidden_states=_random((1, 7, config.cross_attention_dim), 2, net),
            controlnet_cond=_random((1, config.conditioning_channels, side * scale, side * scale), 5, net).abs(),
            added_cond_kwargs=added,
            return_dict=False,
        )
        outputs.append(torch.cat([part.flatten() for part in (*down, middle)]))
    _compare("the network's output", model, adapter, outputs[0].float().cpu(), outputs[1].float().cpu(), None)


@torch.no_grad()
def _check_image_adapter(path: Path, adapter: Adapter, model: Model) -> None:
    """diffusers' modules after load_ip_adapter: the projection's tokens, and the keys and values of every layer."""
    from weft.nodes.nets.wired import describe_wired, net_tensors

    description = describe_wired(adapter, "ip_adapter")
    own = make_image_adapter(description, net_tensors(adapter))
    pipe, config = _pipeline(model), description.weights["ip_adapter"].config
    pipe.load_ip_adapter(
        str(path.parent), subfolder="", weight_name=path.name, image_encoder_folder=None, low_cpu_mem_usage=False
    )
    theirs = pipe.unet.encoder_hid_proj.image_projection_layers[0].float().cpu()
    shape = (1, config["reads"]) if config["kind"] == "plain" else (1, 5, config["reads"])
    states = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    tokens = theirs(states).reshape(1, -1, config["width"])
    _compare("the image tokens", model, adapter, own.projection(states), tokens, None)
    layers = [processor for name, processor in pipe.unet.attn_processors.items() if name.endswith("attn2.processor")]
    for part in ("to_k", "to_v"):
        mine = torch.cat([weight.flatten() for weight in getattr(own, part)])
        loaded = torch.cat([getattr(one, f"{part}_ip")[0].weight.float().cpu().flatten() for one in layers])
        _compare(f"the image's {part}", model, adapter, mine, loaded, None)
