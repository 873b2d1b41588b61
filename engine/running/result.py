"""What a run leaves: the targets' values, what was written, and how it went."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.skip import Skip
from weft.engine.errors import NodeError
from weft.engine.ownership import copy_for
from weft.engine.running.absent import ABSENT, Failed
from weft.engine.running.result_table import Row, plural, result_table
from weft.engine.values import Files, Outputs
from weft.graphs.problems import near


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing that a target made.

    Attributes:
        node: the target's id.
        kind: of a file what it is ("image", "video", "text", else "file"); of another value its type's name.
        path: the file, or None.
        value: the value itself when it is a number, a text or a truth value.
        output: name of the output.
    """

    node: str
    kind: str
    path: str | None = None
    value: str | int | float | bool | None = None
    output: str = ""

    @property
    def ref(self) -> str:
        """The path; for what is no file, `node.output`."""
        return self.path if self.path is not None else f"{self.node}.{self.output}"


def artifacts(node: str, node_type: NodeType, outputs: Outputs) -> Iterator[Artifact]:
    """The things in a target's result, one for each file."""
    for name, value in zip(node_type.outputs, outputs, strict=True):
        if type(value) in ABSENT:
            continue
        found = False
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, Files):
                found = True
                for path in part.paths:
                    yield Artifact(node, kind_of_file(path), path, None, name)
        if not found:
            plain = value if isinstance(value, (str, int, float, bool)) else None
            yield Artifact(node, type(value).__name__.lower(), None, plain, name)


def kind_of_file(path: str) -> str:
    """ "image", "video", "audio" or "text" by the file's suffix, else "file"."""
    major = (mimetypes.guess_type(path)[0] or "").partition("/")[0]
    return major if major in ("image", "video", "audio", "text") else "file"


@dataclass(frozen=True, slots=True)
class Failure:
    """A node that failed in a run that kept going.

    Attributes:
        node: its id.
        item: which item it was, from 0, outermost axis first; () where it does not run per item.
        error: what went wrong.
    """

    node: str
    item: tuple[int, ...]
    error: NodeError


@dataclass(slots=True, repr=False)
class Result:
    """A finished run. `result[handle]`, `result["node"]` and `result["node.output"]` give the targets' values.

    Attributes:
        outputs: what the targets made, in their order.
        ran: how many nodes ran.
        cached: how many nodes that the targets need did not have to.
        reused: how many steps, within nodes that ran, were taken from earlier runs.
        seconds: wall time of the whole.
        job: the job's id.
        aliases: names of outputs in the document -> where they are, for nodes whose type is a definition.
        failures: what failed, first things first, in a run that kept going; each once, however much needed it.
        broken: the targets that were not begun, since something that they need is wrong in the document.
    """

    job: str
    outputs: list[Artifact] = field(default_factory=list)
    ran: int = 0
    cached: int = 0
    reused: int = 0
    seconds: float = 0.0
    values: dict[str, tuple[NodeType, Outputs]] = field(default_factory=dict, repr=False)
    aliases: dict[str, str] = field(default_factory=dict, repr=False)
    failures: list[Failure] = field(default_factory=list)
    broken: dict[str, NodeError] = field(default_factory=dict, repr=False)

    def __getitem__(self, what: Any) -> Any:
        """The value of a target's output: the first one when no output is named.

        In a run that kept going, what failed of a target that runs per item stands in its list as a NodeError.

        It is a copy, made anew each time, which may be changed: neither the cache nor the result sees that. What cannot
        be copied, such as a loaded model, is the one that other runs get too.

        Raises:
            NodeError: it is not there, since it or something that it needs failed.
            KeyError: it was no target of the run, or has no such output.
        """
        text = what if isinstance(what, str) else str(what.link)
        text = self.aliases.get(text, text)
        node, _, output = text.partition(".")
        if node in self.broken:
            raise self.broken[node]
        if node not in self.values:
            hint = near(node, self.values)
            raise KeyError(f"{node!r} was no target of the run" + (f"; did you mean {hint!r}?" if hint else ""))
        node_type, outputs = self.values[node]
        position = node_type.output_positions.get(output or None)
        if position is None or position >= len(outputs):
            raise KeyError(f"{node!r} has no output {output!r}; it has {', '.join(node_type.outputs) or 'none'}")
        found = outputs[position]
        if type(found) is Failed:
            raise found.error
        return copy_for(found)

    def __contains__(self, what: object) -> bool:
        node = what if isinstance(what, str) else getattr(what, "node", "")
        return self.aliases.get(node, node).partition(".")[0] in self.values

    @property
    def summary(self) -> str:
        """How it went, in a few words, such as `1.2 s: 5 ran, 3 cached`."""
        words = [f"{self.ran} ran", f"{self.cached} cached"]
        if self.failures:
            words.append(f"{len(self.failures)} failed")
        if skipped := sum(type(value) is Skip for _, outputs in self.values.values() for value in outputs[:1]):
            words.append(f"{plural(skipped, 'target')} skipped")
        if self.reused:
            words.append(f"{plural(self.reused, 'step')} reused")
        return f"{self.seconds:.1f} s: {', '.join(words)}"

    def __repr__(self) -> str:
        return f"<Result of {plural(len(self.values), 'target')}, {self.summary}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: how it went, what failed, and each target with its pictures."""
        names = {where: name for name, where in self.aliases.items()}
        failed = [
            Row(names.get(failure.node, failure.node), failure.error.message, failed=True) for failure in self.failures
        ]
        return result_table(self.summary, failed, list(self._rows(names)))

    def _rows(self, names: Mapping[str, str]) -> Iterator[Row]:
        """Each output of each target."""
        for node, (node_type, outputs) in self.values.items():
            for output, value in zip(node_type.outputs, outputs, strict=False):
                where = f"{node}.{output}"
                name = names.get(where) or (names.get(node, node) if len(outputs) == 1 else where)
                if type(value) is Failed:
                    yield Row(name, value.error.message, failed=True)
                elif type(value) is Skip:
                    yield Row(name, f"skipped: {value.reason}" if value.reason else "skipped")
                else:
                    yield Row(name, value=value)


class RunFailed(Exception):  # noqa: N818 (it reads as what happened)
    """A run ended because nodes failed.

    Attributes:
        errors: what failed, first things first.
        result: what was finished before, as far as it was asked for.
    """

    def __init__(self, errors: list[NodeError], result: Result | None = None) -> None:
        self.errors = errors
        self.result = result
        super().__init__("; ".join(map(str, errors)))

    @property
    def error(self) -> NodeError:
        """The first failure."""
        return self.errors[0]
