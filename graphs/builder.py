"""Workflows written in Python: inside `with Graph()` a node that is called is recorded instead of computed.

    with Graph("red circle") as g:
        model = load_model("shapes")
        image = decode(model, denoise(model, guidance=[cfg(encode_prompt(model, "a red circle"))]).latents)
        save_image(image, "red")
    g.workflow().save("red.json")

What a recorded call returns is a `Handle`, typed as the value that the node will make. The decorator that makes
functions nodes (`engine.node`) asks `current_graph` whether to record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, NoReturn, TypeVar, cast

from weft.graphs.attempts import retry_fault, timeout_fault
from weft.graphs.definitions import INPUTS
from weft.graphs.document import Definition, NodeSpec, Parameter, Workflow
from weft.graphs.inputs import Link, literal
from weft.graphs.names import id_stem, node_id_fault
from weft.graphs.operators import refuse_operators
from weft.graphs.problems import near
from weft.graphs.showing import Shown

T = TypeVar("T")

_current: ContextVar[Graph | None] = ContextVar("weft_graph", default=None)


def current_graph() -> Graph | None:
    """The graph whose `with` block runs in this thread or task, the innermost one, or None."""
    return _current.get()


class _Node:
    """A recorded node. Handles point at it, so that renaming it is one assignment."""

    __slots__ = ("graph", "id", "inputs", "outputs", "retry", "timeout", "type", "version")

    def __init__(
        self, graph: Graph, id: str, type: str, version: int | None, inputs: dict[str, Any], outputs: tuple[str, ...]
    ) -> None:
        self.graph, self.id, self.type, self.version = graph, id, type, version
        self.inputs, self.outputs = inputs, outputs
        self.retry: int | None = None
        self.timeout: float | None = None


class Handle:
    """What a recorded call returns: an output that will exist when the workflow runs.

    A node's outputs are attributes (`denoised.latents`) or items (`denoised["latents"]`), and a node with several
    can be unpacked. The handle of a node as a whole stands for its first output. Nothing else can be done with it:
    there is no value yet.
    """

    __slots__ = ("_node", "_output")
    _node: _Node
    _output: str | None

    def __init__(self, node: _Node, output: str | None = None) -> None:
        self._node, self._output = node, output

    @property
    def graph(self) -> Graph:
        """The graph that recorded the node."""
        return self._node.graph

    @property
    def node(self) -> str:
        """The node's id, as it is now."""
        return self._node.id

    @property
    def output(self) -> str | None:
        """The output's name; None for the node as a whole."""
        return self._output

    @property
    def link(self) -> Link:
        """The link that an input takes to have this value."""
        return Link(self.node, self._output)

    def named(self, id: str) -> Handle:
        """Give the node this id. Raises ValueError when the id is not allowed or taken."""
        self.graph._rename(self._node, id)
        return self

    def __getattr__(self, name: str) -> Handle:
        if name.startswith("__"):  # what Python, copy, inspect and notebooks probe for is no output
            raise AttributeError(name)
        return self._select(name, AttributeError)

    def __getitem__(self, name: str) -> Handle:
        if not isinstance(name, str):
            self._refuse(f"[{name!r}]")
        return self._select(name, KeyError)

    def __iter__(self) -> Iterator[Handle]:
        if self._output is not None or len(self._node.outputs) < 2:
            self._refuse("looping over it or unpacking it")
        return (Handle(self._node, output) for output in self._node.outputs)

    def _select(self, name: str, error: type[Exception]) -> Handle:
        if self._output is not None:
            raise error(f"{self!r} has no value yet, so no {name!r}: the graph is being recorded")
        if name in self._node.outputs:
            return Handle(self._node, name)
        match = near(name, self._node.outputs)
        hint = f"; did you mean {match!r}?" if match else ""
        outputs = ", ".join(self._node.outputs) or "none"
        raise error(f"the node {self.node!r} ({self._node.type}) has no output {name!r}; it has {outputs}{hint}")

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"{what} needs the value of {self!r}, which exists only when the workflow runs: the graph is being "
            "recorded. Use a node that does this, or call the nodes outside of `with Graph()`."
        )

    def __repr__(self) -> str:
        return f"<Handle {self.link}>"

    __hash__ = object.__hash__  # handles are keys of results; `==` below is not for them


refuse_operators(Handle, Handle._refuse)


class Graph(Shown):
    """Records nodes. As a context manager it is what calls of nodes inside the block are recorded into.

    Args:
        title: for `meta.title` of the workflow.
        description: for `meta.description`.
    """

    def __init__(self, title: str = "", description: str = "") -> None:
        self.title = title
        self.description = description
        self._nodes: list[_Node] = []
        self._by_id: dict[str, _Node] = {}
        self._parameters: dict[str, tuple[_Node, str]] = {}
        self.definitions: dict[str, tuple[object, Definition]] = {}
        """By name, with whatever they were made from."""
        self.declarations: dict[str, object] = {}
        """What was called, by the name of its type: objects that whoever runs the graph knows to read."""
        self._tokens: list[Token[Graph | None]] = []
        self._counts: dict[str, int] = {}
        self.values: dict[str, Any] = {}
        """Values that the graph was given (`given`), by the id that stands for each."""
        self.results: tuple[Link, ...] = ()
        """What `returns` named."""

    def __enter__(self) -> Graph:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _current.reset(self._tokens.pop())

    def __len__(self) -> int:
        return len(self._nodes)

    def __bool__(self) -> bool:
        return True  # an empty graph is a graph: `current_graph() or ...` must not skip it

    def __repr__(self) -> str:
        return f"<Graph {self.title[:80]!r}, {len(self)} nodes>"

    def add(
        self,
        type: str,
        inputs: Mapping[str, Any],
        outputs: tuple[str, ...] = (),
        version: int | None = None,
        id: str | None = None,
        declaration: object = None,
    ) -> Handle:
        """Record a node.

        Args:
            type: its type.
            inputs: handles, JSON literals (tuples, paths, enums and numpy scalars are turned into JSON), and lists
                of these.
            outputs: names of its outputs, the first one first; what the handle offers.
            version: the version of the type; None is the newest.
            id: the node's id; None makes one from the type: `decode`, `decode_2`, ...
            declaration: what was called, for `declarations`; None where there is only a name.

        Raises:
            TypeError: an input holds something that is not JSON.
            ValueError: an input holds a handle of another graph or a number that is not finite; the id is not
                allowed or taken; or something else of that type's name was called before.
        """
        if declaration is not None:
            self._check_called(type, declaration)
        if id is None:
            id = self._free_id(type)
        else:
            self._check_free(id)
        node = _Node(self, id, type, version, {}, tuple(outputs))
        for name, value in inputs.items():
            node.inputs[name] = self._input(id, name, value)
        self._nodes.append(node)
        self._by_id[id] = node
        if declaration is not None:
            self.declarations[type] = declaration
        return Handle(node)

    def name(self, value: T, id: str) -> T:
        """`handle.named(id)` for type checkers, which take a handle for the value that it will be."""
        self._handle(value).named(id)
        return value

    def allow(self, value: T, *, retry: int | None = None, timeout: float | None = None) -> T:
        """Say how often a node is called again when it fails, and how long a call of it may take.

            page = g.allow(fetch(url), retry=3, timeout=20)

        Args:
            retry: how many further calls, 0 to 100; None for what its type says.
            timeout: seconds; None for what its type says.
        """
        if fault := retry_fault(retry) or timeout_fault(timeout):
            raise ValueError(fault)
        node = self._handle(value)._node
        node.retry, node.timeout = retry, timeout
        return value

    def parameter(self, name: str, target: Any, input: str) -> None:
        """Let callers set an input by a name of its own.

        Args:
            name: the parameter's name.
            target: the node's handle or id.
            input: name of the node's input.

        Raises:
            ValueError: the name is taken, or the node is not in this graph.
        """
        if name in self._parameters:
            raise ValueError(f"the graph has a parameter {name!r} already")
        if isinstance(target, str):
            if target not in self._by_id:
                match = near(target, self._by_id)
                raise ValueError(f"the graph has no node {target!r}" + (f"; did you mean {match!r}?" if match else ""))
            node = self._by_id[target]
        else:
            node = self._handle(target)._node
        self._parameters[name] = (node, input)

    def given(self, value: T) -> T:
        """A value to use inside a graph that a node returns: any object, such as one of the node's inputs.

        It makes the graph one that runs now and cannot be written as a document.
        """
        id = self._free_id("given")
        node = _Node(self, id, "", None, {}, ("value",))
        self._by_id[id] = node
        self.values[id] = value
        return cast(T, Handle(node))

    def returns(self, *values: Any) -> None:
        """Say what a graph that a node returns stands for: a handle for each of the node's outputs, in order.

        Raises:
            TypeError: one is no handle. ValueError: one belongs to another graph.
        """
        self.results = tuple(self._handle(value).link for value in values)

    def body(self, inputs: Iterable[str]) -> tuple[Graph, dict[str, Handle]]:
        """A graph to record the inside of a definition in, and handles for what the definition is given.

        Definitions that are recorded inside belong to this graph's document.
        """
        graph = Graph()
        graph.definitions, graph.declarations = self.definitions, self.declarations
        given = graph._by_id[INPUTS] = _Node(graph, INPUTS, "", None, {}, tuple(inputs))
        return graph, {name: Handle(given, name) for name in given.outputs}

    def define(self, name: str, source: object, make: Callable[[], Definition]) -> Definition:
        """The definition of that name in the document; made when there is none.

        Args:
            source: what it is made from, such as a function.

        Raises:
            ValueError: there is one of that name that was made from something else, or a node of that name was called.
        """
        known = self.definitions.get(name)
        if known is not None and known[0] is not source:
            raise ValueError(f"the graph has another definition {name!r}: {known[0]!r} and {source!r}")
        if known is None:
            self._check_called(name, source)
            before = dict(self.declarations)
            self.declarations[name] = source  # so that nothing inside can be another thing of this name
            try:
                known = self.definitions[name] = (source, make())
            except BaseException:
                self.declarations.clear()
                self.declarations.update(before)
                raise
        return known[1]

    def specs(self) -> dict[str, NodeSpec]:
        """The nodes that have been recorded so far, by id, as a document has them."""
        found = {}
        for node in self._nodes:
            inputs = {name: _with_links(value) for name, value in node.inputs.items()}
            found[node.id] = NodeSpec(
                type=node.type, version=node.version, retry=node.retry, timeout=node.timeout, inputs=inputs
            )
        return found

    def workflow(self, given: bool = False) -> Workflow:
        """What has been recorded so far, as a document.

        Args:
            given: leave out the values that the graph was given.

        Raises:
            TypeError: it was given values, which no document can hold.
        """
        if self.values and not given:
            kinds = ", ".join(sorted({type(value).__name__ for value in self.values.values()}))
            raise TypeError(f"the graph was given values ({kinds}), so it is no document: it can only be returned")
        meta = {"title": self.title, "description": self.description}
        workflow = Workflow(
            meta={key: text for key, text in meta.items() if text},
            nodes=self.specs(),
            definitions={name: definition for name, (_, definition) in self.definitions.items()},
            parameters={
                name: Parameter(input=f"{node.id}.{input}") for name, (node, input) in self._parameters.items()
            },
        )
        return workflow.with_declarations(self.declarations)

    def _input(self, id: str, name: str, value: Any) -> Any:
        several = isinstance(value, list | tuple)
        for item in value if several else (value,):
            if isinstance(item, Handle) and item.graph is not self:
                place = f"the input {name!r} of the node {id!r}"
                raise ValueError(f"{place} takes {item!r}, which belongs to another graph")
        try:
            if several:
                return [item if isinstance(item, Handle) else literal(item) for item in value]
            return value if isinstance(value, Handle) else literal(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"the input {name!r} of the node {id!r}: {error}") from None

    def _handle(self, value: object) -> Handle:
        if not isinstance(value, Handle):
            raise TypeError(f"not a node of a graph that is being recorded: {value!r}")
        if value.graph is not self:
            raise ValueError(f"{value!r} belongs to another graph")
        return value

    def _rename(self, node: _Node, id: str) -> None:
        if id == node.id:
            return
        if node.id == INPUTS and not node.type:
            raise ValueError("what a definition is given has no id of its own")
        self._check_free(id)
        del self._by_id[node.id]
        self._by_id[id] = node
        node.id = id

    def _check_free(self, id: str) -> None:
        if fault := node_id_fault(id):
            raise ValueError(fault)
        if id in self._by_id:
            raise ValueError(f"the graph has a node {id!r} already")

    def _check_called(self, type: str, declaration: object) -> None:
        known = self.declarations.get(type)
        if known is not None and known is not declaration:
            raise ValueError(f"the graph calls two nodes of the name {type!r}: {known!r} and {declaration!r}")

    def _free_id(self, type: str) -> str:
        stem = id_stem(type)
        if stem not in self._by_id:
            return stem
        count = self._counts.get(stem, 1) + 1
        while f"{stem}_{count}" in self._by_id:
            count += 1
        self._counts[stem] = count
        return f"{stem}_{count}"


def _with_links(value: Any) -> Any:
    if type(value) is Handle:
        return value.link
    if type(value) is list:
        return [item.link if isinstance(item, Handle) else item for item in value]
    return value
