"""An account: one filled-in definition, frozen, with every template it needs ready to be filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.endpoint import Endpoint
from connector.endpointparts import NOTHING, RequestSpec, StepSpec, nothing
from connector.filling import computed, filled
from connector.secret import Secret, SecretRef
from connector.template import fill, fill_first, fill_url, names, origin_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files of an account's own TLS: absolute paths.

    Attributes:
        certificate: our certificate chain, PEM; empty: we show none.
        private_key: its key, PEM; empty: in the same file.
        ca: certificates that servers are checked against instead of the system's; empty: the system's.
    """

    certificate: str = ""
    private_key: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One OAuth2 account as the manifest declares it, with its endpoint.

    Attributes:
        name: what a snap asks for.
        label: for people.
        client_id: RFC 6749 section 2.2; empty for kinds of accounts that have none.
        client_secret: where the secret is (resolved when a token call is built), or, for the sandbox
            only, the secret itself; None for a public client.
        endpoint: URLs and habits of the server, overrides for `grant` applied.
        grant: how a token is obtained.
        scopes: what the person asked for; `scope_text` adds what the endpoint says.
        settings: values for the endpoint's templates, defaults included.
        auto_refresh: renew the access token before it expires; False: an error says when it has.
        redirect_uri: RFC 6749 section 3.1.2; None: one on loopback.
        client_auth, basic: override the endpoint's client authentication; None: as the endpoint says.
        secrets: where the other secrets of the account are: ``private_key``, ``username``, ``password``,
            ``api_key``, ``bearer_token``, ``assertion``, ``subject_token``, ``actor_token``; resolved like
            `client_secret`.
        key_id, signing_alg: of the private key (RFC 7515 section 4.1); empty: none, and what fits the key.
        claims: of the assertion that the JWT bearer grant signs (RFC 7523 section 3), beside the usual ones.
        exchange: parameters of a token exchange (RFC 8693 section 2.1).
        resources: where the token is to be used (RFC 8707).
        dpop: bind tokens to a key of ours (RFC 9449); None: as the endpoint says.
        tls: certificates for TLS with both sides authenticated (RFC 8705), None: none.
        proxy: URL of the proxy that all its calls go through, or ``direct``; None: as the environment says.
        token_params, authorize_params: extra form fields and authorize parameters, in order; those that came
            from a reference are Secrets.
        header_authenticated: put the token on each request; False: the snap places it itself.
        foreign_hosts: ``without_token`` or ``refuse``: what to do with a request to another host.
        cookies: keep the cookies that the API sets.
        retry_budget_s: seconds one request may spend waiting on 429 and 503 in all.
        origin: ``file:line`` of the declaration.
        unresolved: references that still stand as text in client_id, settings or the params, because the
            account was bound without a resolver; bind it again with one before it makes a call.
    """

    name: str
    client_id: str
    endpoint: Endpoint
    grant: str
    label: str = ""
    client_secret: SecretRef | Secret | None = None
    scopes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=nothing, repr=False)  # some endpoints ask for keys
    auto_refresh: bool = True
    redirect_uri: str | None = None
    client_auth: str | None = None
    basic: str | None = None
    secrets: Mapping[str, SecretRef | Secret] = field(default_factory=nothing, repr=False)
    key_id: str = ""
    signing_alg: str = ""
    claims: Mapping[str, Any] = field(default_factory=nothing, repr=False)
    exchange: Mapping[str, str] = field(default_factory=nothing)
    resources: tuple[str, ...] = ()
    dpop: bool | None = None
    tls: TlsFiles | None = None
    proxy: Secret | None = None
    token_params: tuple[tuple[str, str | Secret], ...] = field(default=(), repr=False)
    authorize_params: tuple[tuple[str, str | Secret], ...] = field(default=(), repr=False)
    header_authenticated: bool = True
    foreign_hosts: str = "without_token"
    cookies: bool = False
    retry_budget_s: float = 60.0
    origin: str = ""
    unresolved: tuple[SecretRef, ...] = ()

    @property
    def binds_tokens(self) -> bool:
        """Whether tokens are bound to a key of ours (RFC 9449)."""
        return self.endpoint.dpop if self.dpop is None else self.dpop

    def auth_at(self, spec: RequestSpec) -> str:
        """How the client proves itself at one place of the server.

        The account's own word counts wherever the server is the same as at its token endpoint.
        """
        return spec.auth if spec.auth != self.endpoint.token.auth else self.client_auth or spec.auth

    def names(
        self, captured: Mapping[str, str] = NOTHING, *, also: Mapping[str, str] = NOTHING
    ) -> Mapping[str, str]:
        """Everything a template of the endpoint may name: settings, vars, captured values, the client id.

        Args:
            also: what may be named at that place besides; settings come before it.
        """
        values = {**also, "client_id": self.client_id, **self.settings, **captured}
        for name, how in self.endpoint.vars.items():
            found = computed(how, values)
            if found is not None:
                values[name] = found
        return values

    def lacking(self, captured: Mapping[str, str]) -> tuple[StepSpec, ...]:
        """The calls of ``discover`` still to be made: what they set is neither said nor found yet."""
        known = {**self.settings, **captured}
        return tuple(step for step in self.endpoint.discover if not step.set.keys() <= known.keys())

    @property
    def hidden(self) -> tuple[Secret, ...]:
        """Settings that its endpoint marks as secret."""
        asked = self.endpoint.settings
        return tuple(
            Secret(value)
            for name, value in self.settings.items()
            if asked.get(name, {}).get("x-secret") and value
        )

    def issuer(self) -> str:
        """The issuer identifier of the server (RFC 8414 section 2); empty: it is not declared."""
        return fill_url(self.endpoint.issuer, self.names()) if self.endpoint.issuer else ""

    def redirect_target(self) -> str:
        """Where the server must send a person back, exactly; empty: any free port on loopback will do."""
        declared = self.endpoint.authorize.redirect_uri
        return self.redirect_uri or (fill_first(declared, self.names(), fill_url) if declared else "")

    def token_url(self) -> str:
        """The token endpoint's URL (RFC 6749 section 3.2). Raises TemplateError."""
        return fill_first(self.endpoint.token.url, self.names(), fill_url)

    def refresh_url(self) -> str:
        """Where to renew: the token endpoint's URL unless the endpoint names another."""
        return fill_first(self.endpoint.refresh.request.url, self.names(), fill_url)

    def base_url(self, captured: Mapping[str, str] = NOTHING) -> str:
        """The API's base URL, empty when the endpoint has none. Raises TemplateError."""
        templates = self.endpoint.api.base_url
        return fill_first(templates, self.names(captured), fill_url) if templates else ""

    def hosts(self, captured: Mapping[str, str] = NOTHING) -> frozenset[str]:
        """Hosts the token may be sent to: that of the base URL and those the endpoint lists.

        An account of bare URLs without ``api:`` has only the hosts of its own URLs.
        """
        api = self.endpoint.api
        values = self.names(captured)
        # One whose names are not set is nobody's host yet.
        filled_in = (fill(host, values).lower() for host in api.hosts if all(map(values.get, names(host))))
        listed = [host.removeprefix("https://").partition("/")[0] for host in filled_in]
        base = self.base_url(captured)
        if base:
            return frozenset([origin_of(base), *listed])
        if listed:
            return frozenset(listed)
        urls = [self.endpoint.authorize.url, self.endpoint.token.url]
        urls += [(self.endpoint.discovery or self.endpoint.issuer,)] if not any(urls) else []
        return frozenset(origin_of(fill_first(t, self.names(captured), fill_url)) for t in urls if t)

    def api_headers(self, captured: Mapping[str, str] = NOTHING) -> dict[str, str]:
        """Headers each API request gets unless the snap sets them."""
        return filled(self.endpoint.api.headers, self.names(captured))

    def scope_text(self, *, refreshable: bool) -> str:
        """The scope parameter (RFC 6749 section 3.3); `refreshable`: this grant may yield a refresh token."""
        spec = self.endpoint.scopes
        wanted = (
            [fill(scope, self.names()) for scope in spec.default] if not self.scopes else list(self.scopes)
        )
        if refreshable and self.auto_refresh:
            wanted += [scope for scope in spec.offline if scope not in wanted]
        return spec.separator.join(wanted)
