"""What the clients of a host have in common: timeouts, and options that belong to the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import httpx

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_OURS = ("transport", "mounts", "proxy", "verify", "cert", "auth", "trust_env", "base_url")


def refuse_ours(options: Mapping[str, Any]) -> None:
    """Raise TypeError for options of a client with which it would bypass its account's transport."""
    wrong = sorted(set(options) & set(_OURS))
    if wrong:
        raise TypeError(
            f"{', '.join(wrong)} belongs to the account, not to the client: a client's own would bypass"
            " the account's transport (use host.transport for a client of your own)"
        )


class _Host(Protocol):
    def client(self, account: str) -> httpx.Client: ...

    def async_client(self, account: str) -> httpx.AsyncClient: ...


class PipelineClients:
    """The host as a pipeline sees it: a step without an account gets a plain client."""

    def __init__(self, host: _Host) -> None:
        self._host = host

    def client(self, account: str) -> httpx.Client:
        """See `connector.bridge.Clients`."""
        return self._host.client(account) if account else httpx.Client(timeout=TIMEOUT)

    def async_client(self, account: str) -> httpx.AsyncClient:
        """See `connector.bridge.Clients`."""
        return self._host.async_client(account) if account else httpx.AsyncClient(timeout=TIMEOUT)
