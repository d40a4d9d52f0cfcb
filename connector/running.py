"""Running several pipelines of a manifest, one after the other or side by side, and telling how it went."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from rich.console import Console

from connector.errors import ConnectorError
from connector.host import Host
from connector.progress import Display, as_json, summary
from connector.result import Progress, RunResult
from connector.source import Counts

GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a call of `connector run` did.

    Attributes:
        outcomes: pipeline -> result, or the error that ended it.
        counts: account -> what happened to it; only those that were used.
    """

    outcomes: Mapping[str, RunResult | ConnectorError]
    counts: Mapping[str, Counts]

    @property
    def errors(self) -> list[tuple[str, ConnectorError]]:
        """What ended pipelines early: name of the pipeline, and why."""
        return [(name, out) for name, out in self.outcomes.items() if isinstance(out, ConnectorError)]

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
    """Run pipelines, showing progress and a summary on `console`. One that fails does not stop the others.

    Raises ConnectorError ``unknown_parameter``; KeyboardInterrupt after every pipeline has put away what
    it had half written.
    """
    _no_stray(host, names, parameters)
    stop = _Stop()
    with Display(console, quiet=quiet) as display:

        def tell(progress: Progress) -> None:
            stop.check(progress.pipeline)
            display.tell(progress)

        def one(name: str) -> RunResult | ConnectorError:
            spec = host.pipelines[name]
            given = {key: value for key, value in parameters.items() if key in spec.parameters}
            try:
                return host.run(name, parameters=given, preview=preview, progress=tell)
            except ConnectorError as error:
                return error

        outcomes = _all(one, names, min(jobs, len(names)), stop)
    report = Report(outcomes=outcomes, counts=host.used())
    if not quiet:
        summary(console, outcomes, report.counts)
    return report


class _Stop:
    """Asks pipelines in other threads to end, at the next document they move."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._told: set[str] = set()

    def check(self, pipeline: str) -> None:
        # Once for each: while a pipeline unwinds it may report again, and must get to its end.
        if self.asked.is_set() and pipeline not in self._told:
            self._told.add(pipeline)
            raise KeyboardInterrupt


def _all(
    one: Callable[[str], RunResult | ConnectorError], names: Sequence[str], jobs: int, stop: _Stop
) -> dict[str, RunResult | ConnectorError]:
    if jobs <= 1:
        # In the main thread, where Ctrl-C ends even a request that nobody answers.
        return {name: one(name) for name in names}
    waiting: SimpleQueue[str] = SimpleQueue()
    for name in names:
        waiting.put(name)
    done: dict[str, Future[RunResult | ConnectorError]] = {name: Future() for name in names}

    def work() -> None:
        while not stop.asked.is_set():
            try:
                name = waiting.get_nowait()
            except Empty:
                return
            try:
                done[name].set_result(one(name))
            except BaseException as error:
                done[name].set_exception(error)

    # Daemons: one that waits for a server that never answers must not hold up Ctrl-C for ever.
    threads = [threading.Thread(target=work, name=f"connector-run-{i}", daemon=True) for i in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        return {name: done[name].result() for name in names}
    except BaseException:
        stop.asked.set()
        for thread in threads:
            thread.join(GRACE_S)
        raise


def _no_stray(host: Host, names: Sequence[str], parameters: Mapping[str, str]) -> None:
    known = {key for name in names for key in host.pipelines[name].parameters}
    stray = sorted(set(parameters) - known)
    if stray:
        raise ConnectorError(
            f"no pipeline here has a parameter {stray[0]!r}",
            code="unknown_parameter",
            resolution=f"known are {', '.join(sorted(known)) or 'none'}",
        )
