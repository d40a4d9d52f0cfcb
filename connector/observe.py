"""Telling what happens: one call makes the log line and moves OpenTelemetry's instruments, where a program
uses that.

OpenTelemetry is never imported here unless the program has imported it already: who has not cannot have set
it up, and pays one look into `sys.modules` for each thing told. Nothing that measures can fail a renewal.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from connector.events import EVENTS

if TYPE_CHECKING:
    # Making these classes would be a part of what `import connector` costs.
    from typing import Protocol

    from connector.otel import Instruments

    class Named(Protocol):
        """What has a name."""

        @property
        def name(self) -> str:
            """Its name."""

    class Known(Protocol):
        """An account, as far as it is told of."""

        @property
        def name(self) -> str:
            """Its name."""

        @property
        def endpoint(self) -> Named:
            """Its endpoint."""

    class Watched(Protocol):
        """Who knows how a token is."""

        @property
        def account(self) -> Known:
            """Whose token it is."""

        def measured(self) -> Mapping[str, float]:
            """What the gauges of `connector.measures` show; without what is unknown."""


T = TypeVar("T")
Field: TypeAlias = str | int | float | bool | None
NONE: Mapping[str, Field] = MappingProxyType({})
_log = logging.getLogger("connector")


def who(account: Known) -> dict[str, Field]:
    """The fields that say whom an event is about."""
    return {"account": account.name, "endpoint": account.endpoint.name}


def tell(
    event: str, fields: Mapping[str, Field] = NONE, /, *, level: int | None = None, **more: Field
) -> None:
    """Tell an event of `connector.events`, to the log and to whoever measures.

    The fields stand in the message as ``key=value``, and as attributes on the LogRecord, beside ``event``.

    Args:
        level: instead of the event's own.
        fields, more: those of the event; None, the empty text and what is no field of it are left out.
    """
    kept = _kept({**fields, **more}, EVENTS[event].fields)
    if (instruments := _measuring()) is not None:
        _safely(instruments.event, event, kept)
    wanted = EVENTS[event].level if level is None else level
    if _log.isEnabledFor(wanted):
        # A stranger's filter that fails must not cost a token that is not saved yet.
        with contextlib.suppress(Exception):
            _log.log(wanted, line(event, kept), extra={"event": event, **kept}, stacklevel=2)


def count(account: Known, name: str, by: int) -> None:
    """Something of `connector.counts` happened `by` times more."""
    if (instruments := _measuring()) is not None:
        _safely(instruments.count, name, by, who(account))


def here() -> object | None:
    """Where a trace is now, for what goes on in another thread; None: nobody traces."""
    instruments = _measuring()
    return None if instruments is None else _safely(instruments.here)


class lasting:  # noqa: N801  # a context manager, read like contextlib's
    """Something that takes time: a span of `connector.measures`, ended by the event that says how it went.

    Args:
        span: its name.
        parent: what `here` said where it was begun; None: where we are.
        fields, more: what is known at its beginning; the event that ends it has these too.
    """

    def __init__(
        self, span: str, fields: Mapping[str, Field] = NONE, /, *, parent: object | None = None, **more: Field
    ) -> None:
        self._fields = {**fields, **more}
        self._began = time.monotonic()
        self._open: Callable[..., None] | None = None
        if (instruments := _measuring()) is not None:
            self._open = _safely(instruments.begin, span, self._fields, parent)

    def end(
        self, event: str, fields: Mapping[str, Field] = NONE, /, *, level: int | None = None, **more: Field
    ) -> None:
        """It has ended so; told with the seconds it took."""
        known = {**self._fields, **fields, **more}
        tell(event, known, level=level, seconds=time.monotonic() - self._began)
        self._close({"outcome": EVENTS[event].outcome, **known})

    def _close(self, fields: Mapping[str, Field]) -> None:
        close, self._open = self._open, None
        if close is not None:
            _safely(close, fields)

    def __enter__(self) -> lasting:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close({**self._fields, "error": exc_type.__name__ if exc_type else ""})


class waiting:  # noqa: N801  # a context manager, read like contextlib's
    """While a request waits for a token of `account`."""

    def __init__(self, account: Known) -> None:
        self._account = account
        self._began = time.monotonic()

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        tell("token.waited", who(self._account), seconds=time.monotonic() - self._began)


_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def watch(source: Watched) -> None:
    """Show from now on how the token of `source` is."""
    _watched.add(source)


def unwatch(source: Watched) -> None:
    """It is closed."""
    _watched.discard(source)


def _gauges(value: str) -> Iterable[tuple[float, Mapping[str, Any]]]:
    # Two hosts may have opened one account: the token that lasts longer is told, and the worse of all else.
    found: dict[tuple[Field, ...], tuple[float, Mapping[str, Any]]] = {}
    for source in list(_watched):
        measured, names = source.measured().get(value), who(source.account)
        key = tuple(names.values())
        if measured is not None and (key not in found or found[key][0] < measured):
            found[key] = measured, names
    return found.values()


# --- who measures ---

_instruments: Instruments | None = None
_broken = False
_making = threading.RLock()


def _measuring() -> Instruments | None:
    """OpenTelemetry, if the program uses it."""
    if _instruments is not None:
        return _instruments
    if _broken or ("opentelemetry.trace" not in sys.modules and "opentelemetry.metrics" not in sys.modules):
        return None
    return _safely(_made)


def _safely(act: Callable[..., T], *args: Any) -> T | None:
    """Let it do something. Whatever it raises ends the measuring only."""
    global _instruments, _broken
    try:
        return act(*args)
    except Exception as error:
        first, _instruments, _broken = not _broken, None, True
        if first:
            # The kind only: a stranger's words may quote what it was given.
            tell("telemetry.broken", reason=type(error).__name__)
        return None


def _made() -> Instruments:
    global _instruments
    with _making:
        if _instruments is None:
            from connector.otel import Instruments

            _instruments = Instruments(_gauges)
        return _instruments


def _after_fork() -> None:
    global _making
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# --- one line of the log ---


def _kept(fields: Mapping[str, Field], wanted: Iterable[str]) -> dict[str, Any]:
    found = {name: fields.get(name) for name in wanted}
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in found.items()
        if value is not None and value != ""
    }


def line(event: str, fields: dict[str, Any]) -> str:
    """``name key=value ...``; a text with blanks, quotes or control characters in it is quoted as in JSON."""
    return " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])


def _shown(value: Field) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    if text.isprintable() and not set(text) & {" ", '"', "=", "\\"}:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
