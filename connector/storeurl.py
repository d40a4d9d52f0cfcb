"""The URL of the token store as a manifest says it, and with what its references lead to.

A reference is the whole URL, or the user or the password in it. There it may be a part of a longer text,
unlike everywhere else: no message ever repeats a store's URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from connector.errors import ManifestError, Problem
from connector.secret import SecretRef, parse_reference
from connector.yamlfile import Document

_REFERENCE = re.compile(r"\$\{[a-z][a-z0-9_+.-]*:[^{}]*\}")
_USER_INFO = re.compile(r"[a-zA-Z][a-zA-Z0-9+]*://([^/?#@]*)@")
_MARK = "\0"
_AT = "/store"


def check_store(document: Document, url: str) -> list[Problem]:
    """Everything wrong with a store's URL that shows without plugins, environment or files."""
    masked = _REFERENCE.sub(_MARK, url)
    if masked == _MARK:
        return []
    user_info = _USER_INFO.match(masked)
    if "${" in masked or masked.count(_MARK) > (user_info[1].count(_MARK) if user_info else 0):
        hint = "write ${env:NAME} for all of it, or as in redis://user:${env:NAME}@host/0"
        message = "a reference is the whole URL, or the user or the password in it"
        return [document.problem(_AT, message, hint)]
    scheme, colon, rest = masked.partition(":")
    hint = "write sqlite:///tokens.db (beside this file), sqlite:////absolute/path.db or memory://"
    if not colon or not scheme.replace("+", "").isalnum() or len(scheme) == 1:
        return [document.problem(_AT, "expected the URL of a token store", hint)]
    if scheme == "sqlite" and not rest.startswith("///"):
        return [document.problem(_AT, "three slashes follow sqlite: before a path", hint)]
    if _controls(masked.replace(_MARK, "")):
        return [document.problem(_AT, "a control character may not stand in a URL", "remove it")]
    return []


def references(document: Document, url: str) -> list[SecretRef]:
    """The references in a store's URL, each with its place."""
    line, column = document.where(_AT)
    found = [parse_reference(match) for match in _REFERENCE.findall(url)]
    return [
        SecretRef(scheme=ref[0], ref=ref[1], file=document.file, line=line, column=column, pointer=_AT)
        for ref in found
        if ref is not None
    ]


def filled(document: Document, url: str, resolve: Callable[[SecretRef], str]) -> str:
    """The URL with its references followed; a user or password is percent-encoded.

    Raises what `resolve` raises, and ManifestError for what is no URL; neither shows it.
    """
    refs = references(document, url)
    if parse_reference(url) is None:
        for ref in refs:
            url = url.replace(str(ref), quote(resolve(ref), safe=""), 1)
        return url
    text = resolve(refs[0]).strip()
    if ":" not in text or _controls(text) or _REFERENCE.search(text):
        message = f"{refs[0]} leads to what is not the URL of a token store"
        raise ManifestError(document.problem(_AT, message, "it is to be a whole one, with scheme and host"))
    return text


def _controls(text: str) -> bool:
    return any(c < " " or c == "\x7f" for c in text)
