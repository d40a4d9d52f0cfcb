"""The command line: `connector run`, `check`, `accounts`, `token`, `adopt`, `refresh`, `sandbox`, ...

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or
manifest, 4 a login is needed.
"""

from __future__ import annotations

import sys

import click

from connector import __version__
from connector.checkcommand import check
from connector.console import (
    FAILED,
    STOPPED,
    chosen,
    command,
    complain,
    exit_code,
    hush,
    json_option,
    manifest_option,
    prepare,
    say,
    show_trace,
    snaps_talk_to_stderr,
    verbose_option,
    words,
    worst,
    write_json,
    write_line,
)
from connector.errors import ConnectorError, ManifestError
from connector.importcommand import import_group
from connector.logincommands import accounts, adopt, key, refresh, token
from connector.openhost import open as open_host
from connector.personcommands import explain, introspect, login, logout, status, test
from connector.plugincommand import plugin
from connector.pluginnew import new
from connector.running import run_pipelines
from connector.schemacommand import schema

context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=context_settings)
@click.version_option(__version__, prog_name="connector")
@click.option(
    "-m", "--manifest", metavar="FILE", default="manifest.yaml", show_default=True, help="The manifest."
)
@verbose_option
@click.pass_context
def cli(context: click.Context, manifest: str) -> None:
    """OAuth2 accounts for data pipelines: declared once in YAML, signed in from then on.

    \b
    connector check                  is the manifest right?
    connector run                    run its pipelines
    connector accounts               its accounts, and how their logins are
    connector token NAME             an access token, valid now
    connector login NAME             log in: browser, pasted address, or --device
    connector test NAME              does it work, and as whom?
    connector adopt NAME < reply     begin from a token reply you already hold
    connector sandbox                servers to try all this against

    Data goes to standard output, words to standard error.
    Exit codes: 0 done, 1 failed, 2 wrong usage or manifest, 4 a login is needed.
    """
    context.obj = manifest


class PreviewCommand(click.Command):
    """Lets a pipeline's name follow a bare ``--preview``, which click would take for its number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give ``--preview`` its number where none follows."""
        ends = args.index("--") if "--" in args else len(args)
        for at in (at for at, text in enumerate(args[:ends]) if text == "--preview"):
            if not "".join(args[at + 1 : at + 2]).lstrip("-").isdecimal():
                args = [*args[:at], "--preview=50", *args[at + 1 :]]
        return super().parse_args(ctx, args)


@cli.command(cls=PreviewCommand)
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@manifest_option
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Value of a pipeline parameter."
)
@click.option(
    "-j",
    "--jobs",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    metavar="N",
    help="How many pipelines may run at the same time.",
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
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary, only what went wrong.")
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
    """Run pipelines; all of the manifest when none is named.

    One that fails does not stop the others; Ctrl-C stops all, and leaves no half-written file. What
    snaps print goes to standard error.
    """
    parameters = _parameters(params)
    with snaps_talk_to_stderr() as stdout, open_host(chosen(context, manifest)) as host:
        names = list(dict.fromkeys(pipelines)) or list(host.pipelines)
        if not names:
            raise click.UsageError("the manifest has no pipelines; see docs/snaps.md for how one looks")
        if preview and len(names) > 1 and not as_json:
            raise click.UsageError(f"preview one of {', '.join(names)}, or all of them with --json")
        host.check(names, parameters, taken={"-": "--json"} if as_json else {})
        report = run_pipelines(
            host,
            names,
            parameters=parameters,
            jobs=jobs,
            preview=preview or 0,
            console=words(),
            quiet=quiet,
            stdout=stdout,
        )
    if as_json:
        write_json(report.to_dict(preview=bool(preview)))
    for documents in report.preview.values() if not as_json else ():
        for document in documents:
            write_line(document)
    for name, error in report.errors:
        if _left_alone(error):
            hush()
        else:
            if error.__cause__ is not None:
                show_trace(error.__cause__)
            complain(_in_pipeline(name, error))
    if report.stopped is not None:
        raise report.stopped
    sys.exit(worst(exit_code(error) for _, error in report.errors))


def _left_alone(error: ConnectorError) -> bool:
    """Whether a step failed since whoever read our output has enough (``| head``): nothing to speak of."""
    cause = error.__cause__
    return isinstance(cause, ConnectorError) and isinstance(cause.__cause__, BrokenPipeError)


def _in_pipeline(name: str, error: ConnectorError) -> str:
    text = str(error)
    return text if name in text or isinstance(error, ManifestError) else f"pipeline {name}: {text}"


def _parameters(params: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
        found[name] = value
    return found


@cli.command(short_help="Servers and APIs on this machine to try accounts against.")
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
    /coupa       client credentials, a person or a device; offset paging, XML unless asked for JSON
    /servicenow  authorization code, refresh tokens that stay, Link paging
    /strict      rotating refresh tokens; a reused one ends the login; DPoP, pushed requests, devices
    /flaky       429, 503, late and half answers, by a schedule

    A browser is asked for consent; programs are let in at once.
    """
    from connector.sandbox import Sandbox, serve

    def ready(running: Sandbox) -> None:
        say(f"sandbox at {running.url}  (Ctrl-C ends it; open it in a browser for accounts to paste)")

    try:
        serve(port=port, seed=seed, lifetime_s=lifetime, on_ready=ready)
    except OSError as error:
        raise ConnectorError(
            f"the sandbox cannot listen on port {port}",
            code="port_taken",
            reason=error.strerror or str(error),
            resolution="choose another with --port",
        ) from None


plugin.add_command(new)
for each in (
    check,
    login,
    logout,
    status,
    explain,
    test,
    introspect,
    accounts,
    token,
    adopt,
    refresh,
    key,
    import_group,
    plugin,
    schema,
):
    cli.add_command(each)


def main() -> None:
    """Entry point of the `connector` command."""
    prepare()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        say("stopped")
        sys.exit(STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError:
        sys.exit(FAILED)  # not even the help could be written
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
