"""The endpoints we ship: every YAML file of this folder and of catalogue/."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connector.hookspecs import hookimpl


@hookimpl
def connector_endpoints() -> Iterable[Path]:
    """See `connector.hookspecs.connector_endpoints`."""
    here = Path(__file__).parent
    return [*sorted(here.glob("*.yaml")), *sorted(here.glob("catalogue/*.yaml"))]
