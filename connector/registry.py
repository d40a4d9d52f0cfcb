"""Plugins -> checked values. Calls each hook of each plugin by itself: a broken one harms nobody else.

Rules of this room: nobody outside sees the plugin manager; what a hook returns is checked before it is used,
and every complaint names the plugin's owner (distribution, file or object) and the hook.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from connector import guarded, hookspecs
from connector.check import near_miss
from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint, build, from_mapping, load
from connector.errors import ConnectorError, ManifestError, PluginError
from connector.grants import Grant
from connector.guarded import GuardedGrant
from connector.hookspecs import SecretSource, StoreOpener
from connector.pluginfile import ENDPOINT_FILES, Found, broken, described, files_of, from_python, installed
from connector.service import Service
from connector.snap import Snap

BUILT_IN = (
    "connector.plugins.endpoints",
    "connector.plugins.grants",
    "connector.plugins.secrets",
    "connector.plugins.sandbox",
    "connector.plugins.snaps_http",
    "connector.plugins.snaps_file",
    "connector.plugins.snaps_shape",
    "connector.store",
)
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("connector_"))


@dataclass(slots=True)
class Registry:
    """Everything plugins contribute, by name.

    Attributes:
        problems: what is wrong with which plugin; the rest works.
        owners: ``kind name`` -> owner, for messages.
    """

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    stores: dict[str, StoreOpener] = field(default_factory=dict)
    secret_sources: dict[str, SecretSource] = field(default_factory=dict)
    snaps: dict[str, Snap] = field(default_factory=dict)
    services: dict[str, Callable[[], Service]] = field(default_factory=dict)
    problems: list[ConnectorError] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def claim(self, kind: str, name: str, owner: str) -> bool:
        """Note who contributes a name. Whoever comes second is told of in `problems` (``duplicate``)."""
        other = self.owners.setdefault(f"{kind} {name}", "")
        if not other:
            self.owners[f"{kind} {name}"] = owner
            return True
        by = f"{owner} twice" if other == owner else f"both {other} and {owner}"
        self.problems.append(
            PluginError(
                f"the {kind} {name!r} is contributed by {by}",
                owner=owner,
                code="duplicate",
                resolution="remove one of them, or let one use another name",
            )
        )
        return False


def collect(paths: Iterable[Path] = (), plugins: Iterable[object] = ()) -> Registry:
    """Load all plugins: built in, installed (entry points ``connector``), from paths, and given objects.

    Raises nothing: what is wrong with a plugin is in `Registry.problems`.
    """
    return _Collector().collect([*paths, *plugins])


class _Collector:
    """One loading of all plugins."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.manager = pluggy.PluginManager("connector")
        self.manager.add_hookspecs(hookspecs)
        self.raws: list[tuple[RawEndpoint, str]] = []
        self.files: set[Path] = set()

    def collect(self, given: Iterable[object]) -> Registry:
        for name in BUILT_IN:
            self.register(Found(f"connector ({name})", importlib.import_module(name)))
        for found in installed():
            self.register(found)
        for index, plugin in enumerate(given):
            if isinstance(plugin, (str, Path)):
                self.path(Path(plugin))
            elif plugin not in self.manager.get_plugins():
                name = self._free(described(plugin), index)
                self.register(Found(name, plugin))
        self.take()
        return self.registry

    def _free(self, name: str, index: int) -> str:
        return f"{name} (plugins[{index}])" if self.manager.has_plugin(name) else name

    # --- loading ---

    def path(self, path: Path) -> None:
        try:
            files = files_of(path)
        except OSError as error:
            self.registry.problems.append(broken(str(path), "", error))
            return
        for file in files:
            if (real := file.resolve()) in self.files:
                continue  # named twice: by the manifest and in Python, say
            self.files.add(real)
            if file.suffix == ".py":
                self.register(from_python(file, named=file == path))
            elif file.suffix in ENDPOINT_FILES:
                self.endpoint_file(file, str(file))
            else:
                reason = ValueError("it is no folder, and no file that ends in .py or .yaml")
                self.registry.problems.append(broken(str(file), "", reason))

    def endpoint_file(self, file: Path, owner: str) -> None:
        try:
            self.raws += [(raw, owner) for raw in load(file)]
        except ManifestError as error:
            self.registry.problems.append(error)
        except Exception as error:
            self.registry.problems.append(broken(owner, "connector_endpoints", error))

    def register(self, found: Found) -> None:
        if found.error is not None:
            self.registry.problems.append(found.error)
            return
        if found.plugin in self.manager.get_plugins():
            return  # the same object by two ways is one plugin
        try:
            if unmarked := _unmarked(found.plugin):
                raise TypeError(f"{', '.join(unmarked)} lacks the mark @hookimpl")
            if unknown := _unknown(found.plugin):
                raise TypeError(unknown)
            self.manager.register(found.plugin, name=found.owner)
            self.manager.check_pending()
            if found.named and not self.manager.get_hookcallers(found.plugin):
                raise TypeError("it has no hook; mark its functions with @hookimpl")
        except Exception as error:
            if self.manager.has_plugin(found.owner):
                self.manager.unregister(name=found.owner)
            self.registry.problems.append(_unfit(found.owner, error))

    # --- asking ---

    def take(self) -> None:
        for owner, items in self.call("connector_endpoints", list):
            for item in items:
                self.endpoint(owner, item)
        claimed = [raw for raw, owner in self.raws if self.registry.claim("endpoint", raw.name, owner)]
        self.registry.endpoints, problems = build(claimed)
        self.registry.problems += [ManifestError(problem) for problem in problems]
        for owner, items in self.call("connector_grants", list):
            for grant in items:
                self.grant(owner, grant)
        for owner, items in self.call("connector_snaps", list):
            for snap in items:
                if not isinstance(snap, Snap):
                    self.wrong(owner, "connector_snaps", "a Snap", snap)
                elif said := guarded.snap_flaws(snap):
                    why = ValueError(f"the snap {snap.name!r}: " + "; ".join(said))
                    self.registry.problems.append(broken(owner, "connector_snaps", why))
                elif self.registry.claim("snap", snap.name, owner):
                    self.registry.snaps[snap.name] = snap
        found = self.registry
        self.mapping("connector_stores", "store", found.stores, guarded.store_opener)
        self.mapping("connector_secret_sources", "secret source", found.secret_sources, guarded.secret_source)
        self.mapping("connector_services", "service", found.services, guarded.service_maker)

    def call(self, hook: str, kind: type) -> list[tuple[str, Any]]:
        """Call one hook of each plugin by itself, in order of registration; None stands for nothing."""
        results: list[tuple[str, Any]] = []
        impls = {id(impl.plugin): impl for impl in getattr(self.manager.hook, hook).get_hookimpls()}
        for owner, plugin in self.manager.list_name_plugin():
            if id(plugin) not in impls:
                continue
            try:
                value = impls[id(plugin)].function()
                if kind is list and not isinstance(value, (str, bytes, Path, Mapping)) and value is not None:
                    value = list(value)
            except (Exception, SystemExit) as error:
                self.registry.problems.append(broken(owner, hook, error))
                continue
            fits = isinstance(value, list if kind is list else Mapping)
            if value is not None and not fits:
                what = "an iterable of values" if kind is list else "a mapping by name"
                self.wrong(owner, hook, what, value)
            elif value is not None:
                results.append((owner, value))
        return results

    def wrong(self, owner: str, hook: str, what: str, value: Any) -> None:
        self.registry.problems.append(guarded.promised(owner, hook, what, value))

    def endpoint(self, owner: str, item: Any) -> None:
        hook = "connector_endpoints"
        if isinstance(item, (str, Path)):
            self.endpoint_file(Path(item), owner)
            return
        if not isinstance(item, Mapping):
            self.wrong(owner, hook, "the path of an endpoint file, or a mapping,", item)
            return
        try:
            self.raws.append((from_mapping(item, origin=owner), owner))
        except ManifestError as error:
            self.registry.problems.append(
                PluginError(
                    f"the plugin {owner} brings an endpoint that is wrong",
                    owner=owner,
                    hook=hook,
                    code="bad_endpoint",
                    reason="; ".join(f"{p.pointer or '/'}: {p.message}" for p in error.problems),
                )
            )
        except Exception as error:
            self.registry.problems.append(broken(owner, hook, error))

    def grant(self, owner: str, grant: Any) -> None:
        if not guarded.is_grant(grant):
            self.wrong(owner, "connector_grants", "a Grant", grant)
        elif self.registry.claim("grant", grant.name, owner):
            made = GuardedGrant(
                grant, owner, grant.name, grant.interactive, bool(getattr(grant, "local", False))
            )
            self.registry.grants[grant.name] = made

    def mapping(self, hook: str, kind: str, table: dict[str, Any], guard: Callable[[Any, str], Any]) -> None:
        for owner, items in self.call(hook, dict):
            for name, item in items.items():
                if not isinstance(name, str) or not name or not callable(item):
                    self.wrong(owner, hook, f"a name and a callable for each {kind}", item)
                elif self.registry.claim(kind, name, owner):
                    table[name] = guard(item, owner)


def _unmarked(plugin: object) -> list[str]:
    """Functions that are named like a hook without being marked as one: they would never be called."""
    names = [name for name in HOOKS if callable(getattr(plugin, name, None))]
    return [name for name in names if not hasattr(getattr(plugin, name), "connector_impl")]


def _unknown(plugin: object) -> str:
    """What is wrong with the names of marked functions; pluggy's own words would show a module's repr."""
    for name in dir(plugin):
        # Statically: a property of a stranger's may do anything when it is looked at.
        if hasattr(inspect.getattr_static(plugin, name, None), "connector_impl") and name not in HOOKS:
            near = near_miss(name, HOOKS)
            return f"there is no hook {name}" + (f"; did you mean {near}?" if near else "")
    return ""


def _unfit(owner: str, error: Exception) -> PluginError:
    lines = str(error).splitlines()
    hook = next((name for name in HOOKS if name in str(error)), "")
    return PluginError(
        f"the plugin {owner} does not fit",
        owner=owner,
        hook=hook,
        code="bad_plugin",
        reason="; ".join(line.strip() for line in lines if line.strip()) or type(error).__name__,
        resolution="see docs/plugins.md for the hooks and their arguments",
    )
