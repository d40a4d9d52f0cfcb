"""The error view of one run: who may go on after a failure, who ends the run, and what is written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TextIO

import httpx

from connector.errors import ConnectorError, SnapError
from connector.result import ErrorRecord, StepError

KEPT = 1_000
LONGEST = 2_000


class ErrorView:
    """Collects failures of one run; safe from any thread, since snaps may work in several.

    Args:
        file: where those of steps that collect are written to.
        folder: where the files are told from in which the lines are that failed.

    Attributes:
        failure: what ended the run; None while it goes well. It is raised again wherever a snap
            swallowed it, so that no step can mistake a broken stream for a finished one.
        counts: failures per step.
        records: the first `KEPT` entries of steps that collect.
    """

    def __init__(self, pipeline: str, steps: int, file: Path | None = None, *, folder: Path) -> None:
        self.failure: BaseException | None = None
        self.counts = [0] * steps
        self.records: list[ErrorRecord] = []
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._file = file
        self._folder = folder
        self._stream: TextIO | None = None

    def open(self) -> None:
        """Begin the file of the error view, so that an old one is never taken for this run's."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._file.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
        except OSError as error:
            raise SnapError(
                f"The error view of pipeline {self._pipeline!r} cannot be written",
                code="errors_file",
                reason=f"{self._file}: {error.strerror or error}",
                resolution="Name a file under `errors:` that can be written.",
            ) from None

    def fail(
        self, index: int, step: str, mode: str, document: Mapping[str, Any] | None, error: Exception
    ) -> None:
        """Count and note one failure; raises, and with it ends the run, when `mode` is ``stop``.

        An error that is no document's fault (a login is needed, the store is gone) always ends the run.
        """
        if self.failure is not None:
            raise self.failure
        if ends_run(error):
            self.end(index, step, error)
        if mode == "stop":
            self.end(index, step, error)
        with self._lock:
            self.counts[index] += 1
            if mode != "collect":
                return
            record = ErrorRecord.of(step, document, error, folder=self._folder)
            if len(self.records) < KEPT:
                self.records.append(record)
            if self._stream is not None:
                self._stream.write(_line(record))

    def end(self, index: int, step: str, error: BaseException) -> NoReturn:
        """End the run: raise what ended it first, whatever a snap made of that since."""
        with self._lock:
            if self.failure is None:
                self.counts[index] += 1
                self.failure = error if ends_run(error) else self._step_error(step, error)
                self.failure.add_note(f"in step {step!r} of pipeline {self._pipeline!r}")
        raise self.failure

    def abandon(self, error: BaseException) -> None:
        """Remember that the run ends for a reason outside it (Ctrl-C), so that closing keeps quiet."""
        if self.failure is None:
            self.failure = error

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def _step_error(self, step: str, error: BaseException) -> StepError:
        record = ErrorRecord.of(step, None, error, folder=self._folder)
        failure = StepError(
            f"Step {step!r} of pipeline {self._pipeline!r} failed: {record.message}",
            pipeline=self._pipeline,
            step=step,
            code=error.code if isinstance(error, SnapError) else "",
            reason=record.reason,
            resolution=record.resolution,
        )
        # httpx's errors hold the request and response; an error of ours never does, not even as its cause.
        failure.__cause__ = None if isinstance(error, httpx.HTTPError) else error
        failure.__suppress_context__ = True
        return failure


def ends_run(error: BaseException) -> bool:
    """Whether an error is no document's fault: every error of ours but SnapError."""
    return isinstance(error, ConnectorError) and not isinstance(error, SnapError)


def _line(record: ErrorRecord) -> str:
    entry = {
        "step": record.step,
        "message": record.message,
        "reason": record.reason,
        "resolution": record.resolution,
        "document": record.document,
    }
    try:
        return json.dumps(entry, ensure_ascii=False, allow_nan=False, default=str) + "\n"
    except (ValueError, TypeError, RecursionError):
        # NaN, keys that are no texts, a document that holds itself: shown as Python would.
        shown = repr(record.document)[:LONGEST]
        return json.dumps({**entry, "document": {"unwritable": shown}}, ensure_ascii=False) + "\n"
