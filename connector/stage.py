"""One step of a running pipeline: a snap of any shape as an iterator that counts, times and names errors."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from connector.bridge import Bridge, Connections
from connector.errors import SnapError
from connector.errorview import ErrorView
from connector.options import settled
from connector.ownline import at_line
from connector.result import Listener, Progress, StepResult
from connector.snap import Document, Snap, StepSpec

EVERY_S = 0.2


class Watch:
    """One stopwatch for all steps: time belongs to the step that runs, not to those that wait for it."""

    def __init__(self, steps: int, clock: Callable[[], float], tell: Callable[[float], None]) -> None:
        self.seconds = [0.0] * steps
        self.began_at = clock()
        self._clock = clock
        self._tell = tell
        self._told_at = self._since = self.began_at
        self._runs = -1

    def switch(self, index: int) -> int:
        """Let the time from now on belong to step `index` (-1: to nobody); returns whose it was."""
        now = self._clock()
        before = self._runs
        if before >= 0:
            self.seconds[before] += now - self._since
        self._runs, self._since = index, now
        if now - self._told_at >= EVERY_S:
            self._told_at = now
            self._tell(now - self.began_at)
        return before

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self.began_at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepContext:
    """What a snap sees of its pipeline; see `connector.snap.Context`."""

    pipeline: str
    snap: str
    account: str
    parameters: Mapping[str, str]
    folder: Path
    preview: bool
    index: int
    on_error: str
    view: ErrorView
    connections: Connections
    output: BinaryIO | None = None

    @property
    def stdout(self) -> BinaryIO:
        """Where the run was told to put data, else what Python calls standard output."""
        found = self.output or getattr(sys.stdout, "buffer", None)
        if found is None:
            raise SnapError("There is no standard output to write to")
        return found

    @property
    def client(self) -> httpx.Client:
        """The account's client."""
        return self.connections.client(self.account)

    @property
    def async_client(self) -> httpx.AsyncClient:
        """The account's async client."""
        return self.connections.async_client(self.account)

    def fail(self, document: Document | None, error: Exception, /) -> None:
        """Send one document to the error view, or end the run."""
        self.view.fail(self.index, self.snap, self.on_error, document, error)


class Stage:
    """A step at work: iterating over it pulls documents through this step and all before it.

    Attributes:
        documents_out: how many documents it has handed on.
    """

    def __init__(
        self,
        step: StepSpec,
        snap: Snap,
        context: StepContext,
        before: Stage | None,
        *,
        watch: Watch,
        limit: int | None = None,
    ) -> None:
        self.step = step
        self.documents_out = 0
        self._context = context
        self._before = before
        self._watch = watch
        self._limit = limit
        self._snap = snap
        self._documents: Any = None

    def __iter__(self) -> Iterator[Document]:
        return self

    def __next__(self) -> Document:
        if self.documents_out == self._limit:
            raise StopIteration
        view = self._context.view
        before = self._watch.switch(self._context.index)
        try:
            if self._documents is None:
                self._documents = self._begin()
            document = next(self._documents)
            if not isinstance(document, dict):
                raise SnapError(f"It yielded a {type(document).__name__}, not a document (a dict)")
        except StopIteration:
            if view.failure is not None:
                raise view.failure from None
            raise
        except (Exception, SystemExit) as error:
            failure = _told(error, self._context.folder)
        else:
            self.documents_out += 1
            return document
        finally:
            self._watch.switch(before)
        # Raised out here, so that the original is a cause where we say so, never a context by accident.
        view.end(self._context.index, self.step.id, failure)

    def close(self) -> None:
        """Close what the snap has open. Quiet about errors when the run has failed already."""
        if self._documents is None:
            return
        view = self._context.view
        before = self._watch.switch(self._context.index)
        try:
            self._documents.close()
        except (Exception, SystemExit) as error:
            if view.failure is None:
                view.end(self._context.index, self.step.id, _told(error, self._context.folder))
        finally:
            self._watch.switch(before)

    def _begin(self) -> Any:
        # Without a `close` of its own: `yield from documents` would close the steps above out of turn.
        documents: Iterator[Document] = iter([{}]) if self._before is None else chain(self._before)
        return _documents(self._snap, self.step.with_, documents, self._context)

    def result(self) -> StepResult:
        """Counts and times so far."""
        index = self._context.index
        return StepResult(
            id=self.step.id,
            snap=self.step.snap,
            account=self._context.account,
            documents_in=self._before.documents_out if self._before else 0,
            documents_out=self.documents_out,
            errors=self._context.view.counts[index],
            seconds=self._watch.seconds[index],
        )


def progress_of(pipeline: str, stages: Iterable[Stage], elapsed_s: float, *, done: bool = False) -> Progress:
    """How far the steps are."""
    steps = tuple(stage.result() for stage in stages)
    return Progress(pipeline=pipeline, elapsed_s=elapsed_s, steps=steps, done=done)


def teller(listener: Listener | None, pipeline: str, stages: list[Stage]) -> Callable[[float], None]:
    """What a watch calls now and then, given who listens."""
    if listener is None:
        return lambda elapsed_s: None
    return lambda elapsed_s: listener(progress_of(pipeline, stages, elapsed_s))


def _documents(
    snap: Snap, options: Mapping[str, Any], documents: Iterator[Document], context: StepContext
) -> Any:
    """A generator over what the snap makes of its documents."""
    run = snap.run
    if snap.factory:
        made = run(context.folder, **options)
        # What a factory binds are options like any others, and checked like them.
        partial = isinstance(made, functools.partial) and not made.args
        run, options = (made.func, settled(made.func, made.keywords)) if partial else (made, {})
    bare = run.func if isinstance(run, functools.partial) else run
    if inspect.isclass(bare):
        if not callable(getattr(bare, "process", None)):
            raise SnapError(
                f"The class {bare.__name__} has no method `process`",
                resolution="A snap class has `process(self, document, context)`; see docs/snaps.md.",
            )
        return _each(run, options, documents, context)
    if inspect.isasyncgenfunction(bare) or inspect.isasyncgenfunction(getattr(bare, "__call__", None)):  # noqa: B004

        def make(incoming: AsyncIterator[Document]) -> Any:
            return run(incoming, context, **options)

        return Bridge(context.connections, make, documents)
    return _stream(run, options, documents, context)


def _stream(
    run: Callable[..., Any], options: Mapping[str, Any], documents: Iterator[Document], context: StepContext
) -> Iterator[Document]:
    made = run(documents, context, **options)
    if made is None:
        return
    if isinstance(made, (Mapping, str, bytes)) or not isinstance(made, Iterable):
        raise SnapError(
            f"It returned a {type(made).__name__}, not documents",
            resolution="A snap function yields documents, or returns a list of them.",
        )
    yield from made


def _each(
    run: Callable[..., Any], options: Mapping[str, Any], documents: Iterator[Document], context: StepContext
) -> Iterator[Document]:
    snap = run(**options)
    with _cleaned(snap, context):
        if hasattr(snap, "configure"):
            snap.configure(context)
        for document in documents:
            try:
                made = snap.process(document, context)
                if isinstance(made, Mapping):
                    yield made  # type: ignore[misc]  # a Mapping that is no dict is refused by the Stage
                elif made is not None:
                    yield from made
            except (Exception, SystemExit) as error:
                failure = _told(error, context.folder)
            else:
                continue
            context.fail(document, failure)


def _told(error: Exception | SystemExit, folder: Path) -> Exception:
    """The error as it is; a snap that asks Python to exit speaks for its step, not for all pipelines."""
    if not isinstance(error, SystemExit):
        return error
    shown = "" if error.code is None else repr(error.code)
    told = SnapError(
        f"It called sys.exit({shown})",
        reason="SystemExit" + at_line(error, folder),
        resolution="Raise an error, or return: a snap ends its own step, never the program.",
    )
    told.__cause__ = error
    return told


@contextmanager
def _cleaned(snap: Any, context: StepContext) -> Iterator[None]:
    """Clean up in any case. What ended the work matters more than what goes wrong while cleaning up."""
    cleanup = getattr(snap, "cleanup", None)
    try:
        yield
    except GeneratorExit:
        if cleanup is not None:
            cleanup(context)
        raise
    except BaseException:
        if cleanup is not None:
            with suppress(Exception, SystemExit):
                cleanup(context)
        raise
    if cleanup is not None:
        cleanup(context)
