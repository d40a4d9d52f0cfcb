"""manifest.yaml -> `Manifest`: everything a person wrote there, checked as far as it needs no plugin.

Rules of this room: no plugin, no environment, no network. All problems of a file are found at once, and
what is right in a manifest is there even when something else in it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from connector.accountspec import AccountSpec, check_account
from connector.check import check
from connector.damage import damaged, further
from connector.endpointfile import RawEndpoint, without_nulls
from connector.errors import ManifestError, Problem
from connector.pipelinespec import read_pipeline
from connector.snap import PipelineSpec
from connector.storeurl import check_store
from connector.yamlfile import Document, join, parse, read_all

DEFAULT_STORE = "sqlite:///~/.local/share/connector/tokens.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPath:
    """An entry of ``plugins:``: a file or folder, as written and where."""

    path: str
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """What is left of entries that have problems inside."""

    accounts: Mapping[str, AccountSpec] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a person wrote in a manifest.

    Attributes:
        path: the file as named.
        folder: where relative paths in it start.
        store: URL of the token store, as written: references in it are not followed.
        plugins: files and folders to take plugins from.
        endpoints: endpoints declared here, ``extends`` not yet followed.
        accounts: accounts by name, not yet bound to their endpoints.
        pipelines: pipelines by name.
        damaged: accounts and pipelines with problems inside, without what those are about: to be looked at
            for more, never to be used.
        document: data and places, for `problem`.
    """

    path: Path
    folder: Path
    document: Document = field(repr=False)
    version: int = 1
    store: str = field(default=DEFAULT_STORE, repr=False)
    plugins: tuple[PluginPath, ...] = ()
    endpoints: tuple[RawEndpoint, ...] = ()
    accounts: Mapping[str, AccountSpec] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineSpec] = field(default_factory=dict)
    damaged: Damaged = field(default_factory=lambda: Damaged())

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A Problem at the place of the value at `pointer` (`key`: of its key), e.g. ``/store``."""
        return self.document.problem(pointer, message, hint, key=key)


def load(path: str | Path) -> Manifest:
    """Read and check a manifest. Raises ManifestError with all its problems (code ``not_found``: no file)."""
    manifest, problems = read(path)
    if problems:
        raise ManifestError(problems)
    return manifest


def loads(text: str | bytes, *, file: str = "manifest.yaml", folder: str | Path = ".") -> Manifest:
    """The same for text at hand; relative paths in it start at `folder`."""
    manifest, problems = _manifest(parse(text, file=file), Path(file), Path(folder))
    if problems:
        raise ManifestError(problems)
    return manifest


def read(path: str | Path) -> tuple[Manifest, list[Problem]]:
    """Read a manifest: what is right in it, and every problem of the rest.

    For `connector check`, which goes on with what is right. Raises ManifestError for text that is no YAML.
    """
    path = Path(path)
    return _manifest(read_all(path), path, path.expanduser().absolute().parent)


def _manifest(documents: list[Document], path: Path, folder: Path) -> tuple[Manifest, list[Problem]]:
    document = documents[0]
    problems = [*document.problems, *check(document, "manifest", data=_checkable(document.data))]
    if len(documents) > 1:
        message = "a second document begins here, and a manifest is one"
        problems.append(documents[1].problem("", message, "remove the line --- before it"))
    data = document.data if isinstance(document.data, dict) else {}
    right = _right(data, problems)
    endpoints, more = _endpoints(document, right.get("endpoints", {}))
    problems += more
    rests, more = _rests(document, data, right, problems)
    accounts, wrong = _accounts(document, right.get("accounts", {}))
    problems += [*more, *wrong]
    pipelines, more = _pipelines(document, data, right.get("pipelines", {}))
    problems += more
    if more := check_store(document, right.get("store", DEFAULT_STORE)):
        problems += more
        right.pop("store")
    manifest = Manifest(
        path=path,
        folder=folder,
        document=document,
        store=right.get("store", DEFAULT_STORE),
        plugins=tuple(
            PluginPath(path=p, pointer=f"/plugins/{i}") for i, p in enumerate(right.get("plugins", ()))
        ),
        endpoints=endpoints,
        accounts=MappingProxyType(accounts),
        pipelines=MappingProxyType(pipelines),
        damaged=rests,
    )
    return manifest, sorted(problems, key=lambda p: (p.line, p.column))


def _checkable(data: Any) -> Any:
    """The data as the schema sees it: beside ``extends`` a null removes something, whatever its kind."""
    if not isinstance(data, dict):
        return data
    copy = dict(data)
    if isinstance(data.get("endpoints"), dict):
        copy["endpoints"] = {name: _extending(spec) for name, spec in data["endpoints"].items()}
    if isinstance(data.get("accounts"), dict):
        copy["accounts"] = {
            name: {**spec, "oauth2_endpoint": _extending(spec["oauth2_endpoint"])}
            if isinstance(spec, dict) and "oauth2_endpoint" in spec
            else spec
            for name, spec in data["accounts"].items()
        }
    return copy


def _extending(spec: Any) -> Any:
    return without_nulls(spec) if isinstance(spec, dict) and "extends" in spec else spec


def _right(data: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The parts of the data that no problem is inside of: sections whole, or entries of sections."""
    broken = {problem.pointer for problem in problems}
    sections = {}
    for section, value in data.items():
        at = join("", section)
        if at in broken:
            continue
        if isinstance(value, dict):
            sections[section] = {
                name: entry for name, entry in value.items() if not _inside(join(at, name), broken)
            }
        elif not _inside(at, broken):
            sections[section] = value
    return sections


def _rests(
    document: Document, data: Mapping[str, Any], right: Mapping[str, Any], problems: list[Problem]
) -> tuple[Damaged, list[Problem]]:
    """The rest of damaged entries, and what else is wrong in it."""
    found: list[Problem] = []
    accounts: dict[str, AccountSpec] = {}
    for name, entry in damaged("accounts", data.get("accounts"), right.get("accounts", {}), problems).items():
        at = join("/accounts", name)
        spec = AccountSpec(name=name, data={"client_id": "-", **entry}, document=document, pointer=at)
        more = further(at, check_account(spec), problems, document.marks)
        found += more
        # What an account may say depends on its endpoint: of one that is wrong, nothing follows.
        if not more and not any(_inside(join(at, "oauth2_endpoint"), {p.pointer}) for p in problems):
            accounts[name] = spec
    names = list(data["accounts"]) if isinstance(data.get("accounts"), dict) else []
    pipelines: dict[str, PipelineSpec] = {}
    for name, entry in damaged(
        "pipelines", data.get("pipelines"), right.get("pipelines", {}), problems
    ).items():
        if not _has_steps(entry):
            continue
        pipelines[name], more = read_pipeline(document, name, entry, names)
        found += further(join("/pipelines", name), more, problems, document.marks)
    return Damaged(accounts=accounts, pipelines=pipelines), found


def _has_steps(entry: Mapping[str, Any]) -> bool:
    steps = entry.get("snaps")
    return isinstance(steps, list) and all(isinstance(step, dict) and "snap" in step for step in steps)


def _inside(pointer: str, broken: set[str]) -> bool:
    return any(at == pointer or at.startswith(pointer + "/") for at in broken)


def _endpoints(document: Document, specs: Mapping[str, Any]) -> tuple[tuple[RawEndpoint, ...], list[Problem]]:
    raws, problems = [], []
    for name, spec in specs.items():
        at = join("/endpoints", name)
        if spec.get("endpoint", name) != name:
            message = f"this endpoint is called {name} by its key"
            problems.append(document.problem(join(at, "endpoint"), message, "remove endpoint: here"))
        raws.append(RawEndpoint(name=name, spec={**spec, "endpoint": name}, document=document, pointer=at))
    return tuple(raws), problems


def _accounts(document: Document, specs: Mapping[str, Any]) -> tuple[dict[str, AccountSpec], list[Problem]]:
    accounts, problems = {}, []
    for name, data in specs.items():
        spec = AccountSpec(name=name, data=data, document=document, pointer=join("/accounts", name))
        found = check_account(spec)
        problems += found
        if not found:
            accounts[name] = spec
    return accounts, problems


def _pipelines(
    document: Document, data: Mapping[str, Any], specs: Mapping[str, Any]
) -> tuple[dict[str, PipelineSpec], list[Problem]]:
    pipelines: dict[str, PipelineSpec] = {}
    problems: list[Problem] = []
    # All names, also of broken accounts: one mistake is told once.
    accounts = list(data["accounts"]) if isinstance(data.get("accounts"), dict) else []
    for name, spec in specs.items():
        pipeline, found = read_pipeline(document, name, spec, accounts)
        problems += found
        if not found:
            pipelines[name] = pipeline
    return pipelines, problems
