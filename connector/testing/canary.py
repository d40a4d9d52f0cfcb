"""Secrets that a test recognises wherever they turn up: whole, encoded or in part."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import secrets
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

# This much of a random text is no coincidence.
_PIECE = 10


class Canary:
    """Watches logs while it is entered.

    Attributes:
        found: where a secret was seen, in words that do not repeat it.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: dict[str, str] = {}
        self._ear = _Ear(self)
        self._root = logging.getLogger()
        self._level = self._root.level

    def new(self, kind: str = "secret") -> str:
        """A random secret, with characters that look different in each encoding."""
        text = f"{secrets.token_hex(16)}%+/&= {secrets.token_hex(8)}"
        self.watch(text, kind)
        return text

    def watch(self, text: str, kind: str = "secret") -> None:
        """Look for this text from now on. Raises ValueError for one too short to be told from others."""
        if len(text) < _PIECE:
            raise ValueError(f"a secret to look for has at least {_PIECE} characters")
        encoded = base64.b64encode(text.encode()).decode().rstrip("=")
        for form in {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], encoded}:
            for start in range(len(form) - _PIECE + 1):
                self._pieces[form[start : start + _PIECE]] = kind

    def check(self, text: Any, where: str = "a text") -> None:
        """Look into a text, or what a value prints as. AssertionError: a secret is in it."""
        if kind := self._seen(f"{text}\n{text!r}"):
            raise AssertionError(f"{where} shows the {kind}")

    def hear(self, text: str, where: str) -> None:
        """Look into a text, and remember what was seen."""
        if kind := self._seen(text):
            self.found.append(f"the {kind} in {where}")

    def _seen(self, text: str) -> str:
        windows = {text[start : start + _PIECE] for start in range(len(text) - _PIECE + 1)}
        return next((self._pieces[piece] for piece in windows & self._pieces.keys()), "")

    def __enter__(self) -> Canary:
        self._root.addHandler(self._ear)
        self._root.setLevel(logging.DEBUG)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._root.removeHandler(self._ear)
        self._root.setLevel(self._level)


class _Ear(logging.Handler):
    """Hears all that any logger says, with its arguments and the traceback as a file would get it."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.DEBUG)
        self._canary = canary
        self.setFormatter(logging.Formatter("%(message)s %(args)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Look into one line."""
        with contextlib.suppress(Exception):  # a line that cannot be formatted shows nothing
            self._canary.hear(self.format(record), f"the log of {record.name}")
