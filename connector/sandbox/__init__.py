"""A whole world on one loopback port: authorization servers and APIs with the habits of real vendors.

Rules of this wing: it is the other side. It imports nothing from the rest of `connector`, so that
what a client gets wrong is not got wrong here in the same way.
"""

from __future__ import annotations

from connector.sandbox.counts import PersonaCounts
from connector.sandbox.habits import (
    CLIENT_ID,
    CLIENT_SECRET,
    LONG_CLIENT_ID,
    LONG_CLIENT_SECRET,
    ODD_CLIENT_ID,
    ODD_CLIENT_SECRET,
    PASSWORD,
    PASSWORD_USER,
    PUBLIC_CLIENT_ID,
    Refusal,
)
from connector.sandbox.records import Records
from connector.sandbox.server import Sandbox, create_app, serve
from connector.sandbox.state import ForeignRequest

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "LONG_CLIENT_ID",
    "LONG_CLIENT_SECRET",
    "ODD_CLIENT_ID",
    "ODD_CLIENT_SECRET",
    "PASSWORD",
    "PASSWORD_USER",
    "PUBLIC_CLIENT_ID",
    "ForeignRequest",
    "PersonaCounts",
    "Records",
    "Refusal",
    "Sandbox",
    "create_app",
    "serve",
]
