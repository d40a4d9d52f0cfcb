"""The sandbox as a service of the endpoints ``sandbox.*``: started when an account first needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connector.account import Account
from connector.errors import NotAuthorizedError
from connector.hookspecs import hookimpl
from connector.service import Service


class SandboxService:
    """`Service` over a `Sandbox` on a free port."""

    def __init__(self) -> None:
        # Only an account that uses it pays for loading a web server.
        from connector.sandbox.server import Sandbox

        self.sandbox = Sandbox()

    @property
    def settings(self) -> Mapping[str, str]:
        """Its origin."""
        return {"origin": self.sandbox.url}

    def authorize(self, account: Account) -> Mapping[str, Any] | None:
        """Consent as its only user would."""
        persona = account.endpoint.name.rpartition(".")[2]
        scopes = account.scope_text(refreshable=True).split()
        lifetime = account.settings.get("lifetime")
        try:
            return self.sandbox.authorize(
                persona,
                client_id=account.client_id,
                scopes=scopes,
                lifetime_s=float(lifetime) if lifetime else None,
            )
        except KeyError:
            what = f"the sandbox has no client {account.client_id!r} for {account.endpoint.name}"
        except Exception as refusal:  # its kind is the sandbox's own, and loading that is not free
            told = getattr(refusal, "description", "") or type(refusal).__name__
            what = f"the sandbox refuses the account {account.name!r}: {told}"
        raise NotAuthorizedError(
            what,
            account=account.name,
            code="incomplete_account",
            resolution="`connector sandbox` shows accounts that work on its front page",
        )

    def __enter__(self) -> SandboxService:
        self.sandbox.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.sandbox.stop()


@hookimpl
def connector_services() -> Mapping[str, Callable[[], Service]]:
    """See `connector.hookspecs.connector_services`."""
    return {"sandbox": SandboxService}
