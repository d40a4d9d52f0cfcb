"""Where plugins come from: folders, files and installed distributions, and how broken ones are named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.errors import ConnectorError, ManifestError, PluginError
from connector.registry import Registry, collect


def problem(found: Registry) -> PluginError:
    """The one thing that is wrong."""
    [error] = found.problems
    assert isinstance(error, PluginError)
    return error


Write = Callable[[str, str], Path]
MODULE = """
from connector.hookspecs import hookimpl
{before}
@hookimpl
def connector_secret_sources():
    return {{"{name}": lambda ref, folder: __name__}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a plugin file."""

    def made(name: str, text: str) -> Path:
        path = tmp_path / "plugins" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return made


def test_a_folder_brings_all_its_files(write: Write) -> None:
    """Endpoint files and Python files by name; hidden ones, private ones and others are left alone."""
    write(
        "a.yaml", "endpoint: one\ntoken: {url: https://a.example.com/t}\n---\nendpoint: two\nextends: one\n"
    )
    write("b.yml", "endpoint: three\nextends: two\n")
    write("c.py", MODULE.format(name="c", before=""))
    write("helper.py", "VALUE = 1\n")
    for name in (".hidden.yaml", "_private.py", "README.md", "data.json"):
        write(name, "raise SystemExit('never read')")
    found = collect([write("d.py", MODULE.format(name="d", before="")).parent])
    assert found.problems == []
    assert {"one", "two", "three"} <= found.endpoints.keys()
    assert {"c", "d"} <= found.secret_sources.keys()
    assert found.owners["secret source c"].endswith("c.py")


def test_two_files_of_one_name_are_two_modules(write: Write, tmp_path: Path) -> None:
    """plugin.py in two folders: neither hides the other, and neither hides an installed module."""
    first = write("json.py", MODULE.format(name="a", before=""))
    second = tmp_path / "json.py"
    second.write_text(MODULE.format(name="b", before=""))
    found = collect([first, second])
    assert found.problems == []
    names = {found.secret_sources[name]("", tmp_path) for name in ("a", "b")}
    assert len(names) == 2
    assert all(name.startswith("connector_plugin_") for name in names)
    assert sys.modules["json"].__file__ not in (str(first), str(second))


def test_a_file_named_twice_is_loaded_once(write: Write) -> None:
    """By its folder and by itself, or by two ways to the same file."""
    path = write("a.py", MODULE.format(name="a", before=""))
    found = collect([path, path.parent, path.parent / ".." / "plugins" / "a.py"], [str(path)])
    assert found.problems == []


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found' at {}:3"),
        ("def broken(:", "SyntaxError: invalid syntax at {}:3"),
        ("raise SystemExit('no')", "SystemExit: no at {}:3"),
        ("import json\njson.loads('')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0) at {}:4"),
    ],
)
def test_a_file_that_does_not_load_is_named(write: Write, before: str, reason: str) -> None:
    """Its error says which file and line and why; the files beside it are loaded, and no half module is left."""
    bad = write("a.py", MODULE.format(name="a", before=before))
    write("b.py", MODULE.format(name="b", before=""))
    modules = set(sys.modules)
    found = collect([bad.parent])
    error = problem(found)
    assert (error.owner, error.hook, error.code) == (str(bad), "", "plugin_failed")
    assert error.reason == reason.format(bad.resolve())
    assert "b" in found.secret_sources
    left = {name for name in set(sys.modules) - modules if name.startswith("connector_plugin_")}
    assert len(left) == 1


def test_a_named_file_must_be_a_plugin(write: Write) -> None:
    """A file that is named itself and has no hook is a mistake; so is one of another kind, or none."""
    for path in (
        write("helper.py", "VALUE = 1\n"),
        write("notes.txt", ""),
        Path("nowhere.yaml"),
        Path("nowhere.py"),
    ):
        found = collect([path])
        assert len(found.problems) == 1, path
        assert path.name in str(found.problems[0])


def test_an_endpoint_file_with_mistakes_is_told_with_its_places(write: Write) -> None:
    """The problems of an endpoint file have line and column; other files go on."""
    bad = write("a.yaml", "endpoint: a\ntokn: {}\n")
    write("b.yaml", "endpoint: b\ntoken: {url: https://b.example.com/t}\n")
    found = collect([bad.parent])
    errors: list[ConnectorError] = found.problems
    assert all(isinstance(error, ManifestError) for error in errors)
    assert any(f"{bad}:2:1" in str(error) for error in errors)
    assert "b" in found.endpoints
    assert "a" not in found.endpoints


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with an entry point on the path, as an installer would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def made(distribution: str, module: str, text: str, *, group: str = "connector") -> None:
        (site / f"{module}.py").write_text(text)
        info = site / f"{distribution}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\nacme = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return made


def test_installed_distributions_are_found(install: Install) -> None:
    """Entry points of the group `connector` are loaded, and nothing of another group is."""
    install("acme-connector", "acme_installed", MODULE.format(name="installed", before=""))
    install("other", "acme_other", "raise SystemExit('never imported')", group="connectors")
    found = collect()
    assert found.problems == []
    assert found.owners["secret source installed"] == "acme-connector 1.2 (acme_installed)"
    assert "acme_other" not in sys.modules


@pytest.mark.parametrize(
    ("text", "hook", "code"),
    [
        ("raise ValueError('not today')", "", "plugin_failed"),
        ("import sys; sys.exit(1)", "", "plugin_failed"),
        (
            MODULE.format(name="x", before="").replace("return", "raise ValueError() #"),
            "connector_secret_sources",
            "plugin_failed",
        ),
        ("", "", "bad_plugin"),
    ],
)
def test_a_broken_distribution_is_named_and_others_go_on(
    install: Install, text: str, hook: str, code: str
) -> None:
    """The error says which distribution, of which version, and which hook."""
    install("acme-connector", "acme_broken", text)
    install("good-connector", "acme_good", MODULE.format(name="good", before=""))
    found = collect()
    error = problem(found)
    assert (error.owner, error.hook, error.code) == ("acme-connector 1.2 (acme_broken)", hook, code)
    assert "acme-connector 1.2" in str(error)
    assert "good" in found.secret_sources
    assert "coupa" in found.endpoints


def test_a_module_that_is_installed_and_given_is_one_plugin(install: Install) -> None:
    """The same module by entry point and by `plugins=` is asked once."""
    install("acme-connector", "acme_installed", MODULE.format(name="installed", before=""))
    collect()
    assert collect(plugins=[sys.modules["acme_installed"]]).problems == []
