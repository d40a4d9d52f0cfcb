"""``pipelines:`` of a manifest -> `PipelineSpec`, with the checks that need no plugin.

Rules of this room: references to accounts and parameters must lead somewhere; what a snap's options mean
is the snap's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from connector.accountspec import text
from connector.check import near_miss, shorten
from connector.errors import Problem
from connector.snap import PipelineSpec, StepSpec
from connector.yamlfile import Document, join

_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_+.-]*):([^{}]*)\}")
_BEGINS = re.compile(r"\$\{[a-z][a-z0-9_+.-]*:")


def read_pipeline(
    document: Document, name: str, spec: Mapping[str, Any], accounts: Collection[str]
) -> tuple[PipelineSpec, list[Problem]]:
    """One pipeline that has passed the schema, and what is wrong with it.

    Args:
        accounts: names of all accounts of the manifest.
    """
    at = join("/pipelines", name)
    parameters = {n: None if v is None else text(v) for n, v in spec.get("parameters", {}).items()}
    problems = [*_unique_ids(document, at, spec["snaps"])]
    if "account" in spec:
        problems += _account(document, join(at, "account"), spec["account"], accounts, parameters)
    for i, step in enumerate(spec["snaps"]):
        here = join(at, "snaps", i)
        if "account" in step:
            problems += _account(document, join(here, "account"), step["account"], accounts, parameters)
        problems += _references(document, join(here, "with"), step.get("with", {}), parameters)
    line, column = document.where(at, key=True)
    pipeline = PipelineSpec(
        name=name,
        steps=tuple(_steps(document, at, spec)),
        label=spec.get("label", ""),
        account=spec.get("account", ""),
        parameters=parameters,
        on_error=spec.get("on_error", "stop"),
        errors=spec.get("errors", ""),
        line=line,
        column=column,
    )
    return pipeline, problems


def _steps(document: Document, at: str, spec: Mapping[str, Any]) -> Iterator[StepSpec]:
    taken = {step["id"] for step in spec["snaps"] if "id" in step}
    for i, step in enumerate(spec["snaps"]):
        line, column = document.where(join(at, "snaps", i))
        yield StepSpec(
            id=step["id"] if "id" in step else _free(step["snap"], taken),
            snap=step["snap"],
            account=step.get("account", ""),
            with_=step.get("with", {}),
            on_error=step.get("on_error", ""),
            line=line,
            column=column,
        )


def _free(snap: str, taken: set[str]) -> str:
    """The snap's name, or the first of ``name-2``, ``name-3``, ... that is not taken; takes it."""
    candidate, count = snap, 1
    while candidate in taken:
        count += 1
        candidate = f"{snap}-{count}"
    taken.add(candidate)
    return candidate


def _unique_ids(document: Document, at: str, steps: list[Mapping[str, Any]]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for i, step in enumerate(steps):
        here = join(at, "snaps", i, "id")
        if "id" in step and step["id"] in first:
            line, column = document.where(first[step["id"]])
            message = f"the id {shorten(step['id'])} is taken by the snap at {line}:{column}"
            yield document.problem(here, message, "give each snap an id of its own")
        elif "id" in step:
            first[step["id"]] = here


def _account(
    document: Document, at: str, name: str, accounts: Collection[str], parameters: Mapping[str, str | None]
) -> Iterator[Problem]:
    if "${" in name:
        yield from _reference(document, at, name, parameters)
    elif name not in accounts:
        near = near_miss(name, accounts)
        hint = f"did you mean {near}?" if near else "declared: " + ", ".join(sorted(accounts)[:12])
        shown = f" {shorten(name)}" if len(name) <= 40 else ""
        yield document.problem(
            at, f"there is no account{shown}", hint if accounts else "declare it under accounts:"
        )


def _references(
    document: Document, at: str, value: Any, parameters: Mapping[str, str | None]
) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _reference(document, at, value, parameters)
    elif isinstance(value, (dict, list)):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _references(document, join(at, step), inner, parameters)


def _reference(
    document: Document, at: str, value: str, parameters: Mapping[str, str | None]
) -> Iterator[Problem]:
    if not _BEGINS.search(value):
        return
    match = _REFERENCE.fullmatch(value)
    if match is None:
        yield document.problem(
            at, "a reference ${param:name} must be the whole value", "make it a value of its own"
        )
    elif match[1] != "param":
        message = f"${{{match[1]}:...}} belongs in accounts; a pipeline reads ${{param:name}} only"
        yield document.problem(at, message, "declare a parameter, and give its value with each run")
    elif match[2] not in parameters:
        near = near_miss(match[2], parameters)
        hint = (
            f"did you mean ${{param:{near}}}?"
            if near
            else f"add it: parameters: {{{shorten(match[2])}: null}}"
        )
        yield document.problem(at, f"there is no parameter {shorten(match[2])}", hint)
