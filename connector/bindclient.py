"""Whether an account has what its grant and its client authentication need, and keeps it where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connector.account import Account, TlsFiles
from connector.accountspec import AccountSpec
from connector.clientauth import WITH_CERTIFICATE, WITH_SECRET
from connector.errors import Problem
from connector.filling import mentioned
from connector.othergrants import WITHOUT_CLIENT
from connector.route import misread
from connector.secret import Secret
from connector.urlcheck import on_loopback


def check_client(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    """Everything wrong with how the client proves itself, and what its grant shows."""
    yield from _client_id(spec, account)
    yield from _basic(spec)
    if account.grant not in WITHOUT_CLIENT:
        yield from _authentication(spec, account)
    yield from _grant(spec, account)
    yield from _out_of_place(spec, account)
    yield from _resources(spec, account)
    yield from _literals(spec, account)


def _client_id(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    if "client_id" in spec.data or account.grant in WITHOUT_CLIENT:
        return
    auth = account.client_auth or account.endpoint.token.auth
    if account.grant in ("jwt_bearer", "password") and auth == "none":
        return  # the assertion, or the person, says who asks
    yield spec.problem(f"{spec.name} has no client_id", hint="add client_id: ... (Client ID)")


def _basic(spec: AccountSpec) -> Iterator[Problem]:
    basic = spec.data.get("send_client_data_as_basic_auth_header", False)
    if basic and spec.data.get("client_auth", "client_secret_basic") != "client_secret_basic":
        message = "send_client_data_as_basic_auth_header says client_secret_basic, and this says otherwise"
        yield spec.problem(message, "client_auth", hint="keep one of the two")


def _authentication(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    endpoint = account.endpoint
    auth = account.client_auth or endpoint.token.auth
    told = account.client_auth or "auth" in endpoint.spec.get("token", {})
    if not told and (endpoint.discovery or endpoint.issuer):
        return  # the server's metadata says which way it takes
    if auth in WITH_SECRET and account.client_secret is None:
        hint = (
            f"add client_secret: {_variable(spec, 'CLIENT_SECRET')}; a public client says client_auth: none"
        )
        if "private_key" in account.secrets:
            hint = "with a private key, say client_auth: private_key_jwt"
        yield spec.problem(f"{spec.name} has no client_secret, and {auth} needs one", hint=hint)
    if auth == "private_key_jwt" and "private_key" not in account.secrets:
        hint = "add private_key: ${file:/path/of/key.pem}"
        yield spec.problem(f"{spec.name} has no private_key, and {auth} needs one", hint=hint)
    if auth in WITH_CERTIFICATE and not (account.tls and account.tls.certificate):
        hint = "add tls: {certificate: client.pem, private_key: client.key}"
        yield spec.problem(f"{spec.name} has no certificate, and {auth} needs one", hint=hint)


def _grant(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    if account.grant == "password":
        if not spec.data.get("allow_password_grant", False):
            message = "the password grant is deprecated, and RFC 9700 section 2.4 forbids it"
            hint = "authorization_code and device_code ask the person; "
            hint += "where the server has neither, say allow_password_grant: true"
            yield spec.problem(message, *(["grant"] if "grant" in spec.data else []), hint=hint)
        for name in ("username", "password"):
            if name not in account.secrets:
                hint = f"add {name}: {_variable(spec, name.upper())}"
                yield spec.problem(f"{spec.name} has no {name}, and the password grant shows one", hint=hint)
    yield from _other_kinds(spec, account)
    signs = account.grant == "jwt_bearer" and not (account.endpoint.jwt and account.endpoint.jwt.key)
    if signs and not {"private_key", "assertion"} & set(account.secrets):
        hint = "add private_key: ${file:/path/of/key.pem}, or assertion: ${file:...} for one made elsewhere"
        yield spec.problem(f"{spec.name} has nothing to sign an assertion with", hint=hint)
    if account.grant == "token_exchange" and "subject_token" not in account.secrets:
        hint = "add subject_token: ${file:/path/of/token}"
        yield spec.problem(f"{spec.name} has no subject_token to exchange", hint=hint)


def _other_kinds(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    api, grant = account.endpoint.api, account.grant
    known = {*account.secrets, *account.settings, *account.endpoint.settings}
    wanted: tuple[str, ...] = ()
    if grant == "api_key" and api.token_in != "none" and api.basic is None:
        wanted = ("api_key",)
    elif grant == "basic" and api.basic is None:
        wanted = ("username", "password")
    elif grant == "signed_jwt" and not (account.endpoint.jwt and account.endpoint.jwt.key):
        wanted = ("private_key",)
    named = [name for name in ("api_key", "username", "password") if _names(account, name)]
    for name in dict.fromkeys((*wanted, *(named if grant in WITHOUT_CLIENT else ()))):
        if name not in known:
            yield spec.problem(
                f"{spec.name} has no {name}", hint=f"add {name}: {_variable(spec, name.upper())}"
            )


def _names(account: Account, name: str) -> bool:
    """Whether a template of the endpoint names one of the account's secrets."""
    spec = account.endpoint.spec
    parts = [spec.get(key, {}) for key in ("token", "refresh", "exchange", "discover", "test", "api", "jwt")]
    return name in mentioned(parts)


# What only some grants read.
_OF_GRANT = {
    "username": ("password", "basic"),
    "password": ("password", "basic"),
    "allow_password_grant": ("password",),
    "api_key": ("api_key",),
    "bearer_token": ("bearer",),
    "assertion": ("jwt_bearer",),
    "assertion_claims": ("jwt_bearer", "signed_jwt"),
    "subject_token": ("token_exchange",),
    "actor_token": ("token_exchange",),
    "token_exchange": ("token_exchange",),
}


def _out_of_place(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    if account.endpoint.hooks is not None:
        return  # hooks may name any of the account's secrets
    for name, grants in _OF_GRANT.items():
        if name in spec.data and account.grant not in grants and not _names(account, name):
            message = f"{name} belongs to grant: {grants[0]}, and this account's grant is {account.grant}"
            yield spec.problem(message, name, hint=f"remove it, or say grant: {grants[0]}", key=True)


def _variable(spec: AccountSpec, what: str) -> str:
    name = "".join(c if c.isalnum() else "_" for c in spec.name.upper())
    return f"${{env:{name}_{what}}}"


def _resources(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    several = isinstance(spec.data.get("resource"), list)
    for index, resource in enumerate(account.resources):
        # RFC 8707 section 2: an absolute URI without a fragment. Some servers use URNs.
        if ":" not in resource or "#" in resource or " " in resource:
            place = ("resource", index) if several else ("resource",)
            yield spec.problem("a resource is an absolute URI without a fragment (RFC 8707)", *place)


def _literals(spec: AccountSpec, account: Account) -> Iterator[Problem]:
    """Secrets written down where anybody reads them; the sandbox's protect nothing."""
    given = {"client_secret": account.client_secret, **account.secrets}
    found = [name for name, said in given.items() if isinstance(said, Secret) and name != "username"]
    places: list[tuple[str, ...]] = [(name,) for name in found]
    for name in spec.data.get("settings", {}):
        secret = account.endpoint.settings.get(name, {}).get("x-secret")
        if secret and spec.reference("settings", name) is None:
            places.append(("settings", name))
    if places and not on_loopback(account):
        hint = "write ${env:NAME} or ${file:path}, and put the secret there"
        for place in places:
            yield spec.problem("a secret may not stand in the manifest itself", *place, hint=hint)


def check_proxy(spec: AccountSpec, proxy: str) -> Iterator[Problem]:
    """A proxy that is none, and a password that stands in the manifest."""
    if wrong := misread(proxy):
        what = "what it leads to is no proxy" if spec.reference("proxy") else "that is no proxy"
        hint = "write http://host:port, https://host:port, socks5://host:port, or direct"
        yield spec.problem(f"{what}: {wrong}", "proxy", hint=hint)
    elif spec.reference("proxy") is None and "@" in proxy:
        hint = "take the whole URL from elsewhere: proxy: ${env:EGRESS_PROXY}"
        yield spec.problem("user and password of a proxy do not belong into the manifest", "proxy", hint=hint)


def tls_files(spec: AccountSpec) -> TlsFiles | None:
    """The files of an account's own TLS, relative ones from the manifest's folder."""
    said = spec.data.get("tls")
    if not said:
        return None
    folder = Path(spec.document.file).expanduser().absolute().parent
    return TlsFiles(**{name: str(folder / Path(path).expanduser()) for name, path in said.items()})


def check_tls(spec: AccountSpec, tls: TlsFiles | None) -> Iterator[Problem]:
    """Files that are not there; what is in them shows when they are used."""
    for name in ("certificate", "private_key", "ca"):
        path = getattr(tls, name, "")
        if path and not Path(path).is_file():
            hint = "relative paths start at the manifest's folder"
            yield spec.problem("there is no such file", "tls", name, hint=hint)
