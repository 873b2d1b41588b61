"""What a function's result depends on beside its inputs: its code, and by content all that the code refers to.

A function is hashed as it is loaded and not as its file reads now, so that code which was edited after it was imported
is not taken for what runs. Followed are functions, classes, the user's own modules, closures, defaults and plain data;
libraries count by name. What a function reaches in other ways (a registry by a name made at run time, a data file) is
not seen here: packages add their source files, and data files are for `fingerprint=` to say.
"""

from __future__ import annotations

import dataclasses
import dis
import enum
import functools
import hashlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from weft.engine.filehash import content_hash

MOST = 20_000
"""So many things are followed from one function; a table of a million entries must not stop a run."""

_DEEP = 100
"""Each level takes a few frames of Python's stack."""

# Whose functions draw nothing; pytest stands in the code of nodes that tests declare.
_HARMLESS = frozenset(
    {"weft", "pytest", "_pytest", "PIL", "cv2", "pydantic", "safetensors", "msgpack", "typing_extensions", "builtins"}
)
_DRAWING = frozenset(
    {
        "manual_seed", "seed", "initial_seed", "set_rng_state", "get_rng_state", "rand", "randn", "randint",
        "randperm", "normal", "bernoulli", "multinomial", "poisson", "rand_like", "randn_like", "randint_like",
        "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "geometric_", "cauchy_", "log_normal_",
        "dropout", "alpha_dropout", "feature_dropout", "nn", "random", "distributions", "init",
    }
)  # fmt: skip
"""What of torch's names has to do with its shared generator."""

NODE_ID = "node_id"
"""What a Context calls the node's id."""

_ATOMS = (str, int, float, complex, bool, bytes, type(None), type(...), type(NotImplemented), range)


class References(NamedTuple):
    """What a function's code shows.

    Attributes:
        digest: a hash over the code and what it refers to, as 40 hex digits, the same in every process.
        draws: whether it may draw from generators that the whole process shares: Python's, NumPy's or torch's. That is
            said where its code shows it, and where it calls a library whose code is not followed.
        reads_id: whether something in it is called `node_id`, as what a Context says of the node is.
    """

    digest: str
    draws: bool
    reads_id: bool


def references(function: Callable[..., Any], own: Callable[[str], bool]) -> References:
    """Follow a function's code and what it refers to.

    Args:
        own: whether a module, by its name, is left away because its meaning has a version of its own.
    """
    walk = _Walk(function, own)
    walk.add(function)
    return References(walk.hash.hexdigest(), walk.draws, walk.reads_id)


class _Walk:
    """Feeds a hash with everything that is reached; each thing once, later by its number."""

    def __init__(self, function: Callable[..., Any], own: Callable[[str], bool]) -> None:
        self.hash = hashlib.blake2b(digest_size=20)
        self.own = own
        self.top = _top(function)
        self.draws = False
        self.reads_id = False
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no number is given to two things
        self._depth = 0

    def say(self, *words: object) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            self.hash.update(b"%d:" % len(data))
            self.hash.update(data)

    def add(self, item: Any) -> None:
        kind = type(item)
        if kind in _ATOMS:
            self.say(kind.__name__, repr(item))
            return
        if id(item) in self._numbers:
            self.say("again", self._numbers[id(item)])
            return
        if len(self._alive) >= MOST or self._depth > _DEEP:
            self.say("more")
            return
        self._numbers[id(item)] = len(self._alive)
        self._alive.append(item)
        self._depth += 1
        self._new(item)
        self._depth -= 1

    def _new(self, item: Any) -> None:
        wrapped = inspect.unwrap(item) if hasattr(item, "__wrapped__") and not isinstance(item, type) else item
        if isinstance(wrapped, types.MethodType):
            self.say("method")
            self.add(wrapped.__func__)
            self.add(wrapped.__self__)
        elif isinstance(wrapped, types.FunctionType):
            if wrapped is not item:
                self.say("wrapped", type(item).__qualname__)
            self._function(wrapped)
        elif isinstance(item, types.ModuleType):
            self.say("module", self._name(item.__name__))
        elif isinstance(item, types.BuiltinMethodType):
            self._library(getattr(item, "__module__", None) or type(item.__self__).__module__)
            self.say("builtin", item.__qualname__)
        elif isinstance(item, enum.Enum):
            self.say("enum", type(item).__qualname__, item.name)
        elif isinstance(item, type):
            self._class(item)
        elif isinstance(item, (list, tuple)):
            self.say(type(item).__name__, len(item))
            for part in item:
                self.add(part)
        elif isinstance(item, (set, frozenset)):
            self.say("set", *sorted(repr(part) if type(part) in _ATOMS else type(part).__qualname__ for part in item))
        elif isinstance(item, Mapping):
            self.say(type(item).__name__, len(item))
            for key, part in list(item.items()):
                self.add(key)
                self.add(part)
        elif isinstance(item, functools.partial):
            self.say("partial")
            for part in (item.func, item.args, item.keywords):
                self.add(part)
        elif isinstance(item, PurePath):
            self.say("path", os.fspath(item))
        elif isinstance(item, re.Pattern):
            self.say("pattern", item.pattern, item.flags)
        elif dataclasses.is_dataclass(item):
            self.add(type(item))
            for field in dataclasses.fields(item):
                self.add(getattr(item, field.name, None))
        else:
            self._object(item)

    def _object(self, item: Any) -> None:
        """Arrays by their bytes, an object of the user's own class by its attributes, any other by its class."""
        cls = type(item)
        self.say("object", cls.__qualname__)
        self._library(cls.__module__)
        if cls.__module__.partition(".")[0] in ("numpy", "torch") and hasattr(item, "dtype"):
            try:
                array = item.detach().cpu().reshape(-1).numpy() if hasattr(item, "detach") else item
                self.say(item.dtype, item.shape, array.tobytes())
            except Exception as reason:  # sparse, nested, of a dtype that NumPy lacks: said by what is to be seen of it
                self.say(type(reason).__name__, repr(item))
        elif self._follows(cls.__module__):
            self.add(cls)
            self.add(getattr(item, "__dict__", {}))

    def _class(self, cls: type) -> None:
        self.say("class", cls.__qualname__)
        if not self._follows(cls.__module__):
            self._library(cls.__module__)
            self.say(self._name(cls.__module__))
            return
        for base in cls.__bases__:
            self.add(base)
        for name, part in sorted(vars(cls).items()):
            if name in ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__"):
                continue
            self.say(name)
            if isinstance(part, (staticmethod, classmethod)):
                part = part.__func__
            if isinstance(part, property):
                for side in (part.fget, part.fset):
                    self.add(side)
            elif isinstance(part, functools.cached_property):
                self.add(part.func)
            elif isinstance(part, types.FunctionType) or type(part) in (*_ATOMS, list, tuple, dict, set, frozenset):
                self.add(part)

    def _function(self, function: types.FunctionType) -> None:
        if not self._follows(function.__module__ or ""):
            self._library(function.__module__ or "")
            self.say("function", self._name(function.__module__ or ""), function.__qualname__)
            return
        code = function.__code__
        self._code(code)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # not filled yet
                self.say("empty")
        names = frozenset(_names(code))
        self.reads_id = self.reads_id or NODE_ID in names
        for name in sorted(names & function.__globals__.keys()):
            if name == "__builtins__":
                continue
            self.say(name)
            self._global(function.__globals__[name], names)
        for name in sorted(set(_imports(code, function.__globals__))):
            self._imported(name, names)

    def _global(self, item: Any, names: frozenset[str]) -> None:
        """A module counts by what is asked of it: anything in it that has one of the names in the code."""
        self.add(item)
        pending, seen = [item], set()
        while pending:
            module = pending.pop()
            if not isinstance(module, types.ModuleType) or module.__name__ in seen:
                continue
            seen.add(module.__name__)
            if not self._follows(module.__name__):
                self._library(module.__name__, names)
                continue
            for name in sorted(names & vars(module).keys()):
                part = vars(module)[name]
                self.say(name)
                self.add(part)
                pending.append(part)

    def _imported(self, name: str, names: frozenset[str]) -> None:
        """What is imported where it is used."""
        module = sys.modules.get(name)
        if module is not None:
            self._global(module, names)
            return
        self._library(name, names)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return
        if spec is not None and spec.origin and spec.has_location and self._is_users(spec.origin, name):
            try:
                self.say("file", self._name(name), content_hash(spec.origin))
            except OSError:
                self.say("no file", name)

    def _code(self, code: types.CodeType) -> None:
        self.say("code", code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.say(code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            elif isinstance(constant, frozenset):
                self.say("set", *sorted(map(repr, constant)))
            else:
                self.say(type(constant).__name__, repr(constant))

    def _library(self, module: str, names: frozenset[str] = frozenset()) -> None:
        """Something of a library is reached; `names` is what the code asks of it, where that is known."""
        top = module.partition(".")[0]
        if self.draws or top in _HARMLESS or self.own(module) or self._follows(module):
            return
        if top == "numpy":
            self.draws = self.draws or "random" in names or module.startswith("numpy.random")
        elif top == "torch":
            # A module or a function of torch's own may draw (dropout, initialisation), plain operations on tensors not.
            self.draws = self.draws or not names.isdisjoint(_DRAWING) or module.startswith(("torch.nn", "torch.random"))
        elif top == "random" or top not in sys.stdlib_module_names:
            self.draws = True

    # -- who is followed

    def _follows(self, module: str) -> bool:
        """The user's own code: the package of the function itself, and files outside the libraries."""
        if self.own(module):
            return False
        top = module.partition(".")[0]
        if top == self.top or top == "__main__":
            return True
        found = sys.modules.get(module) or sys.modules.get(top)
        file = getattr(found, "__file__", None)
        return file is not None and self._is_users(file, module)

    def _is_users(self, file: str, module: str) -> bool:
        if self.own(module):
            return False
        return module.partition(".")[0] == self.top or not any(_below(file, folder) for folder in _libraries())

    def _name(self, module: str) -> str:
        """Names of the function's own package without the package: where it lies does not matter."""
        top, _, rest = module.partition(".")
        return rest if top == self.top else module


def globals_of(function: types.FunctionType, own: Callable[[str], bool]) -> dict[str, str]:
    """A hash for each global that a function refers to, by name: to say which one changed."""
    found = {}
    for name in frozenset(_names(function.__code__)) & function.__globals__.keys() - {"__builtins__"}:
        walk = _Walk(function, own)
        walk.add(function.__globals__[name])
        found[name] = walk.hash.hexdigest()
    return found


def shows_id(function: Callable[..., Any]) -> bool:
    """Whether a function's own code reads a node's id."""
    code = getattr(function, "__code__", None)
    return code is not None and NODE_ID in _names(code)


def _top(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__module__", "") or "").partition(".")[0]


def _names(code: types.CodeType) -> Iterator[str]:
    """Names of globals and attributes in a code object and those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _imports(code: types.CodeType, variables: Mapping[str, Any]) -> Iterable[str]:
    """Modules that the code imports when it runs."""
    package = str(variables.get("__package__") or "")
    level: Any = 0
    before: list[Any] = [0, 0]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            level = before[0] if isinstance(before[0], int) else 0
            name = str(instruction.argval)
            if level:
                base = package.rsplit(".", level - 1)[0] if level > 1 else package
                name = f"{base}.{name}" if name else base
            yield name
            wanted = before[1] if isinstance(before[1], tuple) else ()
            yield from (f"{name}.{part}" for part in wanted if part != "*")
        if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            before = [before[1], instruction.argval]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant, variables)


@functools.cache
def _libraries() -> tuple[str, ...]:
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.realpath(path) + os.sep for path in found if path)


def _below(file: str, folder: str) -> bool:
    return os.path.realpath(file).startswith(folder)
