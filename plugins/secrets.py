"""The secret sources we ship: ``${env:NAME}`` and ``${file:path}``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from connector.hookspecs import SecretSource, hookimpl

_LARGEST = 1 << 16


def _env(name: str, folder: Path) -> str:
    value = os.environ.get(name)
    if value is None:
        raise LookupError(f"the environment variable {name} is not set")
    return value


def _file(ref: str, folder: Path) -> str:
    path = folder / Path(ref).expanduser()
    if not path.is_file():
        raise LookupError(f"there is no file {path}")
    if path.stat().st_size > _LARGEST:
        raise LookupError(f"the file {path} is larger than a secret can be")
    try:
        # One line break at the end is the editor's, not the secret's.
        return path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise LookupError(f"the file {path} is not UTF-8 text") from None


@hookimpl
def connector_secret_sources() -> Mapping[str, SecretSource]:
    """See `connector.hookspecs.connector_secret_sources`."""
    return {"env": _env, "file": _file}
