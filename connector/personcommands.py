"""The commands of a person's login: `connector login`, `logout`, `status`, `test`, `introspect`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click
import httpx
from rich.text import Text

from connector.accountspec import RESERVED_PARAMETERS
from connector.console import (
    FAILED,
    LOGIN,
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
from connector.dialog.person import Manner, by_paste, in_browser, on_device
from connector.errors import ConnectorError
from connector.host import Host
from connector.openhost import open as open_host
from connector.token import Token


@click.command(short_help="Log in to an account: browser, pasted address, or another device.")
@click.argument("account")
@manifest_option
@click.option("--device", is_flag=True, help="Show a code to enter on any other device (RFC 8628).")
@click.option("--no-browser", is_flag=True, help="Print the address, and take the one you end up at.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65_535),
    metavar="N",
    help="Port of 127.0.0.1 to come back to.  [default: any that is free]",
)
@click.option(
    "--timeout",
    default=300.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long to wait for you.",
)
@click.option("--acr-values", metavar="TEXT", help="Ask for a login of this kind (RFC 9470).")
@click.option("--max-age", type=click.IntRange(min=0), metavar="SECONDS", help="... not older than this.")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Another authorization parameter."
)
@click.pass_context
@command
def login(
    context: click.Context,
    account: str,
    manifest: str | None,
    device: bool,
    no_browser: bool,
    port: int,
    timeout: float,
    acr_values: str | None,
    max_age: int | None,
    params: tuple[str, ...],
) -> None:
    """Log in to an account. What a failed login leaves is the login that was there.

    \b
    connector login tickets               opens your browser
    connector login tickets --no-browser  on a machine without one: paste the address back
    connector login tickets --device      enter a code on your phone, where the server can
    """
    given = {"acr_values": acr_values, "max_age": str(max_age) if max_age is not None else None}
    parameters = {name: value for name, value in given.items() if value is not None}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
        if name in RESERVED_PARAMETERS:
            raise click.BadParameter(f"{name} is set by connector", param_hint="--param")
        parameters[name] = value
    if device and no_browser:
        raise click.UsageError("--device and --no-browser are two ways; choose one")
    manner = Manner(port=port, timeout_s=timeout, parameters=parameters)
    with open_host(chosen(context, manifest)) as host:
        before = host.status(account)
        if port and host.accounts[account].redirect_target():
            raise click.UsageError(f"account {account} has a redirect URI of its own; leave --port out")
        token = _log_in(host, account, manner, device=device, no_browser=no_browser)
        _welcome(host, account, token, had=before.refreshable)


_OFFLINE = (
    "many servers give one for the scope offline_access, OpenID Connect servers only together with"
    " auth_endpoint_config: {prompt: consent}"
)


def _log_in(host: Host, account: str, manner: Manner, *, device: bool, no_browser: bool) -> Token:
    if not host.needs_person(account):
        grant = host.accounts[account].grant
        if device or no_browser:
            raise click.UsageError(f"account {account} signs in by itself ({grant}); no person logs in")
        say(f"Account {account} signs in by itself ({grant}).")
        return host.renew(account)
    if host.accounts[account].grant == "bearer":
        return host.renew(account)  # says how a token is pasted, or takes one that was
    if device or host.accounts[account].grant == "device_code":
        return on_device(host, account, manner)
    return by_paste(host, account, manner) if no_browser else in_browser(host, account, manner)


def _welcome(host: Host, account: str, token: Token, *, had: bool) -> None:
    ends = f", which ends {in_words(token.expires_at)}" if token.expires_at is not None else ""
    say(f"Account {account} is logged in, with token {token.fingerprint}{ends}.")
    status = host.status(account)
    if host.needs_person(account) and not status.refreshable and host.accounts[account].auto_refresh:
        lost = " (the login before had one)" if had else ""
        hint = f"the server gave no refresh token{lost}, so you will have to log in again then; {_OFFLINE}"
        complain(hint, kind="warning")


@click.command(short_help="End a login: revoke its tokens and forget them.")
@click.argument("account")
@manifest_option
@click.option("--local", is_flag=True, help="Only forget the tokens here; the server is not asked.")
@click.pass_context
@command
def logout(context: click.Context, account: str, manifest: str | None, local: bool) -> None:
    """End a login: revoke its tokens at the server (RFC 7009), then forget them.

    When the server cannot be asked nothing is forgotten, so that it can be tried again.
    """
    with open_host(chosen(context, manifest)) as host:
        there = host.logout(account, revoke=not local)
        done = "forgotten" if local else "revoked and forgotten"
        say(f"Account {account} is {done}." if there else f"Account {account} was not logged in.")


@click.command(short_help="How logins are, for people and for monitoring.")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@manifest_option
@json_option
@click.pass_context
@command
def status(context: click.Context, accounts: tuple[str, ...], manifest: str | None, as_json: bool) -> None:
    """How the logins of accounts are; all of the manifest when none is named. No network.

    Exit code 4: one of them needs a login; 1: one of them cannot be used, or was refused for good; else 0.
    """
    with open_host(chosen(context, manifest)) as host:
        for name in accounts:
            if name not in host.accounts and name not in host.broken:
                host.status(name)  # an unknown name is a mistake of whoever asks, before anything is printed
        names = accounts or tuple(sorted({*host.accounts, *host.broken}))
        rows = [_row(host, name) for name in names]
    if as_json:
        write_json(rows[0] if len(accounts) == 1 else rows)
    else:
        for row in rows:
            _show(row)
    states = {row["state"] for row in rows}
    bad = "error" in states or any(row.get("refused") for row in rows)
    sys.exit(LOGIN if "needs_authorization" in states else FAILED if bad else 0)


def _row(host: Host, name: str) -> dict[str, Any]:
    try:
        return host.explain(name).to_dict()
    except ConnectorError as error:
        return {"account": name, "state": "error", "code": error.code, "error": str(error)}


_LINES = {
    "state": "state",
    "error": "because",
    "expires_at": "access token ends",
    "renews": "renewed by itself",
    "refreshable": "refresh token",
    "scopes": "scopes",
    "renewals": "renewals",
    "failures": "failures in a row",
    "refused": "refused for good",
    "last_refusal": "last refusal",
    "retry_at": "tried again",
    "holder": "being renewed by",
    "fingerprint": "token",
}


def _show(row: dict[str, Any]) -> None:
    shown = table()
    shown.add_column(printable(row["account"]))
    shown.add_column("")
    for key, title in _LINES.items():
        value = row.get(key)
        if value in (None, "", 0, 0.0, []) and key not in ("renews", "refreshable"):
            continue
        if key in row:
            shown.add_row(title, Text(printable(_said(key, value))))
    show(shown)


def _said(key: str, value: Any) -> str:
    if key in ("expires_at", "retry_at"):
        return in_words(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, (list, tuple)) else str(value)


@click.command(short_help="Why an account is or is not renewed now, and its last ten outcomes.")
@click.argument("account")
@manifest_option
@json_option
@click.pass_context
@command
def explain(context: click.Context, account: str, manifest: str | None, as_json: bool) -> None:
    """Why an account is or is not renewed now, when it will be, who is at it, and its last ten outcomes."""
    with open_host(chosen(context, manifest)) as host:
        found = host.explain(account)
    if as_json:
        write_json(found.to_dict())
        return
    _show(found.status.to_dict())
    shown = table()
    shown.add_column("")
    shown.add_column("")
    shown.add_row("because", Text(printable(found.because)))
    if found.next_renewal_at is not None:
        shown.add_row("next renewal", in_words(found.next_renewal_at))
    if found.lease_ends_at is not None:
        shown.add_row("lease ends", in_words(found.lease_ends_at))
    if found.showings:
        shown.add_row("in doubt", f"shown {found.showings} times without an answer")
    for outcome in reversed(found.history):
        moment = datetime.fromtimestamp(outcome.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        shown.add_row(moment, Text(printable(f"{outcome.what} {outcome.words}".strip())))
    show(shown)


@click.command(short_help="Make an account's test request, and say who one is logged in as.")
@click.argument("account")
@manifest_option
@json_option
@click.pass_context
@command
def test(context: click.Context, account: str, manifest: str | None, as_json: bool) -> None:
    """Make one harmless request with an account's token, and say who one is logged in as."""
    with open_host(chosen(context, manifest)) as host:
        try:
            found = host.identify(account)
        except httpx.HTTPError as error:
            if isinstance(error, ConnectorError):
                raise
            raise _unreachable(host, account, error) from None
        row = {"account": account, "works": found.works, "status": found.status}
        row |= {"url": found.url, "person": found.person}
        if as_json:
            write_json(row)
        who = f"; logged in as {found.person}" if found.person else ""
        if found.works is None:
            say(f"Account {account} has a token; its endpoint declares no test request to try it with.")
        elif found.works:
            say(f"Account {account} works: {found.url} answered {found.status}{who}.")
        else:
            complain(f"account {account} does not work: {found.url} answered {found.status}")
            sys.exit(FAILED)


def _unreachable(host: Host, account: str, error: httpx.HTTPError) -> ConnectorError:
    where = host.accounts[account].endpoint.title
    return ConnectorError(
        f"the API of account {account!r} ({where}) does not answer",
        code="http",
        reason=str(error) or type(error).__name__,
        resolution="check the endpoint's `api: {base_url: ...}`, or try again later",
    )


@click.command(short_help="What the server says of an account's access token.")
@click.argument("account")
@manifest_option
@click.pass_context
@command
def introspect(context: click.Context, account: str, manifest: str | None) -> None:
    """Print what the server says of an account's access token (RFC 7662), as JSON. Exit 1: not active."""
    with open_host(chosen(context, manifest)) as host:
        found = host.introspect(account)
        write_json(dict(found.claims))
        sys.exit(0 if found.active else FAILED)
