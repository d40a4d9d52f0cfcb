"""The endpoints we ship, by name: each is read, checked and built only when somebody asks for it.

Rules of this room: only files of ours come here. A stranger's endpoint is read at once, since its mistakes
must be told to whoever brought it; those of ours are told by our tests.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint, build, load
from connector.errors import ManifestError

_NAME = re.compile(rb"^endpoint:[ \t]+([a-z0-9][a-z0-9_.-]*)[ \t]*\r?$", re.MULTILINE)


@cache
def names_in(file: Path) -> tuple[str, ...]:
    """The endpoints of a file, found without reading it as YAML. Raises OSError."""
    return tuple(name.decode("ascii") for name in _NAME.findall(file.read_bytes()))


@cache
def catalogue(files: tuple[Path, ...]) -> Catalogue:
    """The catalogue of some files; the same one for the same files, since ours do not change."""
    return Catalogue(files)


class Catalogue(Mapping[str, Endpoint]):
    """Name -> Endpoint. Asking for one raises ManifestError when its file, or one it extends, is wrong."""

    def __init__(self, files: Collection[Path]) -> None:
        self._files: dict[str, Path] = {}
        for file in files:
            for name in names_in(file):
                self._files.setdefault(name, file)
        self._built: dict[str, Endpoint] = {}

    def __getitem__(self, name: str) -> Endpoint:
        if name not in self._built:
            # Two threads may both build it: the same value, and nothing is lost but a moment.
            wanted = list(self._chain(name).values())
            built, problems = build(wanted)
            if problems:
                raise ManifestError(problems)
            self._built.update(built)
        return self._built[name]

    def _chain(self, name: str) -> dict[str, RawEndpoint]:
        """An endpoint and all that it builds on, as they were written."""
        found: dict[str, RawEndpoint] = {}
        asked: str | None = name
        while asked in self._files and asked not in found:
            raws = {raw.name: raw for raw in _read(self._files[asked])}
            if asked not in raws:
                break  # `build` says what is missing
            found[asked] = raws[asked]
            asked = raws[asked].spec.get("extends")
        if not found:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@cache
def _read(file: Path) -> tuple[RawEndpoint, ...]:
    return tuple(load(file))


class Endpoints(Mapping[str, Endpoint]):
    """Several mappings as one, the first that has a name counts; nothing is built by looking at names.

    Args:
        without: names that are not there, whatever the layers say.
    """

    def __init__(self, *layers: Mapping[str, Endpoint], without: Collection[str] = ()) -> None:
        self._layers = layers
        self._without = frozenset(without)

    def __getitem__(self, name: str) -> Endpoint:
        for layer in self._layers:
            if name in layer and name not in self._without:
                return layer[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name not in self._without and any(name in layer for layer in self._layers)

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(name for layer in self._layers for name in layer)
        return (name for name in names if name not in self._without)

    def __len__(self) -> int:
        return sum(1 for _ in self)
