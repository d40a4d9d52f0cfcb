"""Plugins -> checked values. Calls each hook of each plugin by itself: a broken one harms nobody else.

Rules of this room: nobody outside sees the plugin manager; what a hook returns is checked before it is used,
and every complaint names the plugin's owner (distribution, file or object) and the hook.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from connector import hookspecs
from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint, build, from_mapping, load
from connector.errors import ConnectorError, ManifestError, PluginError
from connector.grants import Grant
from connector.hookspecs import SecretSource, StoreOpener
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


@dataclass(slots=True)
class Registry:
    """Everything plugins contribute, by name.

    Attributes:
        problems: what is wrong with which plugin; the rest works.
        owners: ``kind name`` -> owner, for messages and `connector plugin list`.
    """

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    stores: dict[str, StoreOpener] = field(default_factory=dict)
    secret_sources: dict[str, SecretSource] = field(default_factory=dict)
    snaps: dict[str, Snap] = field(default_factory=dict)
    services: dict[str, Callable[[], Service]] = field(default_factory=dict)
    problems: list[ConnectorError] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def claim(self, kind: str, name: str, owner: str) -> None:
        """Note who contributes a name. Raises PluginError ``duplicate`` naming both owners."""
        other = self.owners.setdefault(f"{kind} {name}", owner)
        if other != owner:
            raise PluginError(
                f"two plugins contribute the {kind} {name!r}: {other} and {owner}",
                owner=owner,
                code="duplicate",
                resolution="remove one of them, or let one use another name",
            )


def collect(paths: Iterable[Path] = (), plugins: Iterable[object] = ()) -> Registry:
    """Load all plugins: built in, installed (entry points ``connector``), from paths, and given objects.

    Raises PluginError only for what cannot be told apart later: two plugins that claim one name.
    """
    registry, manager = Registry(), _manager()
    for name in BUILT_IN:
        _register(registry, manager, importlib.import_module(name), f"connector ({name})")
    for plugin, owner in _installed(registry):
        _register(registry, manager, plugin, owner)
    raws: list[tuple[RawEndpoint, str]] = []
    for given in [*paths, *plugins]:
        if isinstance(given, (str, Path)):
            for file in _files(Path(given)):
                _from_file(registry, manager, file, raws)
        else:
            _register(registry, manager, given, _describe(given))
    _take(registry, manager, raws)
    return registry


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("connector")
    manager.add_hookspecs(hookspecs)
    return manager


def _register(registry: Registry, manager: pluggy.PluginManager, plugin: object, owner: str) -> None:
    try:
        manager.register(plugin, name=owner)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        if manager.get_plugin(owner) is not None:
            manager.unregister(name=owner)
        registry.problems.append(
            PluginError(
                f"the plugin {owner} does not fit",
                owner=owner,
                code="bad_plugin",
                reason=str(error).splitlines()[-1] if str(error) else type(error).__name__,
                resolution="see docs/plugins.md for the hooks and their arguments",
            )
        )


def _installed(registry: Registry) -> Iterable[tuple[object, str]]:
    for entry in importlib.metadata.entry_points(group="connector"):
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        owner = f"{distribution} ({entry.value})"
        try:
            yield entry.load(), owner
        except Exception as error:
            registry.problems.append(_broken(owner, "", error))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml", ".py"))
        return [file for file in found if not file.name.startswith((".", "_"))]
    return [path]


def _from_file(
    registry: Registry, manager: pluggy.PluginManager, file: Path, raws: list[tuple[RawEndpoint, str]]
) -> None:
    try:
        if file.suffix == ".py":
            _register(registry, manager, _module(file), str(file))
        else:
            raws += [(raw, str(file)) for raw in load(file)]
    except ManifestError as error:
        registry.problems.append(error)
    except Exception as error:
        registry.problems.append(_broken(str(file), "", error))


def _module(file: Path) -> ModuleType:
    # A name of its own: two folders may each have a plugin.py.
    name = f"connector_plugin_{abs(hash(str(file.resolve()))):x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _describe(plugin: object) -> str:
    if inspect.ismodule(plugin):
        return plugin.__name__
    cls = plugin if inspect.isclass(plugin) else type(plugin)
    return f"{cls.__module__}.{cls.__qualname__} at {id(plugin):#x}"


def _broken(owner: str, hook: str, error: Exception) -> PluginError:
    where = f" in {hook}" if hook else " while loading"
    text = " ".join(str(error).split())[:300]
    return PluginError(
        f"the plugin {owner} failed{where}",
        owner=owner,
        hook=hook,
        code="plugin_failed",
        reason=f"{type(error).__name__}: {text}" if text else type(error).__name__,
        resolution="update or remove that plugin",
    )


def _take(registry: Registry, manager: pluggy.PluginManager, raws: list[tuple[RawEndpoint, str]]) -> None:
    call = functools.partial(_call, registry, manager)
    for owner, value in call("connector_endpoints", _is_list):
        for item in value:
            raws += _raw(registry, owner, item)
    for raw, owner in raws:
        registry.claim("endpoint", raw.name, owner)
    registry.endpoints, problems = build([raw for raw, _ in raws])
    registry.problems += [ManifestError(problem) for problem in problems]
    for owner, value in call("connector_grants", _is_list):
        for grant in value:
            _add(registry, registry.grants, "grant", getattr(grant, "name", None), grant, owner)
    for owner, value in call("connector_snaps", _is_list):
        for snap in value:
            fits = isinstance(snap, Snap)
            _add(registry, registry.snaps, "snap", snap.name if fits else None, snap, owner)
    for hook, kind, table in (
        ("connector_stores", "store", registry.stores),
        ("connector_secret_sources", "secret source", registry.secret_sources),
        ("connector_services", "service", registry.services),
    ):
        for owner, value in call(hook, _is_mapping):
            for name, item in value.items():
                _add(registry, table, kind, name if callable(item) else None, item, owner)


def _call(
    registry: Registry, manager: pluggy.PluginManager, hook: str, fits: Callable[[Any], bool]
) -> list[tuple[str, Any]]:
    """Call one hook of each plugin by itself; in order of registration."""
    results = []
    for owner, plugin in manager.list_name_plugin():
        function = next(
            (impl.function for impl in getattr(manager.hook, hook).get_hookimpls() if impl.plugin is plugin),
            None,
        )
        if function is None:
            continue
        try:
            value = function()
            value = value if isinstance(value, Mapping) else list(value or ())
        except Exception as error:
            registry.problems.append(_broken(owner, hook, error))
            continue
        if not fits(value):
            registry.problems.append(
                _broken(owner, hook, TypeError("it returned something else than promised"))
            )
            continue
        results.append((owner, value))
    return results


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _raw(registry: Registry, owner: str, item: Any) -> list[tuple[RawEndpoint, str]]:
    try:
        if isinstance(item, (str, Path)):
            return [(raw, owner) for raw in load(Path(item))]
        if isinstance(item, Mapping):
            return [(from_mapping(item, origin=owner), owner)]
    except ManifestError as error:
        registry.problems.append(
            PluginError(str(error), owner=owner, hook="connector_endpoints", code="bad_endpoint")
        )
        return []
    kind = type(item).__name__
    registry.problems.append(
        _broken(owner, "connector_endpoints", TypeError(f"an endpoint is a path or a mapping, not {kind}"))
    )
    return []


def _add(registry: Registry, table: dict[str, Any], kind: str, name: Any, item: Any, owner: str) -> None:
    if not isinstance(name, str) or not name:
        registry.problems.append(
            _broken(
                owner,
                f"connector_{kind}s".replace(" ", "_"),
                TypeError(f"{type(item).__name__} is no {kind}"),
            )
        )
        return
    registry.claim(kind, name, owner)
    table[name] = item
