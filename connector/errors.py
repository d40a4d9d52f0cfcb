"""Every error this package raises, classed by who must act.

    ConnectorError                    base; stable `code`, what happened, why, what to do next
    ├── ManifestError                 the author of the manifest: file, line, column, JSON pointer
    │   └── SecretMissingError        ... a ``${scheme:ref}`` that leads to nothing
    ├── PluginError                   the author of a plugin: distribution, hook
    ├── NotAuthorizedError            a person must authorize; permanent until then
    ├── RenewalError                  nobody: try later (also an httpx.TransportError)
    ├── ForeignHostError              the author of a snap: its account's token may not go to that host
    ├── StoreError                    the operator: disk, database, key
    └── SnapError                     one document, or one pipeline, and why it failed

Rules of this room: no error holds a secret, a response or a caller's request, and all of them pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx


class ConnectorError(Exception):
    """Base of all errors of connector.

    Attributes:
        code: stable, machine-readable name of the case (``wrong_key``, ``refresh_refused``, ...).
        message: what happened, one sentence.
        reason: why, as far as known; may be empty.
        resolution: what to do next; may be empty.
    """

    code = "error"

    def __init__(self, message: str, *, code: str = "", reason: str = "", resolution: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        self.resolution = resolution

    def __str__(self) -> str:
        return " ".join(_sentence(part) for part in (self.message, self.reason, self.resolution) if part)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        state = {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
        return _rebuild, (type(self), self.args, state)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", ":", "`", "\n")) else text + "."


def _rebuild(cls: type[ConnectorError], args: tuple[Any, ...], state: dict[str, Any]) -> ConnectorError:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    Attributes:
        file: the file as the person named it.
        line: counted from 1.
        column: counted from 1.
        pointer: JSON pointer (RFC 6901) to the value, e.g. ``/accounts/purchasing/client_id``.
        message: what is wrong, with the kind of the value found and what was expected.
        hint: what to do, e.g. ``did you mean client_secret?``; may be empty.
    """

    file: str
    line: int
    column: int
    message: str
    pointer: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f"{self.pointer}: {self.message}" if self.pointer else self.message
        return f"{where}: {what}" + (f" ({self.hint})" if self.hint else "")


class ManifestError(ConnectorError):
    """The manifest, or an endpoint file, says something that cannot be meant. All problems at once.

    Attributes:
        problems: every `Problem` found, in the order of the file.
        file, line, column, pointer: those of the first problem.
    """

    code = "manifest"

    def __init__(self, problems: Problem | Sequence[Problem], *, code: str = "") -> None:
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not found:
            raise ValueError("a ManifestError needs a problem")
        super().__init__("\n".join(str(problem) for problem in found), code=code)
        self.problems = found
        self.file, self.line, self.column = found[0].file, found[0].line, found[0].column
        self.pointer = found[0].pointer

    def __str__(self) -> str:
        return self.message


class SecretMissingError(ManifestError):
    """A secret reference in the manifest leads to nothing (variable not set, file not there)."""

    code = "secret_missing"


class PluginError(ConnectorError):
    """A plugin did something wrong.

    Attributes:
        owner: the distribution, file or object that the plugin came from.
        hook: the hook it failed in; empty when it failed to load.
    """

    code = "plugin"

    def __init__(
        self,
        message: str,
        *,
        owner: str = "",
        hook: str = "",
        code: str = "",
        reason: str = "",
        resolution: str = "",
    ) -> None:
        super().__init__(message, code=code, reason=reason, resolution=resolution)
        self.owner = owner
        self.hook = hook


class NotAuthorizedError(ConnectorError):
    """A person must authorize the account (again); trying later does not help.

    Attributes:
        account: name of the account.
    """

    code = "needs_authorization"

    def __init__(
        self, message: str, *, account: str = "", code: str = "", reason: str = "", resolution: str = ""
    ) -> None:
        super().__init__(message, code=code, reason=reason, resolution=resolution)
        self.account = account


class _BareRequest:
    """Keeps method and URL (without query) of the request httpx attaches to its errors, nothing else."""

    _bare: httpx.Request | None = None

    @property
    def request(self) -> httpx.Request:
        if self._bare is None:
            raise RuntimeError("The .request property has not been set.")
        return self._bare

    @request.setter
    def request(self, request: httpx.Request) -> None:
        self._bare = httpx.Request(request.method, request.url.copy_with(query=None, fragment=None))


class RenewalError(_BareRequest, ConnectorError, httpx.TransportError):
    """The token could not be renewed just now; nobody is at fault, try later.

    Also an `httpx.TransportError`, so that code which retries on those does the right thing.

    Attributes:
        account: name of the account.
        retry_after: seconds until trying again makes sense; None: not known.
    """

    code = "renewal_failed"

    def __init__(
        self,
        message: str,
        *,
        account: str = "",
        retry_after: float | None = None,
        code: str = "",
        reason: str = "",
        resolution: str = "",
    ) -> None:
        ConnectorError.__init__(self, message, code=code, reason=reason, resolution=resolution)
        self.account = account
        self.retry_after = retry_after


class ForeignHostError(_BareRequest, ConnectorError, httpx.TransportError):
    """A request to a host that the account's token may not be sent to (``foreign_hosts: refuse``)."""

    code = "foreign_host"

    def __init__(
        self, message: str, *, host: str = "", code: str = "", reason: str = "", resolution: str = ""
    ) -> None:
        ConnectorError.__init__(self, message, code=code, reason=reason, resolution=resolution)
        self.host = host


class StoreError(ConnectorError):
    """The token store could not do its part: disk, database, permissions, encryption key."""

    code = "store"


class SnapError(ConnectorError):
    """A document, or a whole snap, failed.

    Raise it in a snap to say `message`, `reason` and `resolution` of the error view yourself.
    """

    code = "snap"
