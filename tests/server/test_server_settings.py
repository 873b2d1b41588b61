"""Settings: who is heard first, what is wrong, and what is made."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from weft.server.settings import FIELDS, Resolved, SettingsError, make_folders, resolve
from weft.server.tokens import make_token


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    (folder / "one").mkdir()
    return folder


def resolved(
    data: Path, line: dict[str, Any] | None = None, env: dict[str, str] | None = None, toml: str = ""
) -> Resolved:
    (data / "weft.toml").write_text(toml)
    return resolve(line or {}, env or {}, default_data=data)


def wrong(
    data: Path, line: dict[str, Any] | None = None, env: dict[str, str] | None = None, toml: str = ""
) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        resolved(data, line, env, toml)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


# What the four places say for a field, from the first to the last; the first that says something counts.
PRECEDENCE: dict[str, tuple[Any, str, str, Any]] = {
    "host": ("127.0.0.2", "127.0.0.3", '"127.0.0.4"', "127.0.0.1"),
    "port": (1, "2", "3", 9338),
    "workers": (4, "5", "6", 1),
    "max_queued": (7, "8", "9", 10_000),
    "min_free_mib": (0, "1", "2", 512),
    "worker_mib": (1, "2", "3", 0),
    "drain_seconds": (1.5, "2.5", "3", 30.0),
    "open": (True, "1", "true", False),
    "safe_mode": (True, "yes", "true", False),
    "log_form": ("json", "text", '"json"', "auto"),
    "log_level": ("debug", "error", '"warning"', "info"),
    "names": (["a"], "b,c:80", '["d"]', ()),
}


@pytest.mark.parametrize("name", PRECEDENCE)
def test_the_first_place_that_says_something_counts(data: Path, name: str) -> None:
    option, variable, line, default = PRECEDENCE[name]
    places: list[tuple[dict[str, Any], dict[str, str], str]] = [
        ({name: option}, {f"WEFT_{name.upper()}": variable}, f"{name} = {line}"),
        ({name: None}, {f"WEFT_{name.upper()}": variable}, f"{name} = {line}"),
        ({}, {f"WEFT_{name.upper()}": " "}, f"{name} = {line}"),
        ({}, {}, ""),
    ]
    found = [resolved(data, *place) for place in places]
    assert [one.origins[name] for one in found] == ["command line", f"WEFT_{name.upper()}", "weft.toml", "default"]
    values = [getattr(one.settings, name) for one in found]
    assert values[0] == (tuple(option) if isinstance(option, list) else option)
    assert values[3] == default
    assert [type(value) for value in values] == [type(default)] * 4
    assert values[1] != default
    assert values[2] != default


def test_every_setting_is_said_with_its_origin(data: Path) -> None:
    found = resolved(data, {"port": 0}, {"WEFT_WORKERS": "3"}, "safe_mode = true")
    assert list(found.data()) == list(FIELDS)
    assert found.data()["port"] == {"value": 0, "origin": "command line"}
    lines = {line.split()[0]: line.split()[1:] for line in found.lines()}
    assert lines["port"] == ["0", "command", "line"]
    assert lines["workers"] == ["3", "WEFT_WORKERS"]
    assert lines["safe_mode"] == ["true", "weft.toml"]
    assert lines["host"] == ["127.0.0.1", "default"]
    assert lines["token"] == ["-", "default"]


def test_the_page_names_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
    table = page[page.index("## Settings\n") : page.index("## Who may call\n")]
    assert [name for name in FIELDS if f"`{name}`" not in table.replace("`, `", "` `")] == []


def test_where_the_data_is(data: Path, tmp_path: Path) -> None:
    assert resolve({}, {}, default_data=data).settings.data == data
    for folder in (tmp_path / "one", tmp_path / "two"):
        (folder / "weft.toml").write_text(f'log_level = "{"debug" if folder.name == "one" else "error"}"')
    first = resolve({"data": Path("one")}, {"WEFT_DATA": str(tmp_path / "two")}, default_data=data)
    assert (first.settings.data, first.settings.log_level) == (tmp_path / "one", "debug")
    second = resolve({}, {"WEFT_DATA": "two"}, default_data=data)
    assert (second.settings.data, second.settings.log_level) == (tmp_path / "two", "error")
    assert resolve({}, {}).settings.data.name == "weft", "the user's data folder"
    assert "command line and WEFT_DATA alone" in wrong(data, toml='data = "x"')[0]


def test_paths_are_those_of_the_place_that_names_them(data: Path, tmp_path: Path) -> None:
    found = resolved(
        data, {"inputs": ["one", str(tmp_path / "one"), "./two"]}, {"WEFT_MODELS": f"two{os.pathsep}three"}
    )
    assert found.settings.inputs == (tmp_path / "one", tmp_path / "two"), "each once, absolute"
    assert found.settings.models == (tmp_path / "two", tmp_path / "three")
    assert resolved(data, toml='models = ["one", "../two"]').settings.models == (data / "one", tmp_path / "two")
    assert resolved(data, {"models": []}, toml='models = ["one"]').settings.models == (data / "one",), (
        "no option, no word"
    )


def test_everything_that_is_wrong_is_said_at_once(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problems = wrong(
        data,
        {"port": 99999, "inputs": ["nothing"], "nodes": ["file"], "colour": "red"},
        {"WEFT_WORKERS": "many", "WEFT_PROT": "80", "WEFT_NAMES": "a b"},
        'log_form = "yaml"\nmax_queued = "12"\nworker = 3\ndebug = true\nmodels = "one"\n[server]\nport = 1',
    )
    assert [problem.split()[0] for problem in problems] == [
        "port", "colour", "WEFT_PROT", "workers", "log_form", "max_queued", "worker", "debug", "models", "server",
        "inputs", "nodes", "names",
    ]  # fmt: skip
    said = dict(zip([problem.split()[0] for problem in problems], problems, strict=True))
    assert "(command line)" in said["port"]
    assert "65535" in said["port"]
    assert "99999" in said["port"]
    assert "Did you mean WEFT_PORT?" in said["WEFT_PROT"]
    assert '"many"' in said["workers"]
    assert "'auto', 'json' or 'text'" in said["log_form"]
    assert "integer" in said["max_queued"], "a text is no number where numbers can be written"
    assert "Did you mean workers?" in said["worker"]
    assert "command line alone" in said["debug"]
    assert str(tmp_path / "nothing") in said["inputs"]
    assert "is no folder" in said["nodes"]


def test_variables_of_others_are_let_be(data: Path) -> None:
    found = resolved(data, env={"WEFT_CACHE": "x", "WEFT_DEBUG": "1", "WEFT_SOMEBODY_ELSES_THING": "1", "PORT": "3"})
    assert not found.settings.debug
    assert found.settings.port == 9338
    assert [warning.split()[0] for warning in found.warnings] == ["WEFT_SOMEBODY_ELSES_THING"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_machines_need_a_token(data: Path, tmp_path: Path, host: str) -> None:
    for place in ({"line": {"host": host}}, {"toml": f'host = "{host}"'}):
        (problem,) = wrong(data, **place)  # type: ignore[arg-type]
        assert problem.startswith("host (")
        assert "weft token" in problem
    token = make_token(tmp_path / "token")
    found = resolved(data, {"host": host, "token": token})
    assert found.settings.token == token
    token.chmod(0o644)
    (problem,) = wrong(data, {"host": host}, {"WEFT_TOKEN": str(token)})
    assert problem.startswith("token (WEFT_TOKEN): others may read")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_none(data: Path, host: str) -> None:
    assert resolved(data, {"host": host}).settings.host == host


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"port = ", "not TOML"),
        (b"port = 1\nport = 2", "not TOML"),
        (b"\xff", "not TOML"),
        (b"a = " + b"[" * 10_000, "not TOML"),
        (b"#" * (1024 * 1024 + 1), "more than"),
        (b"drain_seconds = nan", "drain_seconds"),
        (b"drain_seconds = inf", "drain_seconds"),
        (b"port = 1979-05-27", "port"),
        (b"port = true", "port"),
        (b"workers = 0", "workers"),
    ],
)
def test_a_file_that_is_wrong_keeps_the_server_from_starting(data: Path, text: bytes, says: str) -> None:
    (data / "weft.toml").write_bytes(text)
    with pytest.raises(SettingsError) as refused:
        resolve({}, {}, default_data=data)
    assert len(refused.value.problems) == 1
    assert says in str(refused.value)


def test_a_file_that_everybody_may_change_is_not_trusted(data: Path) -> None:
    (data / "weft.toml").write_text("port = 3")
    (data / "weft.toml").chmod(0o666)
    with pytest.raises(SettingsError, match="changed by everybody"):
        resolve({}, {}, default_data=data)


def test_a_file_in_the_place_of_the_data_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="is no folder"):
        resolve({"data": tmp_path / "file"}, {})


def test_folders_are_made_for_their_owner_alone(tmp_path: Path, no_umask: None) -> None:
    settings = resolve({"data": tmp_path / "new" / "data"}, {}).settings
    for _ in range(2):
        make_folders(settings)
    made = [settings.data, *settings.data.iterdir()]
    assert sorted(path.name for path in made) == ["backups", "data", "files", "workflows"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_folders_that_cannot_be_made_are_all_said(tmp_path: Path) -> None:
    settings = resolve({"data": tmp_path / "data"}, {}).settings
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "files").write_text("")
    (tmp_path / "data" / "backups").write_text("")
    with pytest.raises(SettingsError) as refused:
        make_folders(settings)
    assert len(refused.value.problems) == 2


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    said = {"data": tmp_path, "database": "postgresql://weft:very-secret@db/weft", "store": "s3://bucket/weft"}
    resolved = resolve(said, {})
    assert resolved.settings.database == "postgresql://weft:very-secret@db/weft"
    shown = "\n".join(resolved.lines()) + repr(resolved.data())
    assert "very-secret" not in shown
    assert shown.count("postgresql://weft:...@db/weft") == 2
    assert shown.count("s3://bucket/weft") == 2
