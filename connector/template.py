"""``{name}`` templates of endpoint files, percent-encoded by where the value lands; and what a safe URL is.

Rules of this room: no expression language, and no way to reach the environment: a template sees the
account's settings, the endpoint's vars and what was captured from a token reply, nothing else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, urlsplit

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}|[{}]")
_HOST_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
_PATH_VALUE = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
_LAST = re.compile(r"\{[A-Za-z_][A-Za-z0-9_-]*\}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class TemplateError(ValueError):
    """A template that cannot be filled: an unknown name, or a value that does not fit its place."""


def names(template: str) -> frozenset[str]:
    """The names a template asks for. Raises TemplateError on a lone brace."""
    found = set()
    for match in _PIECE.finditer(template):
        if match[0] in "{}":
            raise TemplateError(f"a lone {match[0]!r}: write {match[0] * 2!r} for a literal brace")
        if match[1]:
            found.add(match[1])
    return frozenset(found)


def fill(template: str, values: Mapping[str, str], encode: Callable[[str], str] = str) -> str:
    """Replace each ``{name}``; values go through `encode`. Raises TemplateError."""

    def piece(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][0]
        if match[1] not in values:
            raise TemplateError(f"{{{match[1]}}} is not set")
        return encode(values[match[1]])

    names(template)
    return _PIECE.sub(piece, template)


def fill_first(templates: Iterable[str], values: Mapping[str, str], filler: Filler = fill) -> str:
    """Fill the first template whose names are all set; TemplateError names what the last one lacks."""
    missing: list[str] = []
    for template in templates:
        missing = sorted(name for name in names(template) if not values.get(name))
        if not missing:
            return filler(template, values)
    raise TemplateError(" and ".join(f"{{{name}}}" for name in missing) + " not set")


def fill_url(template: str, values: Mapping[str, str]) -> str:
    """Fill a URL template: host names are checked, path and query values percent-encoded.

    A template that begins with ``{name}`` takes a whole URL as the value of that name. A value that ends the
    authority may bring the beginning of the path along (``dev.azure.com/acme``), and one that is all of it
    may be written with its ``https://``.
    """
    head, scheme, rest = template.partition("://")
    if not scheme or "{" in head:
        match = re.match(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}", template)
        if not match:
            raise TemplateError(f"{template!r} is not a URL")
        origin = fill(match[0], values).rstrip("/")
        return check_url(origin + _fill_tail(template[match.end() :], values))
    end = min((i for i in (rest.find(c) for c in "/?#") if i >= 0), default=len(rest))
    whole = _LAST.search(rest[:end])
    first = fill(rest[: whole.start() if whole else end], values, _host)
    last = fill(whole[0], values, lambda value: _address(value, alone=not first)) if whole else ""
    authority = first + last
    return check_url(f"{head}://{authority}{_fill_tail(rest[end:], values)}")


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """Fill a template of a path, with a query perhaps: values are percent-encoded.

    One that begins with ``{name}`` may take a whole URL as the value of that name.
    """
    whole = re.match(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}", template)
    if whole and "://" in values.get(whole[1], ""):
        return fill_url(template, values)
    return _fill_tail(template, values)


def _fill_tail(text: str, values: Mapping[str, str]) -> str:
    return fill(text, values, lambda value: quote(value, safe=""))


def _address(value: str, *, alone: bool) -> str:
    """The end of an authority, perhaps with a path."""
    text = value.removeprefix("https://") if alone else value
    host, slash, path = text.partition("/")
    path = (slash + path).rstrip("/")
    if not _PATH_VALUE.fullmatch(path) or "/.." in path:
        raise TemplateError(f"{value!r} is not a host name with a path")
    return _host(host) + path


def _host(value: str) -> str:
    if not _HOST_VALUE.fullmatch(value):
        raise TemplateError(f"{value!r} is not a host name (write it without https:// and without a path)")
    return value


Filler = Callable[[str, Mapping[str, str]], str]


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> str:
    """Return `url` when a secret may travel to it, else raise TemplateError that says why not.

    https everywhere but on loopback (RFC 6749 section 3.1 and 3.2; RFC 8252 section 8.3), no user
    info, no fragment, no control characters.
    """
    if _CONTROL.search(url) or " " in url:
        raise TemplateError("the URL contains a space or a control character")
    if "\\" in url:
        raise TemplateError("the URL contains a backslash, which programs read in different ways")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        # Not the ValueError's own words: they quote the text, a password before an @ included.
        raise TemplateError("not a URL: its host or port cannot be read") from None
    if parts.scheme not in ("https", "http"):
        raise TemplateError(f"the scheme must be https, not {parts.scheme or 'missing'!r}")
    if not host or port == 0:
        raise TemplateError("the URL has no host" if not host else "port 0 cannot be reached")
    if parts.username is not None or parts.password is not None:
        raise TemplateError("the URL carries user info (user:password@), which ends up in logs")
    if parts.scheme == "http" and not is_loopback(host):
        raise TemplateError("http is allowed on loopback only; use https, or the secret travels in clear")
    if parts.fragment:
        raise TemplateError("the URL has a fragment (#...)")
    return url


def has_control(text: str) -> bool:
    """Whether a text holds a character that could end a header line or a URL early."""
    return bool(_CONTROL.search(text))


def origin_of(url: str) -> str:
    """``host`` or ``host:port`` (port only where it is not the scheme's own), lower case."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"
