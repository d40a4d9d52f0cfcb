"""What went wrong on the wire, in words for people: without the query of a URL, a header or a body.

Rules of this room: what the operating system says is repeated, what a peer says never, since it may quote a
secret back.
"""

from __future__ import annotations

import httpx

# gaierror reaches us as text only: httpx keeps no number, and each system has words of its own.
_NO_SUCH_HOST = (
    "name or service not known",
    "nodename nor servname provided",
    "no address associated with hostname",
    "getaddrinfo failed",
    "name does not resolve",
)
# What Python says of a certificate that leads to no authority it knows; OpenSSL's words follow it.
_NO_TRUST = "certificate_verify_failed"
_TRUST = "a company's own authority is named by SSL_CERT_FILE, or by `tls: {ca: ...}` of the account"
_TIMEOUTS = {
    httpx.ConnectTimeout: ("connect", "no connection was made"),
    httpx.ReadTimeout: ("read", "no answer came"),
    httpx.WriteTimeout: ("write", "the server did not take the request"),
    httpx.PoolTimeout: ("pool", "no connection was free"),
}


def place(url: httpx.URL) -> str:
    """A URL without what may be secret in it."""
    return str(url.copy_with(query=None, fragment=None, userinfo=b""))


def why(error: Exception) -> str:
    """Why a request failed, as far as it is known."""
    kind = type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return _timeout(error)
    if isinstance(error, httpx.UnsupportedProtocol):
        return f"{kind}: the address is no absolute http or https URL"
    if isinstance(error, httpx.RemoteProtocolError):
        closed = str(error).lower().startswith(("server disconnected", "peer closed"))
        what = "the server closed the connection before its answer was complete"
        return f"{kind}: {what if closed else 'what the server sent is no HTTP'}"
    if isinstance(error, httpx.ProxyError):
        return f"{kind}: the proxy let nothing through{_status(error)}"
    if isinstance(error, httpx.NetworkError) and str(error):
        return f"{kind}: {str(error)[:200]}"
    return kind


def advice(error: Exception) -> str:
    """What to do about it."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return "Name an account that has a base URL, or write the whole URL."
    if isinstance(error, httpx.ReadTimeout):
        return "Raise `timeout`, or ask for less at once."
    if isinstance(error, httpx.ConnectError) and any(said in str(error).lower() for said in _NO_SUCH_HOST):
        return "Check the name of the host, and the proxy if there is one."
    if isinstance(error, httpx.ProxyError):
        return "Look at HTTPS_PROXY and NO_PROXY, and at what the proxy allows."
    if trust := of_trust(error):
        return f"See whose certificate it is: {trust}."
    return "Try again later."


def of_trust(error: Exception) -> str:
    """What to do where a server's certificate was not believed; empty for any other trouble."""
    return _TRUST if isinstance(error, httpx.ConnectError) and _NO_TRUST in str(error).lower() else ""


def _status(error: httpx.ProxyError) -> str:
    # Its number only: the words beside it are the proxy's.
    number = str(error)[:3]
    return f" ({number})" if number.isdecimal() else ""


def _timeout(error: httpx.TimeoutException) -> str:
    phase, what = next(
        (told for kind, told in _TIMEOUTS.items() if isinstance(error, kind)), ("read", "no answer came")
    )
    try:
        seconds = error.request.extensions.get("timeout", {}).get(phase)
    except RuntimeError:  # raised outside a client: it knows no request
        seconds = None
    within = f"within {seconds:g} second{'' if seconds == 1 else 's'}" if seconds else "in time"
    return f"{type(error).__name__}: {what} {within}"
