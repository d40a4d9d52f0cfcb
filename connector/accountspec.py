"""What one account says in the manifest, and what can be told about it without knowing any endpoint.

Rules of this room: values stay as the person wrote them, references unresolved. Messages never repeat a
value that could be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from connector.check import near_miss, shorten
from connector.errors import Problem
from connector.secret import SecretRef, parse_reference
from connector.template import TemplateError, check_url, has_control
from connector.yamlfile import Document, join


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """An account as declared: checked against the schema, not yet bound to its endpoint.

    Attributes:
        data: the mapping as written.
        pointer: JSON pointer of the account in `document`.
    """

    name: str
    data: Mapping[str, Any] = field(repr=False)  # may hold a literal secret of the sandbox
    document: Document = field(repr=False)
    pointer: str

    @property
    def origin(self) -> str:
        """``file:line`` of the declaration."""
        line, _ = self.document.where(self.pointer, key=True)
        return f"{self.document.file}:{line}"

    def problem(self, message: str, *steps: str | int, hint: str = "", key: bool = False) -> Problem:
        """A Problem at the place of a value inside this account (without steps: at its name)."""
        at = join(self.pointer, *steps)
        return self.document.problem(at, message, hint, key=key or not steps)

    def reference(self, *steps: str | int) -> SecretRef | None:
        """The ``${scheme:ref}`` that stands at `steps`, or None when something else does."""
        value: Any = self.data
        for step in steps:
            value = value[step]
        parsed = parse_reference(value) if isinstance(value, str) else None
        if parsed is None:
            return None
        at = join(self.pointer, *steps)
        line, column = self.document.where(at)
        file = self.document.file
        return SecretRef(scheme=parsed[0], ref=parsed[1], file=file, line=line, column=column, pointer=at)


def rows(data: Mapping[str, Any], key: str) -> list[tuple[str, Any, tuple[str | int, ...]]]:
    """Name, value and place of each row of ``token_endpoint_config`` or ``auth_endpoint_config``."""
    config = data.get(key, ())
    if isinstance(config, Mapping):
        return [(name, value, (key, name)) for name, value in config.items()]
    return [(row["name"], row["value"], (key, i, "value")) for i, row in enumerate(config)]


def text(value: object) -> str:
    """A YAML scalar as the text that goes over the wire."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_account(spec: AccountSpec) -> list[Problem]:
    """Everything wrong with an account that shows without its endpoint."""
    return [
        *_controls(spec, spec.data, ()),
        *_references(spec),
        *_urls(spec),
        *_scopes(spec),
        *_rows(spec),
        *_headers(spec),
    ]


# Secrets beside the client secret: asked for anew at each token call, as that one is.
OTHER_SECRETS = (
    "private_key",
    "username",
    "password",
    "api_key",
    "bearer_token",
    "assertion",
    "subject_token",
    "actor_token",
)


def _controls(spec: AccountSpec, value: Any, steps: tuple[str | int, ...]) -> Iterator[Problem]:
    """Control characters: in a header or URL they would let a value become several lines."""
    if steps and steps[0] in ("client_secret", *OTHER_SECRETS):
        return  # a secret in clear is told as that
    if isinstance(value, str) and has_control(value):
        found = next(c for c in value if has_control(c))
        message = f"the control character U+{ord(found):04X} may not reach a header or URL"
        yield spec.problem(message, *steps, hint="remove it; `|` and `>` texts end with a line break")
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in pairs:
            if isinstance(step, str) and has_control(step):
                yield spec.problem("a name may not hold control characters", *steps, step, key=True)
            elif not (isinstance(step, str) and (step.startswith("x-") or step == "label")):
                yield from _controls(spec, inner, (*steps, step))


_REFERENCE_PART = re.compile(r"\$\{([a-z][a-z0-9_+.-]*):")


def _references(spec: AccountSpec) -> Iterator[Problem]:
    """References are whole values, without defaults, and only where a value may come from elsewhere."""
    allowed: list[tuple[str | int, ...]] = [("client_id",), ("client_secret",), ("proxy",)]
    allowed += [(name,) for name in OTHER_SECRETS]
    allowed += [("settings", name) for name in spec.data.get("settings", {})]
    for key in ("token_endpoint_config", "auth_endpoint_config"):
        allowed += [place for _, _, place in rows(spec.data, key)]
    for steps, value in _texts(spec.data, ()):
        if steps[0] == "oauth2_endpoint" and len(steps) > 1:
            continue  # an endpoint written here has templates, and is checked as an endpoint
        if steps not in allowed:
            if _REFERENCE_PART.search(value):
                message = f"a reference (${{...}}) has no place in {steps[0]}"
                known = (
                    "client_id, client_secret and other secrets, proxy, settings and the ..._endpoint_config"
                )
                yield spec.problem(message, *steps, hint=f"references are read in {known}")
            continue
        yield from _reference(spec, steps, value)


def _reference(spec: AccountSpec, steps: tuple[str | int, ...], value: str) -> Iterator[Problem]:
    parsed = parse_reference(value)
    if parsed is None:
        if re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", value):
            hint = f"write ${{env:{value[2:-1]}}}"
            yield spec.problem("a reference says where to look: ${scheme:name}", *steps, hint=hint)
        elif "${" in value:
            message = "a reference ${scheme:name} must be the whole value, without anything around it"
            hint = "put the whole value where the reference leads to, e.g. ${env:NAME}"
            yield spec.problem(message, *steps, hint=hint)
        elif re.match(r"\$[A-Za-z_]|%[A-Za-z_]+%|\{\{", value):
            yield spec.problem("this is not how a reference is written", *steps, hint="write ${env:NAME}")
        return
    scheme, ref = parsed
    if scheme == "env" and re.search(r":[-=?+]", ref):
        message = "a reference has no default: a secret that is missing must be noticed"
        yield spec.problem(
            message, *steps, hint=f"write ${{env:{shorten(re.split(':', ref)[0])}}} and set it"
        )
    elif scheme == "param":
        message = "${param:...} belongs in pipelines; an account is the same in each run"
        yield spec.problem(message, *steps, hint="use ${env:NAME}")
    elif not ref.strip() or ref != ref.strip():
        yield spec.problem(
            "the reference names nothing" if not ref.strip() else "the reference has spaces at its ends",
            *steps,
            hint="write ${env:NAME} or ${file:path}",
        )


def _texts(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield steps, value
    elif isinstance(value, (dict, list)):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if not (isinstance(step, str) and step.startswith("x-")):
                yield from _texts(inner, (*steps, step))


def looks_like_url(value: str) -> bool:
    """Whether ``oauth2_endpoint`` holds a URL rather than a registered endpoint's name."""
    return "://" in value or "/" in value or value.lower().startswith(("http:", "https:"))


_HOST_AND_PATH = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?(/.{0,200})?")


def _urls(spec: AccountSpec) -> Iterator[Problem]:
    endpoint, token = spec.data.get("oauth2_endpoint"), spec.data.get("oauth2_token")
    if isinstance(endpoint, str) and looks_like_url(endpoint):
        yield from _url(spec, endpoint, "oauth2_endpoint")
    if isinstance(token, str) and not parse_reference(token):
        if "://" not in token and (token.startswith("eyJ") or not _HOST_AND_PATH.fullmatch(token)):
            message = "expected the token URL; a token itself never lives in the manifest"
            hint = f"pipe the token reply you hold into: connector adopt {spec.name}"
            yield spec.problem(message, "oauth2_token", hint=hint)
        else:
            yield from _url(spec, token, "oauth2_token")
    base = spec.data.get("api", {}).get("base_url")
    if base is not None:
        yield from _url(spec, base, "api", "base_url")
        if "?" in base:
            yield spec.problem(
                "a base URL has no query: paths follow it", "api", "base_url", hint="end it before the ?"
            )
    redirect = spec.data.get("redirect_uri")
    # A native app may have a scheme of its own, RFC 8252 section 7.1.
    if redirect is not None and not re.match(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:/?[^/]", redirect):
        yield from _url(spec, redirect, "redirect_uri")
    elif redirect is not None and "#" in redirect:
        yield spec.problem("the URL has a fragment (#...)", "redirect_uri")
    for i, host in enumerate(spec.data.get("api", {}).get("hosts", ())):
        reason = bad_host(host)
        if reason:
            yield spec.problem(reason, "api", "hosts", i, hint="write api.example.com or *.example.com")


_SECRET_QUERY = re.compile(r"(?i)(?:^|&)(client_secret|password|passwd|secret|api_?key|access_token)=[^&]")


def _url(spec: AccountSpec, url: str, *steps: str) -> Iterator[Problem]:
    if has_control(url) or "${" in url:
        return  # reported already
    reason = ""
    try:
        check_url(url)
    except TemplateError as error:
        reason = str(error)
    if not urlsplit_scheme(url):
        reason, hint = "this is not a URL: it does not begin with https://", "write the whole URL"
    elif named := _SECRET_QUERY.search(urlsplit(url).query if not reason else ""):
        reason = f"a secret has no place in a URL ({named[1]}=...), which ends up in logs"
        hint = "put it into client_secret, or into token_endpoint_config as a reference"
    elif "{" in url or "}" in url:
        reason, hint = "a URL in an account is taken as it stands, without {name} in it", "write it in full"
    else:
        hint = "write https://" if "http is allowed" in reason else ""
    if reason:
        yield spec.problem(reason, *steps, hint=hint)


def urlsplit_scheme(url: str) -> str:
    """The scheme of a URL; empty when there is none, or the text cannot be taken apart."""
    try:
        return urlsplit(url).scheme if "://" in url else ""
    except ValueError:
        return "?"


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST = re.compile(
    rf"(?:\*\.{_LABEL}\.)?{_LABEL}(?:\.{_LABEL})*\.?(?::[0-9]{{1,5}})?|\[[0-9a-fA-F:.]+\](?::[0-9]{{1,5}})?"
)


def bad_host(host: str) -> str:
    """Why `host` cannot stand in a list of hosts; empty when it can."""
    if "://" in host or "/" in host:
        return "expected a host name, without https:// and without a path"
    if host.startswith("*") and not re.fullmatch(_HOST, host):
        return "* stands for one or more names before a domain of at least two parts, as in *.example.com"
    return "" if _HOST.fullmatch(host) else "this is not a host name"


# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def scopes_of(data: Mapping[str, Any]) -> list[str]:
    """The scopes an account asks for, in order."""
    asked = data.get("scopes", ())
    return asked.split() if isinstance(asked, str) else list(asked)


def _scopes(spec: AccountSpec) -> Iterator[Problem]:
    asked = spec.data.get("scopes", ())
    for i, scope in enumerate(scopes_of(spec.data)):
        place = ("scopes",) if isinstance(asked, str) else ("scopes", i)
        if has_control(scope):
            continue
        if " " in scope.strip():
            yield spec.problem("one scope holds a space", *place, hint="make each scope an entry of its own")
        elif not _SCOPE.fullmatch(scope):
            message = (
                "a scope is printable ASCII without space, double quote and backslash (RFC 6749 section 3.3)"
            )
            yield spec.problem(message, *place)
        elif scope.endswith((",", ";")):
            yield spec.problem(
                "a scope ends with a comma", *place, hint="separate scopes with spaces, or write a list"
            )


# What connector itself puts into these requests, and where a person says it instead.
_RESERVED = {
    "token_endpoint_config": (
        "grant_type",
        "client_id",
        "client_secret",
        "refresh_token",
        "code",
        "code_verifier",
    ),
    "auth_endpoint_config": (
        "response_type",
        "client_id",
        "state",
        "code_challenge",
        "code_challenge_method",
    ),
}
RESERVED_PARAMETERS = (*_RESERVED["auth_endpoint_config"], "redirect_uri", "scope")
_ELSEWHERE = {"scope": "scopes", "redirect_uri": "redirect_uri", "grant_type": "grant"}


def _rows(spec: AccountSpec) -> Iterator[Problem]:
    for key, reserved in _RESERVED.items():
        seen: set[str] = set()
        for name, value, place in rows(spec.data, key):
            if name in reserved or name in _ELSEWHERE:
                where = _ELSEWHERE.get(name, name if name in ("client_id", "client_secret") else "")
                hint = f"it is said by {where}: in the account" if where else "remove it"
                yield spec.problem(f"{name} is set by connector", *place, hint=hint)
            elif name in seen:
                yield spec.problem(f"{shorten(name)} is given twice", *place, hint="keep one row")
            seen.add(name)
            if value == "" and not name:
                yield spec.problem("an empty row", *place, hint="remove it")


# RFC 9110 section 5.6.2: token = 1*tchar.
_TCHAR = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADERS_NOT_YOURS = ("authorization", "host", "content-length", "transfer-encoding", "connection")


def bad_header(name: str) -> str:
    """Why `name` cannot be a header here; empty when it can."""
    if not _TCHAR.fullmatch(name):
        return "this is not a header name (RFC 9110 section 5.1)"
    if name.lower() in HEADERS_NOT_YOURS:
        return f"{name} is set by connector"
    return ""


def _headers(spec: AccountSpec) -> Iterator[Problem]:
    for name, value in spec.data.get("api", {}).get("headers", {}).items():
        if has_control(name):
            continue
        if reason := bad_header(name):
            near = near_miss(name, ("Accept", "Accept-Language", "User-Agent", "Content-Type"))
            hint = f"did you mean {near}?" if near and near != name else ""
            yield spec.problem(reason, "api", "headers", name, hint=hint, key=True)
        elif not value.isascii():
            yield spec.problem("a header's value must be ASCII", "api", "headers", name)
