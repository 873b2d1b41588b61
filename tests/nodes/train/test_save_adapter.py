"""Adapters as files: every layout, by other programs' own loaders, and back."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.nodes.techniques import learned
from tests.nodes.techniques.adapters import calm, checksum, relative
from tests.tiny import tiny_sd1, tiny_sdxl
from tests.tiny_nets import tiny_adapter, tiny_controlnet, tiny_image_adapter
from weft.engine import Context
from weft.engine.errors import InputPathError
from weft.nodes import apply_lora, load_adapter, load_model, save_adapter
from weft.nodes.models.description import read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import read_header
from weft.nodes.techniques.wired import applied
from weft.nodes.training.files import verify
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter

Models = Callable[[str], Model]


@pytest.fixture(scope="module")
def models_of(tmp_path_factory: pytest.TempPathFactory) -> Models:
    root = tmp_path_factory.mktemp("saved")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: load_model(str(calm(builders[name](root / name))), dtype="float32", device="cpu"))


def save(out: Path, *args: Any, **kwargs: Any) -> list[Path]:
    paths = save_adapter(*args, **kwargs, ctx=Context(out=out)).paths
    assert not list(out.rglob("*.part"))
    return [Path(path) for path in paths]


def same(one: Adapter, other: Adapter) -> None:
    assert (one.kind, one.family, one.base) == (other.kind, other.family, other.base)

    def bare(adapter: Adapter) -> dict[str, torch.Tensor]:
        """DoRA's magnitudes end in .weight in PEFT's modules, and not in its files; all of these names are read."""
        names = {name: name.replace(".text_model.", ".") for name in adapter.tensors}
        return {
            own.replace("magnitude_vector.weight", "magnitude_vector"): adapter.tensors[name]
            for name, own in names.items()
        }

    strip, again = bare(one), bare(other)
    assert strip.keys() == again.keys()
    assert all(torch.equal(strip[name], again[name]) for name in strip)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("layout", ["diffusers", "peft", "kohya"])
def test_loras(models_of: Models, tmp_path: Path, name: str, layout: str) -> None:
    """Verified on the way; and it comes back with the same weights, alpha not being the rank, for any other layout."""
    model = models_of(name)
    adapter = learned.lora_adapter(model, seed=1, text=True)
    paths = save(tmp_path, model, adapter, "dogs/corgi", layout)
    again = load_adapter(model, str(tmp_path / "dogs" / "corgi" if layout == "peft" else paths[0]))
    same(again, adapter)
    assert again.settings["peft"]["unet"]["lora_alpha"] == 6
    wanted = applied(model, adapter)
    expected = checksum(wanted)
    assert checksum(applied(model, again)) == expected
    other = save(tmp_path, model, again, "b", "diffusers" if layout == "kohya" else "kohya")[0]
    assert checksum(apply_lora(model, str(other))) == expected
    if layout == "peft":
        assert {path.name for path in paths} == {"adapter_model.safetensors", "adapter_config.json"}
        return
    (path,) = paths
    assert path == tmp_path / "dogs" / "corgi.safetensors"
    mine = apply_lora(model, str(path))
    assert relative(learned.forward(mine.parts().unet), learned.forward(wanted.parts().unet)) <= 1e-5
    header = read_header(path)
    if layout == "kohya":
        stems = {key.partition(".")[0] for key in header.tensors}
        assert all(f"{stem}.alpha" in header.tensors for stem in stems)
        assert header.metadata["ss_network_alpha"] == "6.0"
        te = "lora_te1_text_model_" if name == "sdxl" else "lora_te_text_model_"
        assert any(stem.startswith(te) for stem in stems)
    else:
        assert all("text_encoder" not in key or ".text_model." in key for key in header.tensors)
        assert json.loads(header.metadata["lora_adapter_metadata"])["unet.lora_alpha"] == 6


def test_saving_says_nothing_of_how_it_was_checked(
    models_of: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """The loaders that read it back warn of much that is none of the user's."""
    diffusers = logging.getLogger("diffusers")
    diffusers.addHandler(caplog.handler)  # it hands nothing on to the root
    level = diffusers.level
    try:
        save(tmp_path, models_of("sd1"), learned.lora_adapter(models_of("sd1")), "quiet")
    finally:
        diffusers.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("diffusers")] == []
    assert [str(warning.message) for warning in recwarn if "scheduler" in str(warning.message)] == []
    assert diffusers.level == level


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr", "oft"])
def test_kin_of_loras(models_of: Models, tmp_path: Path, kind: str) -> None:
    model = models_of("sd1")
    adapter = learned.lora_adapter(model, kind, seed=2)
    save(tmp_path, model, adapter, "a", "peft")
    mine = apply_lora(model, str(tmp_path / "a"))
    wanted = learned.forward(applied(model, adapter).parts().unet)
    assert relative(learned.forward(mine.parts().unet), wanted) <= 1e-5
    if kind == "dora":
        (path,) = save(tmp_path, model, adapter, "b")
        assert relative(learned.forward(apply_lora(model, str(path)).parts().unet), wanted) <= 1e-5
    else:
        assert save(tmp_path, model, adapter, "a")[0].parent == tmp_path / "a"  # auto, and used again
        with pytest.raises(ModelError, match="which diffusers does not load"):
            save(tmp_path, model, adapter, "c", "diffusers")
    with pytest.raises(ModelError, match="no plain LoRA"):
        save(tmp_path, model, adapter, "c", "kohya")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_number_formats(models_of: Models, tmp_path: Path, dtype: str) -> None:
    model = models_of("sd1")
    adapter = learned.lora_adapter(model, seed=3, text=True)
    for layout in ("diffusers", "kohya"):
        (path,) = save(tmp_path, model, adapter, layout, layout, dtype)
        kinds = {str(t.dtype) for n, t in load_file(path).items() if not n.endswith(".alpha")}
        assert kinds == {f"torch.{dtype}"}


def test_words(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    one = learned.word_adapter(model, {"<dog>": 3})
    for layout, key in (("diffusers", "<dog>"), ("a1111", "emb_params")):
        (path,) = save(tmp_path, model, one, layout, layout)
        assert torch.equal(load_file(path)[key], one.tensors["word.<dog>.text_encoder"])
    two = learned.word_adapter(model, {"<a>": 1, "<b>": 2})
    assert [path.name for path in save(tmp_path, model, two, "two")] == ["a.safetensors", "b.safetensors"]
    with pytest.raises(ModelError, match="two text encoders"):
        save(tmp_path, model, one, "x", "sdxl")
    big = models_of("sdxl")
    (path,) = save(tmp_path, big, learned.word_adapter(big, {"<dog>": 2}), "xl")
    assert set(load_file(path)) == {"clip_l", "clip_g"}


def test_custom_diffusion_weights_and_edits(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    paths = save(tmp_path, model, learned.custom_adapter(model), "custom")
    assert [path.name for path in paths] == ["pytorch_custom_diffusion_weights.safetensors", "new1.safetensors"]
    assert all(".processor.to_" in name for name in load_file(paths[0]))
    weights = learned.weights_adapter(model)
    names = [path.relative_to(tmp_path).as_posix() for path in save(tmp_path, model, weights, "whole")]
    assert "whole/unet/diffusion_pytorch_model.safetensors" in names
    assert "whole/text_encoder/model.safetensors" in names
    save(tmp_path, model, learned.edit_adapter(model), "edit")
    assert read_json(tmp_path / "edit/unet/config.json")["in_channels"] == 8


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_networks(models_of: Models, tmp_path: Path, name: str) -> None:
    model = models_of(name)
    base = Path(model.location)
    for kind, net in (
        ("controlnet", tiny_controlnet(tmp_path / "c", base)),
        ("t2i_adapter", tiny_adapter(tmp_path / "t", base)),
    ):
        tensors = {f"net.{n}": t for n, t in load_file(net / "diffusion_pytorch_model.safetensors").items()}
        adapter = Adapter.of(kind, tensors, {"config": read_json(net / "config.json")}, "", name)
        save(tmp_path / "out", model, adapter, kind)
        same(load_adapter(model, str(tmp_path / "out" / kind)), adapter)
        for tensor_name, item in load_file(tmp_path / "out" / kind / "diffusion_pytorch_model.safetensors").items():
            assert torch.equal(item, tensors[f"net.{tensor_name}"])
    for kind in ("plain", "plus", "full"):
        file = tiny_image_adapter(tmp_path / kind, base, kind=kind)
        adapter = Adapter.of("ip_adapter", load_file(file), {}, "", name)
        (path,) = save(tmp_path / "out", model, adapter, kind)
        assert set(load_file(path)) == set(load_file(file))
        same(load_adapter(model, str(path)), adapter)


def test_names(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sd1")
    first, second = (learned.lora_adapter(model, seed=seed) for seed in (4, 5))
    assert save(tmp_path, model, first, "a.safetensors")[0].name == "a.safetensors"
    assert save(tmp_path, model, first, "a")[0].name == "a.safetensors"
    assert save(tmp_path, model, second, "a")[0].name == "a_2.safetensors"
    plain = save(tmp_path, model, first, "k.safetensors", "kohya")  # whose metadata holds the name
    assert save(tmp_path, model, first, "k", "kohya") == plain
    assert save(tmp_path, model, first, "f", "peft")[0].parent.name == "f"
    assert save(tmp_path, model, second, "f", "peft")[0].parent.name == "f_2"
    with pytest.raises(ValueError, match=r"must be relative|no name within"):
        save(tmp_path, model, first, "../x")
    with pytest.raises(ModelError, match=r"its layouts are diffusers, peft, kohya"):
        save(tmp_path, model, first, "x", "sdxl")


def scaled(adapter: Adapter, size: float) -> Adapter:
    """A LoRA that changes so much less."""
    tensors = {n: t * size if "lora_B" in n else t for n, t in adapter.tensors.items()}
    return Adapter.of("lora", tensors, adapter.settings, adapter.base, adapter.family)


def test_a_file_that_is_not_the_adapter_is_not_saved(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that scales wrongly, and a loader that does nothing, as diffusers' own does with Custom Diffusion."""
    from weft.nodes.training.files import loras

    model = models_of("sd1")
    adapter = learned.lora_adapter(model, seed=6)
    real = loras.kohya_file

    def wrong(*args: Any) -> Any:
        tensors, metadata = real(*args)
        return {n: t for n, t in tensors.items() if not n.endswith(".alpha")}, metadata

    monkeypatch.setattr(loras, "kohya_file", wrong)
    with pytest.raises(ModelError, match="is not the adapter: the unet's output differs"):
        save(tmp_path, model, adapter, "dogs/a", "kohya")
    assert list(tmp_path.iterdir()) == []
    tiny = scaled(adapter, 1e-4)
    pipeline = verify._pipeline

    def deaf(given: Model) -> Any:
        pipe = pipeline(given)
        pipe.load_lora_weights = lambda *args, **kwargs: None
        return pipe

    monkeypatch.setattr(verify, "_pipeline", deaf)
    with pytest.raises(ModelError, match="changes nothing"):
        save(tmp_path, model, tiny, "a")
    monkeypatch.setattr(verify, "_pipeline", pipeline)
    with pytest.raises(ModelError, match="is not the adapter"):  # a wrong strength of a change that is itself small
        save(tmp_path, model, scaled(adapter, 1e-3), "a", "kohya")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_differ_by_less_than_a_forward_shows(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One number of a whole denoiser; and a file that the loader refuses is an error of the file."""
    from weft.nodes.training.files import writing

    model = models_of("sd1")
    adapter, real = learned.weights_adapter(model, text=False), writing._write

    def wrong(part: Any, path: Path) -> None:
        if part.tensors:
            part.tensors["conv_in.bias"] = part.tensors["conv_in.bias"].clone()
            part.tensors["conv_in.bias"][0] += 1e-6
        real(part, path)

    monkeypatch.setattr(writing, "_write", wrong)
    with pytest.raises(ModelError, match=r"is not the adapter: the weight conv_in\.bias differs\. Nothing was saved"):
        save(tmp_path, model, adapter, "a")
    monkeypatch.setattr(writing, "_write", lambda part, path: real(part, path) if part.tensors else None)
    with pytest.raises(ModelError, match=r"cannot be loaded: .*Nothing was saved"):
        save(tmp_path, model, adapter, "a")
    assert list(tmp_path.iterdir()) == []


def test_everything_comes_back(models_of: Models, tmp_path: Path) -> None:
    model, base = models_of("sd1"), Path(models_of("sd1").location)
    net = tiny_controlnet(tmp_path / "c", base)
    tensors = {f"net.{n}": t for n, t in load_file(net / "diffusion_pytorch_model.safetensors").items()}
    adapters = [
        *(learned.lora_adapter(model, kind, seed=12) for kind in ("dora", "loha", "lokr", "oft")),
        learned.word_adapter(model, {"<a>": 2, "<b>": 1}),
        learned.custom_adapter(model),
        learned.weights_adapter(model),
        learned.edit_adapter(model),
        Adapter.of("controlnet", tensors, {"config": read_json(net / "config.json")}, "", "sd1"),
    ]
    for number, adapter in enumerate(adapters):
        paths = save(tmp_path / "out", model, adapter, f"x{number}")
        place = tmp_path / "out" / f"x{number}"
        again = load_adapter(model, str(place if place.is_dir() else paths[0]))
        same(again, adapter)
        if adapter.kind != "controlnet":
            assert checksum(applied(model, again)) == checksum(applied(model, adapter))
    with pytest.raises(ModelError, match="is of the kind controlnet, and lora is asked for"):
        load_adapter(model, str(tmp_path / "out" / "x8"), "lora")


def test_words_of_two_encoders_and_words_with_a_dot_come_back(models_of: Models, tmp_path: Path) -> None:
    model = models_of("sdxl")
    for adapter in (learned.custom_adapter(model), learned.word_adapter(model, {"<a>": 1, "v1.5": 2})):
        save(tmp_path, model, adapter, adapter.kind)
        same(load_adapter(model, str(tmp_path / adapter.kind)), adapter)
    small = models_of("sd1")
    (path,) = save(tmp_path, small, learned.word_adapter(small, {"v1.5": 1}), "dot")
    same(load_adapter(small, str(path)), learned.word_adapter(small, {"v1.5": 1}))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_other_names_of_a_text_encoders_layers_come_back(models_of: Models, tmp_path: Path, name: str) -> None:
    """With text_model. or without it: the same file, and the same model."""
    model = models_of(name)
    adapter = learned.lora_adapter(model, seed=13, text=True)
    bare = {n.replace(".text_model.", "."): t for n, t in adapter.tensors.items()}
    long = {re.sub(r"^(text_encoder(_2)?)\.", r"\1.text_model.", n): t for n, t in bare.items()}
    assert bare.keys() != long.keys()
    files = []
    for number, tensors in enumerate((bare, long)):
        other = Adapter.of("lora", tensors, adapter.settings, adapter.base, adapter.family)
        files += save(tmp_path / str(number), model, other, "a")
    assert files[0].read_bytes() == files[1].read_bytes()
    same(load_adapter(model, str(files[0])), adapter)


def test_paths_that_lead_elsewhere_are_refused(models_of: Models, tmp_path: Path) -> None:
    """A folder outside those that a run may read; and weights that an index names outside their folder."""
    model = models_of("sd1")

    (tmp_path / "open").mkdir()
    (tmp_path / "secret.safetensors").write_bytes(b"")
    (tmp_path / "open" / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    for path in ("../secret.safetensors", str(tmp_path / "secret.safetensors"), "link.safetensors"):
        with pytest.raises((InputPathError, ModelError), match="outside the folders that may be read"):
            load_adapter(model, path, ctx=Context(roots=[tmp_path / "open"]))
    whole = tmp_path / "whole" / "unet"
    whole.mkdir(parents=True)
    (whole / "config.json").write_text('{"in_channels": 4}')
    table = {"weight_map": {"conv_in.weight": "../../secret.safetensors"}}
    (whole / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match="names no files in its weight_map"):
        load_adapter(model, str(tmp_path / "whole"))


def test_pickles_are_refused(models_of: Models, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="pickles"):
        load_adapter(models_of("sd1"), str(tmp_path / "a.bin"))
    with pytest.raises(ModelError, match=r"holds no adapter: a\.bin.*pickle"):
        load_adapter(models_of("sd1"), str(tmp_path))
    (tmp_path / "a.bin").unlink()
    with pytest.raises(ModelError, match=r"holds no adapter: no \.safetensors file"):
        load_adapter(models_of("sd1"), str(tmp_path))
