"""Pipelines: check one without running it, and run it, documents flowing through one at a time.

The last step pulls from the one before it, and so on up to the first: nothing is read before somebody
wants it, and nothing is kept after it was handed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from connector.bridge import Clients, Connections
from connector.endpoint import NOTHING
from connector.errors import SnapError
from connector.errorview import ErrorView
from connector.options import UNSET, Flaw, UnsetParameter, escape, fill, flaws, near, parameter, references
from connector.result import Listener, Progress, RunResult, StepResult
from connector.snap import PipelineSpec, Snap, SoundOptions, StepSpec
from connector.stage import Stage, StepContext, Watch, progress_of, teller

__all__ = ["Clients", "Finding", "Listener", "Progress", "RunResult", "StepResult", "check", "run"]

PREVIEW = 50


class Finding(NamedTuple):
    """One thing wrong with a pipeline, mostly with one of its steps.

    Attributes:
        step: index of the step, from 0; None: it is about the pipeline.
        pointer: JSON pointer below the step, e.g. ``/with/page_size``; empty: the step as a whole. Below the
            pipeline where there is no step.
        message: what is wrong.
        hint: what to do; may be empty.
    """

    step: int | None
    pointer: str
    message: str
    hint: str = ""


def check(
    spec: PipelineSpec, snaps: Mapping[str, Snap], accounts: Collection[str] | None = None
) -> list[Finding]:
    """Everything wrong with a pipeline's steps, found without running anything and without network.

    Args:
        snaps: the known snaps by name.
        accounts: names of the declared accounts; None: don't look.
    """
    found: list[Finding] = []
    ids: set[str] = set()
    for index, step in enumerate(spec.steps):
        if step.id in ids:
            found.append(Finding(index, "/id", f"there are two steps with the id {step.id!r}"))
        ids.add(step.id)
        _, problems = _filled(_defaulted(step, spec, snaps), snaps, spec.parameters, accounts)
        found += [Finding(index, *problem) for problem in problems]
    return [*found, *_unused(spec, snaps)]


def _unused(spec: PipelineSpec, snaps: Mapping[str, Snap]) -> Iterator[Finding]:
    """Declared parameters that nothing reads, where no snap can read them in a way that is not seen here."""
    if any(step.snap not in snaps or snaps[step.snap].reads_parameters for step in spec.steps):
        return
    used = references([spec.account, *(value for step in spec.steps for value in (step.account, step.with_))])
    for name in spec.parameters:
        if name not in used:
            hint = f"use it as ${{param:{name}}}, a whole value of a step, or leave it out"
            yield Finding(None, f"/parameters/{escape(name)}", f"no step uses the parameter {name!r}", hint)


def run(
    spec: PipelineSpec,
    *,
    snaps: Mapping[str, Snap],
    clients: Clients,
    parameters: Mapping[str, str] = NOTHING,
    folder: Path,
    preview: bool | int = False,
    progress: Listener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RunResult:
    """Run a pipeline to its end in the calling thread.

    Args:
        snaps: the known snaps by name.
        clients: makes the clients of the steps; the run closes them.
        parameters: values for this run; the others have their defaults.
        folder: where relative paths start.
        preview: pull at most this many documents (True: 50) from the first step, and write nothing.
        progress: called about every 0.2 s while documents flow, and once at the end.
        clock: seconds, monotonic.

    Raises:
        SnapError: a step or a document failed and ``on_error`` is ``stop`` (a `StepError`, which names the
            step), or the pipeline cannot be run as it is declared.
        ConnectorError: a login is needed, the store is gone, ...: whatever ``on_error`` says.
    """
    given = _given(spec, parameters)
    steps = _ready(spec, snaps, given)
    limit = _limit(preview)
    collects = spec.errors and any((step.on_error or spec.on_error) == "collect" for step in steps)
    file = folder / Path(spec.errors).expanduser() if collects and not limit else None
    view = ErrorView(spec.name, len(steps), file)
    stages: list[Stage] = []
    watch = Watch(len(steps), clock, teller(progress, spec.name, stages))
    connections = Connections(clients)
    try:
        with ExitStack() as closing:
            closing.callback(connections.close)
            view.open()
            closing.callback(view.close)
            for index, step in enumerate(steps):
                context = StepContext(
                    pipeline=spec.name,
                    snap=step.id,
                    account=step.account,
                    parameters=given,
                    folder=folder,
                    preview=bool(limit),
                    index=index,
                    on_error=step.on_error or spec.on_error,
                    view=view,
                    connections=connections,
                )
                before = stages[-1] if stages else None
                source = limit if limit and before is None else None
                stages.append(Stage(step, snaps[step.snap], context, before, watch=watch, limit=source))
                closing.callback(stages[-1].close)
            sample = _drain(stages[-1], limit, view)
    finally:
        elapsed_s = watch.elapsed_s()
        if progress is not None:
            progress(progress_of(spec.name, stages, elapsed_s, done=True))
    return RunResult(
        pipeline=spec.name,
        documents=stages[-1].documents_out,
        elapsed_s=elapsed_s,
        steps=tuple(stage.result() for stage in stages),
        errors=tuple(view.records),
        error_count=sum(view.counts),
        preview=sample,
    )


def _limit(preview: bool | int) -> int:
    limit = PREVIEW if preview is True else int(preview)
    if limit < 0:
        raise SnapError(f"A preview of {limit} documents is none", resolution="Ask for 1 or more.")
    return limit


def _drain(last: Stage, limit: int, view: ErrorView) -> tuple[dict[str, Any], ...]:
    sample: list[dict[str, Any]] = []
    try:
        for document in last:
            if limit:
                sample.append(document)
                if len(sample) == limit:
                    break
    except BaseException as error:
        view.abandon(error)
        raise
    return tuple(sample)


def _given(spec: PipelineSpec, parameters: Mapping[str, str]) -> Mapping[str, str]:
    for name in parameters:
        if name not in spec.parameters:
            declared = ", ".join(spec.parameters) or "none"
            raise SnapError(
                f"Pipeline {spec.name!r} has no parameter {name!r}",
                code="parameter_unknown",
                resolution=near(name, spec.parameters) or f"Its parameters: {declared}.",
            )
    values = {**spec.parameters, **parameters}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        listed = ", ".join(missing)
        raise SnapError(
            f"Pipeline {spec.name!r} needs a value for {listed}",
            code="parameter_missing",
            resolution="Give one for this run, or a default under `parameters:` of the pipeline.",
        )
    return MappingProxyType({name: str(value) for name, value in values.items()})


def _ready(spec: PipelineSpec, snaps: Mapping[str, Snap], given: Mapping[str, str]) -> list[StepSpec]:
    steps: list[StepSpec] = []
    problems: list[str] = []
    for step in spec.steps:
        filled, found = _filled(_defaulted(step, spec, snaps), snaps, given, None)
        steps.append(filled)
        problems += [
            f"{step.id}{flaw.pointer}: {flaw.message}" + (f" ({flaw.hint})" if flaw.hint else "")
            for flaw in found
        ]
    if problems or not steps:
        raise SnapError(
            f"Pipeline {spec.name!r} cannot run: " + ("; ".join(problems) or "it has no steps"),
            code="pipeline_invalid",
        )
    return steps


def _defaulted(step: StepSpec, spec: PipelineSpec, snaps: Mapping[str, Snap]) -> StepSpec:
    """The step with the pipeline's account, where it names none and can use one."""
    uses = step.snap in snaps and snaps[step.snap].account != "none"
    return replace(step, account=spec.account) if spec.account and uses and not step.account else step


def _filled(
    step: StepSpec,
    snaps: Mapping[str, Snap],
    parameters: Mapping[str, str | None],
    accounts: Collection[str] | None,
) -> tuple[StepSpec, list[Flaw]]:
    """A step with its parameters filled in, and everything wrong with it."""
    snap = snaps.get(step.snap)
    if snap is None:
        hint = near(step.snap, snaps) or "the snaps are: " + ", ".join(sorted(snaps))
        return step, [Flaw("/snap", f"there is no snap {step.snap!r}", hint)]
    found: list[Flaw] = []
    account = parameter(step.account, parameters, "/account", found) if step.account else ""
    found += _account_flaws(step, snap, account, accounts)
    options, wrong = fill(step.with_, snap.run, parameters)
    found += [*wrong, *flaws(snap.run, options)]
    found += _own_check(snap, options, {flaw.pointer for flaw in found})
    if not isinstance(account, str):
        account = ""
    return replace(step, account=account, with_=options), found


def _account_flaws(
    step: StepSpec, snap: Snap, account: str | UnsetParameter, accounts: Collection[str] | None
) -> Iterator[Flaw]:
    if snap.account == "required" and not account:
        yield Flaw("", f"{snap.name} needs an account", "add `account:` with the name of one")
    if snap.account == "none" and step.account:
        yield Flaw("/account", f"{snap.name} uses no account", "leave `account:` out")
    elif account and isinstance(account, str) and accounts is not None and account not in accounts:
        hint = near(account, accounts) or "the accounts are: " + (", ".join(sorted(accounts)) or "none")
        yield Flaw("/account", f"there is no account {account!r}", hint)


def _own_check(snap: Snap, options: Mapping[str, Any], wrong: Collection[str]) -> Iterator[Flaw]:
    if snap.check is None:
        return
    sound = {
        name: value
        for name, value in options.items()
        if not _unset(value) and not any(_is_in(each, f"/with/{escape(name)}") for each in wrong)
    }
    for name, message in snap.check(SoundOptions(sound, options.keys() - sound.keys())):
        yield Flaw(f"/with/{escape(name)}" if name else "/with", message)


def _is_in(pointer: str, option: str) -> bool:
    return pointer == option or pointer.startswith(option + "/")


def _unset(value: Any) -> bool:
    """Whether a value is, or holds, a parameter that has no value yet."""
    if isinstance(value, Mapping):
        return any(_unset(each) for each in value.values())
    if isinstance(value, list):
        return any(_unset(each) for each in value)
    return value is UNSET
