"""Where plugins come from: installed distributions, files and folders. Each comes with its owner's name.

Rules of this room: code of strangers runs here for the first time, so anything may go wrong, and every
complaint says whose it is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from connector.errors import ConnectorError, PluginError
from connector.ownline import at_line

GROUP = "connector"
ENDPOINT_FILES = (".yaml", ".yml")


class Found(NamedTuple):
    """A plugin, or why there is none.

    Attributes:
        owner: distribution and entry point, file, or object, for messages.
        plugin: the object with the hooks; None when `error` says why not.
        named: somebody asked for this very thing, so that one without hooks is a mistake.
    """

    owner: str
    plugin: object = None
    error: ConnectorError | None = None
    named: bool = True


def installed() -> Iterator[Found]:
    """Plugins of installed distributions: entry points of the group ``connector``, in a fixed order."""
    entries = importlib.metadata.entry_points(group=GROUP)
    for entry in sorted(entries, key=lambda e: (e.dist.name if e.dist else "", e.name, e.value)):
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
        owner = f"{distribution} ({entry.value})"
        try:
            yield Found(owner, entry.load())
        except (Exception, SystemExit) as error:
            yield Found(owner, error=broken(owner, "", error))


def files_of(path: Path) -> list[Path]:
    """The plugin files of a folder, by name; a file itself. Raises OSError."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in (*ENDPOINT_FILES, ".py"))
    return [file for file in found if not file.name.startswith((".", "_"))]


def unread(name: str, folder: Path, named: Iterable[str]) -> str:
    """What to do about an endpoint file of this name that is not read; an empty text: there is none.

    Args:
        folder: that of the manifest; looked into with its ``plugins`` and the folders that are named.
        named: what the manifest names under ``plugins:``.
    """
    given = [folder / Path(each).expanduser() for each in named if isinstance(each, str)]
    folders = [folder, folder / "plugins", *(path for path in given if path.is_dir())]
    names = [name] if name.endswith(ENDPOINT_FILES) else [name + suffix for suffix in ENDPOINT_FILES]
    file = next((at / each for at in folders for each in names if (at / each).is_file()), None)
    if file is None:
        return ""
    shown = file.relative_to(folder) if file.is_relative_to(folder) else file
    if file in given or file.parent in given:
        return f"{shown} is read, and what it brings has another name: see its endpoint:"
    return f"{shown} is there, and is read once it is named: plugins: [{', '.join([*named, str(shown)])}]"


def from_python(file: Path, *, named: bool) -> Found:
    """A plugin file in Python."""
    try:
        return Found(str(file), _module(file), named=named)
    except (Exception, SystemExit) as error:
        return Found(str(file), error=broken(str(file), "", error))


def _module(file: Path) -> ModuleType:
    # A name of its own: two folders may each have a plugin.py. The same one in every process.
    digest = hashlib.sha256(str(file.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = f"connector_plugin_{digest}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def described(plugin: object) -> str:
    """The name of a plugin that is given as an object."""
    if inspect.ismodule(plugin):
        return plugin.__name__
    cls = plugin if inspect.isclass(plugin) else type(plugin)
    return f"{cls.__module__}.{cls.__qualname__}"


def broken(owner: str, hook: str, error: BaseException, *, quiet: bool = False) -> PluginError:
    """The error for a plugin that failed, with the line of its own that it failed at.

    Args:
        quiet: leave out what the exception says: it may repeat a secret.
    """
    where = f" in {hook}" if hook else " while loading"
    at = at_line(error)
    text = "" if quiet else " ".join(_text(error, at).split())[:300]
    return PluginError(
        f"the plugin {owner} failed{where}",
        owner=owner,
        hook=hook,
        code="plugin_failed",
        reason=(f"{type(error).__name__}: {text}" if text else type(error).__name__) + at,
        resolution="update or remove that plugin",
    )


def _text(error: BaseException, at: str) -> str:
    if isinstance(error, SyntaxError):
        return error.msg if at else f"{error.msg}, line {error.lineno}"
    try:
        return str(error)
    except Exception:
        return ""
