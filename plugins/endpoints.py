"""The endpoints we ship: every YAML file of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connector.hookspecs import hookimpl


@hookimpl
def connector_endpoints() -> Iterable[Path]:
    """See `connector.hookspecs.connector_endpoints`."""
    return sorted(Path(__file__).parent.glob("*.yaml"))
