"""What `weft serve` is told: by the command line, `WEFT_*` variables and `weft.toml` in the data folder, in this order.

Every setting knows where it came from, and everything that is wrong with any of them is said at once.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from weft.graphs.problems import near, shown
from weft.server.guard.hosts import HostError, Hosts, is_loopback
from weft.server.tokens import TokenError, read_token

FILE = "weft.toml"
_PREFIX = "WEFT_"
_MAX_FILE = 1024 * 1024
_OTHERS = frozenset({"WEFT_CACHE", "WEFT_DEBUG", "WEFT_SERVER"})
"""Variables that other parts of Weft read."""
_COMMAND_LINE, _DEFAULT = "command line", "default"


class Settings(BaseModel):
    """Every setting; the field's name with dashes is its option, in capitals behind `WEFT_` its variable."""

    model_config = ConfigDict(frozen=True)

    data: Path = Field(description="The folder that holds everything that outlives the server.")
    host: str = Field("127.0.0.1", description="The address to listen at.")
    port: int = Field(9338, ge=0, le=65535, description="The port to listen at; 0 takes a free one.")
    names: tuple[str, ...] = Field(
        (), description="Further names by which it is reached: name, name:port, https://name."
    )
    token: Path | None = Field(None, description="A file with the token that callers need.")
    models: tuple[Path, ...] = Field((), description="Folders with models, which workflows may read.")
    inputs: tuple[Path, ...] = Field((), description="Folders that workflows may read.")
    nodes: tuple[Path, ...] = Field((), description="Folders with nodes in .py files.")
    database: str | None = Field(
        None, description="postgresql://... for several servers that share the work; else a file in the data folder."
    )
    store: str | None = Field(
        None, description="Where files are kept besides the data folder, as an fsspec URL such as s3://bucket/weft."
    )
    workers: int = Field(1, ge=1, le=64, description="Worker processes; each runs one job at a time.")
    worker_mib: int = Field(
        0, ge=0, description="MiB of memory above which a worker is replaced after a job; 0 for no bound."
    )
    max_queued: int = Field(10_000, ge=1, le=10_000_000, description="Jobs that may wait.")
    min_free_mib: int = Field(512, ge=0, description="MiB of free disk below which no job is accepted.")
    drain_seconds: float = Field(30.0, ge=0, le=3600, description="How long jobs may go on when the server stops.")
    open: bool = Field(False, description="Open the editor in a browser.")
    safe_mode: bool = Field(False, description="Use the nodes that come with Weft alone.")
    log_form: Literal["auto", "json", "text"] = Field("auto", description="How the log is written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    debug: bool = Field(False, description="Answers show tracebacks and paths of the machine.")

    def secrets(self, token: str | None) -> list[str]:
        """What neither answers nor logs may show: the token, and what addresses of databases and stores hold of it."""
        urls = [url for url in (self.database, self.store) if url]
        words = [urlsplit(url).password or "" for url in urls]
        return [text for text in (token, *urls, *words, *map(unquote, words)) if text]


_PASSWORD = re.compile(r"(//[^/@:\s]*):[^/@\s]*@")
FIELDS = Settings.model_fields
_LISTS = frozenset({"models", "inputs", "nodes", "names"})
_FOLDERS = ("models", "inputs", "nodes")
_ALONE = {"debug": "the command line", "data": f"the command line and {_PREFIX}DATA"}
"""Settings that are not taken from everywhere: WEFT_DEBUG is the engine's, and weft.toml lies in the data folder."""


class SettingsError(ValueError):
    """The settings cannot be used. `.problems` holds every reason, each as a sentence."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Resolved:
    """Settings with their origins.

    Attributes:
        origins: where each came from: "command line", the name of a variable, "weft.toml" or "default".
        warnings: what is odd, but keeps nobody from starting.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Each setting with its origin, for people."""
        values = {name: _shown(_words(getattr(self.settings, name))) for name in FIELDS}
        first, second = (max(map(len, texts)) for texts in (values, values.values()))
        return [f"{name:<{first}}  {text:<{second}}  {self.origins[name]}" for name, text in values.items()]

    def data(self) -> dict[str, dict[str, Any]]:
        """Each setting with its origin, as JSON data."""
        values = self.settings.model_dump(mode="json")
        return {name: {"value": _shown(values[name]), "origin": self.origins[name]} for name in FIELDS}


def resolve(
    command_line: Mapping[str, Any], environ: Mapping[str, str] | None = None, *, default_data: Path | None = None
) -> Resolved:
    """Settings from all places. Relative paths are those of the working folder; in weft.toml, of the data folder.

    Args:
        command_line: what options said, by the names of the fields; None for an option that was not there.
        environ: in place of `os.environ`.
        default_data: in place of the user's data folder.

    Raises:
        SettingsError: with everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    warnings: list[str] = []
    found: dict[str, tuple[str, Any]] = {}

    def take(values: Iterator[tuple[str, str, Any]], below: Path) -> None:
        for name, origin, value in values:
            if name not in found:  # a place before it said so
                checked = _checked(name, origin, value, below, problems)
                found[name] = (origin, checked)

    here = Path.cwd()
    take(_of_options(command_line, problems), here)
    take(_of_variables(environ, problems, warnings), here)
    if found.get("data", ("", None))[1] is None:
        found["data"] = (found.get("data", (_DEFAULT, None))[0], default_data or default_data_folder())
    folder: Path = found["data"][1]
    take(_of_file(folder, problems), folder)
    if problems:
        # What needs all of them is looked at with defaults in the places of those that are wrong.
        found = {name: pair for name, pair in found.items() if pair[1] is not None}
    settings = Settings.model_construct(**{name: value for name, (_, value) in found.items()})
    problems += _together(settings, {name: origin for name, (origin, _) in found.items()})
    if problems:
        raise SettingsError(problems)
    origins = {name: found[name][0] if name in found else _DEFAULT for name in FIELDS}
    return Resolved(settings, origins, tuple(warnings))


def make_folders(settings: Settings) -> None:
    """Make the data folder and what is always in it, for its owner alone. What is there stays as it is.

    Raises:
        SettingsError: one of them cannot be made, or not be written.
    """
    problems = []
    for folder in (settings.data, *(settings.data / name for name in ("files", "workflows", "backups"))):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problems.append(f"data: the folder {folder} cannot be made: {error.strerror}")
            continue
        if not os.access(folder, os.W_OK | os.X_OK):
            problems.append(f"data: the folder {folder} cannot be written to")
    if problems:
        raise SettingsError(problems)


def default_data_folder() -> Path:
    """Where the data lies when nobody says otherwise: the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("weft", appauthor=False))


def _of_options(values: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, str, Any]]:
    for name, value in values.items():
        if name not in FIELDS:
            problems.append(_unknown(name, _COMMAND_LINE, near(name, FIELDS)))
        elif value is not None and not (name in _LISTS and not value):
            yield name, _COMMAND_LINE, value


def _of_variables(
    environ: Mapping[str, str], problems: list[str], warnings: list[str]
) -> Iterator[tuple[str, str, Any]]:
    known = {_PREFIX + name.upper(): name for name in FIELDS if name != "debug"}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable in _OTHERS:
            continue
        text = environ[variable]
        name = known.get(variable)
        if name is None:
            # Those of other programs may begin like ours; one that looks like ours is a slip.
            words = {other.removeprefix(_PREFIX): other for other in (*known, *_OTHERS)}
            match = near(variable.removeprefix(_PREFIX), words)
            (problems if match else warnings).append(_unknown(variable, "environment", words[match] if match else None))
        elif text.strip():
            parts = [part for part in text.split("," if name == "names" else os.pathsep) if part.strip()]
            yield name, variable, parts if name in _LISTS else text


def _of_file(folder: Path, problems: list[str]) -> Iterator[tuple[str, str, Any]]:
    path = folder / FILE
    try:
        with open(path, "rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o002:
                problems.append(f"{path} may be changed by everybody; run: chmod o-w {path}")
                return
            data = file.read(_MAX_FILE + 1)
        if len(data) > _MAX_FILE:
            problems.append(f"{path} has more than {_MAX_FILE} bytes")
            return
        values = tomllib.loads(data.decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(f"{path} is not TOML: {error}")
        return
    known = [name for name in FIELDS if name not in _ALONE]
    for name, value in values.items():
        if name in _ALONE:
            problems.append(f"{name} ({FILE}): this is taken from {_ALONE[name]} alone")
        elif name not in known:
            problems.append(_unknown(name, FILE, near(name, known)))
        else:
            yield name, FILE, value


def _unknown(name: str, place: str, match: str | None) -> str:
    hint = f" Did you mean {match}?" if match else ""
    return f"{name[:100]} ({place}): there is no such setting.{hint}"


def _checked(name: str, origin: str, value: Any, below: Path, problems: list[str]) -> Any:
    """The value as the field has it; None, with its problems noted, when it cannot be."""
    field = FIELDS[name]
    text = origin.startswith(_PREFIX)
    # The bounds stand in the metadata: the annotation alone has lost them.
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        checked = (
            adapter.validate_python(value)
            if text
            else adapter.validate_json(json.dumps(_plain(value), allow_nan=False), strict=True)
        )
    except (ValidationError, ValueError, TypeError) as error:
        details = error.errors() if isinstance(error, ValidationError) else [{"msg": str(error), "loc": ()}]
        for detail in details[:5]:
            place = "".join(f" [{part}]" for part in detail["loc"])
            says = str(detail["msg"])
            problems.append(f"{name}{place} ({origin}): {says[:1].lower()}{says[1:]}, not {shown(_plain(value))}")
        return None
    if isinstance(checked, Path):
        return _absolute(checked, below)
    if name in _FOLDERS:
        return tuple(dict.fromkeys(_absolute(path, below) for path in checked))
    return checked


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def _absolute(path: Path, below: Path) -> Path:
    try:
        return Path(os.path.abspath(below / path.expanduser()))
    except RuntimeError:  # `~` of somebody who is not known here
        return Path(os.path.abspath(below / path))


def _together(settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """What can be said when all are known."""
    if not is_loopback(settings.host) and settings.token is None:
        yield (
            f"host ({origins.get('host', _DEFAULT)}): {shown(settings.host)} can be reached from other machines, so a "
            f"token is needed: make one with `weft token`, and start with --token FILE"
        )
    if settings.token is not None:
        try:
            read_token(settings.token)
        except TokenError as error:
            yield f"token ({origins['token']}): {error}"
    for name in _FOLDERS:
        for path in getattr(settings, name):
            if not path.is_dir():
                yield f"{name} ({origins[name]}): {path} {'is no folder' if path.exists() else 'is not there'}"
    for text in settings.names:
        try:
            Hosts.of(settings.host, settings.port, [text])
        except HostError as error:
            yield f"names ({origins['names']}): {error}"
    if settings.data.exists() and not settings.data.is_dir():
        yield f"data ({origins['data']}): {settings.data} is no folder"


def _shown(value: Any) -> Any:
    """A setting as it may be seen: without the password of an address."""
    return _PASSWORD.sub(r"\1:...@", value) if isinstance(value, str) else value


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
