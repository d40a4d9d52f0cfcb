"""Endpoint files: YAML in the shape of schemas/endpoint.schema.json -> checked `Endpoint` values.

Rules of this room: one broken endpoint never hides another; whatever is wrong is told with the place where
it was written, also when it only shows after ``extends`` has been followed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connector.check import check, near_miss, shorten
from connector.endpoint import Endpoint, endpoint_from_spec, merge
from connector.endpointcheck import check_endpoint
from connector.errors import ManifestError, PluginError, Problem
from connector.hookfile import load_hooks
from connector.yamlfile import Document, join, read_all


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEndpoint:
    """An endpoint as written: checked against the schema, ``extends`` not yet followed.

    Attributes:
        name: unique name; what an account says in ``oauth2_endpoint``.
        spec: the mapping as written.
        document, pointer: where it was written.
    """

    name: str
    spec: Mapping[str, Any] = field(repr=False)
    document: Document = field(repr=False)
    pointer: str = ""

    @property
    def origin(self) -> str:
        """``file:line`` of the declaration."""
        line, _ = self.document.where(self.pointer, key=True)
        return f"{self.document.file}:{line}"

    def problem(self, message: str, *steps: str | int, hint: str = "") -> Problem:
        """A Problem at the place of a value inside this endpoint, or of the nearest thing around it."""
        at = join(self.pointer, *steps)
        while at != self.pointer and at not in self.document.marks:
            at = at.rpartition("/")[0]  # it came with extends, or is what is missing
        return self.document.problem(at, message, hint, key=at == self.pointer)


def load(path: str | Path) -> list[RawEndpoint]:
    """Read an endpoint file, of one document or several (``---``). Raises ManifestError with all problems."""
    raws, problems = [], []
    for document in read_all(path):
        problems += [*document.problems, *_check(document)]
        if isinstance(document.data, dict):
            raws.append(
                RawEndpoint(name=str(document.data.get("endpoint")), spec=document.data, document=document)
            )
    if problems:
        raise ManifestError(problems)
    return raws


def from_mapping(spec: Mapping[str, Any], *, origin: str) -> RawEndpoint:
    """An endpoint that a plugin wrote in Python, checked like a file. Raises ManifestError."""
    document = Document(file=origin, data=_plain(spec))
    if problems := _check(document):
        raise ManifestError(problems)
    return RawEndpoint(name=spec["endpoint"], spec=document.data, document=document)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _check(document: Document) -> list[Problem]:
    data = document.data
    if isinstance(data, dict) and "extends" in data:
        return check(document, "endpoint", data=without_nulls(data))
    if isinstance(data, dict) and isinstance(data.get("grants"), dict):
        grants = {name: without_nulls(over) for name, over in data["grants"].items()}
        return check(document, "endpoint", data={**data, "grants": grants})
    return check(document, "endpoint")


def without_nulls(value: Any) -> Any:
    """A copy without the keys that are null: beside ``extends`` they remove something, whatever its kind."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def build(
    raws: Iterable[RawEndpoint], known: Mapping[str, Endpoint] | None = None
) -> tuple[dict[str, Endpoint], list[Problem]]:
    """Follow ``extends`` and make Endpoints.

    Args:
        known: endpoints that exist already and may be extended.

    Returns:
        The endpoints that are right, by name, and every problem of the others. Of several with one name
        the first is taken: whoever knows both owners reports that.
    """
    builder = _Builder(raws, known or {})
    for name in builder.raws:
        builder.build(name, ())
    return builder.built, builder.problems


class _Builder:
    def __init__(self, raws: Iterable[RawEndpoint], known: Mapping[str, Endpoint]) -> None:
        self.raws: dict[str, RawEndpoint] = {}
        for raw in raws:
            self.raws.setdefault(raw.name, raw)
        self.known = known
        self.built: dict[str, Endpoint] = {}
        self.failed: set[str] = set()
        self.problems: list[Problem] = []

    def build(self, name: str, chain: tuple[str, ...]) -> Endpoint | None:
        if name in self.built or name in self.failed:
            return self.built.get(name)
        raw = self.raws[name]
        spec = self.merged(raw, (*chain, name))
        found = [] if spec is None else self.check(raw, spec)
        self.problems += found
        if spec is None or found:
            self.failed.add(name)
            return None
        built = endpoint_from_spec(spec, name=name, origin=raw.origin)
        hooks, wrong = self.hooks(raw, spec)
        if wrong is not None:
            self.problems.append(wrong)
            self.failed.add(name)
            return None
        self.built[name] = replace(built, hooks=hooks)
        return self.built[name]

    def hooks(self, raw: RawEndpoint, spec: Mapping[str, Any]) -> tuple[Any, Problem | None]:
        """What ``plugin:`` names, or why that cannot be used."""
        if not spec.get("plugin"):
            return None, None
        if "plugin" not in raw.spec:  # it came with what this one extends, from a folder of its own
            base = self.built.get(str(raw.spec.get("extends"))) or self.known.get(
                str(raw.spec.get("extends"))
            )
            if base is not None:
                return base.hooks, None
        folder = Path(raw.document.file).expanduser().absolute().parent
        try:
            return load_hooks(str(spec["plugin"]), folder), None
        except PluginError as error:
            return None, raw.problem(error.reason, "plugin", hint=error.resolution)

    def merged(self, raw: RawEndpoint, chain: tuple[str, ...]) -> dict[str, Any] | None:
        base_name = raw.spec.get("extends")
        if base_name is None:
            return dict(raw.spec)
        base = self.base(raw, base_name, chain)
        return None if base is None else extend(base, raw.spec)

    def base(self, raw: RawEndpoint, name: str, chain: tuple[str, ...]) -> Endpoint | None:
        # `extends: coupa` in an endpoint named coupa means the one that was there before.
        if name in self.raws and not (name == raw.name and name in self.known):
            if name in chain:
                circle = " -> ".join((*chain[chain.index(name) :], name))
                self.problems.append(
                    raw.problem(f"endpoints extend each other in a circle: {circle}", "extends")
                )
                return None
            if len(chain) > 20:
                self.problems.append(raw.problem("more than 20 endpoints extend each other", "extends"))
                return None
            return self.build(name, chain)
        if name in self.known:
            return self.known[name]
        near = near_miss(name, [*self.raws, *self.known])
        hint = f"did you mean {near}?" if near else known_words([*self.raws, *self.known])
        self.problems.append(raw.problem(f"there is no endpoint {name} to extend", "extends", hint=hint))
        return None

    def check(self, raw: RawEndpoint, spec: Mapping[str, Any]) -> list[Problem]:
        def problem(message: str, steps: Sequence[str | int], hint: str = "") -> Problem:
            return raw.problem(message, *steps, hint=hint)

        found = check_endpoint(spec, problem)
        if not found and "extends" in raw.spec:
            document = Document(file=raw.document.file, data={**spec, "endpoint": "merged"})
            found = [
                raw.problem(p.message, *_steps(p.pointer), hint=p.hint) for p in check(document, "endpoint")
            ]
        return found


def extend(base: Endpoint, over: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping that ``extends`` makes of a base and what is written over it."""
    own = {key: value for key, value in over.items() if key != "extends"}
    kept = {key: value for key, value in base.spec.items() if key not in ("endpoint", "extends", "schema")}
    if "grants" in own and not isinstance(own["grants"], Mapping):
        kept.pop("grants", None)
    return merge(kept, own)


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def unknown_grants(raw: RawEndpoint, known: Collection[str]) -> list[Problem]:
    """Grants that an endpoint names and nobody knows, each at its place in the list."""
    said, problems = raw.spec.get("grants", ()), []
    keyed = isinstance(said, Mapping)
    for i, grant in enumerate(said):
        if grant not in known:
            near = near_miss(grant, known)
            hint = f"did you mean {near}?" if near else known_words(known)
            at = join(raw.pointer, "grants", grant if keyed else i)
            problems.append(raw.document.problem(at, f"there is no grant {shorten(grant)}", hint, key=keyed))
    return problems


def known_words(names: Iterable[str]) -> str:
    """``known: a, b, c`` for a hint, cut where it grows long."""
    listed = sorted(names)
    if not listed:
        return "none is registered"
    return "known: " + ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
