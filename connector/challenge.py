"""Reading ``WWW-Authenticate`` (RFC 9110 section 11.6.1): as leniently as servers write it, never raising."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_LONGEST, _MOST = 8_192, 50
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # as much as there is, or a spiteful header costs seconds
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(rf"({_TOKEN})(?=[\s,]|$)")
_NEITHER = re.compile(rf"[\s,]+|{_TOKEN}|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge of a server.

    Attributes:
        scheme: in lower case: ``bearer``, ``dpop``, ``basic``, ...
        params: names in lower case; of a name given twice the first counts.
    """

    scheme: str
    params: Mapping[str, str] = field(default_factory=dict)


def challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of all ``WWW-Authenticate`` headers of an answer, in order."""
    found: list[Challenge] = []
    for value in values:
        text, at = value[:_LONGEST], 0
        params: dict[str, str] | None = None
        while at < len(text) and len(found) < _MOST:
            if params is not None and (match := _PARAMETER.match(text, at)):
                said = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2], flags=re.DOTALL)
                params.setdefault(match[1].lower(), said)
            elif match := _SCHEME.match(text, at):
                params = {}
                found.append(Challenge(scheme=match[1].lower(), params=params))
            else:
                match = _NEITHER.match(text, at)
            at = match.end() if match else at + 1
    return found


def param(values: Iterable[str], name: str, *, schemes: tuple[str, ...] = ("bearer", "dpop")) -> str:
    """A parameter of the first challenge of these schemes that has it; empty without one."""
    return next((c.params[name] for c in challenges(values) if c.scheme in schemes and name in c.params), "")
