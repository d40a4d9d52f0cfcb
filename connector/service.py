"""A server that an endpoint brings along: started when an account first needs it, closed with the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from connector.account import Account


class Service(Protocol):
    """A local server, such as the sandbox. A context manager: entering starts it, leaving stops it."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings it fills in for its endpoints' templates, e.g. ``{"origin": "http://127.0.0.1:40123"}``."""

    def authorize(self, account: Account) -> Mapping[str, Any] | None:
        """A token reply as if a person had just consented; None where that makes no sense."""

    def __enter__(self) -> Service: ...

    def __exit__(self, *exc: object) -> None: ...
