"""`connector schema`: the JSON Schemas of what one writes, one by one or as one file for an editor."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import click

from connector.check import NAMES, bundle
from connector.console import chosen, command, complain, say, write_json
from connector.editorschema import editor_schema
from connector.errors import ConnectorError, ManifestError
from connector.opening import open_manifest
from connector.registry import collect


@click.command(short_help="Print a JSON Schema of what one writes.")
@click.argument("name", metavar="[manifest|account|endpoint]", required=False)
@click.option("--bundle", "whole", is_flag=True, help="One schema for editors, with all that is installed.")
@click.option("-o", "--output", metavar="FILE", help="Write it there; folders are made.")
@click.pass_context
@command
def schema(context: click.Context, name: str | None, whole: bool, output: str | None) -> None:
    """Print a JSON Schema (2020-12): of the manifest (the default), an account or an endpoint file.

    With --bundle the argument is a manifest, and the schema is one for manifests and endpoint files that
    knows the endpoints, grants, snaps and accounts there are. An editor that speaks to
    yaml-language-server uses it where the first line of a file says

    \b
    # yaml-language-server: $schema=.connector/schema.json
    """
    if whole:
        shown = _whole(context, name)
    elif name in (None, *NAMES):
        shown = bundle(name or "manifest")
    else:
        hint = " (with --bundle a manifest is named)" if Path(name or "").suffix else ""
        raise click.BadParameter(f"{name!r} is none of manifest, account, endpoint{hint}", param_hint="NAME")
    if output is None:
        write_json(shown)
    else:
        _write(Path(output), shown)
        manifest = name if whole and name else chosen(context, None)
        path = Path(os.path.relpath(output, Path(manifest).parent)).as_posix()
        say(f"wrote {output}; your editor uses it by the first line # yaml-language-server: $schema={path}")


def _whole(context: click.Context, manifest: str | None) -> dict[str, Any]:
    try:
        opening = open_manifest(chosen(context, manifest))
    except ManifestError as error:
        if manifest is not None or error.code != "not_found":
            raise
        return editor_schema(collect())  # no manifest yet: what is installed
    for problem in opening.registry.problems:
        complain(problem, kind="warning")
    found = dataclasses.replace(opening.registry, endpoints=opening.endpoints)
    return editor_schema(found, opening.manifest.accounts)


def _write(path: Path, shown: dict[str, Any]) -> None:
    if path.exists() and not _is_ours(path):
        raise ConnectorError(
            f"{path} is there already and no schema of connector, so it stays as it is",
            code="file_exists",
            resolution="Name another file with -o.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


def _is_ours(path: Path) -> bool:
    """Whether a file was written by this command, so that it may be written anew."""
    try:
        with path.open("rb") as file:
            return b'"urn:connector:schema:' in file.read(1000)
    except OSError:
        return False
