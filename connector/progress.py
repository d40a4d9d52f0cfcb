"""What `connector run` shows: a live display or plain lines while documents flow, and a summary."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from connector.console import show, table
from connector.outcome import Outcomes, rate
from connector.result import Progress
from connector.source import Counts

EVERY_S = 2.0


class Display:
    """Shows the progress of several pipelines; a context manager, told from any thread."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, tuple[float, str]] = {}
        self._bar: Bar | None = None
        if console.is_terminal and not console.is_dumb_terminal and not quiet:
            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.fields[pipeline]}", style="bold", markup=False),
                TextColumn("{task.fields[words]}", markup=False),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )

    def tell(self, progress: Progress) -> None:
        """Show how far one pipeline is."""
        words = _words(progress)
        with self._lock:
            if self._bar is not None:
                if progress.pipeline not in self._tasks:
                    task = self._bar.add_task("", total=None, pipeline=progress.pipeline, words=words)
                    self._tasks[progress.pipeline] = task
                self._bar.update(self._tasks[progress.pipeline], words=words)
                return
            since, last = self._told.get(progress.pipeline, (-EVERY_S, ""))
            due = progress.done or progress.elapsed_s - since >= EVERY_S
            if self._quiet or not due or words == last:
                return
            self._told[progress.pipeline] = (progress.elapsed_s, words)
            self._console.print(Text(f"{progress.pipeline}: {words}"))

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _words(progress: Progress) -> str:
    out = progress.steps[-1].documents_out if progress.steps else 0
    failed = sum(step.errors for step in progress.steps)
    # Of the first moments a rate says nothing; at the end it is what the summary says.
    fast = rate(out, progress.elapsed_s) if progress.done or progress.elapsed_s > 0.2 else ""
    parts = [f"{out:,} documents", f"{fast}/s" if fast else "", f"{failed:,} failed" if failed else ""]
    return ", ".join(part for part in parts if part)


_STYLES = {"failed": "red", "stopped": "red", "not run": "yellow"}


def summary(console: Console, outcomes: Outcomes, counts: Mapping[str, Counts]) -> None:
    """The closing tables: what each pipeline did, and what its accounts needed for it."""
    rows = table("pipelines")
    for name in ("pipeline", "result"):
        rows.add_column(name)
    for name in ("documents", "failed", "seconds", "docs/s"):
        rows.add_column(name, justify="right")
    for name, outcome in outcomes.items():
        style = _STYLES.get(outcome.word, "green" if outcome.ok else "yellow")
        cells = (f"{outcome.documents:,}", f"{outcome.failed:,}", f"{outcome.seconds:.1f}")
        fast = rate(outcome.documents, outcome.seconds)
        rows.add_row(Text(name), Text(outcome.word, style=style), *cells, fast)
    show(rows, console)
    if counts:
        show(accounts_table(counts), console)


def accounts_table(counts: Mapping[str, Counts]) -> Table:
    """Requests, renewals and 401s by account."""
    rows = table("accounts")
    rows.add_column("account")
    for name in ("requests", "failed requests", "renewals", "401s", "token calls"):
        rows.add_column(name, justify="right")
    for name, count in counts.items():
        numbers = (count.requests, count.failed_requests, count.renewals, count.rejections, count.token_calls)
        rows.add_row(Text(name), *(f"{number:,}" for number in numbers))
    return rows


def as_json(outcomes: Outcomes, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "pipelines": {name: outcome.to_dict() for name, outcome in outcomes.items()},
        "accounts": {
            name: {
                "requests": count.requests,
                "failed_requests": count.failed_requests,
                "renewals": count.renewals,
                "rejections": count.rejections,
                "replays": count.replays,
                "token_calls": count.token_calls,
                "failed_renewals": count.failed_renewals,
            }
            for name, count in counts.items()
        },
    }
