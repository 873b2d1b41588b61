"""The declaration of what stands for a value that is there, where a graph would have a node."""

from __future__ import annotations

from typing import Any

from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import OutputPort


class Constant(NodeType):
    """The declaration of what stands for a value that is there: no inputs, and one output by whatever name.

    Args:
        number: tells it from others whose classes have the same name. No node of a catalogue can have such a name.
    """

    stands = True

    def __init__(self, kind: Any, output: str, number: int) -> None:
        def given() -> Any:
            raise AssertionError("a given value is there before anything runs")

        super().__init__(
            given, f"given {number}, {getattr(kind, '__name__', 'any')}", 1, "", cache="pure", fingerprint=None,
            resource="cpu", output=False, side_files=False, tags=(), check=None, migrations={},
        )  # fmt: skip
        self.__dict__["inputs"] = {}
        self.__dict__["outputs"] = {output: OutputPort(output, kind)}
        self.__dict__["output_positions"] = _First()


class _First(dict[str | None, int]):
    def __missing__(self, name: str | None) -> int:
        return 0
