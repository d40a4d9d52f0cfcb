"""Secrets that stand in an endpoint in clear, where a file is for everybody to read.

Rules of this room: names decide, values are never repeated. A template is fine: an account fills it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connector.errors import Problem
from connector.template import TemplateError, names

Report = Callable[[str, Sequence[str | int], str], Problem]
Steps = tuple[str | int, ...]

# What connector puts into calls to the authorization server: a text of its own there would replace it.
OURS = frozenset(
    {
        "access_token",
        "actor_token",
        "assertion",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "password",
        "refresh_token",
        "subject_token",
        "token",
    }
)
_HEADERS = ("authorization", "proxy-authorization", "cookie")
# No bare "token": `X-Atlassian-Token: no-check` and `X-CSRF-Token: fetch` say how a request is meant.
_SECRET = re.compile(
    r"(?i)api[-_]?key|application[-_]?key|access[-_]?key|subscription[-_]?key|secret"
    r"|passw(or)?d|(access|auth|bearer|refresh)[-_]token"
)


def clear_secrets(
    part: Mapping[str, Any],
    where: Steps,
    calls: Sequence[tuple[Steps, Mapping[str, Any]]],
    fixed: frozenset[str],
    report: Report,
) -> Iterator[Problem]:
    """Secrets in clear in one part of an endpoint.

    Args:
        calls: the calls that the part describes, with their places in it.
        fixed: the names of vars that are a text without a template: they stand for that text.
    """
    api = part.get("api", {})
    for steps, call in [*calls, (("authorize",), part.get("authorize", {})), (("api",), api)]:
        ours = OURS if steps[0] not in ("api", "authorize", "test") else frozenset()
        for key in ("params", "query"):
            for name, at in _literals(call.get(key, {}), (*where, *steps, key), fixed):
                if name in ours or _SECRET.search(name):
                    yield report(f"{name} is a secret, and stands here in clear", at, _hint(name))
        for name, at in _literals(call.get("headers", {}), (*where, *steps, "headers"), fixed):
            if name.lower() in _HEADERS or _SECRET.search(name):
                yield report(f"{name} is a secret, and stands here in clear", at, _header_hint(name))
        yield from _pair(call.get("basic"), (*where, *steps, "basic"), fixed, report)
    for _, at in _literals({"key": part.get("jwt", {}).get("key", "")}, (*where, "jwt"), fixed):
        yield report("the key of a JWT is a secret, and stands here in clear", at, _IN_SETTINGS)


def _literals(values: Mapping[str, Any], at: Steps, fixed: frozenset[str]) -> Iterator[tuple[str, Steps]]:
    """Name and place of each value that no account has a part in; of one in a mapping, the name there."""
    for name, value in values.items():
        for steps, name_there, text in _scalars(value, (*at, name), name):
            if _is_literal(text, fixed):
                yield name_there, steps


def _scalars(value: Any, at: Steps, name: str) -> Iterator[tuple[Steps, str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _scalars(inner, (*at, key), key)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _scalars(inner, (*at, i), name)
    else:
        yield at, name, value


def _is_literal(value: Any, fixed: frozenset[str]) -> bool:
    if value is None or value == "" or isinstance(value, bool):
        return False
    try:
        return names(str(value)) <= fixed
    except TemplateError:
        return False  # reported as a template


def _pair(said: Any, at: Steps, fixed: frozenset[str], report: Report) -> Iterator[Problem]:
    """A pair of Basic authentication: beside a user name that is a template, a password may be a filler."""
    if not isinstance(said, Mapping) or not _is_literal(said.get("password"), fixed):
        return
    if not said.get("username") or _is_literal(said["username"], fixed):
        yield report("password is a secret, and stands here in clear", (*at, "password"), _IN_SETTINGS)


_IN_SETTINGS = "ask for it in settings, with x-secret: true, and write {name}"


def _hint(name: str) -> str:
    return "leave it out: connector sends that of the account" if name in OURS else _IN_SETTINGS


def _header_hint(name: str) -> str:
    if name.lower() == "authorization":
        return (
            "leave it out: connector puts the token there; or write a template such as Bearer {access_token}"
        )
    return _IN_SETTINGS
