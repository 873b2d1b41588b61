"""`--set NAME=VALUE`: text from a command line becomes what the input takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.engine import Catalogue, Port
    from weft.graphs.document import Workflow


def apply_settings(workflow: Workflow, settings: list[str], catalogue: Catalogue) -> Workflow:
    """The workflow with every `NAME=VALUE` set; NAME is a parameter or `node.input`.

    Raises:
        ValueError: a setting has no `=`.
        WorkflowError: a name that does not exist.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise ValueError(f"{setting!r} is not NAME=VALUE")
        values[name] = text
    return workflow.with_values({name: _parse(workflow, name, text, catalogue) for name, text in values.items()})


def _parse(workflow: Workflow, name: str, text: str, catalogue: Catalogue) -> Any:
    from weft.engine.checking.definitions import use_port
    from weft.graphs.problems import WorkflowError

    try:
        node, input = workflow.resolve_parameter(name)
    except WorkflowError:
        return text  # `with_values` says what is wrong with it, together with all other names
    port = use_port(workflow, node, input, catalogue)
    return text if port is None else parse_value(port, text)


def parse_value(port: Port, text: str) -> Any:
    """The literal that `text` means for `port`: itself where the port takes text, else what it is as JSON.

    Text that means nothing to the port stays text; the check then says what the port takes.
    """
    from weft.engine.declaring.ports import validate

    takes_text = not validate(port, text)
    # Where both readings fit (`int | str`, Any), 3 is a number: a person would have to quote it to mean the text.
    if takes_text and port.item is str:
        return text
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return text if takes_text and validate(port, value) else value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
