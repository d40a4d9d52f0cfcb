"""Endpoint files checked from end to end: schema, ``extends``, then every grant played against a persona."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.catalogue import Endpoints
from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint, build, from_mapping, load, unknown_grants
from connector.errors import ManifestError, Problem
from connector.registry import Registry, collect
from connector.testing.play import Play
from connector.testing.report import EndpointReport
from connector.testing.sampled import Given
from connector.testing.wires import Stage
from connector.yamlfile import join


def check_endpoints(
    sources: Iterable[str | Path | Mapping[str, Any]],
    *,
    registry: Registry | None = None,
    stage: Stage | None = None,
    given: Given | None = None,
    persona: Mapping[str, Any] | None = None,
) -> list[EndpointReport]:
    """Check endpoint files, or mappings of their shape, from end to end.

    Args:
        registry: what is installed; asked for anew unless given.
        stage: where personas listen; a new one unless given.
        given: settings, secrets and scopes instead of made-up ones.
        persona: another mapping that the persona is made of: to see a file found out that lies.
    """
    found = registry or collect()
    raws, reports = _read(sources)
    names = {raw.name for raw in raws}
    built, problems = build(raws, Endpoints(found.endpoints, without=names))
    if stage is not None:
        return [*reports, *(_played(raw, built, problems, found, stage, given, persona) for raw in raws)]
    with Stage() as own:
        return [*reports, *(_played(raw, built, problems, found, own, given, persona) for raw in raws)]


def _read(
    sources: Iterable[str | Path | Mapping[str, Any]],
) -> tuple[list[RawEndpoint], list[EndpointReport]]:
    raws: list[RawEndpoint] = []
    reports: list[EndpointReport] = []
    for source in sources:
        try:
            if isinstance(source, Mapping):
                raws.append(from_mapping(source, origin=str(source.get("endpoint", "a mapping"))))
            else:
                raws += load(source)
        except ManifestError as error:
            file = error.file or str(source)
            reports.append(EndpointReport(name="", file=file, flaws=list(error.problems)))
    return raws, reports


def _played(
    raw: RawEndpoint,
    built: Mapping[str, Endpoint],
    problems: list[Problem],
    registry: Registry,
    stage: Stage,
    given: Given | None,
    persona: Mapping[str, Any] | None,
) -> EndpointReport:
    report = EndpointReport(name=raw.name, file=raw.document.file)
    endpoint = built.get(raw.name)
    if endpoint is None:
        report.flaws = [p for p in problems if p.file == raw.document.file] or problems
        return report

    def locate(message: str, steps: tuple[str | int, ...], grant: str) -> Problem:
        return _place(raw, f"{grant}: {message}", steps, grant)

    # Named in `grants:` and known to nobody; a file that leaves `grants` out means those we know.
    report.flaws += unknown_grants(raw, registry.grants)
    for grant in endpoint.grants:
        if grant not in registry.grants:
            continue
        if "grants" not in endpoint.spec and not _possible(endpoint, grant):
            continue
        play = Play(stage, endpoint, grant, registry, locate, given=given, lied=persona)
        report.grants.append(play.run())
    return report


def _possible(endpoint: Endpoint, grant: str) -> bool:
    """Whether a grant that a file does not name can be played: it may lack what the grant begins with."""
    known = endpoint.discovery or endpoint.issuer
    if grant == "authorization_code":
        return bool(endpoint.authorize.url or known)
    return endpoint.device is not None if grant == "device_code" else True


def _place(raw: RawEndpoint, message: str, steps: tuple[str | int, ...], grant: str) -> Problem:
    """A Problem at the key to blame: the grant's own where it has one, else the nearest thing around it."""
    own = raw.spec.get("grants")
    if isinstance(own, Mapping) and steps and isinstance(own.get(grant), Mapping) and steps[0] in own[grant]:
        steps = ("grants", grant, *steps)
    found = raw.problem(message, *steps)
    if found.pointer == join(raw.pointer, *steps):
        return found
    # It came with `extends`, stands nowhere, or the endpoint is no file.
    return replace(found, hint=f"the key to blame is {'.'.join(map(str, steps))}")
