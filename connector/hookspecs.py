"""The words plugins speak: six hooks, each without arguments, each returning values.

A plugin is a module or object with functions of these names marked by `hookimpl`. Ours use nothing that a
stranger's could not: floors 0 to 2 of this package and this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from connector.grants import Grant
from connector.service import Service
from connector.snap import Snap
from connector.tokenstore import TokenStore

hookspec = pluggy.HookspecMarker("connector")
hookimpl = pluggy.HookimplMarker("connector")

StoreOpener = Callable[[str, Path], TokenStore]
SecretSource = Callable[[str, Path], str]


@hookspec
def connector_endpoints() -> Iterable[Path | Mapping[str, Any]]:
    """Endpoints: paths of endpoint files (YAML), or mappings of the same shape."""
    return ()


@hookspec
def connector_grants() -> Iterable[Grant]:
    """Ways to obtain a token."""
    return ()


@hookspec
def connector_stores() -> Mapping[str, StoreOpener]:
    """Token stores: URL scheme -> ``opener(url, folder)``; relative paths start at `folder`."""
    return {}


@hookspec
def connector_secret_sources() -> Mapping[str, SecretSource]:
    """Secret sources: scheme of ``${scheme:ref}`` -> ``source(ref, folder) -> text``.

    Raises LookupError when there is nothing under `ref`; its message is shown, so it must hold no secret.
    """
    return {}


@hookspec
def connector_snaps() -> Iterable[Snap]:
    """Kinds of pipeline steps."""
    return ()


@hookspec
def connector_services() -> Mapping[str, Callable[[], Service]]:
    """Local servers: name (``service:`` of an endpoint file) -> what makes one, not yet started."""
    return {}
