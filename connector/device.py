"""The device authorization grant (RFC 8628): a code shown here, typed in on any other device.

Rules of this room: bytes and values, no network and no clock. What the server says is shown to a person, so
it is checked before: an address that a person may open, a code that fits on a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.account import Account
from connector.credentials import Credentials
from connector.errors import NotAuthorizedError
from connector.grants import ask
from connector.reading import first, number_of
from connector.reply import Refusal, Reply, read_answer
from connector.secret import Secret
from connector.template import TemplateError, check_url
from connector.tokenrequest import TokenRequest, build

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_S = 5.0  # RFC 8628 section 3.2: when the server says nothing
_SLOWER_S = 5.0  # RFC 8628 section 3.5
_LEAST_S = 0.5
_LIFETIME_S, _LONGEST_S = 600.0, 86_400.0
_LONGEST_CODE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A device authorization under way (RFC 8628 section 3.2).

    Attributes:
        user_code: what a person types in.
        verification_uri: where.
        verification_uri_complete: the same with the code in it, for a QR code; empty: there is none.
        expires_at: when it ends, seconds since the epoch.
        interval_s: seconds between two questions, at least.
    """

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""
    expires_at: float
    interval_s: float
    dpop_key: Secret | None = None


def device_request(account: Account, credentials: Credentials) -> TokenRequest:
    """The call that asks for a device code. NotAuthorizedError: the endpoint has no place for it."""
    spec = account.endpoint.device
    if spec is None or not spec.url:
        raise NotAuthorizedError(
            f"account {account.name!r} has no device authorization endpoint",
            account=account.name,
            code="incomplete_account",
            reason=f"the endpoint {account.endpoint.name!r} declares none",
            resolution="declare `device: {url: ...}` in the endpoint, or log in with a browser",
        )
    return build(account, spec, {"scope": account.scope_text(refreshable=True)}, credentials)


def read_device(
    account: Account, reply: Reply, credentials: Credentials, secrets: tuple[Secret, ...]
) -> DeviceCode | Refusal:
    """Read the answer to `device_request`. Never raises for what a server sent."""
    data = read_answer(account, reply, secrets)
    if isinstance(data, Refusal):
        return data
    code, user_code = data.get("device_code"), data.get("user_code")
    # verification_url is what Google's endpoint still says.
    uri, whole = (
        _address(first(data, pointers))
        for pointers in (
            ("/verification_uri", "/verification_url"),
            ("/verification_uri_complete", "/verification_url_complete"),
        )
    )
    if not isinstance(code, str) or not code.isprintable() or not code:
        return _unusable(reply, "device_code")
    if (
        not isinstance(user_code, str)
        or not user_code.isprintable()
        or not 0 < len(user_code) <= _LONGEST_CODE
    ):
        return _unusable(reply, "user_code")
    if not uri:
        return _unusable(reply, "verification_uri")
    lifetime = number_of(data.get("expires_in"))
    interval = number_of(data.get("interval"))
    return DeviceCode(
        device_code=Secret(code),
        user_code=user_code,
        verification_uri=uri,
        verification_uri_complete=whole,
        expires_at=reply.received_at
        + (min(lifetime, _LONGEST_S) if lifetime and lifetime > 0 else _LIFETIME_S),
        interval_s=_INTERVAL_S if interval is None or interval < 0 else max(interval, _LEAST_S),
        dpop_key=credentials.dpop_key,
    )


def _unusable(reply: Reply, what: str) -> Refusal:
    return Refusal(kind="protocol", status=reply.status, description=f"the reply has no usable {what}")


def _address(value: Any) -> str:
    """An address that a person may be sent to; empty when it is none."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 2048:
        return ""
    try:
        # A fragment is no matter here: a page that is one script has its place behind it.
        check_url(value.partition("#")[0])
    except TemplateError:
        return ""
    return value


def poll_request(account: Account, credentials: Credentials, code: DeviceCode) -> TokenRequest:
    """The question whether the person is done (RFC 8628 section 3.4)."""
    params = {"grant_type": GRANT_TYPE, "device_code": code.device_code.reveal()}
    known = {"scope": account.scope_text(refreshable=True)}
    return ask(account, params, credentials, hidden=(code.device_code,), patience_s=60.0, known=known)


def slower(interval_s: float, refusal: Refusal) -> float:
    """The pause before the next question (RFC 8628 section 3.5: ``slow_down`` adds five seconds for good)."""
    return interval_s + _SLOWER_S if refusal.error == "slow_down" else interval_s


def pending_still(refusal: Refusal) -> bool:
    """Whether to go on asking."""
    return refusal.error in ("authorization_pending", "slow_down")
