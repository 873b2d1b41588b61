"""Hub ids: a local cache in the hub's own layout, and a hub that is not there. No network is used."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from weft.nodes import load_model
from weft.nodes.models.errors import ModelError
from weft.nodes.models.hub import wanted_files
from weft.nodes.models.locate import locate, weights_fingerprint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache; asking the hub fails as it does without network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def unreachable(*_: Any, **__: Any) -> Any:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    return cache


def put(cache: Path, model: Path, name: str = "someone/tiny") -> Path:
    """A model in the cache, as a download leaves it."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(model, repository / "snapshots" / COMMIT)
    return repository / "snapshots" / COMMIT


def test_a_cached_model_needs_no_network(models: Path, hub: Path) -> None:
    folder = put(hub, models / "sd1")
    model = load_model("someone/tiny")
    assert model.location == str(folder)
    assert model.parts().unet is not None
    assert weights_fingerprint(locate("someone/tiny")) == f"hub:{COMMIT}"
    assert load_model(f"someone/tiny@{COMMIT}").fingerprint == model.fingerprint


def test_offline_says_what_was_looked_for_and_where(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        load_model("someone/absent")
    for word in ("'someone/absent'", str(tmp_path / "someone" / "absent"), str(hub), "HF_HUB_OFFLINE is set"):
        assert word in str(caught.value)


def test_an_unreachable_hub_is_said(hub: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_model("someone/absent")
    for word in ("'someone/absent'", str(hub), "could not be reached", "Network is unreachable"):
        assert word in str(caught.value)


def test_a_check_asks_nobody(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.engine import check

    document = {"weft": 1, "nodes": {"m": {"type": "load_model", "inputs": {"source": "someone/absent"}}}}
    asked: list[Any] = []
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *a, **_: asked.append(a))
    assert check(document, targets=["m"]) == []
    assert asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (problem,) = check(document, targets=["m"])
    assert problem.code == "bad_value"
    assert "HF_HUB_OFFLINE is set" in problem.message


def test_half_a_download_names_what_is_missing(models: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(hub, models / "sd1")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"vae/diffusion_pytorch_model\.safetensors is missing .*Network is unreach"):
        load_model("someone/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"vae/diffusion_pytorch_model\.safetensors is missing .*HF_HUB_OFFLINE"):
        load_model("someone/tiny")


def test_a_download_fetches_only_what_is_needed(models: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {str(path.relative_to(models / "sd1")) for path in (models / "sd1").rglob("*") if path.is_file()}
    siblings = [SimpleNamespace(rfilename=n, size=1) for n in names | {"unet/x.bin", "v1.ckpt", "README.md"}]
    monkeypatch.setattr(
        huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=siblings, sha=COMMIT)
    )
    asked: list[list[str]] = []
    original = huggingface_hub.snapshot_download

    def download(repository: str, *, revision: str | None = None, local_files_only: bool = False, **rest: Any) -> str:
        if local_files_only:
            return str(original(repository, revision=revision, local_files_only=True))
        asked.append(rest["allow_patterns"])
        return str(put(hub, models / "sd1", repository))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    before = weights_fingerprint(locate("someone/tiny"))
    assert asked == [], "planning downloads nothing"
    model = load_model("someone/tiny")
    assert sorted(asked[0]) == sorted(names)
    assert model.fingerprint == before == weights_fingerprint(locate("someone/tiny")), "the key does not change"


def test_which_files_of_a_repository() -> None:
    names = {"model_index.json", "unet/config.json", "text_encoder/model.fp16.safetensors", "text_encoder/config.json"}
    names |= {f"unet/diffusion_pytorch_model{end}" for end in (".bin", ".fp16.safetensors", ".non_ema.safetensors")}
    plain = {"unet/diffusion_pytorch_model.safetensors"}
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in wanted_files("a/b", names)
    wanted = wanted_files("a/b", names | plain)
    assert [name for name in wanted if name.startswith("unet/")] == [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]
    assert "text_encoder/model.fp16.safetensors" in wanted
    shards = {
        f"unet/diffusion_pytorch_model{end}" for end in ("-00001-of-00002.safetensors", ".safetensors.index.json")
    }
    assert shards <= set(wanted_files("a/b", names | shards))
    with pytest.raises(ModelError, match=r"is no diffusers model.*it holds v1\.safetensors: download that file"):
        wanted_files("a/b", {"v1.safetensors"})
