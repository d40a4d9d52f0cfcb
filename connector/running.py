"""Running several pipelines of a manifest, one after the other or side by side, and telling how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from connector.errors import ConnectorError
from connector.host import Host
from connector.progress import Display, as_json, summary
from connector.result import RunResult
from connector.source import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a call of `connector run` did.

    Attributes:
        outcomes: pipeline -> result, or the error that ended it.
        counts: account -> what happened to it; only those that were used.
    """

    outcomes: Mapping[str, RunResult | Exception]
    counts: Mapping[str, Counts]

    @property
    def errors(self) -> list[Exception]:
        """What ended pipelines early."""
        return [outcome for outcome in self.outcomes.values() if isinstance(outcome, Exception)]

    @property
    def preview(self) -> list[dict[str, Any]]:
        """Documents of all previews."""
        results = [outcome for outcome in self.outcomes.values() if isinstance(outcome, RunResult)]
        return [document for result in results for document in result.preview]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        data = as_json(self.outcomes, self.counts)
        return {**data, "preview": self.preview} if self.preview else data


def run_pipelines(
    host: Host,
    names: Sequence[str],
    *,
    parameters: Mapping[str, str],
    jobs: int,
    preview: int,
    console: Console,
    quiet: bool,
) -> Report:
    """Run pipelines, showing progress and a summary on `console`. One that fails does not stop the others."""
    outcomes: dict[str, RunResult | Exception] = {}
    with Display(console, quiet=quiet) as display:

        def one(name: str) -> RunResult | Exception:
            spec = host.pipelines[name]
            given = {key: value for key, value in parameters.items() if key in spec.parameters}
            try:
                return host.run(name, parameters=given, preview=preview, progress=display.tell)
            except ConnectorError as error:
                return error

        _no_stray(host, names, parameters)
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            outcomes.update(zip(names, pool.map(one, names), strict=True))
    used = {step.account for name in names for step in host.pipelines[name].steps if step.account}
    counts = {name: host.counts(name) for name in host.accounts if name in used and _opened(host, name)}
    report = Report(outcomes=outcomes, counts=counts)
    if not quiet:
        summary(console, outcomes, counts)
    return report


def _opened(host: Host, name: str) -> bool:
    try:
        return host.counts(name).token_calls + host.counts(name).requests > 0
    except ConnectorError:
        return False


def _no_stray(host: Host, names: Sequence[str], parameters: Mapping[str, str]) -> None:
    known = {key for name in names for key in host.pipelines[name].parameters}
    stray = sorted(set(parameters) - known)
    if stray:
        raise ConnectorError(
            f"no pipeline here has a parameter {stray[0]!r}",
            code="unknown_parameter",
            resolution=f"known are {', '.join(sorted(known)) or 'none'}",
        )
