"""Which line of somebody's own code an error came from: a snap's or a plugin's, not ours, not a library's.

Rules of this room: of a frame only file, line and module are looked at, never its variables.
"""

from __future__ import annotations

import functools
import os
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

_LIBRARY = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}


def at_line(error: BaseException, folder: Path | None = None) -> str:
    """`` at snaps.py:5``, to follow the name of the error; an empty text where no line is the author's.

    Args:
        folder: the file is told relative to it, else to the working directory, else whole.
    """
    found = _line(error)
    return f" at {_shown(found[0], folder)}:{found[1]}" if found is not None else ""


def _line(error: BaseException) -> tuple[str, int] | None:
    """The innermost line that is the author's; of a group of errors, that of the first that has one."""
    if isinstance(error, BaseExceptionGroup):
        inner = next(filter(None, map(_line, error.exceptions)), None)
        if inner is not None:
            return inner
    # A file that cannot be parsed has no frame; what it says of itself is nearer than who imported it.
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _own(error.filename):
        return error.filename, error.lineno
    lines = [(frame.f_code.co_filename, line) for frame, line in _frames(error)]
    return next((place for place in reversed(lines) if _own(place[0])), None)


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    walked = traceback.walk_tb(error.__traceback__)
    return [(frame, line) for frame, line in walked if line is not None and not _ours(frame)]


def _ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "connector"


@functools.lru_cache(maxsize=1024)
def _own(name: str) -> bool:
    """Whether a file is neither Python's own nor that of an installed package."""
    path = Path(os.path.abspath(name))
    library = any(path.is_relative_to(each) for each in _LIBRARY)
    return not name.startswith("<") and not library and _INSTALLED.isdisjoint(path.parts)


def _shown(name: str, folder: Path | None) -> str:
    path = Path(name).resolve()
    for base in (folder, Path()):
        if base is not None and path.is_relative_to(base.resolve()):
            return str(path.relative_to(base.resolve()))
    return str(path)
