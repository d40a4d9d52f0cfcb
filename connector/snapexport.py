"""Finding accounts in what SnapLogic exports, whatever is wrapped around them.

Rules of this room: nothing is translated here, and nothing recurses with the data. No message holds a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.errors import ConnectorError

MAX_BYTES = 8 << 20
MAX_DEPTH = 60
MAX_ACCOUNTS = 1_000
MAX_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Value:
    """What an envelope ``{"value": ..., "expression": ...}`` holds; repr does not show it."""

    value: Any = field(default=None, repr=False)
    expression: bool = False

    @property
    def text(self) -> str:
        """Text without spaces around it, or a number as text; empty when it is something else."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        return self.value.strip() if isinstance(self.value, str) else ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it; an unticked box counts as nothing."""
        return self.value in (None, False, [], {}) or (isinstance(self.value, str) and not self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedAccount:
    """An account as SnapLogic has it.

    Attributes:
        kind: its class without the version, such as ``com-snaplogic-snaps-rest-oauth2account``.
        label: what the person called it; empty when the export does not say.
        settings: the dialog's fields by whatever names the class gives them, envelopes and all.
        path: where the export says that it lay; may be empty.
        vault: whether something about it speaks of a vault.
    """

    kind: str
    label: str
    settings: Mapping[str, Any] = field(repr=False)
    path: str = ""
    vault: bool = False


def parse(data: bytes) -> Any:
    """JSON from bytes. Raises ConnectorError that repeats nothing of them."""
    reason = ""
    if len(data) > MAX_BYTES:
        reason = f"it is larger than {MAX_BYTES >> 20} MiB"
    elif not data.strip():
        reason = "it is empty"
    elif data.startswith(b"PK\x03\x04"):
        reason = "it is a ZIP archive: unpack it first, and give the JSON file with the accounts"
    else:
        try:
            found = json.loads(data)
        except RecursionError:
            reason = f"it is more than {MAX_DEPTH} levels deep"
        except ValueError:
            reason = "it is no JSON"
        else:
            if _too_deep(found):
                reason = f"it is more than {MAX_DEPTH} levels deep"
    if reason:
        raise bad_export(reason)
    return found


def bad_export(reason: str) -> ConnectorError:
    """The error for a file that cannot be imported."""
    return ConnectorError(
        "this is no export with SnapLogic accounts",
        code="bad_export",
        reason=reason,
        resolution="Give JSON with one account or several, each with class_fqid and property_map.",
    )


def _too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in children(value)]
        if not level:
            return False
    return True


def children(value: Any) -> list[Any]:
    """What stands directly inside a list or mapping."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def find(data: Any) -> tuple[list[ExportedAccount], int]:
    """Every account in an export, in its order, and the number of other objects (pipelines, snaps, tasks)."""
    accounts, others = [], 0
    for value, kind, path in _objects(data):
        account = _account(value, kind, path)
        if account is None:
            others += 1
            continue
        accounts.append(account)
        if len(accounts) > MAX_ACCOUNTS:
            raise bad_export(f"it has more than {MAX_ACCOUNTS} accounts")
    return accounts, others


def _objects(data: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every mapping with a ``property_map``, with the class and the path that stood around it."""
    stack: list[tuple[Any, str, str]] = [(data, "", "")]
    while stack:
        value, kind, path = stack.pop()
        if isinstance(value, dict) and isinstance(value.get("property_map"), dict):
            yield value, kind, path
        elif isinstance(value, dict):
            # In {"class_fqid": ..., "account": {...}} the class stands outside, and so may the path.
            around, near = _class(value) or kind, _string(value.get("path")) or path
            items = [(inner, around, key if "/" in key else near) for key, inner in value.items()]
            stack += reversed(items)
        elif isinstance(value, list):
            stack += [(inner, kind, path) for inner in reversed(value)]


def _account(value: dict[str, Any], kind: str, path: str) -> ExportedAccount | None:
    kind = _class(value) or kind
    inner = value.get("account")
    maps = [value["property_map"], inner.get("property_map") if isinstance(inner, dict) else None]
    maps = [each for each in maps if isinstance(each, dict)]
    settings = next((s for each in maps if isinstance(s := each.get("settings"), dict)), {})
    infos = [info for each in maps if isinstance(info := each.get("info"), dict)]
    labels = [envelope(info.get("label")).text for info in infos]
    names = {plain(key) for key in settings}
    if not (
        "account" in kind or "oauth2" in kind or {"oauth2endpoint", "oauth2token", "clientsecret"} & names
    ):
        return None
    outside = {plain(key) for key in value if not isinstance(value[key], (bool, type(None)))}
    vault = any("vault" in name or "secretsmanag" in name for name in names | outside)
    label = next(filter(None, labels), "")
    return ExportedAccount(kind=kind, label=label, settings=settings, path=path, vault=vault)


def _class(value: Mapping[str, Any]) -> str:
    said = _string(value.get("class_fqid")) or _string(value.get("class_id"))
    kind = said.partition("_")[0].lower()
    return kind if re.fullmatch(r"[a-z0-9.-]{1,120}", kind) else ""


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def envelope(raw: Any) -> Value:
    """The value in an envelope; one that stands without an envelope is taken as it is."""
    if isinstance(raw, dict) and ("value" in raw or "expression" in raw):
        return Value(raw.get("value"), raw.get("expression") in (True, "true", "True"))
    return Value(raw)


def table(value: Value) -> list[tuple[Value, Value]]:
    """The rows of a table of parameters as (name, value), whatever the class calls its two columns."""
    rows = value.value if isinstance(value.value, list) else []
    if len(rows) > MAX_ROWS:
        raise bad_export(f"a table in it has more than {MAX_ROWS} rows")
    return [pair for row in rows if isinstance(row, dict) and (pair := _row(row)) is not None]


def _row(row: Mapping[str, Any]) -> tuple[Value, Value] | None:
    inner = row.get("value")
    if isinstance(inner, dict) and set(row) <= {"value", "expression"} and "value" not in inner:
        row = inner  # the row itself is in an envelope
    columns = {plain(key): envelope(raw) for key, raw in row.items()}
    values = [column for key, column in columns.items() if key.endswith("value")]
    names = [column for key, column in columns.items() if not key.endswith("value")]
    return (names[0], values[0]) if names and values else None


def plain(key: str) -> str:
    """A key without case and signs: ``clientId``, ``client_id`` and ``Client ID`` are one."""
    return re.sub(r"[^a-z0-9]", "", key.lower())
