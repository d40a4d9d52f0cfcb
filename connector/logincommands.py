"""The commands about logins: `connector accounts`, `token`, `adopt`, `refresh`, `key`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.text import Text

from connector.console import (
    chosen,
    command,
    complain,
    in_words,
    json_option,
    manifest_option,
    printable,
    say,
    show,
    table,
    write_json,
)
from connector.errors import ConnectorError
from connector.host import Host
from connector.keys import encode, new_key
from connector.openhost import open as open_host

_LARGEST_REPLY = 1 << 20


@click.command(short_help="The accounts of the manifest and the state of their logins.")
@manifest_option
@json_option
@click.pass_context
@command
def accounts(context: click.Context, manifest: str | None, as_json: bool) -> None:
    """The accounts of the manifest and the state of their logins. No network.

    \b
    ready                valid now
    expiring             valid now, soon to be renewed
    expired              renewed when next asked for
    needs_authorization  a person must log in: connector adopt NAME
    in_doubt             a renewal was cut off; the next one finds out
    error                it cannot be used as things are: the reason follows
    """
    with open_host(chosen(context, manifest)) as host:
        rows = [_account_row(host, name) for name in sorted({*host.accounts, *host.broken})]
    if as_json:
        write_json(rows)
        return
    shown = table()
    for title in ("account", "state", "expires", "endpoint", "grant", "label"):
        shown.add_column(title)
    for row in rows:
        cells = (row["account"], row["state"], in_words(row.get("expires_at")), row["endpoint"], row["grant"])
        shown.add_row(*(Text(printable(cell)) for cell in (*cells, row["label"])))
    show(shown)
    for row in rows:
        if row["state"] == "error":
            complain(row["error"], kind="warning")


def _account_row(host: Host, name: str) -> dict[str, Any]:
    account = host.accounts.get(name)
    row: dict[str, Any] = {"account": name, "label": "", "endpoint": "", "grant": ""}
    if account is not None:
        row |= {"label": account.label, "endpoint": account.endpoint.name, "grant": account.grant}
    try:
        return {**row, **host.status(name).to_dict()}
    except ConnectorError as error:
        return {**row, "state": "error", "code": error.code, "error": str(error)}


@click.command()
@click.argument("account")
@manifest_option
@json_option
@click.pass_context
@command
def token(context: click.Context, account: str, manifest: str | None, as_json: bool) -> None:
    """Print an access token that is valid now, renewing it if need be.

    Mind where it goes: it is a password for as long as it lives.
    """
    with open_host(chosen(context, manifest)) as host:
        found = host.token(account)
        text = found.access_token.reveal()
        if not as_json:
            click.echo(text)
            return
        row = {"access_token": text, "token_type": found.token_type, "expires_at": found.expires_at}
        write_json({**row, "scopes": found.scopes})


@click.command(short_help="Begin from a token reply one already holds.")
@click.argument("account")
@manifest_option
@click.pass_context
@command
def adopt(context: click.Context, account: str, manifest: str | None) -> None:
    """Begin from a token reply one already holds, read from standard input.

    \b
    It is JSON with access_token, refresh_token (either or both), and expires_in
    (seconds; 0: expired) or expires_at (seconds since 1970, or ISO 8601):
      connector adopt tickets < reply.json
    """
    with open_host(chosen(context, manifest)) as host:
        host.status(account)  # before anybody pastes something for an account that is not there
        before = host.status(account)
        found = host.adopt(account, _reply())
        if before.refreshable and not found.refresh_token and before.state != "needs_authorization":
            complain("the refresh token that was there is gone: this reply brings none", kind="warning")
        renews = "and a refresh token" if found.refresh_token else "without a refresh token"
        say(f"account {account} adopted token {found.fingerprint}, {renews}")


def _reply() -> Any:
    """JSON from standard input. Nothing of it goes into a message: it may hold a token."""
    if sys.stdin is not None and sys.stdin.isatty():
        say("Paste the token reply (JSON), then press Ctrl-D:")
    # Bytes: what a shell hands over may be no text at all. None: standard input was closed.
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(_LARGEST_REPLY + 1)
    reason = ""
    if not data.strip():
        reason = "it is empty"
    elif len(data) > _LARGEST_REPLY:
        reason = "it is larger than 1 MiB"
    else:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            reason = "it is something else"
    raise ConnectorError(
        "standard input holds no JSON",
        code="bad_token_reply",
        reason=reason,
        resolution='it looks like {"access_token": "...", "refresh_token": "...", "expires_in": 3600}',
    )


@click.command()
@click.argument("account")
@manifest_option
@click.option("--force", is_flag=True, help="In spite of a pause, and of a refresh token in doubt.")
@click.pass_context
@command
def refresh(context: click.Context, account: str, manifest: str | None, force: bool) -> None:
    """Renew the token of an account now, also with auto_refresh off."""
    with open_host(chosen(context, manifest)) as host:
        found = host.renew(account, force=force)
        ends = f", which ends {in_words(found.expires_at)}" if found.expires_at is not None else ""
        say(f"account {account} has token {found.fingerprint}{ends}")


@click.group()
def key() -> None:
    """The key that tokens are encrypted with."""


@key.command("new")
@command
def key_new() -> None:
    """Print a new key, for CONNECTOR_KEY."""
    click.echo(encode([new_key()]))


@key.command("rotate")
@manifest_option
@click.pass_context
@command
def key_rotate(context: click.Context, manifest: str | None) -> None:
    """Encrypt every stored token with a new key."""
    with open_host(chosen(context, manifest)) as host:
        count = host.rotate_key()
        where, shared = host.key_place()
        say(f"{count} record{'' if count == 1 else 's'} sealed with a new key, which is in {where}")
        if shared:
            say("the keys before it are kept there: what other stores hold may be sealed with them")
