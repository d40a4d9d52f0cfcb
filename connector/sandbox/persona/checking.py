"""Whether a call is made as a file declares it: method, address, body, client, parameters, headers.

Rules of this room: every complaint names the key of the file that the caller did not keep to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote, urlsplit

from connector.sandbox.persona.seen import Complaint, Seen
from connector.sandbox.persona.signed import check_assertion
from connector.sandbox.persona.subject import Subject
from connector.sandbox.persona.texts import Look, Values, fill, fill_url, many, usable, wrong

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True, kw_only=True)
class Call:
    """One kind of call as a file declares it.

    Attributes:
        steps: where the file declares it.
        spec: what it declares, with what it inherits.
        own: what it declares itself; what it does not is blamed on ``token``.
        optional: parameters that may come along.
    """

    steps: tuple[str | int, ...]
    spec: Mapping[str, Any]
    own: Mapping[str, Any] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def at(self, key: str, *more: str | int) -> tuple[str | int, ...]:
        """Return where a key of this call stands in the file."""
        inherited = (
            key not in self.own and key in self.spec and self.steps[0] not in ("exchange", "discover", "test")
        )
        return ("token" if inherited else self.steps[0], *self.steps[1:], key, *more)

    def is_at(self, seen: Seen, values: Values, url: str = "") -> bool:
        """Whether a request went to this call's address; its query is looked at later."""
        return same_address(seen, url or fill_url(self.spec.get("url"), values))


def same_address(seen: Seen, url: str) -> bool:
    """Whether a request went to a URL, its query aside."""
    parts = urlsplit(url)
    if not parts.netloc:
        return False
    return (
        seen.scheme == parts.scheme
        and seen.host == parts.netloc.lower()
        and seen.path.rstrip("/") == unquote(parts.path or "/").rstrip("/")
    )


class Checking:
    """One request under examination; complaints gather here."""

    def __init__(
        self, call: Call, seen: Seen, values: Values, subject: Subject, *, now: float, issuer: str = ""
    ) -> None:
        self.call, self.seen, self.values, self.subject = call, seen, values, subject
        self.now = now
        self.audiences = frozenset({issuer, fill_url(call.spec.get("url"), values)} - {""})
        self.complaints: list[Complaint] = []
        self.params: dict[str, Any] = {}
        self.expected: dict[str, tuple[Any, tuple[str | int, ...]]] = {}

    def url(self) -> str:
        """Return the call's address."""
        return fill_url(self.call.spec.get("url"), self.values)

    def complain(self, steps: Iterable[str | int], words: str) -> None:
        """Note what is wrong."""
        self.complaints.append(Complaint(steps=tuple(steps), words=words))

    def check(self, standard: Mapping[str, Any], *, default_method: str = "POST", url: str = "") -> None:
        """Compare all of the call; `standard` are the parameters that its RFC has, unnamed ones left out."""
        call, spec, seen = self.call, self.call.spec, self.seen
        method = spec.get("method", default_method)
        if seen.method != method:
            self.complain(call.at("method"), f"the method was {seen.method}, not {method}")
        body = spec.get("body", "form")
        found, said = seen.params(body)
        if said:
            self.complain(call.at("body"), said)
        self.expect(standard)
        in_query = body == "query" or (method == "GET" and body == "form")
        wanted_query = self._wanted_query(url)
        query = list(seen.query)
        for pair, steps in wanted_query:
            if pair in query:
                query.remove(pair)
            else:
                self.complain(steps, f"{pair[0]} was not in the query with the declared value")
        if in_query:
            found = {**dict(query), **found}
            query = []
        for name, _ in query:
            self.complain(call.at("query"), f"{name} came in the query, where nothing declares it")
        self.params = dict(found)
        self._compare(found)
        self._headers()

    # --- parameters ---

    def expect(self, standard: Mapping[str, Any]) -> None:
        """Work out which parameters must come, by the names that they have here."""
        call, spec = self.call, self.call.spec
        pairs: dict[str, tuple[Any, tuple[str | int, ...]]] = {
            name: (value, call.at("params", name))
            for name, value in standard.items()
            if value not in (None, "")
        }
        if "grant_type" in spec and "grant_type" in pairs:
            if spec["grant_type"] is None:
                del pairs["grant_type"]
            else:
                pairs["grant_type"] = (_literal(spec["grant_type"]), call.at("grant_type"))
        for name, declared in spec.get("params", {}).items():
            template = usable(many(declared), self.values)
            if declared is None:
                pairs.pop(name, None)
            elif template is not None:
                pairs[name] = (template, call.at("params", name))
        for name, value in self._client(pairs).items():
            if name not in pairs and spec.get("params", {}).get(name, "") is not None:
                pairs[name] = (value, call.at("auth"))
        rename = spec.get("rename", {})
        self.expected = {
            rename.get(name, name): (value, call.at("rename", name) if name in rename else steps)
            for name, (value, steps) in pairs.items()
            if rename.get(name, name) is not None
        }

    def _compare(self, found: dict[str, Any]) -> None:
        rename = self.call.spec.get("rename", {})
        optional = {rename.get(name, name) for name in self.call.optional}
        for name, (value, steps) in self.expected.items():
            if name not in found:
                if name not in optional:
                    self.complain(steps, f"{name} was not sent")
            elif said := _told(name, value, self.values, found[name]):
                self.complain(steps, said)
        for name in found:
            if name not in self.expected and name not in optional:
                self.complain(self._unexpected(name), f"{name} was sent, which nothing declares")

    def _unexpected(self, name: str) -> tuple[str | int, ...]:
        spec = self.call.spec
        if name in ("client_id", "client_secret", "client_assertion", "client_assertion_type"):
            return self.call.at("rename", name) if name in spec.get("rename", {}) else self.call.at("auth")
        if name in spec.get("rename", {}):
            return self.call.at("rename", name)
        return self.call.at("grant_type") if name == "grant_type" else self.call.at("params", name)

    def _wanted_query(self, url: str) -> list[tuple[tuple[str, str], tuple[str | int, ...]]]:
        address = url or fill_url(self.call.spec.get("url"), self.values)
        key = "url" if "url" in self.call.spec else "path"
        wanted = [
            (pair, self.call.at(key)) for pair in parse_qsl(urlsplit(address).query, keep_blank_values=True)
        ]
        for name, declared in self.call.spec.get("query", {}).items():
            template = usable(many(declared), self.values)
            if template is not None:
                got = dict(self.seen.query).get(name, "")
                # An open name is compared here, a closed text as a pair.
                text = got if not wrong(template, self.values, got) else fill(str(template), self.values)
                wanted.append(((name, text), self.call.at("query", name)))
        return wanted

    def _headers(self) -> None:
        for name, declared in self.call.spec.get("headers", {}).items():
            template = usable(many(declared), self.values)
            got = self.seen.headers.get(name)
            if template is None:
                continue
            if got is None:
                self.complain(self.call.at("headers", name), f"the header {name} was not sent")
            elif said := _told(name, template, self.values, got):
                self.complain(self.call.at("headers", name), f"the header {said}")

    # --- the client ---

    def _client(self, pairs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with which the client proves itself; look at its header."""
        spec, subject = self.call.spec, self.subject
        plain = bool(spec.get("x-plain"))
        auth = spec.get("auth", "none" if plain else "client_secret_post")
        basic = spec.get("basic", "rfc6749")
        self._basic(auth, basic)
        # Another pair takes the place of all that the client has (docs/endpoint-schema.md, "Calls").
        if isinstance(basic, Mapping) or (plain and auth == "none"):
            return {}
        secret = subject.secrets.get("client_secret")
        who: dict[str, Any] = {"client_id": _literal(subject.client_id)}
        match auth:
            case "client_secret_basic":
                return {}
            case "client_secret_post":
                return who | ({"client_secret": same(secret)} if secret else {})
            case "client_secret_jwt" | "private_key_jwt":
                return who | {
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": self._assertion(auth),
                }
        return who

    def _basic(self, auth: str, basic: Any) -> None:
        got, spec = self.seen.basic, self.call.spec
        declared = any(name.lower() == "authorization" for name in spec.get("headers", {}))
        if isinstance(basic, Mapping):
            pair = tuple(fill(basic.get(name, ""), self.values) for name in ("username", "password"))
            if got != pair:
                said = "another pair was" if got else "nothing was"
                self.complain(self.call.at("basic"), f"{said} in the Basic header")
        elif auth == "client_secret_basic":
            pair = (self.subject.client_id, self.subject.secrets.get("client_secret", ""))
            wanted = (quote_plus(pair[0]), quote_plus(pair[1])) if basic == "rfc6749" else pair
            if got is None:
                self.complain(self.call.at("auth"), "client id and secret were not in a Basic header")
            elif got != wanted:
                other = got in (pair, (quote_plus(pair[0]), quote_plus(pair[1])))
                words = (
                    "the pair in the Basic header was encoded in another way"
                    if other
                    else "another pair came"
                )
                self.complain(self.call.at("basic"), words)
        elif got is not None and not declared and not spec.get("x-carries"):
            self.complain(self.call.at("auth"), "client id and secret came in a Basic header")

    def _assertion(self, auth: str) -> Look:
        secret = self.subject.secrets.get("client_secret") if auth == "client_secret_jwt" else None
        return lambda text: check_assertion(text, self.subject, self.audiences, self.now, secret=secret)


def same(secret: str) -> Look:
    """Return what compares a text with a secret and never repeats either."""
    return lambda got: "" if got == secret else "it had another value"


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _told(name: str, value: Any, values: Values, got: Any) -> str:
    if callable(value):
        said = value(got) if isinstance(got, str) else "a text was expected"
    else:
        said = wrong(value, values, got)
    return f"{name}: {said}" if said else ""
