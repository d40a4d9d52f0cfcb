"""Running a pipeline, documents flowing through one at a time.

The last step pulls from the one before it, and so on up to the first: nothing is read before somebody
wants it, and nothing is kept after it was handed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from connector.bridge import Clients, Connections
from connector.endpointparts import NOTHING
from connector.errors import SnapError
from connector.errorview import ErrorView
from connector.options import near
from connector.result import Listener, Progress, RunResult, StepResult
from connector.snap import PipelineSpec, Snap, StepSpec
from connector.stage import Stage, StepContext, Watch, progress_of, teller
from connector.stepcheck import Finding, check, defaulted, filled

__all__ = ["Clients", "Finding", "Listener", "Progress", "RunResult", "StepResult", "check", "run"]

PREVIEW = 50


def run(
    spec: PipelineSpec,
    *,
    snaps: Mapping[str, Snap],
    clients: Clients,
    parameters: Mapping[str, str] = NOTHING,
    paging: Mapping[str, Mapping[str, Any]] = NOTHING,
    folder: Path,
    preview: bool | int = False,
    progress: Listener | None = None,
    stdout: BinaryIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RunResult:
    """Run a pipeline to its end in the calling thread.

    Args:
        snaps: the known snaps by name.
        clients: makes the clients of the steps; the run closes them.
        parameters: values for this run; the others have their defaults.
        paging: account -> what its endpoint says of ``api.paging``.
        folder: where relative paths start.
        preview: pull at most this many documents (True: 50) from the first step, and write nothing.
        progress: called about every 0.2 s while documents flow, and once at the end.
        stdout: where snaps write what is meant for standard output.
        clock: seconds, monotonic.

    Raises:
        SnapError: a step or a document failed and ``on_error`` is ``stop`` (a `StepError`, which names the
            step), or the pipeline cannot be run as it is declared.
        ConnectorError: a login is needed, the store is gone, ...: whatever ``on_error`` says.
    """
    given = _given(spec, parameters)
    steps = _ready(spec, snaps, given, paging)
    limit = _limit(preview)
    collects = spec.errors and any((step.on_error or spec.on_error) == "collect" for step in steps)
    file = folder / Path(spec.errors).expanduser() if collects and not limit else None
    view = ErrorView(spec.name, len(steps), file, folder=folder)
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
                    output=stdout,
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


def _ready(
    spec: PipelineSpec,
    snaps: Mapping[str, Snap],
    given: Mapping[str, str],
    paging: Mapping[str, Mapping[str, Any]],
) -> list[StepSpec]:
    steps: list[StepSpec] = []
    problems: list[str] = []
    for step in spec.steps:
        made, found = filled(defaulted(step, spec, snaps), snaps, given, paging=paging)
        steps.append(made)
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
