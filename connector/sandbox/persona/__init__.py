"""A persona made from an endpoint file: what the file declares, played by a server, to the letter."""

from __future__ import annotations

from connector.sandbox.persona.apiroom import own_hosts
from connector.sandbox.persona.application import application
from connector.sandbox.persona.provider import STATIC, Persona
from connector.sandbox.persona.samples import sample
from connector.sandbox.persona.seen import FRAGMENT, SCHEME, Complaint, Seen
from connector.sandbox.persona.subject import Subject

__all__ = [
    "FRAGMENT",
    "SCHEME",
    "STATIC",
    "Complaint",
    "Persona",
    "Seen",
    "Subject",
    "application",
    "own_hosts",
    "sample",
]
