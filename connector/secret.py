"""Secrets that do not print, and references to where they are kept.

Rules of this room: the text of a secret leaves only through `Secret.reveal`, called where the bytes of a
request are built. Nothing here reads an environment or a file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class Secret:
    """A text that shows itself only to `reveal()`.

    Not a dataclass and not a `str`: repr, format, json, pickle and ``dataclasses.asdict`` cannot spill it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself. Call it as late as possible and keep the result nowhere."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """Eight hex digits of the SHA-256: enough to tell two tokens apart in a log, useless to a thief."""
        return hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).hexdigest()[:8]

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Constant time, so that comparing is no oracle.
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(("connector.Secret", self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: open the manifest again in the other process")


class Hidden(Generic[T]):
    """Any value that holds secrets, on its way through frames that an error may show."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself; keep it in no variable of a frame that may raise."""
        return self._value

    def __repr__(self) -> str:
        return "Hidden(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Hidden value is not pickled")


_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_+.-]*):([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """Where a secret is to be found: ``${scheme:ref}``.

    Attributes:
        scheme: who knows it (``env``, ``file``, or one that a plugin adds).
        ref: what to ask for (name of a variable, path of a file, ...).
        file, line, column: where the manifest says so.
        pointer: JSON pointer of the value in the manifest.
    """

    scheme: str
    ref: str
    file: str = ""
    line: int = 0
    column: int = 0
    pointer: str = ""

    def __str__(self) -> str:
        return f"${{{self.scheme}:{self.ref}}}"


def parse_reference(text: str) -> tuple[str, str] | None:
    """Return ``(scheme, ref)`` when the whole text is a reference, else None.

    Whole value only: a secret glued into a longer text would be half a secret in every message about it.
    """
    match = _REFERENCE.fullmatch(text)
    return (match[1], match[2]) if match else None
