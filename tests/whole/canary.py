"""Canaries: secrets that are recognised wherever they turn up, whole, encoded or cut short."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import logging
import pickle
import secrets
import stat
import traceback
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

TESTS = str(Path(__file__).parent)
# A piece this long of a canary is a leak; canaries are random, so it is no coincidence.
_PIECE = 9


class Canaries:
    """Every secret of a test, and the search for it."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._forms: dict[bytes, str] = {}
        self._lengths: set[int] = set()

    def new(self, kind: str, *, length: int = 48, odd: bool = False) -> str:
        """A new one; `odd`: with characters that look different in each encoding."""
        text = secrets.token_hex(length)[:length]
        if odd:
            text = text[: length // 2] + "%+/&= " + text[length // 2 :]
        self.add(kind, text)
        return text

    def add(self, kind: str, text: str) -> None:
        """Search for `text` from now on."""
        basic = base64.b64encode(f"{self._client_id}:{text}".encode()).decode()
        basic_too = base64.b64encode(f"{self._client_id}:{quote_plus(text)}".encode()).decode()
        for form in {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], basic, basic_too}:
            # Past the client id, base64 of the secret begins; before it there is nothing secret.
            start = (len(self._client_id) // 3 + 1) * 4 if form in (basic, basic_too) else 0
            secret = form[start:].rstrip("=")
            for i in range(max(1, len(secret) - _PIECE + 1)):
                self._forms[secret[i : i + _PIECE].encode()] = kind
                self._lengths.add(len(secret[i : i + _PIECE]))

    def found_in(self, data: str | bytes) -> set[str]:
        """Kinds of the canaries that `data` holds."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        found: set[str] = set()
        for length in self._lengths:
            if len(raw) < 200_000:
                windows = {raw[i : i + length] for i in range(len(raw) - length + 1)}
                found |= {self._forms[piece] for piece in windows & self._forms.keys()}
            else:
                found |= {k for piece, k in self._forms.items() if len(piece) == length and piece in raw}
        return found


class Ear(logging.Handler):
    """Hears everything that any logger says, exceptions included, as a file would get it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._out = io.StringIO()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(args)s"))

    def emit(self, record: logging.LogRecord) -> None:
        # The fields of an event too, as a JSON formatter shows them.
        self._out.write(f"{self.format(record)} {vars(record)!r}\n")

    @property
    def heard(self) -> str:
        """All of it."""
        return self._out.getvalue()


def texts_of_error(error: BaseException, *, frames: bool = True) -> Iterable[tuple[str, str]]:
    """Everything a crash reporter may print of an error; with `frames` the variables of its frames too."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield "str", str(one)
        yield "repr", repr(one)
        yield "notes", repr(getattr(one, "__notes__", ""))
        yield "vars", repr(vars(one))
        yield "traceback", "".join(traceback.format_exception(one))
        if frames:
            yield "locals", _frames(one)
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            yield "pickle", pickle.dumps(one).decode("latin-1")
        request = getattr(one, "_request", None) or getattr(one, "_bare", None)
        if request is not None:
            yield "request", f"{request!r} {request.url} {request.headers.raw!r} {vars(request)!r}"
        # A suppressed context is shown to nobody who does not look for it: with `frames` we do.
        context = one.__context__ if frames or not one.__suppress_context__ else None
        todo += [e for e in (one.__cause__, context) if e is not None]
        todo += getattr(one, "exceptions", ())


def _frames(error: BaseException) -> str:
    """The variables of each frame that is not a test's own: shown, and one level into their objects."""
    shown = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(TESTS):
            continue
        for name, value in frame.f_locals.items():
            shown.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name} {name}={_repr(value)}")
    return "\n".join(shown)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(error).__name__}>"


def texts_of_value(value: object) -> Iterable[tuple[str, str]]:
    """Every way in which an object is shown by accident."""
    name = type(value).__name__
    yield f"repr {name}", repr(value)
    yield f"str {name}", str(value)
    yield f"format {name}", f"{value}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        with contextlib.suppress(TypeError):
            yield f"asdict {name}", repr(dataclasses.asdict(value))
    with contextlib.suppress(Exception):  # what refuses to be pickled leaks nothing
        yield f"pickle {name}", pickle.dumps(value).decode("latin-1")
    with contextlib.suppress(Exception):
        yield f"json {name}", json.dumps(value, default=str)


def files_below(folder: Path) -> Iterable[tuple[Path, bytes, int]]:
    """Path, content and mode of every file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
