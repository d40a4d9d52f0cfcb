"""What a play of an endpoint showed: plain values, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connector.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that was played with one grant.

    Attributes:
        name: ``login``, ``request``, ``renewal``, ...
        words: what happened.
        problems: what went wrong, each at the key of the file that is to blame.
    """

    name: str
    words: str
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True, kw_only=True)
class GrantReport:
    """Everything that was played with one grant.

    Attributes:
        unplayed: why nothing could be played; empty: it was.
    """

    grant: str
    unplayed: str = ""
    parts: list[Part] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """Everything that went wrong."""
        return [problem for part in self.parts for problem in part.problems]

    def as_json(self) -> dict[str, Any]:
        """As data for programs."""
        return {
            "grant": self.grant,
            "ok": not self.problems,
            "unplayed": self.unplayed,
            "played": [{"name": p.name, "words": p.words, "ok": not p.problems} for p in self.parts],
            "problems": [problem_json(problem) for problem in self.problems],
        }


@dataclass(slots=True, kw_only=True)
class EndpointReport:
    """Everything that was found out about one endpoint.

    Attributes:
        flaws: what is wrong with the file itself; nothing is played then.
    """

    name: str
    file: str
    flaws: list[Problem] = field(default_factory=list)
    grants: list[GrantReport] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """Everything that went wrong."""
        return [*self.flaws, *(problem for grant in self.grants for problem in grant.problems)]

    def as_json(self) -> dict[str, Any]:
        """As data for programs."""
        return {
            "endpoint": self.name,
            "file": self.file,
            "ok": not self.problems,
            "problems": [problem_json(problem) for problem in self.flaws],
            "grants": [grant.as_json() for grant in self.grants],
        }


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as data for programs."""
    names = ("file", "line", "column", "pointer", "message", "hint")
    return {name: getattr(problem, name) for name in names}
