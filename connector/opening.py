"""A manifest and its plugins, brought together: what is right by name, and everything that is wrong.

Rules of this room: no network and no environment until an account is really asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connector import pipeline, registry, storeurl
from connector.account import Account
from connector.accountspec import AccountSpec
from connector.bind import bind_account
from connector.catalogue import Endpoints
from connector.check import near_miss
from connector.damage import further
from connector.endpoint import Endpoint
from connector.endpointfile import build, unknown_grants
from connector.endpointparts import NOTHING
from connector.errors import (
    ConnectorError,
    ManifestError,
    PluginError,
    Problem,
    SecretMissingError,
    StoreError,
)
from connector.manifest import Manifest, read
from connector.pluginfile import files_of
from connector.registry import Registry
from connector.resolve import resolve_with, unknown_scheme
from connector.secret import Secret, SecretRef
from connector.snap import PipelineSpec
from connector.stepcheck import Known, targets
from connector.store import sqlite_path
from connector.template import has_control
from connector.yamlfile import join


@dataclass(slots=True)
class Opening:
    """A manifest opened with its plugins.

    Attributes:
        accounts: bound accounts; references in them are not followed yet.
        problems: everything wrong with the manifest itself.
        unbound: accounts that may be right, but need what a broken plugin would have brought: name -> why.
    """

    manifest: Manifest
    registry: Registry
    endpoints: Mapping[str, Endpoint]
    accounts: dict[str, Account] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unbound: dict[str, ManifestError] = field(default_factory=dict)

    @property
    def broken(self) -> dict[str, ConnectorError]:
        """The accounts of broken plugins, each with its error."""
        return {name: _blamed(error, self.registry) for name, error in self.unbound.items()}

    def resolved(self, name: str) -> Account:
        """The account with its references followed. Raises ManifestError, SecretMissingError, PluginError."""
        if name in self.unbound:
            raise _blamed(self.unbound[name], self.registry)
        if name not in self.manifest.accounts:
            raise unknown("account", name, self.manifest.accounts, self.manifest)
        resolver = resolve_with(self.registry.secret_sources, self.manifest.folder)
        return bind_account(
            self.manifest.accounts[name], self.endpoints, self.registry.grants, resolve=resolver
        )

    def reveal(self, account: Account) -> Secret | None:
        """The client secret, asked for anew each time, so that a changed one needs no restart."""
        secret = account.client_secret
        if not isinstance(secret, SecretRef):
            return secret
        return Secret(self._one_line(account, secret))

    def others(self, account: Account) -> Mapping[str, Secret]:
        """The account's other secrets, asked for anew each time as well."""
        resolver = resolve_with(self.registry.secret_sources, self.manifest.folder)
        found: dict[str, Secret] = {}
        for name, said in account.secrets.items():
            if not isinstance(said, SecretRef):
                found[name] = said
            elif name == "private_key":  # PEM has lines
                found[name] = Secret(resolver(said))
            else:
                found[name] = Secret(self._one_line(account, said, ascii=name in ("api_key", "bearer_token")))
        return found

    def _one_line(self, account: Account, ref: SecretRef, *, ascii: bool = False) -> str:
        """What a reference leads to. Raises SecretMissingError for what no request could carry."""
        text = resolve_with(self.registry.secret_sources, self.manifest.folder)(ref)
        wrong = "a control character" if has_control(text) else ""
        if ascii and not wrong and not text.isascii():
            wrong = "a character that is not ASCII"
        if not wrong:
            return text
        hint = "a line break at its end, perhaps" if text.strip() != text else "copy it anew"
        problem = Problem(
            file=ref.file,
            line=max(ref.line, 1),
            column=max(ref.column, 1),
            pointer=ref.pointer,
            message=f"what {ref} leads to holds {wrong}",
            hint=hint,
        )
        raise SecretMissingError([problem])

    def pipeline(self, name: str) -> PipelineSpec:
        """A pipeline that has passed its checks. Raises ManifestError, PluginError."""
        if name not in self.manifest.pipelines:
            raise unknown("pipeline", name, self.manifest.pipelines, self.manifest)
        problems = self.pipeline_problems(name)
        if problems and self.registry.problems and all(p.pointer.endswith("/snap") for p in problems):
            raise _blamed(ManifestError(problems), self.registry)
        if problems:
            raise ManifestError(problems)
        return self.manifest.pipelines[name]

    def pipeline_problems(self, name: str) -> list[Problem]:
        """Everything wrong with the steps of a pipeline, found without running it."""
        return self._steps(self.manifest.pipelines[name])

    @property
    def paging(self) -> Mapping[str, Mapping[str, Any]]:
        """Account -> how its endpoint says that listings are paged."""
        return {name: account.endpoint.api.paging for name, account in self.accounts.items()}

    def _steps(self, spec: PipelineSpec, *, whole: bool = True) -> list[Problem]:
        baseless = [name for name, account in self.accounts.items() if not account.endpoint.api.base_url]
        known = Known(self.manifest.accounts, baseless, whole, self.paging)
        found = pipeline.check(spec, self.registry.snaps, known, folder=self.manifest.folder)
        base = join("/pipelines", spec.name)
        return [
            # What is wrong with the pipeline is told at a key, since it is no value that is wrong.
            self.manifest.problem(
                base + (pointer if step is None else f"/snaps/{step}{pointer}"),
                message,
                hint,
                key=step is None,
            )
            for step, pointer, message, hint in found
        ]

    def sound(
        self,
        names: Iterable[str],
        parameters: Mapping[str, str] = NOTHING,
        taken: Mapping[str, str] = NOTHING,
    ) -> None:
        """Look whether pipelines may run together. Raises ManifestError (everything wrong), PluginError."""
        problems: list[Problem] = []
        for name in names:
            try:
                self.pipeline(name)
            except ManifestError as error:
                problems += error.problems
        problems += self._shared(names, parameters, taken) if not problems else ()
        if problems:
            raise ManifestError(problems)

    def targets(self, name: str, parameters: Mapping[str, str] = NOTHING) -> list[tuple[int, str]]:
        """What the steps of a pipeline will write to, see `stepcheck.targets`."""
        spec = self.manifest.pipelines[name]
        given = {key: parameters.get(key, default) for key, default in spec.parameters.items()}
        return targets(spec, self.registry.snaps, given, self.manifest.folder)

    def _shared(
        self, names: Iterable[str], parameters: Mapping[str, str], taken: Mapping[str, str]
    ) -> Iterator[Problem]:
        """Two pipelines of one run that write the same file: whoever comes last would win."""
        first: dict[str, str] = {}
        for name in names:
            for step, path in self.targets(name, parameters):
                at = join("/pipelines", name, "snaps", step, "with", "path")
                if path in taken:
                    message = f"{taken[path]} writes there already"
                    yield self.manifest.problem(at, message, "leave one of them out, or name a file")
                elif first.setdefault(path, name) != name:
                    message = f"the pipeline {first[path]!r} of this run writes to the same place"
                    yield self.manifest.problem(at, message, "run one of them, or name another file")

    def store_problems(self) -> list[Problem]:
        """What is wrong with ``store:``, as far as its URL tells; a store given in Python makes it moot."""
        known_sources = self.registry.secret_sources
        refs = storeurl.references(self.manifest.document, self.manifest.store)
        if unknown_refs := [ref for ref in refs if ref.scheme not in known_sources]:
            return [unknown_scheme(ref, known_sources) for ref in unknown_refs]
        scheme = self.manifest.store.partition(":")[0]
        if scheme.startswith("$"):
            return []  # all of it is elsewhere
        if scheme == "sqlite":
            try:
                sqlite_path(self.manifest.store, self.manifest.folder)
            except StoreError as error:
                return [self.manifest.problem("/store", error.message, error.resolution)]
        if scheme in self.registry.stores:
            return []
        near = near_miss(scheme, self.registry.stores)
        known = ", ".join(sorted(self.registry.stores))
        hint = f"did you mean {near}:?" if near else f"known: {known}; others come with a plugin"
        return [self.manifest.problem("/store", f"no token store is known for {scheme}:", hint)]

    def store_url(self) -> str:
        """The URL of the store, its references followed.

        Raises SecretMissingError, and ManifestError for a store that nobody knows; neither shows it.
        """
        resolver = resolve_with(self.registry.secret_sources, self.manifest.folder)
        url = storeurl.filled(self.manifest.document, self.manifest.store, resolver)
        if self.manifest.store.startswith("$") and url.partition(":")[0] not in self.registry.stores:
            message = f"{self.manifest.store} leads to the URL of no token store that is known"
            known = ", ".join(sorted(self.registry.stores))
            raise ManifestError(self.manifest.problem("/store", message, f"known: {known}"))
        return url

    def _account(self, spec: AccountSpec) -> list[Problem]:
        """Everything wrong with an account that is only looked at."""
        try:
            known = self.registry.secret_sources
            bind_account(spec, self.endpoints, self.registry.grants, schemes=known)
        except ManifestError as error:
            return list(error.problems)
        return []

    def waiting(self) -> list[str]:
        """The unbound accounts of which only a broken plugin's absence is wrong, as far as one can tell."""
        return [
            name
            for name, error in self.unbound.items()
            if not any(problem.hint.startswith("did you mean") for problem in error.problems)
        ]

    def everything_wrong(self, *, secrets: bool = False) -> list[Problem]:
        """All that can be found without network, pipelines and accounts of broken plugins included.

        Args:
            secrets: also follow every reference, once.
        """
        found = [*self.problems, *self.store_problems()]
        for name, error in self.unbound.items():
            found += error.problems if name not in self.waiting() else ()
        for name in self.manifest.pipelines:
            found += self.pipeline_problems(name)
        rests = self.manifest.damaged
        for name, pipeline_spec in rests.pipelines.items():
            at = join("/pipelines", name)
            found += further(
                at, self._steps(pipeline_spec, whole=False), self.problems, self.manifest.document.marks
            )
        for name, account_spec in rests.accounts.items():
            at = join("/accounts", name)
            found += further(at, self._account(account_spec), self.problems, self.manifest.document.marks)
        if secrets and not self.store_problems():
            try:
                self.store_url()
            except ManifestError as error:
                found += error.problems
        for name in self.accounts if secrets else ():
            try:
                account = self.resolved(name)
                self.reveal(account)
                self.others(account)
            except ManifestError as error:
                found += error.problems
            except ConnectorError as error:
                found.append(self.manifest.problem(f"/accounts/{name}", str(error)))
        return found


def open_manifest(path: str | Path, plugins: Iterable[object] = ()) -> Opening:
    """Read a manifest and load its plugins; what is wrong is in the result.

    Raises ManifestError when it cannot be read at all.
    """
    manifest, problems = read(path)
    paths, missing = _plugin_paths(manifest)
    found = registry.collect(paths, plugins)
    for raw in manifest.endpoints:
        if raw.name in found.endpoints:
            owner = found.owners.get(f"endpoint {raw.name}", "a plugin")
            problems.append(
                raw.problem(
                    f"the endpoint {raw.name!r} is contributed by {owner} already",
                    hint="give yours another name; it may say `extends: " + raw.name + "`",
                )
            )
    own = [raw for raw in manifest.endpoints if raw.name not in found.endpoints]
    built, wrong = build(own, found.endpoints)
    if not found.problems:  # else perhaps a broken plugin would have brought the grant
        wrong += [
            problem for raw in own if raw.name in built for problem in unknown_grants(raw, found.grants)
        ]
    opening = Opening(
        manifest, found, Endpoints(built, found.endpoints), problems=[*problems, *missing, *wrong]
    )
    _bind(opening)
    return opening


def _plugin_paths(manifest: Manifest) -> tuple[list[Path], list[Problem]]:
    paths, problems = [], []
    for plugin in manifest.plugins:
        path = manifest.folder / Path(plugin.path).expanduser()
        if path.exists():
            paths.append(path)
            if path.is_dir() and not files_of(path):
                hint = "a plugin is a file that ends in .py or .yaml"
                problems.append(manifest.problem(plugin.pointer, f"{plugin.path} holds no plugin", hint))
        else:
            hint = "paths are relative to the manifest"
            problems.append(manifest.problem(plugin.pointer, f"there is no plugin at {plugin.path}", hint))
    return paths, problems


def _bind(opening: Opening) -> None:
    found = opening.registry
    for name, spec in opening.manifest.accounts.items():
        try:
            opening.accounts[name] = bind_account(
                spec, opening.endpoints, found.grants, schemes=found.secret_sources
            )
        except ManifestError as error:
            if found.problems and _may_be_missing(error):
                # Perhaps it is the broken plugin that would have brought what this account needs.
                opening.unbound[name] = error
            else:
                opening.problems += error.problems


def _may_be_missing(error: ManifestError) -> bool:
    ends = ("/oauth2_endpoint", "/grant", "/client_secret", "/client_id")
    return all(
        problem.pointer.endswith(ends) or problem.pointer.rpartition("/")[0].endswith("/grants")
        for problem in error.problems
    )


def _blamed(error: ManifestError, found: Registry) -> PluginError:
    """The error for what is missing while plugins are broken: perhaps one of them would have brought it."""
    first = found.problems[0]
    told = [str(problem) for problem in found.problems[:3]]
    if len(found.problems) > len(told):
        told.append(f"and {len(found.problems) - len(told)} more")
    return PluginError(
        str(error),
        owner=getattr(first, "owner", "") or getattr(first, "file", ""),
        hook=getattr(first, "hook", ""),
        code="plugin_failed",
        reason="Perhaps a broken plugin would bring it: " + "; ".join(told),
        resolution="Mend that plugin first.",
    )


def unknown(kind: str, name: str, known: Iterable[str], manifest: Manifest) -> ManifestError:
    """The error for a name that the manifest does not declare."""
    names = sorted(known)
    near = near_miss(name, names)
    hint = f"did you mean {near}?" if near else f"it has {', '.join(names)}" if names else "it has none"
    problem = manifest.problem(f"/{kind}s", f"there is no {kind} {name!r} in this manifest", hint)
    return ManifestError(problem, code=f"unknown_{kind}")
