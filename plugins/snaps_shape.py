"""Snaps that reshape documents: ``map`` and ``filter`` (JMESPath, https://jmespath.org) and ``python``."""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from connector.errors import SnapError
from connector.hookspecs import hookimpl
from connector.plugins.query import compiled, faults
from connector.snap import Context, Document, Snap

_PATH_LOCK = threading.Lock()


class Map:
    """``map``: each document becomes what a JMESPath expression makes of it.

    `expression` is one expression that gives an object (or a list of objects: several documents), or a
    mapping from field to expression.
    """

    def __init__(self, *, expression: str | dict[str, str]) -> None:
        self._whole = compiled(expression) if isinstance(expression, str) else None
        fields = {} if isinstance(expression, str) else expression
        self._fields = {field: compiled(each) for field, each in fields.items()}

    def process(self, document: Document, context: Context) -> Document | list[Document]:
        """Return the new document, or several."""
        if self._whole is None:
            return {field: each.search(document) for field, each in self._fields.items()}
        made = self._whole.search(document)
        if isinstance(made, dict) or (
            isinstance(made, list) and all(isinstance(each, dict) for each in made)
        ):
            return made
        raise SnapError(
            f"The expression gave {_kind(made)}, not an object",
            resolution="Write it as {field: expression, ...}, or give a mapping from field to expression.",
        )


class Filter:
    """``filter``: documents for which `where` is true go on (JMESPath: null, false and empty are not)."""

    def __init__(self, *, where: str) -> None:
        self._where = compiled(where)

    def process(self, document: Document, context: Context) -> Document | None:
        """Return the document, or nothing."""
        found = self._where.search(document)
        # JMESPath's own idea of false: unlike in Python, 0 is true.
        return None if found is None or found is False or found in ("", [], {}) else document


def python(folder: Path, *, call: str, options: dict[str, Any] | None = None) -> Callable[..., Any]:
    """``python``: run a snap of one's own, ``call: module:function``, with `options`.

    The module is looked for in the folder of the manifest first, then where Python looks.
    """
    module_name, _, attribute = call.partition(":")
    target: Any = _load(module_name, folder)
    try:
        for name in attribute.split("."):
            target = getattr(target, name)
    except AttributeError:
        hint = difflib.get_close_matches(attribute, dir(target), n=1)
        raise SnapError(
            f"{module_name} has no {attribute!r}",
            resolution=f"Did you mean {module_name}:{hint[0]}?" if hint else "",
        ) from None
    if not callable(target):
        raise SnapError(f"{call} is no function or class", resolution="See docs/snaps.md for what a snap is.")
    return functools.partial(target, **(options or {}))


def _check_map(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    expression = options.get("expression", {})
    each = expression.values() if isinstance(expression, Mapping) else [expression]
    return [("expression", message) for text in each for message in faults(text)]


def _check_filter(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return [("where", message) for message in faults(options.get("where", "@"))]


def _check_python(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    module, colon, attribute = options.get("call", "m:f").partition(":")
    names = [*module.split("."), *attribute.split(".")]
    if not colon or not all(name.isidentifier() for name in names):
        yield "call", "expected module:function, such as cleaning:drop_drafts"


def _load(name: str, folder: Path) -> Any:
    top = name.partition(".")[0]
    with _PATH_LOCK:
        # At the front only while importing, as Python itself does with the folder of a script.
        sys.path.insert(0, str(folder))
        try:
            _refuse_namesake(top, folder)
            importlib.invalidate_caches()
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise
            raise SnapError(
                f"There is no module {name!r}",
                reason=f"looked in {folder} and where Python looks",
                resolution="Put it beside the manifest, or install what contains it.",
            ) from None
        finally:
            sys.path.remove(str(folder))


def _refuse_namesake(top: str, folder: Path) -> None:
    """Two manifests with a module of one name each, in one process: the second would get the first's."""
    loaded = sys.modules.get(top)
    here = PathFinder.find_spec(top, [str(folder)])
    if loaded is None or here is None or here.origin is None:
        return
    if getattr(loaded.__spec__, "origin", here.origin) != here.origin:
        raise SnapError(
            f"Another module named {top!r} is already in use",
            reason=f"{loaded.__spec__.origin if loaded.__spec__ else 'it'} was imported before {here.origin}",
            resolution="Give the one beside the manifest another name.",
        )


def _kind(value: object) -> str:
    names = {str: "a text", bool: "true or false", list: "a list of other things", type(None): "nothing"}
    return names.get(type(value), "a number")


@hookimpl
def connector_snaps() -> Iterable[Snap]:
    """The snaps of this file."""
    return (
        Snap(
            name="map",
            run=Map,
            summary="Reshape each document with JMESPath.",
            check=_check_map,
            reads_parameters=False,
        ),
        Snap(
            name="filter",
            run=Filter,
            summary="Keep documents for which JMESPath says so.",
            check=_check_filter,
            reads_parameters=False,
        ),
        Snap(
            name="python",
            run=python,
            account="optional",
            summary="Run a function or class of your own.",
            check=_check_python,
            factory=True,
        ),
    )
