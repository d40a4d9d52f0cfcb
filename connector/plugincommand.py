"""`connector plugin`: `list` has everything with a name in a manifest, and who brings it."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from connector.console import (
    chosen,
    command,
    complain,
    json_option,
    manifest_option,
    printable,
    show,
    table,
    write_json,
)
from connector.endpoint import Endpoint
from connector.errors import ManifestError
from connector.opening import open_manifest
from connector.plugincheck import plugin_check
from connector.registry import Registry, collect

_KINDS = ("endpoints", "grants", "snaps", "stores", "secrets", "services")


@click.group()
def plugin() -> None:
    """What plugins bring, and whether it is right."""


plugin.add_command(plugin_check)


@plugin.command("list")
@click.argument("kinds", nargs=-1, type=click.Choice(_KINDS), metavar="[KIND]...")
@manifest_option
@json_option
@click.pass_context
@command
def plugin_list(context: click.Context, kinds: tuple[str, ...], manifest: str | None, as_json: bool) -> None:
    """Everything that has a name in a manifest, and who brings it; with the manifest's own plugins.

    Of an endpoint's settings those in brackets may be left out.
    KIND: endpoints, grants, snaps, stores, secrets, services; all when none is named.
    """
    found, endpoints = _found(context, manifest)
    rows = {kind: _rows(kind, found, endpoints) for kind in kinds or _KINDS}
    if as_json:
        write_json(rows)
        return
    for kind, listed in rows.items():
        shown = table(kind)
        columns = ("name", "grants", "settings", "from") if kind == "endpoints" else ("name", "what", "from")
        for column in columns:
            shown.add_column(column)
        for row in listed:
            shown.add_row(*(Text(printable(_cell(row[column]))) for column in columns))
        show(shown)


def _found(context: click.Context, manifest: str | None) -> tuple[Registry, dict[str, Endpoint]]:
    try:
        opening = open_manifest(chosen(context, manifest))
    except ManifestError as error:
        if manifest is not None or error.code != "not_found":
            raise
        found = collect()  # no manifest here: what is installed
        return found, dict(found.endpoints)
    for problem in opening.registry.problems:
        complain(problem, kind="warning")
    return opening.registry, dict(opening.endpoints)


def _rows(kind: str, found: Registry, endpoints: dict[str, Endpoint]) -> list[dict[str, Any]]:
    if kind == "endpoints":
        return [_endpoint(endpoints[name], found) for name in sorted(endpoints)]
    kinds: dict[str, tuple[dict[str, Any], str]] = {
        "grants": (found.grants, "grant"),
        "snaps": (found.snaps, "snap"),
        "stores": (found.stores, "store"),
        "secrets": (found.secret_sources, "secret source"),
        "services": (found.services, "service"),
    }
    things, noun = kinds[kind]
    rows = []
    for name, thing in sorted(things.items()):
        what = getattr(thing, "summary", "") or ("begins with a person" if _interactive(thing) else "")
        rows.append({"name": name, "what": what, "from": found.owners.get(f"{noun} {name}", "")})
    return rows


def _interactive(thing: Any) -> bool:
    return bool(getattr(thing, "interactive", False))


def _endpoint(endpoint: Endpoint, found: Registry) -> dict[str, Any]:
    settings = {
        name: spec.get("description") or spec.get("title", "")
        for name, spec in endpoint.settings.items()
        if spec.get("x-filled-by", "user") == "user"
    }
    required = [
        name
        for name in settings
        if endpoint.settings[name].get("x-required", "default" not in endpoint.settings[name])
    ]
    return {
        "name": endpoint.name,
        "title": endpoint.title,
        "grants": list(endpoint.grants),
        "settings": {name: {"what": said, "required": name in required} for name, said in settings.items()},
        "docs": endpoint.docs,
        "from": found.owners.get(f"endpoint {endpoint.name}", "this manifest"),
    }


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(name if said["required"] else f"[{name}]" for name, said in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
