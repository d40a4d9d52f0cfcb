"""SnapLogic's account definitions -> accounts of a manifest, with a note on whatever stays behind.

Rules of this room: pure. No secret comes over: not a client secret, token or password, nor a text that holds
one. Expressions are neither evaluated nor repeated. A note names fields and variables, never a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from connector.manifestwriter import Entry
from connector.snapexport import ExportedAccount, Value, envelope, find, plain, table
from connector.snapfields import (
    CANONICAL,
    HARMLESS,
    OURS,
    TITLES,
    shown,
)
from connector.snapguard import Guard, Names, secrets_of
from connector.template import TemplateError, check_url

_MOST_SCOPES = 1_000
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3
_COUPA = re.compile(r"https://((?:[a-z0-9-]+\.)+(?:coupahost|coupacloud)\.com)(?::443)?/oauth2/token/?", re.I)
_SERVICENOW = re.compile(r"https://([a-z0-9][a-z0-9-]*)\.service-now\.com(?::443)?/oauth_token\.do", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an export.

    Attributes:
        accounts: in the order of the export.
        skipped: a sentence for each account that is none of OAuth2.
        others: how many other objects (pipelines, snaps, tasks) were passed over.
    """

    accounts: tuple[Entry, ...]
    skipped: tuple[str, ...]
    others: int


def import_accounts(data: Any, *, name: str | None = None) -> Imported:
    """Translate every OAuth2 account in an export. Raises ConnectorError (code ``bad_export``).

    Args:
        name: what to call the account, instead of what its label says.
    """
    found, others = find(data)
    names = Names()
    accounts, skipped = [], []
    for account in found:
        if reason := _unfit(account):
            skipped.append(f"{_called(account)} was skipped: {reason}")
        else:
            accounts.append(_Translation(account, names, name).entry())
    return Imported(accounts=tuple(accounts), skipped=tuple(skipped), others=others)


def _called(account: ExportedAccount) -> str:
    label, kind = _label(account), account.kind or "class unknown"
    # A label may hold a secret by mistake; only _Translation knows them, so here it must look like a name.
    return (
        f"{label} ({kind})" if re.fullmatch(r"[A-Za-z][A-Za-z _-]{0,59}", label) else f"an account ({kind})"
    )


def _label(account: ExportedAccount) -> str:
    said = account.label or account.path.rstrip("/").rpartition("/")[2]
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:200]


def _unfit(account: ExportedAccount) -> str:
    """Why an account cannot be imported; empty when it can."""
    there = {
        CANONICAL.get(plain(key), "") for key, raw in account.settings.items() if not envelope(raw).empty
    }
    if "oauth2" not in account.kind and not {"oauth2_endpoint", "oauth2_token"} & there:
        return "it is no OAuth2 account"
    if "dynamic" in account.kind and not {"client_id", "oauth2_token"} & there:
        return "a dynamic account holds no more than an access token, which a pipeline brought along"
    if not {"client_id", "client_secret", "oauth2_token"} & there:
        return "it has neither a client nor a token URL of its own; register an app and declare it anew"
    return ""


class _Translation:
    """One account on its way; fields, notes and what it lacks gather here."""

    def __init__(self, account: ExportedAccount, names: Names, name: str | None) -> None:
        self.account = account
        self.fields: dict[str, Any] = {}
        self.notes: list[str] = []
        self.lacks: list[str] = []
        self.values: dict[str, Value] = {}
        self.unknown: list[str] = []
        for key, raw in account.settings.items():
            value, ours = envelope(raw), CANONICAL.get(plain(key), "")
            if ours and self.values.get(ours, Value()).empty:
                self.values[ours] = value
            elif not value.empty or value.expression:
                self.unknown.append(key)
        self.guard = Guard(secrets_of(self.values, account.settings))
        self.names = names
        label = _label(account)
        self.label = "" if self.guard.leaks(label) else label
        self.name = name or names.account(self.label or account.kind.rpartition("-")[2])

    def entry(self) -> Entry:
        """The account, translated."""
        if self.label and "${" not in self.label:
            self.fields["label"] = self.label
        self.client()
        self.server()
        self.rows("token_rows", "token_endpoint_config")
        self.rows("auth_rows", "auth_endpoint_config")
        self.scopes("scope", self.get("scope"))
        self.asked_scopes()
        self.boxes()
        self.left_behind()
        notes = tuple(dict.fromkeys(self.notes))
        title = f"From SnapLogic: {self.account.kind or 'class unknown'}"
        return Entry(
            name=self.name,
            fields=self.fields,
            title=title,
            notes=notes,
            lacks=tuple(dict.fromkeys(self.lacks)),
        )

    # --- values ---

    def get(self, field: str) -> Value:
        return self.values.get(field, Value())

    def reference(self, field: str) -> str:
        return "${env:" + self.names.variable(self.name, field) + "}"

    # --- who ---

    def client(self) -> None:
        said = self.get("client_id")
        self.fields["client_id"] = self.guard.literal(said) or self.reference("client_id")
        if self.fields["client_id"] != said.text:
            why = _why(said) or "stayed behind"
            self.notes.append(f"Client ID {why}: {self.fields['client_id']} takes its place.")
        secret = self.get("client_secret")
        self.fields["client_secret"] = self.reference("client_secret")
        self.notes.append(
            f"Client secret: not carried over; put it where {self.fields['client_secret']} leads."
        )
        if secret.empty and not secret.expression:
            self.notes.append(
                "The export has no client secret: if it is a public client, say client_auth: none instead."
            )
        if self.account.vault:
            self.notes.append("Its secrets seem to lie in a vault: fetch them into the variables from there.")

    # --- where ---

    def server(self) -> None:
        token, authorize = self.url("oauth2_token"), self.url("oauth2_endpoint")
        grant = self.grant(bool(authorize))
        known = _known(token, authorize, grant)
        if known is not None:
            self.fields["oauth2_endpoint"], self.fields["settings"] = known
            self.fields["grant"] = "authorization_code" if grant == "password" else grant
        elif grant == "password" and token and not authorize:
            # No grant of ours begins such an account, but a token reply it already has lives on.
            self.fields["oauth2_endpoint"] = {"token": {"url": token}, "grants": ["refresh_token"]}
        else:
            self.bare(token, authorize, grant)
        if grant == "password":
            self.notes.append(
                "The grant password, its username and its password were not carried over: a person's "
                "password has no place in a manifest."
            )
        if grant == "client_credentials":
            return
        person = self.fields.get("grant") == "authorization_code"
        how = f", or connector login {self.name}" if person else ""
        self.notes.append(
            f"Its login begins anew: connector adopt {self.name} (with a token reply that you hold){how}."
        )

    def bare(self, token: str, authorize: str, grant: str) -> None:
        if authorize:
            self.fields["oauth2_endpoint"] = authorize
        if token:
            self.fields["oauth2_token"] = token
        else:
            self.lacks.append("add oauth2_token: the token URL.")
        self.fields["grant"] = "authorization_code" if grant == "password" else grant
        if self.fields["grant"] == "authorization_code" and not authorize:
            self.lacks.append("add oauth2_endpoint: the authorization URL.")
        self.notes.append(
            "The token goes to the hosts of these URLs only. Where the API is: api: {base_url: https://...}"
        )

    def grant(self, authorize: bool) -> str:
        said = self.get("grant")
        grant = re.sub(r"[^a-z]+", "_", self.guard.literal(said).lower())
        if grant in ("authorization_code", "client_credentials", "password"):
            return grant
        guess = "authorization_code" if authorize else "client_credentials"
        why = _why(said) or "is not known here"
        self.notes.append(f"Grant type {why}: {guess} is a guess.")
        return guess

    def url(self, field: str) -> str:
        """A URL that may come over; else empty, with a note unless there was nothing."""
        said, title = self.get(field), TITLES[field]
        if said.expression:
            self.notes.append(f"{title} is an expression, and {field} takes none: write the URL.")
            return ""
        if said.empty:
            return ""
        url, dropped = self.guard.url(said)
        for name in dropped:
            self.notes.append(
                f"{title}: the query parameter {shown(name)} may be a secret, and stayed behind."
            )
        if not url:
            self.notes.append(f"{title} stayed behind: it is no https URL without a secret in it.")
        return url

    # --- what is asked for ---

    def rows(self, field: str, ours: str) -> None:
        said, title = self.get(field), TITLES[field]
        if said.expression:
            self.notes.append(f"{title} is an expression, which cannot be carried over.")
            return
        kept: dict[str, Any] = {}
        for name, value in table(said):
            if not (name.empty and value.empty):
                self.row(name, value, title, kept)
        if kept:
            self.fields[ours] = kept

    def row(self, name: Value, value: Value, title: str, kept: dict[str, Any]) -> None:
        called = name.text
        if (
            name.expression
            or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}", called)
            or self.guard.leaks(called)
        ):
            self.notes.append(f"{title}: a row whose name is no plain name stayed behind.")
        elif called in ("scope", "scopes"):
            self.scopes(f"{title}, row {called}", value)
        elif called == "redirect_uri":
            self.redirect(value)
        elif called in OURS:
            self.notes.append(f"{title}: the row {called} stayed behind, connector sets it itself.")
        elif called in ("username", "password"):
            self.notes.append(f"{title}: the row {called} stayed behind, a person's login has no place here.")
        elif called in kept:
            self.notes.append(f"{title}: the second row {shown(called)} stayed behind.")
        elif value.empty and not value.expression and value.value is not False:
            self.notes.append(f"{title}: the row {shown(called)} is empty, and stayed behind.")
        else:
            kept[called] = self.row_value(called, value, title)

    def row_value(self, called: str, value: Value, title: str) -> Any:
        if called in HARMLESS and not value.expression:
            if isinstance(value.value, bool) or (isinstance(value.value, int) and abs(value.value) < 1 << 53):
                return value.value if not self.guard.leaks(str(value.value)) else self.reference(called)
            if text := self.guard.literal(value):
                return text
        reference = self.reference(called)
        why = "is an expression" if value.expression else "may be a secret"
        self.notes.append(f"{title}: the value of {shown(called)} {why}, {reference} takes its place.")
        return reference

    def scopes(self, title: str, said: Value) -> None:
        if said.expression:
            self.notes.append(f"{title} is an expression, and scopes take none: write them.")
            return
        texts = [envelope(each).text for each in said.value] if isinstance(said.value, list) else [said.text]
        asked = list(dict.fromkeys(each.rstrip(",;") for text in texts for each in text.split()))
        if len(asked) > _MOST_SCOPES:
            self.notes.append(f"{title}: more than {_MOST_SCOPES} scopes, and none of them came over.")
            return
        for scope in filter(None, asked):
            fine = _SCOPE.fullmatch(scope) and self.guard.literal(Value(scope))
            if not fine:
                self.notes.append(f"{title}: a scope that cannot stand in a manifest stayed behind.")
            elif scope not in self.fields.setdefault("scopes", []):
                self.fields["scopes"].append(scope)

    def asked_scopes(self) -> None:
        if self.fields.get("oauth2_endpoint") == "coupa" and not self.fields.get("scopes"):
            self.lacks.append("add scopes: [...], Coupa wants at least one.")

    def redirect(self, said: Value) -> None:
        url = self.guard.literal(said)
        try:
            host = urlsplit(check_url(url)).hostname or ""
        except TemplateError:
            why = "is an expression" if said.expression else "cannot stand in a manifest"
            self.notes.append(f"redirect_uri {why}, and stayed behind.")
            return
        if not re.fullmatch(r"(?:.+\.)?snaplogic\.(?:com|io)", host):
            if url.isascii() and not set("{}?") & set(url):
                self.fields["redirect_uri"] = url
            self.notes.append("redirect_uri: a login reaches this machine only if that address leads here.")
            return
        self.notes.append(
            "redirect_uri was SnapLogic's own, from which no login reaches us: register a loopback address "
            "(http://127.0.0.1:8765/callback) with the app, and write it here."
        )

    # --- the rest ---

    def boxes(self) -> None:
        if (basic := self.box("basic")) is True:
            self.fields["send_client_data_as_basic_auth_header"] = basic
        header = self.box("header_authenticated")
        if header is False:
            self.fields["header_authenticated"] = False
            self.notes.append(
                "Header authenticated was off: requests go out without the token unless you remove that line."
            )
        refresh = self.box("auto_refresh")
        if refresh is not None:
            self.fields["auto_refresh"] = refresh
        if refresh is False:
            self.notes.append("Auto-refresh was off, and is kept so; the default here is true.")

    def box(self, field: str) -> bool | None:
        said = self.get(field)
        if said.expression:
            self.notes.append(
                f"{TITLES[field]} is an expression, which cannot be carried over; the default holds."
            )
            return None
        if isinstance(said.value, bool):
            return said.value
        return {"true": True, "false": False}.get(said.text.lower())

    def left_behind(self) -> None:
        there = [TITLES[f] for f in ("access_token", "refresh_token") if not self.get(f).empty]
        if there:
            self.notes.append(f"{' and '.join(there)}: not carried over, tokens never live in a manifest.")
        if not self.get("access_token_expiration").empty:
            self.notes.append("Access token expiration: not carried over, it is kept beside the token.")
        if self.unknown:
            # No more than anybody reads: each name is compared with each secret.
            names = ["" if self.guard.leaks(name) else name for name in self.unknown[:12]]
            several = ", ".join(dict.fromkeys(map(shown, names))) + (" and more" if self.unknown[12:] else "")
            self.notes.append(f"Not known here, and left out: {several}.")


def _why(said: Value) -> str:
    """Why a value is not there to be carried over; empty when it is there."""
    return "is an expression" if said.expression else "is not in the export" if said.empty else ""


def _known(token: str, authorize: str, grant: str) -> tuple[str, dict[str, str]] | None:
    """The registered endpoint with these URLs, and its settings."""
    for pattern, name, setting, path in (
        (_COUPA, "coupa", "host", "https://{}/oauth2/authorizations/new"),
        (_SERVICENOW, "servicenow", "instance", "https://{}.service-now.com/oauth_auth.do"),
    ):
        if match := pattern.fullmatch(token):
            value = match[1].lower()
            said = authorize.lower().replace(":443/", "/").rstrip("/")
            if not said or grant == "client_credentials" or said == path.format(value):
                return name, {setting: value}
    return None
