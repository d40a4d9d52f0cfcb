"""Devices that wait for a person (RFC 8628): their codes, what was decided, and how often they asked.

Rules of this room: no HTTP. Callers hold `State.lock`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from connector.sandbox.habits import Refusal
from connector.sandbox.tokens import Agreement

Decision = Literal["", "allow", "deny"]
# No vowels, so no words; nothing that looks like something else (RFC 8628 section 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
# An exact client is not punished for a network that was quicker the second time.
_TOLERANCE_S = 0.1
_SLOWER_S = 5.0
# How long one is told that a code has expired, before it is forgotten.
_KEPT_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Device:
    """One device that asked to be signed in.

    Attributes:
        persona, client_id: where it asked, and as whom.
        agreement: what it gets once a person allows it.
        expires_at: when its codes end; seconds since the epoch.
        interval_s: how long it must wait between two polls; grows when it does not.
        decision: what the person said; empty: nothing yet.
        user_code, device_code: what the person types, what the device polls with.
    """

    persona: str
    client_id: str
    agreement: Agreement
    expires_at: float
    interval_s: float
    decision: Decision = ""
    user_code: str = field(default_factory=lambda: _user_code())
    device_code: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    polled_at: float | None = None
    spent: bool = False

    def poll(self, now: float) -> None:
        """Use the device code up if a person allowed it; raises Refusal otherwise (RFC 8628 section 3.5)."""
        waited_s = self.interval_s if self.polled_at is None else now - self.polled_at
        self.polled_at = now
        if self.spent:
            raise Refusal("invalid_grant", "the device code was used before")
        if now >= self.expires_at:
            raise Refusal("expired_token", "the device code has expired")
        if waited_s < self.interval_s - _TOLERANCE_S:
            self.interval_s += _SLOWER_S
            raise Refusal("slow_down", f"wait {self.interval_s:g} s between two polls from now on")
        if self.decision == "deny":
            raise Refusal("access_denied", "the person said no")
        if self.decision == "":
            raise Refusal("authorization_pending", "the person has not decided yet")
        self.spent = True


class Devices:
    """All of them, by either code."""

    __slots__ = ("_by_device_code", "_by_user_code")

    def __init__(self) -> None:
        self._by_device_code: dict[str, Device] = {}
        self._by_user_code: dict[str, Device] = {}

    def add(self, device: Device, now: float) -> None:
        """Remember a device, and forget those whose codes ended long ago."""
        for old in [old for old in self._by_user_code.values() if old.expires_at + _KEPT_S < now]:
            del self._by_user_code[old.user_code], self._by_device_code[old.device_code]
        self._by_user_code[device.user_code] = device
        self._by_device_code[device.device_code] = device

    def of_client(self, persona: str, device_code: str) -> Device | None:
        """Return the device that polls with this code, None when it did not ask at `persona`."""
        device = self._by_device_code.get(device_code)
        return device if device is not None and device.persona == persona else None

    def of_person(self, text: str, persona: str, now: float) -> Device | None:
        """Return the device whose code a person typed, however they wrote it; None: none that is waiting."""
        device = self._by_user_code.get(_spelled(text))
        waiting = device is not None and device.decision == "" and now < device.expires_at
        return device if device is not None and waiting and device.persona == persona else None

    def decide(self, text: str, decision: Decision) -> None:
        """Say what the person says, at whatever server; raises KeyError for a code that is not known."""
        self._by_user_code[_spelled(text)].decision = decision


def _user_code() -> str:
    letters = [secrets.choice(_LETTERS) for _ in range(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def _spelled(text: str) -> str:
    """Return a code as it was given out: people leave dashes out and do not shout (RFC 8628 section 6.1)."""
    letters = "".join(letter for letter in text.upper() if letter in _LETTERS)
    return f"{letters[:4]}-{letters[4:]}"
