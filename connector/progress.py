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
from connector.errors import ConnectorError
from connector.result import Progress, RunResult
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
    rate = out / progress.elapsed_s if progress.elapsed_s > 0.2 else 0.0
    failed = sum(step.errors for step in progress.steps)
    ends = f", {failed:,} failed" if failed else ""
    return f"{out:,} documents, {rate:,.0f}/s{ends}"


def summary(
    console: Console,
    outcomes: Mapping[str, RunResult | ConnectorError],
    counts: Mapping[str, Counts],
) -> None:
    """The closing tables: what each pipeline did, and what its accounts needed for it."""
    rows = table("pipelines")
    for name in ("pipeline", "result"):
        rows.add_column(name)
    for name in ("documents", "failed", "seconds", "docs/s"):
        rows.add_column(name, justify="right")
    for name, outcome in outcomes.items():
        if isinstance(outcome, ConnectorError):
            rows.add_row(Text(name), Text("failed", style="red"), "", "", "", "")
            continue
        rate = outcome.documents / outcome.elapsed_s if outcome.elapsed_s else 0.0
        rows.add_row(
            Text(name),
            Text("done", style="green" if outcome.ok else "yellow"),
            f"{outcome.documents:,}",
            f"{outcome.error_count:,}",
            f"{outcome.elapsed_s:.1f}",
            f"{rate:,.0f}",
        )
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


def as_json(
    outcomes: Mapping[str, RunResult | ConnectorError], counts: Mapping[str, Counts]
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "pipelines": {name: _outcome(outcome) for name, outcome in outcomes.items()},
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


def _outcome(outcome: RunResult | ConnectorError) -> dict[str, Any]:
    if isinstance(outcome, ConnectorError):
        return {"ok": False, "error": str(outcome), "code": outcome.code}
    return {
        "ok": outcome.ok,
        "documents": outcome.documents,
        "failed": outcome.error_count,
        "seconds": round(outcome.elapsed_s, 3),
        "steps": [
            {
                "id": step.id,
                "snap": step.snap,
                "account": step.account,
                "documents_in": step.documents_in,
                "documents_out": step.documents_out,
                "errors": step.errors,
                "seconds": round(step.seconds, 3),
            }
            for step in outcome.steps
        ],
        "errors": [
            {
                "step": record.step,
                "message": record.message,
                "reason": record.reason,
                "resolution": record.resolution,
            }
            for record in outcome.errors
        ],
    }
