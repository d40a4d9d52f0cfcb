"""What every endpoint file must hold, as a class of pytest tests: for ours and for those of plugins."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from connector.errors import Problem
from connector.testing.checked import check_endpoints
from connector.testing.report import EndpointReport
from connector.testing.sampled import Given


class EndpointContract:
    """Subclass it as ``Test...`` and name an endpoint file.

    Every grant that the file declares is played against a server made from the file: from its login through
    renewals to its end. What cannot be played, since Python hooks do it, is skipped with that reason.

    Attributes:
        endpoint: path of the file (relative to the test's own folder), or a mapping of its shape.
        settings, secrets, scopes: of the account; what is left out is made up from what the file says.
    """

    endpoint: ClassVar[str | Path | Mapping[str, Any]]
    settings: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[Mapping[str, str]] = {}
    scopes: ClassVar[tuple[str, ...]] = ()
    _reports: ClassVar[list[EndpointReport] | None] = None

    @classmethod
    def reports(cls) -> list[EndpointReport]:
        """What the play showed; played once for the class."""
        if cls.__dict__.get("_reports") is None:
            source = cls.endpoint
            if not isinstance(source, Mapping):
                source = Path(inspect.getfile(cls)).parent / source
            given = Given(settings=cls.settings, secrets=cls.secrets, scopes=tuple(cls.scopes))
            cls._reports = check_endpoints([source], given=given)
        return cls._reports or []

    def _holds(self, *parts: str) -> None:
        grants = [grant for report in self.reports() for grant in report.grants]
        if grants and all(grant.unplayed for grant in grants):
            raise SkipTest(f"not played: {grants[0].unplayed}")
        problems: list[Problem] = [
            problem
            for grant in grants
            for part in grant.parts
            if part.name in parts
            for problem in part.problems
        ]
        assert not problems, "\n".join(str(problem) for problem in problems)

    def test_the_file_is_sound(self) -> None:
        """Schema, templates, ``extends``; and there is something to play."""
        flaws = [flaw for report in self.reports() for flaw in report.flaws]
        assert not flaws, "\n".join(str(flaw) for flaw in flaws)
        assert any(report.grants for report in self.reports()), "no grant of it can be played"

    def test_each_grant_signs_in(self) -> None:
        """A person's through the redirect or on another device, the others by themselves."""
        self._holds("account", "choices", "login")

    def test_requests_are_authenticated(self) -> None:
        """The token, headers and parameters are where the file says, sync and asyncio alike."""
        self._holds("request", "refused")

    def test_tokens_are_renewed(self) -> None:
        """When they end, and when they are refused before; rotating refresh tokens are shown once."""
        self._holds("renewal by expiry", "renewal after a refusal", "rotation")

    def test_limits_are_waited_for(self) -> None:
        """As long as the headers of the file say."""
        self._holds("waiting")

    def test_a_foreign_host_sees_no_secret(self) -> None:
        """Neither the token nor a key of the account."""
        self._holds("fence")

    def test_the_other_calls_fit(self) -> None:
        """The test request with its label, introspection, revocation."""
        self._holds("test request", "introspection", "revocation")

    def test_a_dead_login_is_told(self) -> None:
        """Whoever must act is told, in the provider's own words."""
        self._holds("a login that ended")

    def test_no_secret_is_shown(self) -> None:
        """In no log, no error, no repr."""
        self._holds("secrets")
