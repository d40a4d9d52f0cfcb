"""Where the sandbox is reached, as the caller of this moment knows it."""

from __future__ import annotations

from starlette.requests import Request

from connector.sandbox.habits import Habits


def site(request: Request) -> str:
    """Return scheme, host and port."""
    return f"{request.url.scheme}://{request.url.netloc}"


def issuer(request: Request, habits: Habits) -> str:
    """Return the issuer identifier of a persona (RFC 8414 section 2)."""
    return f"{site(request)}/{habits.name}"


def here(request: Request) -> str:
    """Return the address that was called, without its query."""
    return site(request) + request.url.path
