"""What is left of an entry of the manifest without its broken parts, so that the rest is checked too.

Rules of this room: a damaged entry is never used, only looked at; and one mistake is told once, so nothing is
told that may follow from another mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any

from connector.errors import Problem
from connector.yamlfile import join


def damaged(
    section: str, entries: Any, whole: Mapping[str, Any], problems: Iterable[Problem]
) -> dict[str, dict[str, Any]]:
    """The entries of a section that have problems inside, without the values those are about.

    Args:
        whole: the entries that are right.
    """
    if not isinstance(entries, Mapping):
        return {}
    broken = {problem.pointer for problem in problems}
    found = {}
    for name, entry in entries.items():
        at = join("", section, name)
        if isinstance(entry, Mapping) and name not in whole:
            found[name] = _without(entry, at, broken)
    return found


def _without(value: Any, at: str, broken: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        kept = {name: inner for name, inner in value.items() if not _broken(inner, join(at, name), broken)}
        return {name: _without(inner, join(at, name), broken) for name, inner in kept.items()}
    if isinstance(value, list):
        return [_without(inner, join(at, i), broken) for i, inner in enumerate(value)]
    return value


def _broken(value: Any, at: str, broken: Collection[str]) -> bool:
    # Places in a list are counted, so a list with something broken in it goes as a whole; but for the steps
    # of a pipeline, which are worth looking at one by one.
    whole = isinstance(value, list) and not at.endswith("/snaps")
    return at in broken or (whole and any(pointer.startswith(at + "/") for pointer in broken))


def further(
    entry: str, found: Iterable[Problem], before: Iterable[Problem], written: Container[str]
) -> list[Problem]:
    """Of what was found in the rest of a damaged entry, what is certainly another mistake.

    Something that seems to be missing may only be misspelt, or wrong in another way: then it is told already.

    Args:
        entry: JSON pointer of the entry.
        before: the problems it was damaged by.
        written: pointers of all that stands in the file.
    """
    told = {problem.pointer for problem in before if problem.pointer.startswith(entry + "/")}
    places = {(problem.line, problem.column) for problem in before if problem.pointer in told}
    return [
        problem
        for problem in found
        if not any(_covers(problem.pointer, at, written) for at in told)
        and (problem.line, problem.column) not in places
    ]


def _covers(pointer: str, told: str, written: Container[str]) -> bool:
    # What is not written itself may be what stands misspelt beside it.
    around = pointer if pointer in written else pointer.rpartition("/")[0]
    return told == pointer or told.startswith(around + "/")
