"""How a pipeline of `connector run` ended, with its numbers so far, whichever way that was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import ConnectorError
from connector.result import Progress, RunResult, StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one pipeline ended.

    Attributes:
        result: what a run to the end brought.
        error: what ended it early.
        reached: the last that was heard of it; None: it had not begun.
    """

    result: RunResult | None = None
    error: ConnectorError | None = None
    reached: Progress | None = None

    @property
    def word(self) -> str:
        """``done``, ``failed``, ``stopped`` by Ctrl-C, or ``not run`` because of that."""
        if self.result is not None:
            return "done"
        if self.error is not None:
            return "failed"
        return "stopped" if self.reached is not None else "not run"

    @property
    def ok(self) -> bool:
        """Whether it came to its end, and every document made it."""
        return self.result is not None and self.result.ok

    @property
    def steps(self) -> tuple[StepResult, ...]:
        """What each step did."""
        if self.result is not None:
            return self.result.steps
        return self.reached.steps if self.reached is not None else ()

    @property
    def documents(self) -> int:
        """How many came out of the last step."""
        return self.steps[-1].documents_out if self.steps else 0

    @property
    def failed(self) -> int:
        """How many documents failed, that which ended the run included."""
        return sum(step.errors for step in self.steps)

    @property
    def seconds(self) -> float:
        """How long it took."""
        if self.result is not None:
            return self.result.elapsed_s
        return self.reached.elapsed_s if self.reached is not None else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        told: dict[str, Any] = {"ok": self.ok, "result": self.word}
        if self.error is not None:
            told |= {"error": str(self.error), "code": self.error.code}
        return told | {
            "documents": self.documents,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "steps": [_step(step) for step in self.steps],
            "errors": [
                {
                    "step": record.step,
                    "message": record.message,
                    "reason": record.reason,
                    "resolution": record.resolution,
                }
                for record in (self.result.errors if self.result is not None else ())
            ],
        }


Outcomes = Mapping[str, Outcome]


def _step(step: StepResult) -> dict[str, Any]:
    return {
        "id": step.id,
        "snap": step.snap,
        "account": step.account,
        "documents_in": step.documents_in,
        "documents_out": step.documents_out,
        "errors": step.errors,
        "seconds": round(step.seconds, 3),
    }


def rate(documents: int, seconds: float) -> str:
    """Documents a second; empty where there is nothing to divide."""
    return f"{documents / seconds:,.0f}" if documents and seconds > 0 else ""
