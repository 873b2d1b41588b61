"""Declaring, checking and planning touch nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "diffusers", "transformers", "safetensors", "huggingface_hub")


def run(code: str) -> str:
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_nodes_imports_no_torch() -> None:
    assert run(f"import sys, weft.nodes; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_checking_and_keying_a_model_import_no_torch(models: Path) -> None:
    code = f"""
import sys
from weft import engine, nodes
source = {str(models / "sdxl")!r}
document = {{"weft": 1, "nodes": {{"m": {{"type": "load_model", "inputs": {{"source": source}}}}}}}}
assert engine.check(document, targets=["m"]) == []
assert nodes.load_model.node_type.fingerprint(source=source, dtype="auto", device="auto")
print([m for m in {HEAVY} if m in sys.modules])
"""
    assert run(code) == "[]"


def test_a_lazy_module_loads_at_its_first_use_only() -> None:
    code = """
import sys
from weft.nodes.lazy import lazy
wave = lazy("wave")
hasattr(wave, "__wrapped__"), repr(wave)
assert "wave" not in sys.modules
assert wave.open is sys.modules["wave"].open
print("done")
"""
    assert run(code) == "done"


def test_every_node_file_is_exported() -> None:
    from weft import nodes

    folder = Path(nodes.__file__).parent / "basic"
    for path in folder.glob("*.py"):
        if path.stem in ("load_model", "encode_prompt"):
            assert hasattr(nodes, path.stem)


def test_every_node_is_listed_for_type_checkers() -> None:
    from weft import nodes
    from weft.engine import Node

    listed = Path(nodes.__file__).read_text(encoding="utf-8")
    missing = [
        f"from {item.node_type.fn.__module__} import {name} as {name}"
        for name, item in vars(nodes).items()
        if isinstance(item, Node) and f"import {name} as {name}\n" not in listed
    ]
    assert missing == [], "add these to the TYPE_CHECKING block of nodes/__init__.py"
