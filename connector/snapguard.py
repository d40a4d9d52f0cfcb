"""What of an export may come over, and the names it gets here.

Rules of this room: when in doubt it stays behind. A text that is, or holds, one of an account's secrets is no
literal, wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from connector.snapexport import Value, children, envelope, plain, table
from connector.snapfields import CANONICAL, HARMLESS, PLACEHOLDER, SECRET_FIELDS, SUSPICIOUS
from connector.template import TemplateError, check_url

_LONGEST = 2_000
_SHORTEST = 8  # shorter secrets are found as whole values only: they are in every other text by chance


class Guard:
    """Knows the secrets of one account, and lets through what is none."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secrets)

    def leaks(self, text: str) -> bool:
        """Whether a text is, or holds, one of the account's secrets."""
        plain_text = unquote(text)
        return text in self._secrets or any(
            len(secret) >= _SHORTEST and (secret in text or secret in plain_text) for secret in self._secrets
        )

    def literal(self, value: Value) -> str:
        """A text that may come over as it stands; empty when it may not."""
        text = value.text
        if value.expression or len(text) > _LONGEST or not text.isprintable():
            return ""
        return "" if PLACEHOLDER.search(text) or self.leaks(text) else text

    def url(self, said: Value) -> tuple[str, list[str]]:
        """A URL that a secret may travel to, or an empty text; and the query parameters it lost."""
        url = self.literal(said)
        if not url.isascii() or set('{}"<>') & set(url):
            return "", []
        try:
            parts = urlsplit(check_url(url))
        except TemplateError:
            return "", []
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        kept = [(name, value) for name, value in pairs if name in HARMLESS]
        if len(kept) == len(pairs) and (pairs or not parts.query):
            return url, []
        dropped = list(dict.fromkeys(name for name, _ in pairs if name not in HARMLESS))
        return urlunsplit(parts._replace(query=urlencode(kept))), dropped or [""]


def secrets_of(values: Mapping[str, Value], settings: Mapping[str, Any]) -> Iterator[str]:
    """Every text of the account that must not come over, wherever else it may stand."""
    found: list[Any] = []
    for key, raw in settings.items():
        ours = CANONICAL.get(plain(key), "")
        if ours in SECRET_FIELDS or (not ours and SUSPICIOUS.search(key)):
            found.append(raw)
        elif ours == "oauth2_token" and "://" not in (said := envelope(raw).text):
            found.append(said)  # a token where its URL belongs
    for field in ("token_rows", "auth_rows"):
        for name, value in table(values.get(field, Value())):
            if name.text not in HARMLESS and SUSPICIOUS.search(name.text):
                found.append(value.value)
    while found:
        value = found.pop()
        found += children(value)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            said = str(value)[:65_536].strip()
            yield from {said, said.strip("\"' ")} - {""}


class Names:
    """Gives accounts names, and secrets variables, that are different from each other."""

    def __init__(self) -> None:
        self._stems: set[str] = set()
        self._variables: set[str] = set()

    def account(self, label: str) -> str:
        """A valid account name from a label; the second of two equal ones ends with -2."""
        ascii_only = unicodedata.normalize("NFKD", label.casefold()).encode("ascii", "ignore").decode()
        base = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")[:60].rstrip("_") or "account"
        name, number = base, 1
        while stem(name) in self._stems:  # a_2 and a-2 would share their variables
            number += 1
            name = f"{base}-{number}"
        self._stems.add(stem(name))
        return name

    def variable(self, account: str, field: str) -> str:
        """An environment variable for a field of an account."""
        base = name = f"{stem(account)}_{stem(field)}"
        number = 1
        while name in self._variables:
            number += 1
            name = f"{base}_{number}"
        self._variables.add(name)
        return name


def stem(name: str) -> str:
    """A name as the beginning of an environment variable's."""
    text = re.sub(r"[^A-Z0-9]", "_", name.upper())
    return f"ACCOUNT_{text}" if text[:1].isdigit() else text
