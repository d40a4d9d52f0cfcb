"""`connector.open`: from a manifest to a host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connector.errors import ManifestError
from connector.guarded import is_store
from connector.host import Host
from connector.observe import tell
from connector.opening import open_manifest
from connector.tokenstore import TokenStore
from connector.vault import open_vault


def open(
    path: str | Path = "manifest.yaml",
    *,
    store: str | TokenStore | None = None,
    plugins: Iterable[object] = (),
) -> Host:
    """Open a manifest.

    Args:
        path: the manifest; relative paths in it start at its folder.
        store: a store URL (``memory://``, ...) or a `TokenStore`, instead of the manifest's.
        plugins: plugin objects or modules, or paths of plugin files and folders; or one path.

    Raises:
        ManifestError: with everything that is wrong in the file.
        PluginError: two plugins claim one name (``duplicate``).
        StoreError: the store URL names nothing.
    """
    if store is not None and not isinstance(store, str) and not is_store(store):
        raise TypeError(f"store is a URL or a TokenStore, not of type {type(store).__name__}")
    opening = open_manifest(path, [plugins] if isinstance(plugins, (str, Path)) else plugins)
    problems = [*opening.problems, *(opening.store_problems() if store is None else ())]
    if problems:
        raise ManifestError(problems)
    for problem in opening.registry.problems:
        if problem.code == "duplicate":
            raise problem
        owner, hook = getattr(problem, "owner", ""), getattr(problem, "hook", "")
        tell("plugin.broken", plugin=owner, hook=hook, code=problem.code, reason=str(problem))
    vault = open_vault(
        opening.store_url() if store is None else store,
        opening.registry.stores,
        opening.manifest.folder,
    )
    return Host(opening, vault)
