"""How words, data and exit codes leave the command line.

Rules of this room: data goes to standard output and words to standard error; whatever happens, nobody sees a
traceback without asking for it. No text from outside can steer the terminal.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, BinaryIO, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.errors import ConnectorError, ManifestError, NotAuthorizedError

FAILED, WRONG, LOGIN, STOPPED, TERMINATED = 1, 2, 4, 130, 143
_A_LOGIN_HELPS = ("needs_authorization", "auto_refresh_off", "step_up_required")
_WRONG_USAGE = ("unknown_parameter", "parameter_unknown", "parameter_missing", "pipeline_invalid")
_WIDE = 10_000
F = TypeVar("F", bound=Callable[..., Any])

manifest_option = click.option(
    "-m",
    "--manifest",
    metavar="FILE",
    default=None,
    help="The manifest.  [default: manifest.yaml in this folder]",
)
_VERBOSE = "connector.verbose"  # how much to say, in what the contexts of a call share


def _louder(context: click.Context, option: click.Parameter, count: int) -> None:
    context.meta[_VERBOSE] = context.meta.get(_VERBOSE, 0) + count


verbose_option = click.option(
    "-v",
    "--verbose",
    count=True,
    callback=_louder,
    expose_value=False,
    help="Say more: -v events, -vv also httpx. Never a secret.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def chosen(context: click.Context, manifest: str | None) -> str:
    """The manifest of a command: its own option, or that of the group."""
    return str(context.find_root().obj) if manifest is None else manifest


class Terminated(KeyboardInterrupt):
    """SIGTERM, unwinding everything just like Ctrl-C does."""


def words() -> Console:
    """Where words go; colours only on a terminal and without NO_COLOR."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(text: str) -> None:
    """Write one line of words."""
    words().print(Text(printable(text)))


def printable(text: str) -> str:
    """The text without characters that steer a terminal: it may come from a server or a file."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def complain(error: object, *, kind: str = "error") -> int:
    """Say what is wrong and return the exit code for it."""
    console = words()
    colour = "red" if kind == "error" else "yellow"
    for line in printable(str(error)).splitlines() or [type(error).__name__]:
        console.print(Text.assemble((f"{kind}:", colour), " ", line))
    return exit_code(error)


def exit_code(error: object) -> int:
    """1 failed, 2 wrong usage or manifest, 4 a login is needed."""
    code = getattr(error, "code", "")
    if isinstance(error, ManifestError) or code in _WRONG_USAGE:
        return WRONG
    if isinstance(error, NotAuthorizedError) and code in _A_LOGIN_HELPS:
        return LOGIN
    return FAILED


def worst(codes: Iterable[int]) -> int:
    """The exit code for several: what a person must do comes before what may go away by itself."""
    return max(codes, default=0)


def command(function: F) -> F:
    """Turn whatever ends a command early into words and an exit code; say as much as `-v` asks for."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with telling(_verbosity()):
                return function(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except ConnectorError as error:
            context = click.get_current_context(silent=True)
            if context is not None and context.params.get("as_json"):
                write_json({"ok": False, "error": str(error), "code": error.code})
            sys.exit(complain(error))
        except KeyboardInterrupt as stop:
            say("stopped")
            sys.exit(TERMINATED if isinstance(stop, Terminated) else STOPPED)
        except BrokenPipeError:
            hush()  # whoever read our output has enough; say nothing about it
            sys.exit(FAILED)
        except OSError as error:
            hush()
            sys.exit(complain(f"{error.strerror or type(error).__name__}{_of_file(error)}"))
        except Exception as error:
            sys.exit(_unexpected(error))

    return verbose_option(wrapper)  # type: ignore[return-value]


def _verbosity() -> int:
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_VERBOSE, 0)) if context is not None else 0


def _of_file(error: OSError) -> str:
    return f": {error.filename}" if isinstance(error.filename, str) else ""


def _unexpected(error: Exception) -> int:
    """A bug of ours or of a plugin. Only its kind is told: its text may repeat what is secret."""
    if show_trace(error):
        return complain(f"unexpected {type(error).__name__}")
    return complain(f"unexpected {type(error).__name__}; `connector -vv ...` shows where it happened")


def show_trace(error: BaseException) -> bool:
    """Write where an error came from: files and source lines, no values. False: nobody asked with `-vv`."""
    if _verbosity() < 2:
        return False
    for line in traceback.format_tb(error.__traceback__):
        words().print(Text(printable(line.rstrip())))
    return True


def hush() -> None:
    """Make the flush at exit silent: the interpreter would complain once more about the same pipe."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def snaps_talk_to_stderr() -> Iterator[BinaryIO | None]:
    """Let a `print` in a snap or a plugin be words; yields the standard output that is left for data."""
    data: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    with contextlib.redirect_stdout(sys.stderr):
        yield data


def write_json(value: Any) -> None:
    """Write data as JSON for programs: ASCII only, and never the NaN that JSON does not know."""
    click.echo(_dumps(value, indent=2))


def write_line(document: Mapping[str, Any]) -> None:
    """Write one document as a line of JSON, readable where the terminal can show it."""
    text = _dumps(document, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = _dumps(document)
    click.echo(text)


def _dumps(value: Any, **options: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, default=str, **options)
    except (ValueError, TypeError):
        return json.dumps(_plain(value), default=str, **options)


def _plain(value: Any) -> Any:
    """What JSON can say of a value: numbers that are none become null, keys become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def table(title: str = "") -> Table:
    """A table without lines, its cells taken as they are."""
    return Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))


def show(shown: Table, console: Console | None = None) -> None:
    """Write a table, to standard output unless told otherwise; cut to the width of a terminal only."""
    to = console or Console(highlight=False, markup=False, emoji=False)
    if to.is_terminal:
        to.print(shown)
        return
    wide = Console(file=io.StringIO(), width=_WIDE, highlight=False, markup=False, emoji=False)
    with wide.capture() as capture:
        wide.print(shown)
    to.out("\n".join(line.rstrip() for line in capture.get().splitlines()), highlight=False)


class _Warnings(logging.Handler):
    """Warnings as words. Errors are left to whoever gives up because of them: nobody reads them twice."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            complain(record.getMessage(), kind="warning")


@contextlib.contextmanager
def telling(verbose: int) -> Iterator[None]:
    """Send events to standard error while a command runs: warnings, -v all of ours, -vv also httpx's."""
    handler: logging.Handler = _Warnings()
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    levels = {"connector": [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]}
    if verbose > 1:
        levels["httpx"] = logging.INFO
    loggers = {logging.getLogger(name): level for name, level in levels.items()}
    before = {logger: (logger.level, logger.propagate) for logger in loggers}
    for logger, level in loggers.items():
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in before.items():
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def prepare() -> None:
    """Make a process ready to be a command: what cannot be shown is escaped, SIGTERM unwinds."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.suppress(ValueError):  # not the main thread of its process
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def in_words(moment: float | None) -> str:
    """When something ends, as seen from now."""
    if moment is None:
        return ""
    seconds = moment - time.time()
    if seconds <= 0:
        return "ended"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"in {seconds / length:.0f} {unit}"
    return f"in {seconds:.0f} s"
