"""`connector plugin check`: endpoint files from end to end, against a server made from each file itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.text import Text

from connector.console import WRONG, command, complain, json_option, printable, say, show, table, write_json

if TYPE_CHECKING:
    from connector.testing.report import EndpointReport, GrantReport


@click.command("check", short_help="Endpoint files from end to end, against a server made from each.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
@json_option
@command
def plugin_check(files: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Check endpoint files: schema, extends, then each grant from its login through renewals to its end.

    A server that behaves as the file declares is started on this machine; nothing else is called. One line
    per problem, FILE:LINE:COLUMN first. Exit code 2: a file is wrong.
    """
    # Late: a server comes with it, and no other command needs one.
    from connector.testing.checked import check_endpoints

    reports = check_endpoints(files)
    if as_json:
        write_json({"ok": not _problems(reports), "endpoints": [report.as_json() for report in reports]})
    elif not quiet:
        _show(reports)
    for problem in _problems(reports):
        complain(problem)
    count = len(_problems(reports))
    number = f"{len(reports)} endpoint{'' if len(reports) == 1 else 's'}"
    if count:
        say(f"{count} problem{'' if count == 1 else 's'} in {number}")
        sys.exit(WRONG)
    if not as_json:
        unplayed = sum(bool(grant.unplayed) for report in reports for grant in report.grants)
        say(f"{number}, no problems{f', {unplayed} not played' if unplayed else ''}")


def _problems(reports: list[EndpointReport]) -> list[object]:
    return [problem for report in reports for problem in report.problems]


def _show(reports: list[EndpointReport]) -> None:
    for report in reports:
        shown = table(report.name or report.file)
        for column in ("grant", "", "played"):
            shown.add_column(column)
        for grant in report.grants:
            verdict = "wrong" if grant.problems else "good"
            said = f"nothing: {grant.unplayed}" if grant.unplayed else _played(grant)
            shown.add_row(grant.grant, "" if grant.unplayed else verdict, Text(printable(said)))
        if report.flaws:
            shown.add_row("", "wrong", "nothing: the file has problems")
        show(shown)


def _played(grant: GrantReport) -> str:
    return ", ".join(f"{part.name}{' (WRONG)' if part.problems else ''}" for part in grant.parts)
