"""`connector import`: manifests from what other programs call an account."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from pathlib import Path

import click

from connector.bind import bind_account
from connector.console import command, complain, say
from connector.errors import ConnectorError, ManifestError
from connector.manifest import loads
from connector.manifestwriter import Entry, write
from connector.registry import Registry, collect
from connector.snapexport import MAX_BYTES, bad_export, parse
from connector.snaplogic import Imported, import_accounts
from connector.yamlnode import MAX_BYTES as LARGEST_MANIFEST

_HEAD = (
    "Made from a SnapLogic export by `connector import snaplogic`.",
    "No secret came along: each ${env:NAME} is an environment variable to set.",
)
_NAME = r"[a-z0-9][a-z0-9_.-]{0,127}"


@click.group("import", short_help="Manifests from what other programs call an account.")
def import_group() -> None:
    """Manifests from what other programs call an account."""


@import_group.command("snaplogic", short_help="Accounts from a SnapLogic export.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.json")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to a new file.")
@click.option("--name", metavar="NAME", help="The account's name, where there is one only.")
@command
def snaplogic(file: Path, output: Path | None, name: str | None) -> None:
    """Turn exported SnapLogic accounts into a manifest. No network.

    The manifest goes to standard output, or with -o to a file that is not there yet; what could not be
    carried over is said in it and on standard error. Secrets and tokens never come along.
    """
    if name is not None and not re.fullmatch(_NAME, name):
        raise click.BadParameter(
            "a name is lower-case letters, digits, '_', '.' and '-', and begins with a letter or digit",
            param_hint="--name",
        )
    if not file.is_file():
        raise click.BadParameter(f"there is no file {str(file)!r}", param_hint="FILE.json")
    with file.open("rb") as stream:
        found = import_accounts(parse(stream.read(MAX_BYTES + 1)), name=name)
    if not found.accounts:
        _tell(found)
        raise bad_export("it has no OAuth2 account" if found.skipped else "no account is in it")
    if name is not None and len(found.accounts) > 1:
        raise click.UsageError(f"--name is for one account, and the file has {len(found.accounts)}")
    text, entries = _sound(found.accounts)
    if output is None:
        click.echo(text.encode(), nl=False)  # bytes: YAML is UTF-8, whatever the terminal shows
    else:
        _write(output, text)
    _tell(dataclasses.replace(found, accounts=entries))


def _sound(accounts: tuple[Entry, ...]) -> tuple[str, tuple[Entry, ...]]:
    """The manifest, with what our own reader would complain about written as comments."""
    registry = collect()
    entries = tuple(_judged(entry, registry) for entry in accounts)
    text = write(entries, head=_HEAD)
    if len(text.encode()) > LARGEST_MANIFEST:
        raise bad_export("its accounts do not fit into one manifest")
    loads(text)
    return text, entries


def _judged(entry: Entry, registry: Registry) -> Entry:
    if entry.lacks:
        return entry
    try:
        manifest = loads(write([entry]))
        bind_account(
            manifest.accounts[entry.name],
            registry.endpoints,
            registry.grants,
            schemes=registry.secret_sources,
        )
    except ManifestError as error:
        lacks = tuple(
            f"{problem.pointer.rpartition('/')[2]}: {problem.message}." for problem in error.problems
        )
        return dataclasses.replace(entry, lacks=lacks)
    return entry


def _write(path: Path, text: str) -> None:
    try:
        # O_EXCL: neither a file nor a link that somebody put there is ever written through.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise ConnectorError(
            f"{path} is there already, and stays as it is",
            code="file_exists",
            resolution="Name another file with -o.",
        ) from None
    try:
        with open(descriptor, "wb") as stream:
            stream.write(text.encode())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # half a manifest is none
        raise


def _tell(found: Imported) -> None:
    for entry in found.accounts:
        for lack in entry.lacks:
            complain(f"{entry.name} is written as a comment: {lack}", kind="warning")
        for note in entry.notes:
            say(f"{entry.name}: {note}")
    for sentence in found.skipped:
        complain(sentence, kind="warning")
    told = [f"{len(found.accounts)} account{'' if len(found.accounts) == 1 else 's'} imported"]
    if waiting := sum(bool(entry.lacks) for entry in found.accounts):
        told.append(f"{waiting} of them not usable yet")
    if found.skipped:
        told.append(f"{len(found.skipped)} skipped")
    if found.others:
        told.append(f"{found.others} other object{'' if found.others == 1 else 's'} passed over")
    say(", ".join(told))
