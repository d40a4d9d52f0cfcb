"""Everything between manifest text and accounts, as the host does it, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from connector import bind, endpointfile, manifest
from connector.account import Account
from connector.endpoint import Endpoint
from connector.errors import ManifestError, Problem

GRANTS = (
    "client_credentials",
    "authorization_code",
    "refresh_token",
    "device_code",
    "password",
    "jwt_bearer",
    "token_exchange",
    "two_step",
    "signed_jwt",
    "api_key",
    "basic",
    "bearer",
    "none",
    "custom",
)
PLUGINS = Path(__file__).parents[1] / "plugins"


@cache
def shipped() -> dict[str, Endpoint]:
    """The endpoints coupa and servicenow."""
    raws = [raw for name in ("coupa", "servicenow") for raw in endpointfile.load(PLUGINS / f"{name}.yaml")]
    built, problems = endpointfile.build(raws)
    assert not problems
    return built


def everything(text: str | bytes) -> tuple[dict[str, Account], list[Problem]]:
    """Bind a manifest's text without an environment: accounts, and all problems found."""
    try:
        loaded = manifest.loads(text)
    except ManifestError as error:
        return {}, list(error.problems)
    own, problems = endpointfile.build(loaded.endpoints, shipped())
    accounts, more = bind.bind_all(loaded, {**shipped(), **own}, GRANTS, schemes=("env", "file"))
    return accounts, problems + more
