"""What a run of a pipeline leaves behind: counts, times, and the error view.

Rules of this room: values only, and none of them holds a request, a response or an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from connector.errors import SnapError
from connector.ownline import at_line
from connector.wirewords import advice, place, why

_LONGEST = 500


class StepError(SnapError):
    """A step ended the run.

    Attributes:
        pipeline: name of the pipeline.
        step: id of the step.
    """

    def __init__(
        self,
        message: str,
        *,
        pipeline: str = "",
        step: str = "",
        code: str = "",
        reason: str = "",
        resolution: str = "",
    ) -> None:
        super().__init__(message, code=code, reason=reason, resolution=resolution)
        self.pipeline = pipeline
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """One entry of the error view.

    Attributes:
        step: id of the step it happened in.
        document: the document that failed; None when it was not about one.
        message, reason, resolution: what happened, why, what to do; the last two may be empty.
    """

    step: str
    message: str
    reason: str = ""
    resolution: str = ""
    document: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        step: str,
        document: Mapping[str, Any] | None,
        error: BaseException,
        *,
        folder: Path | None = None,
    ) -> ErrorRecord:
        """Describe an exception. Of httpx's, only method, host and path: a query may hold a secret.

        Args:
            folder: where the file is told from in which the author's line is that it came from.
        """
        if isinstance(error, SnapError):
            message, reason, resolution = error.message, error.reason, error.resolution
        elif isinstance(error, httpx.HTTPError):
            message, reason = _of_httpx(error), why(error) + at_line(error, folder)
            resolution = _advice(error)
        else:
            kind = type(error).__name__
            message, reason, resolution = str(error) or kind, kind + at_line(error, folder), ""
        # An empty document is the one the first step gets: nothing was lost with it.
        return cls(
            step=step,
            document=document or None,
            message=message[:_LONGEST],
            reason=reason[:_LONGEST],
            resolution=resolution[:_LONGEST],
        )


def _of_httpx(error: httpx.HTTPError) -> str:
    try:
        request = error.request
    except RuntimeError:
        return "The request failed"
    where = f"{request.method} {place(request.url)}"
    if isinstance(error, httpx.HTTPStatusError):
        return f"{where} was answered with {error.response.status_code}"
    return f"{where} failed"


def _advice(error: httpx.HTTPError) -> str:
    return advice(error) if isinstance(error, httpx.TransportError) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step did.

    Attributes:
        documents_in: documents it took from the step before; 0 for the first.
        documents_out: documents it handed on.
        errors: documents it could not process.
        seconds: time spent in this step itself, waiting for its own network included.
    """

    id: str
    snap: str
    account: str = ""
    documents_in: int = 0
    documents_out: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        elapsed_s: seconds since the run began.
        steps: one per step, in order.
        done: this is the last call; the run has ended, well or not.
    """

    pipeline: str
    elapsed_s: float
    steps: tuple[StepResult, ...]
    done: bool = False


Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a finished run did.

    Attributes:
        documents: how many documents came out of the last step.
        errors: the error view of steps with ``on_error: collect``, its first 1,000 entries.
        error_count: all failed documents, skipped ones included.
        elapsed_s: seconds from beginning to end.
        steps: one per step, in order.
        preview: documents of the last step, in a preview only.
    """

    pipeline: str
    documents: int
    elapsed_s: float
    steps: tuple[StepResult, ...]
    errors: tuple[ErrorRecord, ...] = ()
    error_count: int = 0
    preview: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether every document made it: none failed, none was skipped."""
        return self.error_count == 0

    @property
    def seconds(self) -> Mapping[str, float]:
        """Step id -> seconds of its own."""
        return MappingProxyType({step.id: step.seconds for step in self.steps})
