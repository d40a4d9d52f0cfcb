"""Every code block in README and docs runs: Python as it stands, YAML as a manifest or an endpoint file."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
import yaml

import connector
from connector.cli import cli
from connector.endpointfile import build, load
from connector.opening import open_manifest
from connector.registry import collect

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```([a-z-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[str]:
    """The code blocks of a page in some languages, in order."""
    return [text for language, text in _BLOCK.findall(page.read_text("utf-8")) if language in languages]


def with_blocks(*languages: str) -> list[Path]:
    """The pages that have such blocks."""
    return [page for page in PAGES if blocks(page, *languages)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped manifest, like the one a reader stands in."""
    shutil.copy(ROOT / "manifest.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("CONNECTOR_KEY", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", with_blocks("python"), ids=lambda page: page.name)
def test_python_blocks_run(page: Path, folder: Path) -> None:
    """The Python of a page runs from top to bottom, in one namespace."""
    names: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    for number, text in enumerate(blocks(page, "python"), 1):
        exec(compile(text, f"{page.name}, block {number}", "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", with_blocks("yaml"), ids=lambda page: page.name)
def test_yaml_blocks_are_right(page: Path, folder: Path) -> None:
    """A block that begins with ``version:`` is a sound manifest, one with ``schema:`` a sound endpoint."""
    for number, text in enumerate(blocks(page, "yaml"), 1):
        file = folder / f"block-{number}.yaml"
        file.write_text(text)
        first = next(line for line in text.splitlines() if line and not line.startswith("#"))
        if first.startswith("version:"):
            opening = open_manifest(file)
            # A block may name plugin files of the reader's own, which are not here.
            own = [problem for problem in opening.problems if not problem.pointer.startswith("/plugins/")]
            problems = [*own, *opening.registry.problems]
            for name in opening.manifest.pipelines:
                problems += opening.pipeline_problems(name)
            assert not problems, f"{page.name}, block {number}"
        elif first.startswith("schema:"):
            _, wrong = build(load(file), collect().endpoints)
            assert not wrong, f"{page.name}, block {number}"
        else:
            yaml.safe_load(text)


@pytest.mark.parametrize(
    ("page", "name"), [("README.md", "large_invoices"), ("docs/snaps.md", "large-invoices")]
)
def test_pipelines_give_documents(page: str, name: str, folder: Path) -> None:
    """The pipeline that a page shows first does what it says with the records of the sandbox."""
    shipped = yaml.safe_load((ROOT / "manifest.yaml").read_text("utf-8"))
    text = next(text for text in blocks(ROOT / page, "yaml") if f"  {name}:" in text)
    manifest = {**yaml.safe_load(text), "accounts": {"purchasing": shipped["accounts"]["purchasing"]}}
    (folder / "shown.yaml").write_text(yaml.safe_dump(manifest))
    with connector.open("shown.yaml", store="memory:") as host:
        approved = host.run(name)
        disputed = host.run(name, parameters={"status": "disputed"})
    assert approved.ok
    assert approved.documents > disputed.documents > 0
    rows = (folder / "out/large.csv").read_text("utf-8").splitlines()[1:]
    assert len(rows) == disputed.documents
    assert all(float(row.rpartition(",")[2]) > 1000 for row in rows)


@pytest.mark.parametrize("page", with_blocks("sh", "console"), ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    """Each `connector` and `make` line of a shell block is one that is understood."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for text in blocks(page, "sh", "console"):
        for line in text.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["make"]:
                assert words[1].partition("=")[0] in (*targets, "PYTHON"), line
            elif words[:1] == ["connector"]:
                _understood(words[1:], line)


def _understood(words: list[str], line: str) -> None:
    cut = next((i for i, word in enumerate(words) if word in ("<", ">", "|", "&&", "&")), len(words))
    words = words[:cut]
    command: click.Command = cli
    context = click.Context(cli, info_name="connector")
    if not words or words[0].startswith("-"):
        return
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, line
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    if "--help" not in words:
        command.parse_args(context, list(words))


def test_links_lead_somewhere() -> None:
    """Every relative link of a page leads to a file of the project."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
