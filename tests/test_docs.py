"""The pages under docs/ that hold code: it runs, and does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.pasted import ROOT, block, module
from tests.tiny import tiny_sd1
from weft.engine import Cache, Catalogue, check, run
from weft.nodes import load_model
from weft.nodes.values import Model

PAGE = "docs/adding-a-technique.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_sd1(tmp_path_factory.mktemp("docs") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load_model(str(folder), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """With the page's technique in a folder of its own, found as --nodes finds it."""
    place = tmp_path_factory.mktemp("my_techniques")
    (place / "frequency_guidance.py").write_text(block(PAGE, "python", "class FrequencyGuidance"), "utf-8")
    found = Catalogue.load([place])
    assert found.failures == []
    return found


@pytest.fixture(scope="module")
def own_tests(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return module(tmp_path_factory.mktemp("own") / "page_tests.py", block(PAGE, "python", "def test_"))


def technique(catalogue: Catalogue) -> Any:
    """The page's node, to be called."""
    found = catalogue.get("frequency_guidance")
    assert found is not None
    return found.fn


def _names_of_its_tests() -> Iterator[str]:
    for line in block(PAGE, "python", "def test_").splitlines():
        if line.startswith("def test_"):
            yield line.removeprefix("def ").partition("(")[0]


def test_the_technique_is_short() -> None:
    lines = [line for line in block(PAGE, "python", "class FrequencyGuidance").splitlines() if line.strip()]
    assert len(lines) < 60


@pytest.mark.parametrize("name", list(_names_of_its_tests()))
def test_the_pages_own_tests_pass(name: str, own_tests: ModuleType, model: Model, catalogue: Catalogue) -> None:
    getattr(own_tests, name)(model, technique(catalogue))


def test_its_halves_add_up_in_a_window_and_cost_no_row(model: Model, catalogue: Catalogue) -> None:
    """Through the real loop: beside other terms, under a multistep scheduler, and counted at the denoiser."""
    from weft.nodes import cfg, denoise, encode_prompt

    make: Any = technique(catalogue)
    base = cfg(encode_prompt(model, "a red circle"), scale=3.0)
    parts = model.parts()
    rows: list[int] = []
    hook = parts.unet.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(args[0] if args else kwargs["sample"])), with_kwargs=True
    )

    def made(*more: Any) -> torch.Tensor:
        rows.clear()
        options: Any = {"scheduler": "dpmpp_2m", "width": 64, "height": 64, "steps": 3, "seed": 4}
        return denoise(model, [base, *more], **options).latents.samples

    try:
        plain, calls = made(), list(rows)
        both = made(make(low=1.5, high=-0.5))
        assert rows == calls
        apart = made(make(low=1.5, high=0.0), make(low=0.0, high=-0.5))
        assert float((both - apart).norm() / both.norm()) < 1e-3
        assert not both.equal(plain)
    finally:
        hook.remove()


def test_the_workflow_with_it_runs(folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    document = json.loads(block(PAGE, "json", "frequency_guidance"))
    document["nodes"]["model"]["inputs"]["source"] = str(folder)
    document["nodes"]["denoise"]["inputs"] |= {"steps": 2, "width": 64, "height": 64}
    assert check(document, catalogue=catalogue) == []
    assert [problem.code for problem in check(document) if problem.severity == "error"] == ["unknown_node_type"]
    options: Any = {"catalogue": catalogue, "cache": Cache(tmp_path / "cache"), "out": tmp_path}
    assert run(document, **options).ran == 7
    assert (tmp_path / "forms.png").is_file()
    document["nodes"]["forms"]["inputs"]["high"] = 1.5
    assert run(document, **options).ran == 4  # forms, denoise, image, save


def test_what_the_pages_node_says_is_heard(tmp_path: Path) -> None:
    """The picture behind it is known to be too small; without the tag nothing is."""
    from PIL import Image as Pillow

    Pillow.new("RGB", (64, 96), "white").save(tmp_path / "small.png")
    nodes: dict[str, Any] = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "model"}, "text": "a red circle"}},
        "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}}},
        "small": {"type": "load_image", "inputs": {"path": str(tmp_path / "small.png")}},
        "mirror": {"type": "mirror", "inputs": {"image": {"link": "small"}}},
        "net": {"type": "load_controlnet", "inputs": {"source": "shapes-edges"}},
        "edges": {"type": "controlnet", "inputs": {"net": {"link": "net"}, "hint": {"link": "mirror"}}},
        "draw": {
            "type": "denoise",
            "inputs": {"model": {"link": "model"}, "guidance": [{"link": "cfg"}], "controls": [{"link": "edges"}]},
        },
    }
    code, tag = block(PAGE, "python", '@node("mirror"'), ', tags=(size_of("image"),)'
    assert tag in code
    found = []
    for name, text in (("with", code), ("without", code.replace(tag, ""))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mirror.py").write_text(text, "utf-8")
        problems = check({"weft": 1, "nodes": nodes}, targets=["draw"], catalogue=Catalogue.load([tmp_path / name]))
        found.append([(problem.code, problem.node, problem.input, problem.given) for problem in problems])
    assert found == [[("bad_value", "edges", "hint", "64 x 96")], []]


def test_the_page_lists_every_tag() -> None:
    from weft.nodes import checks

    others = {"misdeclared", "says"}
    tags = {name for name in dir(checks.tags) if not name.startswith("_")} & set(checks.__all__) - others
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    listed = set(re.findall(r"`(\w+)[`(]", "".join(rows)))
    assert len(tags) > 15
    assert tags - {"CHANNELS", "START"} <= listed  # those two are said with what goes with them


@pytest.mark.parametrize("typed", [False, True])
def test_the_cells_of_the_notebook_page_print_what_it_says(typed: bool, tmp_path: Path) -> None:
    """As a script, and without a file, as at a prompt."""
    page = (ROOT / "docs/notebook.md").read_text("utf-8")
    cells = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(cells) == 5
    script = tmp_path / "script.py"
    script.write_text("\n".join(cells), "utf-8")
    done = subprocess.run(
        [sys.executable, "-" if typed else str(script)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, input=script.read_text("utf-8"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [
        text for line in re.findall(r"^It prints (.*)", page, re.MULTILINE) for text in re.findall(r"`(.+?)`", line)
    ]
    assert done.stdout.splitlines() == said


def test_each_hook_is_where_the_page_says() -> None:
    rows = re.findall(r"\| `(\w+)` \| `([\w/.]+)` \|", (ROOT / PAGE).read_text("utf-8"))
    assert len(rows) == 9

    def defines(hook: str, name: str) -> bool:
        return re.search(rf"    def {hook}\(\s*(self|techniques)\b", (ROOT / name).read_text("utf-8")) is not None

    wrong = [row for row in rows if not defines(*row)]
    assert wrong == []


def anchors(page: Path) -> set[str]:
    """What a link may name in a page: its headings, as GitHub writes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
PAGES += [f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert [page for page in PAGES if page != "README.md" and f"({page})" not in text] == []
