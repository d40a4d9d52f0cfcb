"""An account as declared + its endpoint -> `Account`, or every reason why not.

Rules of this room: no network. A reference is followed only when a resolver is given (`connector check`
needs no environment), and client_secret never: it stays a reference until a token call is built.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from connector.account import Account
from connector.accountspec import OTHER_SECRETS, AccountSpec, looks_like_url, rows, scopes_of, text
from connector.bindclient import check_client, check_proxy, check_tls, tls_files
from connector.check import near_miss, shorten
from connector.endpoint import Endpoint, endpoint_from_spec
from connector.endpointfile import RawEndpoint, build, known_words, unknown_grants
from connector.errors import ManifestError, Problem, SecretMissingError
from connector.filling import mentioned
from connector.manifest import Manifest
from connector.pluginfile import unread
from connector.resolve import Resolver, unknown_scheme
from connector.secret import Secret, SecretRef
from connector.settings import bind_settings
from connector.template import has_control
from connector.urlcheck import check_urls


def bind_all(
    manifest: Manifest,
    endpoints: Mapping[str, Endpoint],
    grants: Collection[str],
    *,
    resolve: Resolver | None = None,
    schemes: Collection[str] | None = None,
) -> tuple[dict[str, Account], list[Problem]]:
    """Bind every account; a broken one does not hide the others. See `bind_account`."""
    accounts: dict[str, Account] = {}
    problems: list[Problem] = []
    for name, spec in manifest.accounts.items():
        try:
            accounts[name] = bind_account(spec, endpoints, grants, resolve=resolve, schemes=schemes)
        except ManifestError as error:
            problems += error.problems
    return accounts, problems


def bind_account(
    spec: AccountSpec,
    endpoints: Mapping[str, Endpoint],
    grants: Collection[str],
    *,
    resolve: Resolver | None = None,
    schemes: Collection[str] | None = None,
) -> Account:
    """Bind one account to its endpoint.

    Args:
        endpoints: registered endpoints by name, those of the manifest included.
        grants: names of the registered grants.
        resolve: follows references; None: they stay as text, and what depends on them goes unchecked.
        schemes: known secret sources; None: not checked.

    Raises:
        SecretMissingError: a reference leads to nothing, and nothing else is wrong.
        ManifestError: anything else, with all problems of the account.
    """
    return _Binding(spec, endpoints, grants, resolve, schemes).account()


class _Binding:
    """One account on its way; problems gather here."""

    def __init__(
        self,
        spec: AccountSpec,
        endpoints: Mapping[str, Endpoint],
        grants: Collection[str],
        resolve: Resolver | None,
        schemes: Collection[str] | None,
    ) -> None:
        self.spec, self.data = spec, spec.data
        self.endpoints, self.grants = endpoints, grants
        self.resolve, self.schemes = resolve, schemes
        self.problems: list[Problem] = []
        self.missing: list[Problem] = []
        self.unresolved: list[SecretRef] = []

    def account(self) -> Account:
        endpoint = self.endpoint()
        if endpoint is None:
            raise ManifestError(self.problems)
        grant = self.grant(endpoint)
        endpoint = endpoint.for_grant(grant)
        account = self.filled(endpoint, grant)
        if not self.problems:  # wrong settings make wrong URLs, and are told already
            unresolved = bool(self.unresolved or self.missing)
            self.problems += check_urls(self.spec, account, unresolved=unresolved)
        self.scopes(endpoint)
        self.client(account)
        if self.problems:
            raise ManifestError(sorted([*self.problems, *self.missing], key=lambda p: (p.line, p.column)))
        if self.missing:
            raise SecretMissingError(self.missing)
        return account

    def report(self, message: str, *steps: str | int, hint: str = "") -> None:
        self.problems.append(self.spec.problem(message, *steps, hint=hint))

    # --- which server ---

    def endpoint(self) -> Endpoint | None:
        said = self.data.get("oauth2_endpoint")
        if isinstance(said, Mapping):
            return self.inline(said)
        if said is None or looks_like_url(said):
            return self.bare(said)
        if "oauth2_token" in self.data:
            hint = (
                "remove it; to change the URL write oauth2_endpoint: {extends: "
                + said
                + ", token: {url: ...}}"
            )
            self.report(
                f"endpoint {shorten(said)} says itself where its tokens come from", "oauth2_token", hint=hint
            )
        self.no_api(f"endpoint {shorten(said)} describes its API itself", said)
        if said not in self.endpoints and said in (self.spec.document.data.get("endpoints") or ()):
            self.report(
                f"endpoint {said} has problems of its own", "oauth2_endpoint", hint="solve those first"
            )
        elif said not in self.endpoints:
            near, document = near_miss(said, self.endpoints), self.spec.document
            file = unread(said, Path(document.file).parent, document.data.get("plugins") or ())
            hint = file or (f"did you mean {near}?" if near else known_words(self.endpoints))
            if not near and not file and "." in said:
                hint = f"an authorization URL begins with https://; {hint}"
            shown = f" {shorten(said)}" if len(said) <= 40 else ""
            self.report(f"no endpoint{shown} is registered", "oauth2_endpoint", hint=hint)
        return self.endpoints.get(said)

    def no_api(self, why: str, name: str) -> None:
        if "api" in self.data:
            hint = "remove it, or write oauth2_endpoint: {extends: " + name + ", api: {...}}"
            self.report(f"{why}; api is for accounts of bare URLs", "api", hint=hint)

    def inline(self, said: Mapping[str, Any]) -> Endpoint | None:
        raw = RawEndpoint(
            name=f"account:{self.spec.name}",  # no registered name has a colon
            spec={**said, "endpoint": f"account:{self.spec.name}"},
            document=self.spec.document,
            pointer=f"{self.spec.pointer}/oauth2_endpoint",
        )
        if "oauth2_token" in self.data:
            self.report(
                "the endpoint written here has its own token URL",
                "oauth2_token",
                hint="write it there: token: {url: ...}",
            )
        self.no_api("the endpoint written here describes its API itself", "...")
        built, problems = build([raw], self.endpoints)
        self.problems += problems or unknown_grants(raw, self.grants)
        return built.get(raw.name)

    def bare(self, authorize: str | None) -> Endpoint | None:
        token = self.data.get("oauth2_token")
        if token is None:
            if authorize is None:
                message = "this account names no server"
                hint = "give oauth2_endpoint: a registered endpoint's name, or a URL (and oauth2_token)"
                self.report(message, hint=f"{hint}; {known_words(self.endpoints)}")
            else:
                message = (
                    "oauth2_endpoint is an authorization URL, and oauth2_token (the token URL) is missing"
                )
                self.report(message, "oauth2_endpoint", hint="add oauth2_token: https://...")
            return None
        spec: dict[str, Any] = {"token": {"url": _literal(token)}, "grants": self.bare_grants(authorize)}
        if authorize is not None:
            spec["authorize"] = {"url": _literal(authorize)}
        api = self.data.get("api", {})
        if api:
            spec["api"] = _literal(api)
        return endpoint_from_spec(spec, name=authorize or token, origin=self.spec.origin)

    def bare_grants(self, authorize: str | None) -> list[str]:
        first = "authorization_code" if authorize is not None else "client_credentials"
        return [first, *(grant for grant in self.grants if grant not in (first, "refresh_token"))]

    # --- how a token is obtained ---

    def grant(self, endpoint: Endpoint) -> str:
        allowed = list(endpoint.grants)
        grant = str(self.data.get("grant", allowed[0]))
        if grant in allowed and grant in self.grants:
            told = endpoint.authorize.url or endpoint.discovery or endpoint.issuer
            if grant == "authorization_code" and not told:
                self.report(
                    "authorization_code needs an authorization URL",
                    "grant",
                    hint="add oauth2_endpoint: https://...",
                )
            if grant == "device_code" and not (endpoint.device or endpoint.discovery or endpoint.issuer):
                hint = "write oauth2_endpoint: {device: {url: ...}, token: {url: ...}, grants: [device_code]}"
                self.report("device_code needs a device authorization URL", "grant", hint=hint)
            return grant
        said = self.data.get("oauth2_endpoint")
        if grant in allowed and isinstance(said, Mapping) and "grants" in said:
            return grant  # told where the endpoint names it
        usable = [g for g in allowed if g in self.grants]
        near = near_miss(grant, usable)
        shown = f" {grant}" if len(grant) <= 40 else ""
        why = (
            f"endpoint {endpoint.name} does not allow the grant{shown}"
            if grant not in allowed
            else f"no plugin knows the grant{shown}"
        )
        if grant not in allowed and grant not in self.grants:
            why = f"there is no grant{shown}"
        hint = f"did you mean {near}?" if near else "allowed here: " + ", ".join(usable) if usable else ""
        if grant not in allowed and grant in self.grants and isinstance(said, Mapping):
            hint = f"add it to grants: of the endpoint; {hint}"
        self.report(why, *(["grant"] if "grant" in self.data else ["oauth2_endpoint"]), hint=hint)
        return grant

    def scopes(self, endpoint: Endpoint) -> None:
        if endpoint.scopes.required and not (scopes_of(self.data) or endpoint.scopes.default):
            known = ", ".join(list(endpoint.scopes.known)[:3])
            hint = f"add scopes: [...], for example {known}" if known else "add scopes: [...]"
            steps = ["scopes"] if "scopes" in self.data else []
            self.report(f"{endpoint.title or endpoint.name} wants at least one scope", *steps, hint=hint)

    # --- who we are there ---

    def client(self, account: Account) -> None:
        self.problems += check_client(self.spec, account)
        self.problems += check_tls(self.spec, account.tls)

    def secret(self, name: str) -> SecretRef | Secret | None:
        if name not in self.data:
            return None
        ref = self.spec.reference(name)
        if ref is None:
            return Secret(self.data[name])
        self.known_scheme(ref)
        return ref

    def proxy(self) -> Secret | None:
        if "proxy" not in self.data:
            return None
        waiting = len(self.unresolved) + len(self.missing) + len(self.problems)
        found = str(self.value(self.data["proxy"], "proxy"))
        if len(self.unresolved) + len(self.missing) + len(self.problems) == waiting:
            self.problems += check_proxy(self.spec, found)
        return Secret(found)

    def others(self) -> Mapping[str, SecretRef | Secret]:
        found = {name: self.secret(name) for name in OTHER_SECRETS}
        return MappingProxyType({name: said for name, said in found.items() if said is not None})

    # --- values ---

    def filled(self, endpoint: Endpoint, grant: str) -> Account:
        data = self.data
        client_auth = data.get("client_auth")
        if client_auth is None and data.get("send_client_data_as_basic_auth_header"):
            client_auth = "client_secret_basic"
        given = {
            name: self.value(value, "settings", name) for name, value in data.get("settings", {}).items()
        }
        unknown = [*(ref.pointer for ref in self.unresolved), *(problem.pointer for problem in self.missing)]
        pending = {pointer.rpartition("/")[2] for pointer in unknown}
        settings, problems = bind_settings(self.spec, endpoint, given, pending, grant=grant)
        self.problems += problems
        return Account(
            name=self.spec.name,
            client_id=text(self.value(data["client_id"], "client_id")) if "client_id" in data else "",
            endpoint=endpoint,
            grant=grant,
            label=data.get("label", ""),
            client_secret=self.secret("client_secret"),
            secrets=self.others(),
            key_id=data.get("key_id", ""),
            signing_alg=data.get("signing_alg", ""),
            claims=MappingProxyType(dict(data.get("assertion_claims", {}))),
            exchange=MappingProxyType(dict(data.get("token_exchange", {}))),
            resources=(said,) if isinstance(said := data.get("resource", ()), str) else tuple(said),
            dpop=data.get("dpop"),
            tls=tls_files(self.spec),
            proxy=self.proxy(),
            scopes=tuple(scopes_of(data)),
            settings=MappingProxyType(settings),
            auto_refresh=data.get("auto_refresh", True),
            redirect_uri=data.get("redirect_uri"),
            client_auth=client_auth,
            basic=data.get("basic"),
            token_params=self.params("token_endpoint_config"),
            authorize_params=self.params("auth_endpoint_config"),
            header_authenticated=data.get("header_authenticated", True),
            foreign_hosts=data.get("foreign_hosts", "without_token"),
            cookies=data.get("cookies", False),
            retry_budget_s=float(data.get("retry_budget", 60.0)),
            origin=self.spec.origin,
            unresolved=tuple(self.unresolved),
        )

    def params(self, key: str) -> tuple[tuple[str, str | Secret], ...]:
        found: list[tuple[str, str | Secret]] = []
        for name, value, place in rows(self.data, key):
            waiting = len(self.unresolved)
            said = text(self.value(value, *place))
            followed = self.spec.reference(*place) is not None and len(self.unresolved) == waiting
            found.append((name, Secret(said) if followed else said))
        return tuple(found)

    def value(self, value: Any, *steps: str | int) -> Any:
        """The value at `steps`, a reference followed if there is a resolver."""
        ref = self.spec.reference(*steps)
        if ref is None:
            return value
        if self.resolve is None:
            self.unresolved.append(ref)
            self.known_scheme(ref)
            return value
        try:
            found = self.resolve(ref)
        except SecretMissingError as error:
            self.missing += error.problems
            return value
        except ManifestError as error:
            self.problems += error.problems
            return value
        if has_control(found) and not self.is_key(steps):
            self.report(
                f"what {ref} leads to holds a control character",
                *steps,
                hint="a line break at its end, perhaps",
            )
        return found

    def is_key(self, steps: tuple[str | int, ...]) -> bool:
        """Whether a setting is the key that signs assertions: PEM has lines, and reaches no header."""
        said = self.data.get("oauth2_endpoint")
        endpoint = self.endpoints.get(said) if isinstance(said, str) else None
        spec = endpoint.spec if endpoint is not None else said if isinstance(said, Mapping) else {}
        signs = [spec.get("jwt", {}).get("key", "")]
        signs += [
            (over or {}).get("jwt", {}).get("key", "")
            for over in (spec["grants"].values() if isinstance(spec.get("grants"), Mapping) else ())
        ]
        return steps[0] == "settings" and str(steps[-1]) in mentioned(signs)

    def known_scheme(self, ref: SecretRef) -> None:
        if self.schemes is not None and ref.scheme not in self.schemes:
            self.problems.append(unknown_scheme(ref, self.schemes))


def _literal(value: Any) -> Any:
    """Braces doubled: an account's own texts are no templates."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, Mapping):
        return {key: _literal(inner) for key, inner in value.items()}
    return [_literal(inner) for inner in value] if isinstance(value, list) else value
