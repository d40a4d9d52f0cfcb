"""From a reference ``${scheme:ref}`` to what it leads to.

Rules of this room: the text found goes straight back to the caller and into no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from connector.check import near_miss
from connector.errors import ManifestError, Problem, SecretMissingError
from connector.hookspecs import SecretSource
from connector.secret import SecretRef

Resolver = Callable[[SecretRef], str]
_NO_CHARACTER = re.compile("[\ud800-\udfff]")


def resolve_with(sources: Mapping[str, SecretSource], folder: Path) -> Resolver:
    """A resolver over secret sources (scheme -> ``source(ref, folder)``); relative paths start at `folder`.

    The resolver raises SecretMissingError when there is nothing, ManifestError for an unknown scheme; both
    name the place in the manifest.
    """

    def resolve(ref: SecretRef) -> str:
        if ref.scheme not in sources:
            raise ManifestError(unknown_scheme(ref, sources))
        try:
            text = sources[ref.scheme](ref.ref, folder)
        except LookupError as error:
            reason = str(error.args[0]) if error.args else "there is nothing"
            raise SecretMissingError(_problem(ref, f"{ref} leads to nothing: {reason}", _hint(ref))) from None
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise SecretMissingError(_problem(ref, f"{ref} leads to nothing: {reason}", _hint(ref))) from None
        if not text:
            raise SecretMissingError(_problem(ref, f"{ref} leads to an empty text", _hint(ref)))
        if _NO_CHARACTER.search(text):
            # How Python shows bytes of the environment that are not UTF-8; no request can carry them.
            raise SecretMissingError(_problem(ref, f"{ref} leads to what is not UTF-8 text", _hint(ref)))
        return text

    return resolve


def unknown_scheme(ref: SecretRef, known: Collection[str]) -> Problem:
    """The problem of a reference whose scheme no secret source knows."""
    near = near_miss(ref.scheme, known)
    listed = ", ".join(sorted(known))
    hint = f"did you mean ${{{near}:{ref.ref}}}?" if near else f"known: {listed}" if listed else ""
    return _problem(ref, f"no secret source is called {ref.scheme}", hint)


def _problem(ref: SecretRef, message: str, hint: str) -> Problem:
    return Problem(
        file=ref.file,
        line=max(ref.line, 1),
        column=max(ref.column, 1),
        pointer=ref.pointer,
        message=message,
        hint=hint,
    )


def _hint(ref: SecretRef) -> str:
    return {
        "env": f"set the environment variable {ref.ref}",
        "file": "relative paths start at the manifest's folder",
    }.get(ref.scheme, "")
