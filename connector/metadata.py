"""A server's own description of itself: where it is, and an account with the URLs that it tells.

RFC 8414 (OAuth 2.0 Authorization Server Metadata) and OpenID Connect Discovery 1.0. Rules of this room: no
network; what an endpoint file declares is never replaced by what a server says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from connector.account import Account
from connector.clientauth import CLIENT_AUTHENTICATION, WITH_CERTIFICATE
from connector.endpoint import Endpoint
from connector.endpointparts import RequestSpec
from connector.errors import NotAuthorizedError
from connector.reading import cleaned
from connector.template import TemplateError, check_url, fill_url

_WELL_KNOWN = "/.well-known/"
_OAUTH, _OPENID = "oauth-authorization-server", "openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where metadata may be found, and whose it must be.

    Attributes:
        urls: to be tried in this order.
        issuer: what the metadata must say (RFC 8414 section 3.3); empty: whoever is found there.
        derived: that was concluded from the address, in which a slash at the issuer's end does not show.
    """

    urls: tuple[str, ...]
    issuer: str
    derived: bool = False

    def admits(self, issuer: str) -> bool:
        """Whether metadata of this issuer may be found here."""
        return self.issuer in ("", issuer, *([issuer.removesuffix("/")] if self.derived else []))


def place_of(account: Account) -> Place | None:
    """Where the metadata of an account's server is; None: its endpoint declares all there is."""
    endpoint = account.endpoint
    template = endpoint.discovery or (endpoint.issuer if not endpoint.token.url else "")
    if not template:
        return None
    url = fill_url(template, account.names())
    if _WELL_KNOWN not in url:
        return Place(urls=well_known(url), issuer=account.issuer() or url)
    declared = account.issuer()
    return Place(urls=(url,), issuer=declared or _issuer_behind(url), derived=not declared)


def well_known(issuer: str) -> tuple[str, ...]:
    """RFC 8414 section 3.1 puts the well-known part before the issuer's path, OpenID Connect after it."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = (f"{origin}{_WELL_KNOWN}{_OAUTH}{path}", f"{origin}{path}{_WELL_KNOWN}{_OPENID}")
    return (*found, f"{origin}{path}{_WELL_KNOWN}{_OAUTH}") if path else found


def _issuer_behind(url: str) -> str:
    before, _, after = url.partition(_WELL_KNOWN)
    name, slash, path = after.partition("/")
    return before + slash + path if name in (_OAUTH, _OPENID) else ""


def completed(account: Account, metadata: Mapping[str, Any], place: Place) -> Account:
    """The account with what its server tells. Raises NotAuthorizedError for what no login can cure."""
    issuer = metadata.get("issuer")
    if not isinstance(issuer, str) or not place.admits(issuer):
        raise _refused(
            account,
            "issuer_mismatch",
            f"the metadata is that of {cleaned(str(issuer))!r}, and {place.issuer!r} was asked",
            "write the issuer exactly as the server does (RFC 8414 section 3.3)",
        )
    return replace(account, endpoint=_Completion(account, metadata).endpoint(issuer))


def _refused(account: Account, code: str, reason: str, resolution: str) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"the server's description of itself does not fit account {account.name!r}",
        account=account.name,
        code=code,
        reason=reason,
        resolution=resolution,
    )


class _Completion:
    """One endpoint and the metadata it is completed with."""

    def __init__(self, account: Account, metadata: Mapping[str, Any]) -> None:
        self._account, self._metadata = account, metadata
        aliases = metadata.get("mtls_endpoint_aliases")
        # Also who only wants tokens bound to its certificate calls them (RFC 8705 section 5).
        ways = {account.client_auth, account.endpoint.token.auth}
        mtls = bool(ways & WITH_CERTIFICATE or (account.tls and account.tls.certificate))
        self._aliases = aliases if mtls and isinstance(aliases, Mapping) else {}

    def endpoint(self, issuer: str) -> Endpoint:
        own = self._account.endpoint
        token = self._request(own.token, "token_endpoint")
        if "auth" not in own.spec.get("token", {}):
            token = replace(token, auth=self._auth(token.auth))
        iss = self._metadata.get("authorization_response_iss_parameter_supported") is True
        asks_par = self._metadata.get("require_pushed_authorization_requests") is True
        return replace(
            own,
            issuer=_literal(issuer),
            authorize=replace(
                own.authorize,
                url=own.authorize.url or self._url("authorization_endpoint", direct=False),
                iss=own.authorize.iss or iss,
            ),
            token=token,
            refresh=replace(own.refresh, request=self._refresh(own, token)),
            device=self._place(own.device, "device_authorization_endpoint", token),
            par=self._place(own.par, "pushed_authorization_request_endpoint", token)
            if own.par or asks_par
            else None,
            revoke=self._place(own.revoke, "revocation_endpoint", token),
            introspect=self._place(own.introspect, "introspection_endpoint", token),
            userinfo=self._place(own.userinfo, "userinfo_endpoint", token),
        )

    def _refresh(self, own: Endpoint, token: RequestSpec) -> RequestSpec:
        same = own.refresh.request.auth == own.token.auth
        spec = own.refresh.request
        return replace(spec, url=spec.url or token.url, auth=token.auth if same else spec.auth)

    def _place(self, spec: RequestSpec | None, name: str, token: RequestSpec) -> RequestSpec | None:
        if spec is not None and spec.url:
            return spec
        url = self._url(name)
        if not url:
            return spec
        same = spec is None or spec.auth == self._account.endpoint.token.auth
        base = spec or RequestSpec(basic=token.basic)
        return replace(base, url=url, auth=token.auth if same else base.auth)

    def _request(self, spec: RequestSpec, name: str) -> RequestSpec:
        url = spec.url or self._url(name)
        if not url:
            reason = f"it names no {name} (RFC 8414 section 2)"
            raise _refused(self._account, "bad_metadata", reason, "declare the URL in the endpoint")
        return replace(spec, url=url)

    def _url(self, name: str, *, direct: bool = True) -> tuple[str, ...]:
        alias = self._aliases.get(name) if direct else None  # a browser shows no certificate of ours
        found = alias if isinstance(alias, str) else self._metadata.get(name)
        if not isinstance(found, str):
            return ()
        try:
            return (_literal(check_url(found)),)
        except TemplateError as error:
            reason = f"its {name} is no URL that a secret may travel to: {error}"
        raise _refused(self._account, "bad_metadata", reason, "tell whoever runs the server")

    def _auth(self, otherwise: str) -> str:
        """How the client proves itself where neither file nor account says it."""
        # RFC 8414 section 2: client_secret_basic when it is left out.
        known = self._metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if not isinstance(known, list):
            return otherwise
        if "private_key" in self._account.secrets and "private_key_jwt" in known:
            return "private_key_jwt"
        with_secret = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
        wanted = ("none",) if self._account.client_secret is None else with_secret
        return next((m for m in wanted if m in known and m in CLIENT_AUTHENTICATION), otherwise)


def _literal(url: str) -> str:
    """Braces doubled: a server's own words are no templates."""
    return url.replace("{", "{{").replace("}", "}}")
