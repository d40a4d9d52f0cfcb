"""The way out of this machine: through which proxy, and whose certificates are believed.

Rules of this room: the URL of a proxy may hold a password, so no word about one quotes more than its place.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import getproxies, proxy_bypass

import httpx

from connector.account import TlsFiles
from connector.errors import ConnectorError
from connector.secret import Secret
from connector.template import is_loopback

DIRECT = "direct"
SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_for(url: httpx.URL, said: Secret | None = None) -> str | None:
    """The proxy for a URL: an account's own, or the one that the environment names, never for loopback.

    The environment is read in the way of the standard library.
    """
    if said is not None:
        return None if said.reveal() == DIRECT else said.reveal()
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    found = getproxies()
    proxy = found.get(url.scheme) or found.get("all")
    return (proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def misread(proxy: str) -> str:
    """Why that is neither ``direct`` nor the URL of a proxy, without quoting it; empty: it is."""
    if proxy == DIRECT:
        return ""
    try:
        url = httpx.URL(proxy)
    except httpx.InvalidURL:
        return "it is no URL"
    if url.scheme not in SCHEMES:
        return "it does not begin with http://, https:// or socks5://"
    return "" if url.host and url.path in ("", "/") else "it is not host and port alone"


def through(url: httpx.URL, said: Secret | None = None) -> str:
    """`` through the proxy host:port``, or nothing where the way to a URL is direct."""
    proxy = proxy_for(url, said)
    return f" through the proxy {_place(proxy)}" if proxy else ""


@contextmanager
def by(proxy: str | None) -> Iterator[None]:
    """While a transport is made. Raises ConnectorError ``proxy_unusable`` if none goes through that proxy."""
    try:
        yield
    except ImportError:
        reason = f"{_place(proxy)} is a SOCKS proxy, and the package `socksio` is not installed"
        resolution = "pip install 'httpx[socks]'"
    except (ValueError, httpx.InvalidURL):
        if proxy is None:
            raise
        reason = f"{_place(proxy)} is no URL of a proxy"
        resolution = "write http://host:port, https://host:port or socks5://host:port"
    else:
        return
    raise ConnectorError(
        "the proxy of the account, or of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, cannot be used",
        code="proxy_unusable",
        reason=reason,
        resolution=resolution,
    )


def tls_context(tls: TlsFiles | None) -> ssl.SSLContext | bool:
    """What httpx is given as ``verify``: the system's checks, or an account's own files (RFC 8705).

    Raises ConnectorError ``tls_unusable`` for files that cannot be used.
    """
    if tls is None:
        return True
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.certificate:
            # An encrypted key must not make a pipeline at 3 a.m. ask a terminal for its password.
            context.load_cert_chain(tls.certificate, tls.private_key or None, password=lambda: b"")
    except OSError as error:  # ssl.SSLError is one
        named = ", ".join(path for path in (tls.certificate, tls.private_key, tls.ca) if path)
        reason = f"{error.strerror or type(error).__name__} ({named}; encrypted, cut short, or not a pair?)"
    else:
        return context
    raise ConnectorError(
        "the files of the account's own TLS cannot be used",
        code="tls_unusable",
        reason=reason,
        resolution="check `tls:` of the account: PEM files, the key without a password",
    )


def system_transport(
    url: httpx.URL, tls: TlsFiles | None = None, said: Secret | None = None
) -> httpx.HTTPTransport:
    """A transport for one call: TLS verified, through the proxy for that URL (`proxy_for`).

    Raises ConnectorError ``tls_unusable`` or ``proxy_unusable``.
    """
    proxy, verify = proxy_for(url, said), tls_context(tls)
    with by(proxy):
        return httpx.HTTPTransport(
            proxy=proxy, limits=httpx.Limits(max_keepalive_connections=0), trust_env=True, verify=verify
        )


def _place(proxy: str | None) -> str:
    try:
        url = httpx.URL(proxy or "")
    except httpx.InvalidURL:
        return "what stands there"
    return url.netloc.decode("ascii", "replace") or "what stands there"
