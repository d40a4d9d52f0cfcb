"""A plugin from its own distribution, from a folder, and given as an object: alike when right, alike when broken."""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import connector
from connector.errors import ConnectorError, PluginError
from connector.opening import open_manifest
from connector.sandbox import Sandbox

pytestmark = pytest.mark.slow

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "acme-plugin"
version = "1.2"
[project.entry-points.connector]
acme = "acme_everything"
[tool.setuptools]
py-modules = ["acme_everything"]
"""
# One module brings one of each kind.
MODULE = """
from dataclasses import dataclass

from connector.grants import ClientCredentials
from connector.hookspecs import hookimpl
from connector.snap import Snap
from connector.store import MemoryStore

ENDPOINT = {
    "endpoint": "acme",
    "settings": {"origin": {"title": "Origin"}},
    "grants": ["acme"],
    "token": {"url": "{origin}/strict/token", "auth": "client_secret_basic"},
    "api": {"base_url": "{origin}/strict"},
}
STORE = MemoryStore()


@dataclass(frozen=True)
class AcmeGrant:
    name: str = "acme"
    interactive: bool = False

    def obtain(self, account, credentials):
        return ClientCredentials().obtain(account, credentials)

    def renew(self, account, token, credentials):
        return self.obtain(account, credentials)


def numbered(documents, context, *, start: int = 1):
    for number, document in enumerate(documents, start):
        yield {"number": number, **document}


def from_safe(ref, folder):
    if ref != "acme":
        raise LookupError(f"the safe has no {ref}")
    return "sandbox-secret"


@hookimpl
def connector_endpoints():
    return [ENDPOINT]


@hookimpl
def connector_grants():
    return [AcmeGrant()]


@hookimpl
def connector_snaps():
    return [Snap(name="acme.number", run=numbered, summary="Number the documents.")]


@hookimpl
def connector_secret_sources():
    return {"safe": from_safe}


@hookimpl
def connector_stores():
    return {"acme": lambda url, folder: STORE}
"""
MANIFEST = """
version: 1
store: acme://tokens
PLUGINS
accounts:
  acme:
    oauth2_endpoint: acme
    client_id: sandbox
    client_secret: ${safe:acme}
    settings: {origin: "ORIGIN"}
  plain:
    oauth2_endpoint: sandbox.strict
    client_id: sandbox
    client_secret: sandbox-secret
    grant: client_credentials
    settings: {origin: "ORIGIN"}
pipelines:
  numbered:
    snaps:
      - {snap: http.read, account: acme, with: {path: /api/items}}
      - {snap: acme.number, with: {start: 7}}
      - {snap: file.write, with: {path: out.jsonl}}
  plain:
    snaps:
      - {snap: http.read, account: plain, with: {path: /api/items}}
      - {snap: file.write, with: {path: plain.jsonl}}
"""
KINDS = {
    "endpoints": "acme",
    "grants": "acme",
    "snaps": "acme.number",
    "secret_sources": "safe",
    "stores": "acme",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip makes of a distribution: a wheel, built and installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("distribution")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "acme_everything.py").write_text(MODULE)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--target", str(target), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (target / "acme_plugin-1.2.dist-info" / "entry_points.txt").is_file()
    return target


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The server behind it."""
    with Sandbox() as running:
        yield running


@dataclass
class Origin:
    """A manifest whose plugin comes one way.

    Attributes:
        owner: what the plugin is called in messages.
        given: what `connector.open` gets.
    """

    manifest: Path
    owner: str
    given: list[Any]


Make = Callable[[str, str], Origin]


@pytest.fixture
def make(tmp_path: Path, site: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """``make(origin, module text)``."""
    monkeypatch.chdir(tmp_path)

    def made(origin: str, text: str) -> Origin:
        manifest = tmp_path / "manifest.yaml"
        line = "plugins: [plugins]" if origin == "folder" else ""
        manifest.write_text(MANIFEST.replace("PLUGINS", line).replace("ORIGIN", sandbox.url))
        if origin == "distribution":
            own = tmp_path / "site"
            shutil.copytree(site, own)
            (own / "acme_everything.py").write_text(text)
            monkeypatch.syspath_prepend(own)
            return Origin(manifest, "acme-plugin 1.2 (acme_everything)", [])
        if origin == "folder":
            (tmp_path / "plugins").mkdir()
            file = tmp_path / "plugins" / "acme_everything.py"
            file.write_text(text)
            return Origin(manifest, str(file), [])
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "acme_everything.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / "own")
        return Origin(manifest, "acme_everything", [importlib.import_module("acme_everything")])

    yield made
    sys.modules.pop("acme_everything", None)
    importlib.invalidate_caches()


ORIGINS = ("distribution", "folder", "object")


@pytest.mark.parametrize("origin", ORIGINS)
def test_all_are_alike(make: Make, origin: str, tmp_path: Path) -> None:
    """Endpoint, grant, snap, secret source and store: each there, with its owner, and at work."""
    here = make(origin, MODULE)
    with connector.open(here.manifest, plugins=here.given) as host:
        assert host.problems == ()
        result = host.run("numbered")
        assert result.ok
        first = (tmp_path / "out.jsonl").read_text().splitlines()[0]
        assert json.loads(first)["number"] == 7
        assert host.status("acme").state == "ready"
    opening = open_manifest(here.manifest, here.given)
    for kind, name in KINDS.items():
        assert name in getattr(opening.registry, kind)
        noun = kind.removesuffix("s").replace("_", " ")
        assert opening.registry.owners[f"{noun} {name}"] == here.owner
    assert opening.everything_wrong(secrets=True) == []


def hook(name: str, body: str) -> str:
    """The module with another body of one hook."""
    start = MODULE.index(f"def connector_{name}")
    end = MODULE.find("@hookimpl", start)
    return MODULE[:start] + f"def connector_{name}():\n    {body}\n\n\n" + (MODULE[end:] if end > 0 else "")


BROKEN = {
    "a hook that raises": (
        hook("grants", "raise RuntimeError('lost')"),
        "connector_grants",
        "RuntimeError: lost",
    ),
    "a hook that leaves": (hook("snaps", "raise SystemExit(3)"), "connector_snaps", "SystemExit"),
    "something else than promised": (hook("grants", "return [object()]"), "connector_grants", "was promised"),
    "no mapping": (hook("secret_sources", "return [from_safe]"), "connector_secret_sources", "was promised"),
    "an endpoint with a mistake": (
        hook("endpoints", "return [{**ENDPOINT, 'tokn': 1}]"),
        "connector_endpoints",
        "tokn is not a key here",
    ),
    "a hook without its mark": (
        MODULE.replace("@hookimpl\ndef connector_stores", "def connector_stores"),
        "connector_stores",
        "lacks the mark @hookimpl",
    ),
    "an unknown hook": (
        MODULE.replace("connector_stores", "connector_store"),
        "connector_stores",
        "there is no hook connector_store; did you mean connector_stores?",
    ),
}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_one_is_named_and_harms_nobody(
    make: Make, origin: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Owner, hook and reason are told; what does not need it works; what does says which plugin to mend."""
    text, hook_name, reason = BROKEN[what]
    here = make(origin, text)
    with caplog.at_level(logging.WARNING, "connector"):
        host = connector.open(here.manifest, plugins=here.given, store="memory:")
    with host:
        [problem] = host.problems
        assert isinstance(problem, PluginError)
        assert (problem.owner, problem.hook) == (here.owner, hook_name)
        assert reason in problem.reason
        assert here.owner in caplog.text
        assert host.run("plain").ok
        with pytest.raises(ConnectorError) as caught:
            host.run("numbered")
        assert here.owner in str(caught.value)


@pytest.mark.parametrize("origin", ["distribution", "folder"])
def test_one_that_cannot_be_run(make: Make, origin: str) -> None:
    """A module that fails while it is loaded; given as an object there would be none."""
    here = make(origin, "import nothing_of_this_name\n")
    with connector.open(here.manifest, plugins=here.given, store="memory:") as host:
        [problem] = host.problems
        assert isinstance(problem, PluginError)
        assert problem.owner == here.owner
        assert "ModuleNotFoundError" in problem.reason
        assert host.run("plain").ok
        with pytest.raises(PluginError, match="acme"):
            host.token("acme")


def test_all_three_at_once(make: Make, tmp_path: Path) -> None:
    """Three that claim the same names: the first has them, and each claim of the others names two owners."""
    make("distribution", MODULE)
    here = make("folder", MODULE)
    given = ModuleType("acme_object")
    exec(compile(MODULE, "acme_object", "exec", dont_inherit=True), vars(given))
    problems = open_manifest(here.manifest, [given]).registry.problems
    assert [problem.code for problem in problems] == ["duplicate"] * 2 * len(KINDS)
    owners = {getattr(problem, "owner", "") for problem in problems}
    assert owners == {str(tmp_path / "plugins" / "acme_everything.py"), "acme_object"}
    assert all("both acme-plugin 1.2 (acme_everything) and" in str(problem) for problem in problems)
