"""Fixtures for the tests of plugins and pipelines; pytest finds them in any environment with connector.

A module of its own, outside the package: pytest imports it in every run, so it must not bring connector along
before a test asks for something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from connector import Host
    from connector.endpoint import Endpoint
    from connector.sandbox import Sandbox
    from connector.testing.canary import Canary


@pytest.fixture
def connector_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own, running: its ``url``, what it counted, and addresses to ask."""
    from connector.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def connector_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """``connector_host(text, plugins=[...])``: a host of a manifest's text, closed at the end.

    The manifest is written into ``tmp_path``, where relative paths start; tokens are kept in memory unless
    ``store=`` says otherwise.
    """
    import connector

    with ExitStack() as closing:

        def opened(text: str, *, plugins: Iterable[object] = (), store: Any = "memory://") -> Host:
            file = tmp_path / "manifest.yaml"
            file.write_text(text, "utf-8")
            return closing.enter_context(connector.open(file, plugins=plugins, store=store))

        yield opened


@pytest.fixture
def connector_endpoint() -> Callable[..., Endpoint]:
    """``connector_endpoint(file)``: the endpoint of a file, or of a mapping of its shape, checked.

    Of a file with several the last, unless ``name=`` says which; ManifestError tells all that is wrong.
    """
    from connector.catalogue import Endpoints
    from connector.endpointfile import build, from_mapping, load
    from connector.errors import ManifestError
    from connector.registry import collect

    def checked(source: str | Path | Mapping[str, Any], name: str = "") -> Endpoint:
        raws = [from_mapping(source, origin="<test>")] if isinstance(source, Mapping) else load(source)
        known = Endpoints(collect().endpoints, without={raw.name for raw in raws})
        built, problems = build(raws, known)
        if problems:
            raise ManifestError(problems)
        return built[name or raws[-1].name]

    return checked


@pytest.fixture
def connector_canary() -> Iterator[Canary]:
    """Secrets that must not be seen: the test fails when one shows in a log.

    ``connector_canary.new("client secret")`` makes one, ``connector_canary.watch(text)`` takes one that is
    there; ``connector_canary.check(text)`` looks into any text of yours.
    """
    from connector.testing.canary import Canary

    with Canary() as canary:
        yield canary
    if found := canary.found:
        pytest.fail("a secret shows: " + "; ".join(sorted(found)), pytrace=False)
