"""What a source names: bundled models, paths, names in model folders, the hub's cache; and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from weft import Graph
from weft.engine import Cache, Context, InputPathError, RunFailed, check, run
from weft.engine.declaring import file_store
from weft.engine.declaring.model_folders import VARIABLE
from weft.nodes import apply_lora, load_controlnet, load_model
from weft.nodes.models import bundled
from weft.nodes.models.errors import ModelError
from weft.nodes.models.locate import locate, weights_fingerprint
from weft.nodes.models.sources import CONTROLNET, EMBEDDING, LORA, files_fingerprint, find, names_in

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an empty hub cache."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "here"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two model folders, the first of which has the LoRA `loras/heart`, and both `star`."""
    one, two = tmp_path / "one", tmp_path / "two"
    write(one / "loras" / "heart.safetensors")
    write(one / "star.safetensors")
    write(two / "star.safetensors", 2)
    write(two / "moon.safetensors")
    monkeypatch.setenv(VARIABLE, f"{one}{os.pathsep}{two}")
    return one, two


def write(path: Path, count: int = 1) -> Path:
    """A file that is sound, whatever it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"a": torch.zeros(count)}, path)
    return path


def test_names_in_model_folders(folders: tuple[Path, Path]) -> None:
    one, two = folders
    assert find("loras/heart", LORA) == find("loras/heart.safetensors", LORA) == one / "loras" / "heart.safetensors"
    assert find("star", LORA) == one / "star.safetensors", "the first folder wins"
    assert find("moon", LORA) == two / "moon.safetensors"


def test_the_order_of_looking(folders: tuple[Path, Path], place: Path) -> None:
    one, _ = folders
    write(one / "shapes-heart.safetensors")
    assert find("shapes-heart", LORA) == bundled.home() / bundled.LORAS["shapes-heart"]
    write(place / "star")
    with pytest.raises(ModelError, match=r"is no \.safetensors file"):
        find("star", LORA)
    (place / "star").unlink()
    write(place / "star" / "adapter_model.safetensors")
    assert find("star", LORA).parent == place / "star", "a path here comes before a model folder"
    assert find("./star", LORA).parent == place / "star"
    cached(Path(constants.HF_HUB_CACHE), "loras/heart", "pytorch_lora_weights.safetensors")
    assert find("loras/heart", LORA) == one / "loras" / "heart.safetensors", "and a model folder before the hub"


def cached(cache: Path, name: str, *files: str) -> Path:
    """A repository in the hub's cache, as a download leaves it: links into a store."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for number, file in enumerate(files):
        blob = write(repository / "blobs" / f"{number:040d}")
        (snapshot / file).symlink_to(blob)
    return snapshot


@pytest.mark.parametrize("file", ["pytorch_lora_weights.safetensors", "adapter_model.safetensors", "mine.safetensors"])
def test_a_lora_of_the_hub(file: str) -> None:
    snapshot = cached(Path(constants.HF_HUB_CACHE), "someone/heart", file)
    assert find("someone/heart", LORA) == snapshot / file
    assert find(f"someone/heart@{COMMIT}", LORA) == snapshot / file
    assert find(str(snapshot / file), LORA).exists(), "a link whose file has no ending is read by its name"


def test_folders_as_diffusers_and_peft_save_them(place: Path) -> None:
    write(place / "peft" / "adapter_model.safetensors")
    write(place / "both" / "pytorch_lora_weights.safetensors")
    write(place / "both" / "other.safetensors")
    assert find("peft", LORA).name == "adapter_model.safetensors"
    assert find("both", LORA).name == "pytorch_lora_weights.safetensors"
    write(place / "word" / "learned_embeds.safetensors")
    write(place / "word" / "learned_embeds-steps-500.safetensors")
    assert find("word", EMBEDDING).name == "learned_embeds.safetensors"
    with pytest.raises(ModelError, match=r"holds learned_embeds-steps-500\.safetensors, learned_embeds\.safet.*: give"):
        find("word", LORA)
    (place / "old").mkdir()
    with pytest.raises(ModelError, match=r"pytorch_lora_weights\.safetensors or adapter_model\.safet.* is not in it"):
        find("old", LORA)
    (place / "old" / "pytorch_lora_weights.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"holds pytorch_lora_weights\.bin and no safetensors.* pickles"):
        find("old", LORA)


def test_one_error_says_where_was_looked_and_what_is_near(folders: tuple[Path, Path], place: Path) -> None:
    one, two = folders
    with pytest.raises(ModelError) as caught:
        find("lora/heart", LORA)
    for part in ("no LoRA 'lora/heart'", "shapes-heart", str(place / "lora" / "heart"), str(one), str(two)):
        assert part in str(caught.value)
    assert constants.HF_HUB_CACHE in str(caught.value)
    assert str(caught.value).endswith("Did you mean 'loras/heart'?")
    with pytest.raises(ModelError, match="Did you mean 'shapes-edges'"):
        find("shapes-edge", CONTROLNET)


def test_a_model_folder_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "unplugged"))
    with pytest.raises(ModelError, match=r"unplugged \(which is not there\)"):
        find("star", LORA)


@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "loras/../../secret", "./star", "loras//heart", "loras/./heart", "...", "~/star", "/secret"),
        *("\\star", "..\\secret", "%2e%2e/secret", "~nobody-of-that-name/star", "@", "owner/name@../../x"),
        *("x" * 5000, "a\nb", "\udcff"),
    ],
)
def test_hostile_names(folders: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret.safetensors")
    for loader in (lambda: find(name, LORA), lambda: locate(name)):
        with pytest.raises(ModelError):
            loader()


@pytest.mark.parametrize("name", ["a.ckpt", "A.BIN", "loras/a.pt", "x.pkl", "y.pth"])
def test_pickles_are_refused_wherever_they_lie(folders: tuple[Path, Path], name: str) -> None:
    path = folders[0] / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x80\x04.")
    for source in (name, str(path)):
        with pytest.raises(ModelError, match=r"is not read: such files are pickles"):
            find(source, LORA)


def test_links_do_not_lead_out_of_a_model_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = folders
    outside = write(tmp_path / "outside" / "a.safetensors")
    (one / "out.safetensors").symlink_to(outside)
    (one / "folder").symlink_to(outside.parent)
    (one / "loop.safetensors").symlink_to("loop.safetensors")
    for name in ("out", "folder/a"):
        with pytest.raises(ModelError, match="is a link that leads out of the model folder"):
            find(name, LORA)
    with pytest.raises(ModelError, match="no LoRA 'loop'"):
        find("loop", LORA)
    (one / "within.safetensors").symlink_to(one / "star.safetensors")
    assert find("within", LORA) == one / "star.safetensors"


def test_the_model_folder_itself_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = write(tmp_path / "disk" / "star.safetensors")
    (tmp_path / "link").symlink_to(real.parent)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "link"))
    assert find("star", LORA) == real
    assert find("star", LORA, Context(roots=[]).resolve_input_path) == real


def test_where_reading_is_bounded(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Model folders may be read, by name and by path; nothing else than they and the roots."""
    one, _ = folders
    outside, root = write(tmp_path / "outside.safetensors"), tmp_path / "root"
    write(root / "mine.safetensors")
    allowed = Context(roots=[root]).resolve_input_path
    assert find("mine.safetensors", LORA, allowed) == root / "mine.safetensors"
    assert find("star", LORA, allowed) == find(str(one / "star.safetensors"), LORA, allowed)
    for source in (str(outside), "../outside.safetensors"):
        with pytest.raises(InputPathError):
            find(source, LORA, allowed)
    with Graph() as graph:
        apply_lora(load_model("shapes"), str(outside))
        load_controlnet(str(outside))
    codes = {(problem.node, problem.code) for problem in check(graph.workflow(), roots=[root]) if problem.input}
    assert codes == {("apply_lora", "path_outside_root"), ("load_controlnet", "path_outside_root")}


def test_a_file_that_vanishes_between_check_and_run(
    folders: tuple[Path, Path], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.tiny_nets import tiny_controlnet

    net = tiny_controlnet(folders[1] / "net", models / "sd1")
    with Graph() as graph:
        load_controlnet("net")
    assert check(graph.workflow(), targets=["load_controlnet"]) == []
    (net / "diffusion_pytorch_model.safetensors").unlink()
    (problem,) = check(graph.workflow(), targets=["load_controlnet"])
    assert (problem.code, problem.input) == ("bad_value", "source")
    assert "diffusion_pytorch_model.safetensors is missing" in problem.message
    # As when it goes right after the check: planning gives the node no key, and the node says what is wrong.
    monkeypatch.setattr("weft.nodes.nets.source.problems", lambda *_: iter(()))
    with pytest.raises(RunFailed) as caught:
        run(graph, ["load_controlnet"], cache=Cache())
    assert caught.value.error.node == "load_controlnet"
    assert "diffusion_pytorch_model.safetensors is missing" in caught.value.error.message


def test_a_model_by_name(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(models))
    assert locate("sd1").path == models / "sd1"
    assert weights_fingerprint(locate("sd1")) == weights_fingerprint(locate(str(models / "sd1")))
    assert load_model("sdxl", ctx=Context(roots=[tmp_path])).family == "sdxl"


def test_a_network_that_was_moved_is_found_again(folders: tuple[Path, Path], models: Path) -> None:
    """Its handle may come from the cache, and name the place where it lay."""
    import shutil

    from tests.tiny_nets import tiny_controlnet
    from weft.nodes.nets.files import describe_controlnet
    from weft.nodes.nets.live import load_net

    one, two = folders
    tiny_controlnet(two / "net", models / "sd1")
    handle = load_controlnet("net")
    shutil.move(two / "net", one / "net")
    where = (torch.device("cpu"), torch.float32)
    held = load_net(handle.source, handle.location, handle.fingerprint, describe_controlnet, *where, kind=CONTROLNET)
    assert held.item.config.cross_attention_dim == 32
    shutil.rmtree(one / "net")
    with pytest.raises(ModelError, match="is no longer in"):
        load_net(handle.source, handle.location, handle.fingerprint, describe_controlnet, *where, kind=CONTROLNET)


def test_adapters_that_were_moved_are_found_again(folders: tuple[Path, Path]) -> None:
    """All that change weights: as the network above, a result in the cache names where their files lay."""
    import shutil

    from weft.nodes import load_custom_diffusion, load_dreambooth, load_textual_inversion

    one, two = folders
    copies = {
        "l": bundled.LORAS["shapes-heart"],
        "w": bundled.WORDS["shapes-dome"],
        "c": bundled.CUSTOM["shapes-house"],
    }
    for name, place in copies.items():
        shutil.copy(bundled.home() / place, one / f"{name}.safetensors")
    shutil.copytree(bundled.home() / bundled.MODEL / "unet", one / "trained" / "unet")
    made = load_dreambooth("trained", load_model("shapes", dtype="float32", device="cpu"))
    made = load_custom_diffusion(apply_lora(load_textual_inversion(made, ["w"]), "l"), "c")
    for name in (*(f"{name}.safetensors" for name in copies), "trained"):
        shutil.move(one / name, two / name)
    with made.parts() as parts:
        assert parts.unet is not None
        assert "<dome>" in parts.component("tokenizer").get_vocab()
    (two / "l.safetensors").unlink()
    with pytest.raises(ModelError, match="'l' is no longer in"):
        made.patches[2].apply("unet", made.parts().shell("unet"), made.parts())


def test_a_fingerprint_is_of_content(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a" / "x.safetensors"), write(tmp_path / "b" / "y.safetensors")
    assert files_fingerprint([one], one.parent) == files_fingerprint([two], two.parent)
    write(two, 3)
    assert files_fingerprint([one], one.parent) != files_fingerprint([two], two.parent)
    with pytest.raises(ModelError, match="cannot be read"):
        files_fingerprint([tmp_path / "gone"], tmp_path)


def test_names(folders: tuple[Path, Path]) -> None:
    one, two = folders
    write(one / "sd" / "unet" / "a.safetensors")
    (one / "sd" / "model_index.json").write_text("{}")
    write(one / ".hidden" / "a.safetensors")
    write(one / "star" / "inner.safetensors")
    (one / "notes.txt").write_text("")
    (two / "old.ckpt").write_bytes(b"")
    found = [name for name, _ in names_in([one, two])]
    assert found == ["sd", "star.safetensors", "loras/heart", "star/inner", "moon", "old.ckpt", "star"]
    for name, path in names_in([one]):
        assert find(name, CONTROLNET) == path
    assert list(names_in([one / "nowhere"])) == []


def test_a_network_by_name_for_another_family_is_found_by_the_check(models: Path, tmp_path: Path) -> None:
    from tests.tiny_nets import tiny_controlnet, tiny_image_adapter
    from weft.nodes import cfg, controlnet, denoise, encode_prompt, ip_adapter, load_image, load_ip_adapter

    tiny_controlnet(tmp_path / "nets" / "edges", models / "sdxl")
    tiny_image_adapter(tmp_path / "nets" / "pictures", models / "sdxl")
    with pytest.MonkeyPatch.context() as patch, Graph() as graph:
        patch.setenv(VARIABLE, f"{models}{os.pathsep}{tmp_path / 'nets'}")
        model = load_model("sd1")
        controls = [
            controlnet(load_controlnet("edges"), load_image("x.png")),
            ip_adapter(load_ip_adapter("pictures"), load_image("x.png")),
        ]
        denoise(model, guidance=[cfg(encode_prompt(model, "a"))], controls=controls)
        problems = {problem.node: problem.message for problem in check(graph.workflow(), targets=["denoise"])}
    assert "is for SDXL and the model is Stable Diffusion 1.x" in problems["controlnet"]
    assert "cross-attention layers" in problems["ip_adapter"]
    assert not {"load_model", "load_controlnet", "load_ip_adapter"} & problems.keys()


def test_weights_of_the_file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no ending there; what is no safetensors file inside is refused all the same."""
    lora = (bundled.home() / bundled.LORAS["shapes-heart"]).read_bytes()
    ids = {}
    for name, data in {"lora": lora, "other": b"\x80\x04\x95" + bytes(40)}.items():
        ids[name] = "sha256:" + hashlib.sha256(data).hexdigest()
        path = file_store.place_of(tmp_path / "files", ids[name])
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    monkeypatch.setenv(file_store.VARIABLE, str(tmp_path / "files"))
    with Graph() as graph:
        model = load_model("shapes")
        for id in (ids["lora"], ids["other"], "sha256:" + "0" * 64):
            apply_lora(model, id)
    problems = {problem.node: problem for problem in check(graph, targets=["apply_lora"], roots=[])}
    assert problems.keys() == {"apply_lora_2", "apply_lora_3"}
    assert {(problem.code, problem.input) for problem in problems.values()} == {("bad_value", "source")}
    assert problems["apply_lora_2"].message.startswith(f"{ids['other']} is truncated")
    assert problems["apply_lora_3"].message.startswith("there is no file sha256:000")


def test_the_encoder_of_an_ip_adapter_that_was_moved_is_found_again(folders: tuple[Path, Path]) -> None:
    """That of a bundled adapter as well: a cached result names the place of an installation that may have gone."""
    import shutil
    from dataclasses import replace

    from weft.nodes import load_ip_adapter
    from weft.nodes.techniques.load_ip_adapter import encoder_now

    one, two = folders
    shipped = load_ip_adapter("shapes-image")
    assert encoder_now(replace(shipped, location="/gone/net", encoder="/gone/encoder")) == shipped.encoder
    shutil.copy(shipped.location, one / "ip.safetensors")
    shutil.copytree(shipped.encoder, one / "image_encoder")
    own = load_ip_adapter("ip")
    for name in ("ip.safetensors", "image_encoder"):
        shutil.move(one / name, two / name)
    assert Path(encoder_now(own)) == two / "image_encoder"
    shutil.rmtree(two / "image_encoder")
    assert encoder_now(own) == own.encoder
