"""What is wrong with a client is found out too: shown with clients that are wrong on purpose."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

from persona_room import CLIENT, RICH, changed

from connector.account import Account
from connector.credentials import Credentials
from connector.grants import Grant
from connector.registry import Registry
from connector.secret import Secret
from connector.testing.checked import check_endpoints
from connector.testing.report import EndpointReport
from connector.testing.wires import Stage
from connector.token import Token


@dataclass
class Wrong:
    """A grant that does something wrong on its way."""

    own: Grant
    name: str = ""
    interactive: bool = False
    refresh: list[Secret] = field(default_factory=list)

    def obtain(self, account: Account, credentials: Credentials) -> Any:
        return self.own.obtain(account, credentials)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> Any:
        return self.own.renew(account, token, credentials)


class Talkative(Wrong):
    """Writes its secret into the log."""

    def obtain(self, account: Account, credentials: Credentials) -> Any:
        assert credentials.client_secret is not None
        logging.getLogger("connector").info("signing in with %s", credentials.client_secret.reveal())
        return super().obtain(account, credentials)


class Forgetful(Wrong):
    """Shows the first refresh token that it ever saw."""

    def renew(self, account: Account, token: Token, credentials: Credentials) -> Any:
        assert token.refresh_token is not None
        self.refresh.append(token.refresh_token)
        return super().renew(account, replace(token, refresh_token=self.refresh[0]), credentials)


def played(spec: dict[str, Any], kind: type[Wrong], stage: Stage, registry: Registry) -> EndpointReport:
    grant = spec["grants"][0]
    own = registry.grants[grant]
    wrong = kind(own, name=grant, interactive=own.interactive)
    mine = replace(registry, grants={**registry.grants, grant: wrong})
    return check_endpoints([spec], registry=mine, stage=stage)[0]


def failing(report: EndpointReport) -> set[str]:
    return {part.name for grant in report.grants for part in grant.parts if part.problems}


def test_a_secret_in_the_log(stage: Stage, registry: Registry) -> None:
    """Whatever is logged while an endpoint is played is searched for every secret."""
    assert failing(played(CLIENT, Wrong, stage, registry)) == set()
    assert failing(played(CLIENT, Talkative, stage, registry)) == {"secrets"}


def test_a_refresh_token_shown_twice(stage: Stage, registry: Registry) -> None:
    """Where each is good once, the second showing ends the login."""
    assert failing(played(RICH, Wrong, stage, registry)) == set()
    assert "renewal by expiry" in failing(played(RICH, Forgetful, stage, registry))


def test_a_foreign_host_that_may_see_the_token(stage: Stage, registry: Registry) -> None:
    """A file that opens the fence too wide: the token went where nobody named."""
    spec = changed(CLIENT, "api|hosts", ["stranger.invalid"])
    (report,) = check_endpoints([spec], registry=registry, stage=stage, persona=CLIENT)
    (problem,) = report.problems
    assert "stranger.invalid was shown a secret" in problem.message
    assert "api.hosts" in problem.hint
