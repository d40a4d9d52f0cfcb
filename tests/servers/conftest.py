"""Authorization servers that others wrote, as processes of their own on loopback."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django_server import DjangoServer
from landing import Landing
from oidc_server import OidcServer
from rig_process import RigProcess

HERE = Path(__file__).parent
SAID: pytest.StashKey[list[RigProcess]] = pytest.StashKey()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a server said goes under the failure of a test that used it."""
    report = yield
    if report.failed and HERE in item.path.parents:
        used = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, RigProcess)]
        for rig in [*used, *item.stash.get(SAID, [])]:
            report.sections.append((f"{type(rig).__name__} at {rig.url} said", rig.said[-8000:]))
    return report


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module", autouse=True)
def own_key() -> Iterator[None]:
    """A key of its own: nothing is left in the keyring of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONNECTOR_KEY", base64.b64encode(bytes(32)).decode())
        for name in ("NO_COLOR", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcServer]:
    """One oidc-provider for all tests that its defaults suit (oidc/settings.mjs)."""
    with OidcServer(log=tmp_path_factory.mktemp("oidc") / "stderr.log") as server:
        yield server


@pytest.fixture
def make_oidc(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., OidcServer]]:
    """Another one, with settings of its own: ``make_oidc(access_token_ttl=60, rotate=False)``."""
    used = request.node.stash.setdefault(SAID, [])
    with ExitStack() as stack:

        def make(**settings: Any) -> OidcServer:
            server = OidcServer(log=tmp_path / f"oidc-{len(used)}.log", **settings)
            stack.enter_context(server)
            used.append(server)
            return server

        yield make


@pytest.fixture(scope="session")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoServer]:
    """One django-oauth-toolkit for all tests that its defaults suit (toolkit/serve.py)."""
    with DjangoServer(log=tmp_path_factory.mktemp("toolkit") / "stderr.log") as server:
        yield server


@pytest.fixture
def make_toolkit(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., DjangoServer]]:
    """Another one, with settings of its own: ``make_toolkit(grace=3)``."""
    used = request.node.stash.setdefault(SAID, [])
    with ExitStack() as stack:

        def make(**settings: Any) -> DjangoServer:
            server = DjangoServer(log=tmp_path / f"toolkit-{len(used)}.log", **settings)
            stack.enter_context(server)
            used.append(server)
            return server

        yield make


@pytest.fixture
def landing() -> Iterator[Landing]:
    """Where a redirect URI leads when no client listens there."""
    with Landing() as landing:
        yield landing
