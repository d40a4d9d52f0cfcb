"""`connector check`: everything wrong with a manifest, or with an endpoint file, without network."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass, field

import click

from connector import registry
from connector.catalogue import Endpoints
from connector.console import (
    FAILED,
    WRONG,
    chosen,
    command,
    complain,
    json_option,
    manifest_option,
    say,
    write_json,
)
from connector.endpointfile import build, load
from connector.errors import ConnectorError, ManifestError, Problem
from connector.opening import open_manifest
from connector.yamlfile import read_all

_FIELDS = ("file", "line", "column", "pointer", "message", "hint")


@dataclass(slots=True)
class _Verdict:
    """What was found.

    Attributes:
        problems: of the file itself.
        elsewhere: of endpoint files that plugins bring.
        broken: plugins that are wrong in another way.
        waiting: accounts that cannot be judged before a plugin is mended.
        sound: what there is, for when nothing is wrong.
    """

    problems: list[Problem] = field(default_factory=list)
    elsewhere: list[Problem] = field(default_factory=list)
    broken: list[ConnectorError] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    sound: str = ""


@click.command(short_help="Everything wrong with a manifest, without network.")
@click.argument("file", required=False, metavar="[MANIFEST]")
@manifest_option
@click.option("--secrets", is_flag=True, help="Also look whether each ${...} reference leads to something.")
@json_option
@click.pass_context
@command
def check(
    context: click.Context, file: str | None, manifest: str | None, secrets: bool, as_json: bool
) -> None:
    """Everything wrong with a manifest, its plugins and its pipelines; or with an endpoint file. No network.

    One line per problem, FILE:LINE:COLUMN first. Exit code 2: the file is wrong; 1: only a plugin is.
    """
    path = file or chosen(context, manifest)
    try:
        found = _endpoint_file(path) if _is_endpoint_file(path) else _manifest(path, secrets)
    except ManifestError as error:
        found = _Verdict(problems=list(error.problems))
    problems = _sorted([*found.problems, *found.elsewhere])
    if as_json:
        rows = [{name: getattr(problem, name) for name in _FIELDS} for problem in problems]
        plugins = [str(problem) for problem in found.broken]
        write_json({"ok": not rows and not plugins, "problems": rows, "plugins": plugins})
    for problem in [*problems, *found.broken]:
        complain(problem)
    for name in found.waiting:
        complain(f"account {name} can be judged only when that plugin is mended", kind="warning")
    if count := len(problems) + len(found.broken):
        say(f"{count} problem{'s' if count > 1 else ''} in {path}")
        sys.exit(WRONG if found.problems else FAILED)
    if not as_json:
        say(f"{path}: {found.sound}, no problems")


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.message))


def _is_endpoint_file(path: str) -> bool:
    data = read_all(path)[0].data
    return isinstance(data, dict) and "endpoint" in data and not {"version", "accounts"} & set(data)


def _endpoint_file(path: str) -> _Verdict:
    raws = load(path)
    known = Endpoints(registry.collect().endpoints, without={raw.name for raw in raws})
    _, problems = build(raws, known)
    return _Verdict(problems=problems, sound=_number(raws, "endpoint"))


def _manifest(path: str, secrets: bool) -> _Verdict:
    opening = open_manifest(path)
    accounts, pipelines = opening.accounts, opening.manifest.pipelines
    found = _Verdict(
        problems=opening.everything_wrong(secrets=secrets),
        waiting=opening.waiting(),
        sound=f"{_number(accounts, 'account')}, {_number(pipelines, 'pipeline')}",
    )
    for error in opening.registry.problems:
        # A file of a plugin tells its places itself.
        if isinstance(error, ManifestError):
            found.elsewhere += error.problems
        else:
            found.broken.append(error)
    return found


def _number(things: Collection[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
