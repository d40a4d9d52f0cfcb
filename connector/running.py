"""Running several pipelines of a manifest, one after the other or side by side, and telling how it went."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO

from rich.console import Console

from connector.errors import ConnectorError
from connector.host import Host
from connector.outcome import Outcome, Outcomes
from connector.progress import Display, as_json, summary
from connector.result import Progress
from connector.source import Counts

GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a call of `connector run` did.

    Attributes:
        outcomes: how each pipeline ended.
        counts: account -> what happened to it; only those that were used.
        stopped: the Ctrl-C that ended the run early.
    """

    outcomes: Outcomes
    counts: Mapping[str, Counts]
    stopped: KeyboardInterrupt | None = None

    @property
    def errors(self) -> list[tuple[str, ConnectorError]]:
        """What ended pipelines early: name of the pipeline, and why."""
        return [(name, out.error) for name, out in self.outcomes.items() if out.error is not None]

    @property
    def preview(self) -> dict[str, list[dict[str, Any]]]:
        """Documents of all previews, by pipeline."""
        results = {name: out.result for name, out in self.outcomes.items()}
        return {name: list(result.preview) for name, result in results.items() if result is not None}

    def to_dict(self, *, preview: bool = False) -> dict[str, Any]:
        """Plain values, for JSON; `preview`: with the documents."""
        data = as_json(self.outcomes, self.counts)
        return {**data, "preview": self.preview} if preview else data


def run_pipelines(
    host: Host,
    names: Sequence[str],
    *,
    parameters: Mapping[str, str],
    jobs: int,
    preview: int,
    console: Console,
    quiet: bool,
    stdout: BinaryIO | None = None,
) -> Report:
    """Run pipelines, showing progress and a summary on `console`. One that fails does not stop the others.

    Ctrl-C stops all; it is in the report, after every pipeline has put away what it had half written.
    Raises ConnectorError ``unknown_parameter``.
    """
    _no_stray(host, names, parameters)
    stop = _Stop()
    reached: dict[str, Progress] = {}
    with Display(console, quiet=quiet) as display:

        def tell(progress: Progress) -> None:
            reached[progress.pipeline] = progress
            display.tell(progress)
            stop.check(progress)

        def one(name: str) -> Outcome:
            spec = host.pipelines[name]
            given = {key: value for key, value in parameters.items() if key in spec.parameters}
            try:
                result = host.run(name, parameters=given, preview=preview, progress=tell, stdout=stdout)
            except ConnectorError as error:
                return Outcome(error=error, reached=reached.get(name))
            return Outcome(result=result)

        ended, stopped = _all(one, names, min(jobs, len(names)), stop)
    outcomes = {name: ended.get(name) or Outcome(reached=reached.get(name)) for name in names}
    report = Report(outcomes=outcomes, counts=host.used(), stopped=stopped)
    if not quiet:
        summary(console, outcomes, report.counts)
    return report


class _Stop:
    """Asks pipelines in other threads to end, at the next document they move."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._told: set[str] = set()

    def check(self, progress: Progress) -> None:
        # Once for each: while a pipeline unwinds it may report again, and must get to its end.
        if self.asked.is_set() and not progress.done and progress.pipeline not in self._told:
            self._told.add(progress.pipeline)
            raise KeyboardInterrupt


Ended = tuple[dict[str, Outcome], KeyboardInterrupt | None]


def _all(one: Callable[[str], Outcome], names: Sequence[str], jobs: int, stop: _Stop) -> Ended:
    """Run them all; returns how those ended that did, and the Ctrl-C that kept others from it."""
    ended: dict[str, Outcome] = {}
    if jobs > 1:
        return ended, _side_by_side(one, names, jobs, stop, ended)
    try:
        # In the main thread, where Ctrl-C ends even a request that nobody answers.
        for name in names:
            ended[name] = one(name)
    except KeyboardInterrupt as interrupt:
        return ended, interrupt
    return ended, None


def _side_by_side(
    one: Callable[[str], Outcome], names: Sequence[str], jobs: int, stop: _Stop, ended: dict[str, Outcome]
) -> KeyboardInterrupt | None:
    waiting: SimpleQueue[str] = SimpleQueue()
    for name in names:
        waiting.put(name)
    done: dict[str, Future[None]] = {name: Future() for name in names}

    def work() -> None:
        while not stop.asked.is_set():
            try:
                name = waiting.get_nowait()
            except Empty:
                return
            try:
                ended[name] = one(name)
                done[name].set_result(None)
            except BaseException as error:
                done[name].set_exception(error)

    # Daemons: one that waits for a server that never answers must not hold up Ctrl-C for ever.
    threads = [threading.Thread(target=work, name=f"connector-run-{i}", daemon=True) for i in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        for name in names:
            done[name].result()
    except BaseException as error:
        stop.asked.set()
        for thread in threads:
            thread.join(GRACE_S)
        if not isinstance(error, KeyboardInterrupt):
            raise
        return error
    return None


def _no_stray(host: Host, names: Sequence[str], parameters: Mapping[str, str]) -> None:
    known = {key for name in names for key in host.pipelines[name].parameters}
    stray = sorted(set(parameters) - known)
    if stray:
        raise ConnectorError(
            f"no pipeline here has a parameter {stray[0]!r}",
            code="unknown_parameter",
            resolution=f"known are {', '.join(sorted(known)) or 'none'}",
        )
