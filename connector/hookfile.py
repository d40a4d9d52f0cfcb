"""Loading the Python class that an endpoint file names: a stranger's code, so anything may go wrong."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

from connector.check import near_miss
from connector.endpointhooks import EndpointHooks
from connector.errors import PluginError
from connector.pluginfile import from_python


def load_hooks(said: str, folder: Path) -> EndpointHooks:
    """One instance of what ``module:Class`` names.

    Args:
        folder: of the endpoint file; ``module.py`` there comes before an installed module.

    Raises PluginError that says what is wrong, without the words of what went wrong inside.
    """
    module_name, _, class_name = said.partition(":")
    cls = getattr(_module(module_name, folder), class_name, None)
    if not isinstance(cls, type) or not issubclass(cls, EndpointHooks):
        what = "has no such class" if cls is None else f"has {class_name}, which is no EndpointHooks"
        hint = f"write class {class_name}(connector.endpointhooks.EndpointHooks)"
        raise _wrong(said, f"{module_name} {what}", hint)
    if flaw := _flaw(cls):
        raise _wrong(said, f"{class_name}.{flaw}", "see docs/plugins.md for the hooks and their arguments")
    try:
        return cls()
    except Exception as error:
        kind = type(error).__name__
    raise _wrong(said, f"{said} cannot be made: {kind}", "it is called without arguments")


def _flaw(cls: type[EndpointHooks]) -> str:
    """What is wrong with the hooks of a class, without calling any: a name or arguments that do not fit."""
    hooks = [name for name in vars(EndpointHooks) if not name.startswith("_")]
    for name, made in vars(cls).items():
        if name.startswith("_") or not callable(made):
            continue
        if name not in hooks:
            if near := near_miss(name, hooks):
                return f"{name} is no hook; did you mean {near}?"
            continue
        if inspect.iscoroutinefunction(made) or inspect.isasyncgenfunction(made):
            return f"{name} is async; a hook that needs a call yields it"
        wanted = list(inspect.signature(getattr(EndpointHooks, name)).parameters)[1:]
        try:
            inspect.signature(made).bind(None, *wanted)
        except TypeError:
            return f"{name} takes other arguments than ({', '.join(wanted)})"
    return ""


def _module(name: str, folder: Path) -> Any:
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    if file.is_file():
        found = from_python(file, named=True)
        if found.error is not None:
            raise _wrong(name, found.error.reason or str(found.error), f"mend {file.name}")
        return found.plugin
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        kind = type(error).__name__
    hint = f"put {file.name} beside the endpoint file, or install what brings {name}"
    raise _wrong(name, f"the module {name} cannot be loaded: {kind}", hint)


def _wrong(owner: str, reason: str, resolution: str) -> PluginError:
    return PluginError(
        f"the hooks {owner} cannot be used",
        owner=owner,
        hook="plugin",
        code="bad_plugin",
        reason=reason,
        resolution=resolution,
    )
