"""Loading the Python class that an endpoint file names: a stranger's code, so anything may go wrong."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

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
        what = "has no such class" if cls is None else f"has a {class_name} that is no EndpointHooks"
        raise _wrong(said, f"{module_name} {what}", "write class Acme(connector.endpointhooks.EndpointHooks)")
    try:
        return cls()
    except Exception as error:
        kind = type(error).__name__
    raise _wrong(said, f"{said} cannot be made: {kind}", "it is called without arguments")


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
