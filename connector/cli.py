"""The command line: `connector run`, `check`, `accounts`, `token`, `adopt`, `refresh`, `sandbox`, ...

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or
manifest, 4 a login is needed.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connector import __version__
from connector.check import bundle
from connector.errors import ConnectorError, ManifestError, NotAuthorizedError
from connector.host import Host
from connector.host import open as open_host
from connector.keys import encode, new_key
from connector.opening import open_manifest
from connector.running import run_pipelines
from connector.status import Status

FAILED, WRONG, LOGIN = 1, 2, 4
_A_LOGIN_HELPS = ("needs_authorization", "auto_refresh_off")
F = TypeVar("F", bound=Callable[..., Any])


def words() -> Console:
    """Where words go; colours only on a terminal and without NO_COLOR."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(error: Exception) -> int:
    """Say what is wrong and return the exit code for it."""
    console = words()
    for line in str(error).splitlines() or [type(error).__name__]:
        console.print(f"[red]error:[/red] {escape(line)}")
    if isinstance(error, ManifestError):
        return WRONG
    if isinstance(error, NotAuthorizedError) and error.code in _A_LOGIN_HELPS:
        return LOGIN
    return FAILED


def command(function: F) -> F:
    """Turn connector's errors into words and exit codes, and a closed pipe into silence."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ConnectorError as error:
            sys.exit(complain(error))
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has enough; say nothing about it
            sys.exit(FAILED)

    return wrapper  # type: ignore[return-value]


manifest_option = click.option(
    "-m",
    "--manifest",
    metavar="FILE",
    default=None,
    help="The manifest.  [default: manifest.yaml in this folder]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=context_settings)
@click.version_option(__version__, prog_name="connector")
@click.option(
    "-m", "--manifest", metavar="FILE", default="manifest.yaml", show_default=True, help="The manifest."
)
@click.option("-v", "--verbose", count=True, help="Say more: -v events, -vv also httpx. Never a secret.")
@click.pass_context
def cli(context: click.Context, manifest: str, verbose: int) -> None:
    """OAuth2 accounts for data pipelines: declared once in YAML, signed in from then on.

    \b
    connector check                  is the manifest right?
    connector run                    run its pipelines
    connector accounts               its accounts, and how their logins are
    connector token NAME             an access token, valid now
    connector adopt NAME < reply     begin from a token reply you already hold
    connector sandbox                servers to try all this against

    Exit codes: 0 done, 1 failed, 2 wrong usage or manifest, 4 a login is needed.
    """
    context.obj = manifest
    level = [logging.ERROR, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("connector").setLevel(level)
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO if verbose > 1 else logging.WARNING)


def chosen(context: click.Context, manifest: str | None) -> str:
    """The manifest of a command: its own option, or that of the group."""
    return manifest or str(context.find_root().obj)


@cli.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@manifest_option
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Value of a pipeline parameter."
)
@click.option(
    "-j", "--jobs", default=1, show_default=True, help="How many pipelines may run at the same time."
)
@click.option(
    "--preview",
    is_flag=False,
    flag_value="50",
    default=None,
    type=click.IntRange(min=1),
    metavar="[N]",
    help="Pull at most N documents (50), write nothing, print what comes out as JSON Lines.",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the outcome.")
@click.pass_context
@command
def run(
    context: click.Context,
    pipelines: tuple[str, ...],
    manifest: str | None,
    params: tuple[str, ...],
    jobs: int,
    preview: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run pipelines; all of the manifest when none is named."""
    parameters = _parameters(params)
    with open_host(chosen(context, manifest)) as host:
        names = list(dict.fromkeys(pipelines)) or list(host.pipelines)
        if not names:
            raise click.UsageError("the manifest has no pipelines; see docs/snaps.md for how one looks")
        for name in names:
            host.pipeline(name)
        report = run_pipelines(
            host, names, parameters=parameters, jobs=jobs, preview=preview or 0, console=words(), quiet=quiet
        )
        if as_json:
            click.echo(json.dumps(report.to_dict(), indent=2))
        for document in report.preview if not as_json else ():
            click.echo(json.dumps(document, ensure_ascii=False, default=str))
    codes = [complain(error) for error in report.errors]
    if codes:
        sys.exit(max(codes))


def _parameters(params: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
        found[name] = value
    return found


@cli.command()
@click.argument("file", required=False, metavar="[MANIFEST]")
@manifest_option
@click.option("--secrets", is_flag=True, help="Also look whether each ${...} reference leads to something.")
@json_option
@click.pass_context
@command
def check(
    context: click.Context, file: str | None, manifest: str | None, secrets: bool, as_json: bool
) -> None:
    """Everything wrong with a manifest, its plugins and its pipelines. No network."""
    path = file or chosen(context, manifest)
    try:
        opening = open_manifest(path)
        problems = list(opening.problems)
        for name in opening.manifest.pipelines:
            problems += opening.pipeline_problems(name)
        broken: list[ConnectorError] = list(opening.registry.problems)
        if secrets:
            problems += _missing_secrets(opening)
    except ManifestError as error:
        opening, problems, broken = None, list(error.problems), []
    problems = sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.message))
    if as_json:
        fields = ("file", "line", "column", "pointer", "message", "hint")
        rows = [{field: getattr(problem, field) for field in fields} for problem in problems]
        plugins = [str(problem) for problem in broken]
        click.echo(
            json.dumps({"ok": not rows and not plugins, "problems": rows, "plugins": plugins}, indent=2)
        )
    console = words()
    for line in [*problems, *broken]:
        console.print(f"[red]error:[/red] {escape(str(line))}")
    if problems or broken:
        count = len(problems) + len(broken)
        console.print(f"{count} problem{'s' if count > 1 else ''} in {escape(path)}")
        sys.exit(WRONG if problems else FAILED)
    if opening is not None and not as_json:
        accounts, pipelines = len(opening.accounts), len(opening.manifest.pipelines)
        console.print(f"{escape(path)}: {accounts} accounts, {pipelines} pipelines, no problems")


def _missing_secrets(opening: Any) -> list[Any]:
    found: list[Any] = []
    for name in opening.accounts:
        try:
            opening.reveal(opening.resolved(name))
        except ManifestError as error:
            found += error.problems
    return found


@cli.command()
@manifest_option
@json_option
@click.pass_context
@command
def accounts(context: click.Context, manifest: str | None, as_json: bool) -> None:
    """The accounts of the manifest and the state of their logins. No network."""
    with open_host(chosen(context, manifest)) as host:
        rows: list[tuple[str, Status | ConnectorError]] = []
        for name in host.accounts:
            try:
                rows.append((name, host.status(name)))
            except ConnectorError as error:
                rows.append((name, error))
        if as_json:
            click.echo(json.dumps([_account_row(host, name, status) for name, status in rows], indent=2))
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("account", "state", "expires", "endpoint", "grant", "label"):
            table.add_column(title)
        for name, status in rows:
            account = host.accounts[name]
            state = status.state if isinstance(status, Status) else f"error: {status.code}"
            ends = _in(status.expires_at) if isinstance(status, Status) else ""
            table.add_row(name, state, ends, account.endpoint.name, account.grant, account.label)
        Console(highlight=False, soft_wrap=True).print(table)
        for _, status in rows:
            if isinstance(status, ConnectorError):
                complain(status)


def _account_row(host: Host, name: str, status: Status | ConnectorError) -> dict[str, Any]:
    account = host.accounts[name]
    row = {"account": name, "label": account.label, "endpoint": account.endpoint.name, "grant": account.grant}
    if isinstance(status, Status):
        return {**row, **status.to_dict()}
    return {**row, "state": "error", "code": status.code, "error": str(status)}


def _in(moment: float | None) -> str:
    if moment is None:
        return ""
    seconds = moment - time.time()
    if seconds <= 0:
        return "ended"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"in {seconds / length:.0f} {unit}"
    return f"in {seconds:.0f} s"


@cli.command()
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
        click.echo(json.dumps({**row, "scopes": found.scopes}, indent=2))


@cli.command()
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
    console = words()
    if sys.stdin.isatty():
        console.print("Paste the token reply (JSON), then press Ctrl-D:")
    text = sys.stdin.read(1 << 20)
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        # The text may hold a token, so nothing of it is repeated.
        raise ConnectorError(
            "standard input is not JSON",
            code="bad_token_reply",
            resolution='it looks like {"access_token": "...", "refresh_token": "...", "expires_in": 3600}',
        ) from None
    with open_host(chosen(context, manifest)) as host:
        found = host.adopt(account, reply)
        renews = "and a refresh token" if found.refresh_token else "without a refresh token"
        console.print(f"account {account} adopted token {found.fingerprint}, {renews}")


@cli.command()
@click.argument("account")
@manifest_option
@click.pass_context
@command
def refresh(context: click.Context, account: str, manifest: str | None) -> None:
    """Renew the token of an account now, also with auto_refresh off."""
    with open_host(chosen(context, manifest)) as host:
        found = host.renew(account)
        words().print(f"account {account} has token {found.fingerprint}, which ends {_in(found.expires_at)}")


@cli.command()
@click.option("--port", default=8400, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--seed", default=7, show_default=True, help="Decides records, faults and the key of the tokens."
)
@click.option(
    "--lifetime", type=click.FloatRange(min=0, min_open=True), help="Access-token lifetime in seconds."
)
@command
def sandbox(port: int, seed: int, lifetime: float | None) -> None:
    """Serve authorization servers and APIs to try accounts against, on this machine only.

    \b
    /coupa       client credentials, offset paging, XML unless asked for JSON
    /servicenow  authorization code, refresh tokens that stay, Link paging
    /strict      rotating refresh tokens; a reused one ends the login
    /flaky       429, 503, late and half answers, by a schedule
    """
    from connector.sandbox import Sandbox, serve

    console = words()

    def ready(running: Sandbox) -> None:
        console.print(f"sandbox at {running.url}  (Ctrl-C ends it; open it in a browser for accounts to paste)")

    try:
        serve(port=port, seed=seed, lifetime_s=lifetime, on_ready=ready)
    except OSError as error:
        raise ConnectorError(
            f"the sandbox cannot listen on port {port}",
            code="port_taken",
            reason=error.strerror or str(error),
            resolution="choose another with --port",
        ) from None


@cli.command()
@click.argument("name", type=click.Choice(["manifest", "account", "endpoint"]), default="manifest")
@command
def schema(name: str) -> None:
    """Print a JSON Schema (2020-12): of the manifest, an account or an endpoint file."""
    click.echo(json.dumps(bundle(name), indent=2))


@cli.group()
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
        words().print(f"{count} record{'' if count == 1 else 's'} sealed with a new key")


def main() -> None:
    """Entry point of the `connector` command."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        words().print("stopped")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
