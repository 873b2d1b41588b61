"""A workflow as a command uses it: with `--set`, with seeds that were drawn, with paths that lead to their files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.server.cli.sources import STDIN, read_workflow

if TYPE_CHECKING:
    from weft.engine import Catalogue
    from weft.engine.declaring.ports import Port
    from weft.graphs.document import NodeSpec, Workflow

RANDOM = "random"
"""The value of `--set` by which a seed is drawn."""


def open_workflow(file: Path, settings: Sequence[str] | None, catalogue: Catalogue) -> tuple[Workflow, dict[str, int]]:
    """The workflow with `--set` and with its paths found, and the seeds that were drawn, by the names they were set by.

    Raises WorkflowError: the document or a setting is wrong.
    """
    from weft.engine import with_settings

    workflow = read_workflow(file)
    texts, drawn = draw_seeds(workflow, settings or [], catalogue)
    workflow = with_settings(workflow, texts, catalogue)
    is_file = file != STDIN and file.expanduser().is_file()
    return find_paths(workflow, catalogue, file.expanduser().parent if is_file else None), drawn


def draw_seeds(workflow: Workflow, settings: Sequence[str], catalogue: Catalogue) -> tuple[list[str], dict[str, int]]:
    """The settings with a number in place of each `random` that a seed is set to, and these numbers by name."""
    from weft.engine.checking.definitions import use_port
    from weft.graphs.problems import WorkflowError

    texts, drawn = [], {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if equals and text == RANDOM:
            try:
                port = use_port(workflow, *workflow.resolve_parameter(name), catalogue)
            except WorkflowError:  # told by who sets it
                port = None
            if port is not None and _is_seed(port):
                # At most 32 bits: a number that people can read out and type.
                high = min(int(port.range.high or 0) if port.range is not None else 0, 2**32 - 1) or 2**32 - 1
                drawn[name] = secrets.randbelow(high + 1)
                setting = f"{name}={drawn[name]}"
        texts.append(setting)
    return texts, drawn


def _is_seed(port: Port) -> bool:
    named = port.name == "seed" or port.name.endswith("_seed")
    return port.item is int and (named or (port.widget is not None and port.widget.kind == "seed"))


def find_paths(workflow: Workflow, catalogue: Catalogue, folder: Path | None) -> Workflow:
    """A copy in which paths of files to read lead there: `~` is the home folder, and a relative path that is not there
    in the working directory is taken from `folder`, that of the workflow, if it is there."""
    from weft.engine.checking.definitions import use_port

    def inner(spec: NodeSpec, name: str) -> Port | None:
        node_type = catalogue.get(spec.type)
        return None if node_type is None else node_type.inputs.get(name)

    nodes = {
        id: _located(spec, folder, lambda name, id=id: use_port(workflow, id, name, catalogue))  # type: ignore[misc]
        for id, spec in workflow.nodes.items()
    }
    definitions = {
        key: definition.model_copy(
            update={
                "nodes": {
                    id: _located(spec, folder, lambda name, spec=spec: inner(spec, name))  # type: ignore[misc]
                    for id, spec in definition.nodes.items()
                }
            }
        )
        for key, definition in workflow.definitions.items()
    }
    if nodes == workflow.nodes and definitions == workflow.definitions:
        return workflow
    return workflow.model_copy(update={"nodes": nodes, "definitions": definitions})


def _located(spec: NodeSpec, folder: Path | None, port_of: Callable[[str], Port | None]) -> NodeSpec:
    changed: dict[str, Any] = {}
    for name, value in spec.inputs.items():
        if not isinstance(value, (str, list)):
            continue
        port = port_of(name)
        kind = port.widget.kind if port is not None and port.widget is not None else ""
        if kind in ("file", "model"):
            parts = value if isinstance(value, list) else [value]
            located = [_path(part, folder, kind) if isinstance(part, str) else part for part in parts]
            if located != parts:
                changed[name] = located if isinstance(value, list) else located[0]
    return spec.model_copy(update={"inputs": {**spec.inputs, **changed}}) if changed else spec


def _path(text: str, folder: Path | None, kind: str) -> str:
    from weft.engine.declaring.file_store import PREFIX

    if "\0" in text or text.startswith(PREFIX):
        return text  # the check says so; or it is the id of a file, wherever that lies
    if text.startswith("~"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError:  # no such user
            return text
    # What names a model may be the name of a bundled one or of a repository: only what is plainly a path is one here.
    if folder is None or not text or (kind == "model" and not text.startswith((f".{os.sep}", f"..{os.sep}"))):
        return text
    try:
        if not Path(text).is_absolute() and not os.path.lexists(text) and (folder / text).exists():
            return os.path.relpath(folder / text)
    except (OSError, ValueError):
        return text
    return text
