"""A sample account of an endpoint: every setting, secret and key that its file asks for, made up.

Rules of this room: what is made up is as the file describes it (default, examples, enum, format, pattern);
what a test gives comes before that.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connector.accountspec import AccountSpec
from connector.bind import bind_account
from connector.endpoint import Endpoint
from connector.errors import SecretMissingError
from connector.manifest import Manifest
from connector.opening import Opening
from connector.registry import Registry
from connector.sandbox.persona import STATIC, Subject, sample
from connector.template import names
from connector.yamlfile import Document

NAME = "sample"
CLIENT_ID = "sample client+id"  # holds what forms and Basic headers encode
_SECRETS = {
    "client_secret": "sample+secret/of:the client",
    "username": "person@example.com",
    "password": "pass word+of/the:person",
    "api_key": "api-key-of-the-sample-account",
    "bearer_token": "bearer-token-of-the-sample-account",
    "subject_token": "subject-token-of-the-sample-account",
}
_OF_GRANT = {
    "password": ("username", "password"),
    "basic": ("username", "password"),
    "api_key": ("api_key",),
    "bearer": ("bearer_token",),
    "token_exchange": ("subject_token",),
}
_SIGNS = ("client_secret_jwt", "private_key_jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a test gives instead of what would be made up."""

    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample account, as the host opens it and as its provider knows it."""

    opening: Opening
    subject: Subject


def sampled(
    endpoint: Endpoint, spec: Mapping[str, Any], grant: str, registry: Registry, given: Given
) -> Sample:
    """Make a sample account.

    Args:
        spec: the endpoint's mapping, what it says for the grant merged in.

    Raises ManifestError when the endpoint takes no account with this grant.
    """
    secrets = _secrets(spec, grant, given)
    settings = {**_settings(spec, grant), **given.settings}
    key_pem, keys = _keys(spec, grant)
    if key_pem:
        place = _key_setting(spec)
        (settings if place else secrets)[place or "private_key"] = key_pem
    scopes = given.scopes or _scopes(spec)
    data: dict[str, Any] = {"oauth2_endpoint": endpoint.name, "grant": grant, "settings": {}}
    data["client_id"] = CLIENT_ID
    hidden = dict(secrets)
    for name, value in settings.items():
        setting = spec.get("settings", {}).get(name, {})
        if "default" in setting and name not in given.settings:
            continue
        # Only what is secret is a reference: of one that is not followed yet, URLs cannot be checked.
        secret = setting.get("x-secret") or name == _key_setting(spec)
        hidden |= {f"settings.{name}": value} if secret else {}
        data["settings"][name] = f"${{sample:settings.{name}}}" if secret else _typed(setting, value)
    data |= {name: f"${{sample:{name}}}" for name in secrets}
    if scopes:
        data["scopes"] = list(scopes)
    if grant == "password":
        data["allow_password_grant"] = True
    subject = Subject(
        client_id=CLIENT_ID,
        settings=settings,
        scopes=tuple(scopes),
        secrets={name: value for name, value in secrets.items() if not (keys and name == "private_key")},
        keys=tuple(keys),
    )
    return Sample(opening=_opening(endpoint, data, hidden, registry), subject=subject)


def _opening(
    endpoint: Endpoint, data: dict[str, Any], secrets: Mapping[str, str], registry: Registry
) -> Opening:
    file = f"the sample account of {endpoint.name}"
    document = Document(file=file, data={"accounts": {NAME: data}})
    spec = AccountSpec(name=NAME, data=data, document=document, pointer=f"/accounts/{NAME}")

    def source(ref: str, folder: Path) -> str:
        return secrets[ref]

    found = Registry(
        endpoints=registry.endpoints,
        grants=registry.grants,
        secret_sources={"sample": source},
        snaps=registry.snaps,
        services=registry.services,
    )
    manifest = Manifest(
        path=Path(file), folder=Path(), document=document, store="memory:", accounts={NAME: spec}
    )
    opening = Opening(manifest, found, {**registry.endpoints, endpoint.name: endpoint})
    try:
        opening.accounts[NAME] = bind_account(
            spec, opening.endpoints, found.grants, schemes=found.secret_sources
        )
    except SecretMissingError:  # pragma: no cover  # references are not followed here
        raise
    return opening


# --- settings ---


def _settings(spec: Mapping[str, Any], grant: str) -> dict[str, str]:
    declared = spec.get("settings", {})
    found: dict[str, str] = {}
    told = _told(spec, grant)
    for name, setting in declared.items():
        # What nobody else tells with this grant, the person does.
        if setting.get("x-filled-by", "user") in ("user", "service") or name not in told:
            found[name] = sample(name, setting)
    return {
        name: value for name, value in found.items() if _visible(declared[name], {**found, "grant": grant})
    }


def _told(spec: Mapping[str, Any], grant: str) -> set[str]:
    """The names that redirect, token reply and steps tell."""
    found = set(spec.get("response", {}).get("capture", {})) if grant not in STATIC else set()
    if grant == "authorization_code":
        found |= set(spec.get("authorize", {}).get("callback", {}).get("capture", {}))
    for key in ("exchange", "discover"):
        listed = spec.get(key) or []
        for step in listed if isinstance(listed, list) else [listed]:
            if key == "discover" or grant not in STATIC:
                found |= {*step.get("set", {}), *step.get("response", {}).get("capture", {})}
    return found


def _typed(setting: Mapping[str, Any], value: str) -> Any:
    kind = setting.get("type", "string")
    return int(value) if kind == "integer" else value == "true" if kind == "boolean" else value


def _visible(setting: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    for name, wanted in setting.get("x-visible-when", {}).items():
        choices = [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        if values.get(name, "") not in choices:
            return False
    return True


def _scopes(spec: Mapping[str, Any]) -> tuple[str, ...]:
    scopes = spec.get("scopes", {})
    if scopes.get("default"):
        return ()
    known = [name for name in scopes.get("known", {}) if name not in scopes.get("offline", ())][:2]
    return tuple(known) or (("sample.read", "sample.write") if scopes.get("required") else ())


# --- secrets and keys ---


def _secrets(spec: Mapping[str, Any], grant: str, given: Given) -> dict[str, str]:
    own = {key: value for key, value in spec.items() if key not in ("grants", "settings")}
    asked = {*_OF_GRANT.get(grant, ()), *(set(_SECRETS) & set(_named(own)))} - set(spec.get("settings", {}))
    if "api_key" in asked and grant == "api_key" and _names_none(spec):
        asked.discard("api_key")
    if grant not in (*STATIC, "two_step") and _auth(spec) != "none":
        asked.add("client_secret")
    if _auth(spec) == "private_key_jwt" and "client_secret" not in _named(own):
        asked.discard("client_secret")
    if grant == "two_step" and spec.get("token", {}).get("auth", "none") != "none":
        asked.add("client_secret")
    found = {name: _SECRETS[name] for name in sorted(asked)}
    declared = spec.get("jwt", {})
    shared = str(declared.get("alg", "")).startswith("HS")
    for name in names(declared.get("key", "{private_key}")) if shared else ():
        if name in found or name == "private_key":
            found[name] = _encoded(declared.get("key_encoding", "text"))
    return {**found, **given.secrets}


def _names_none(spec: Mapping[str, Any]) -> bool:
    """Whether the API is shown no key of this name."""
    api = spec.get("api", {})
    names_it = "api_key" in _named(api) or "access_token" in _named(api)
    return (api.get("token", {}).get("in") == "none" or "basic" in api) and not names_it


def _encoded(encoding: str) -> str:
    raw = bytes(range(40))
    if encoding == "hex":
        return raw.hex()
    return base64.b64encode(raw).decode() if encoding == "base64" else "a shared key of forty characters ...."


def _auth(spec: Mapping[str, Any]) -> str:
    return str(spec.get("token", {}).get("auth", "client_secret_post"))


def _named(value: Any) -> Iterator[str]:
    """Every name that a template of the file asks for."""
    if isinstance(value, str):
        try:
            yield from names(value)
        except ValueError:
            return
    elif isinstance(value, (Mapping, list)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _named(inner)


def _key_setting(spec: Mapping[str, Any]) -> str:
    """The setting that holds the private key, where the file says so; empty: the account's own field."""
    asked = list(names(spec.get("jwt", {}).get("key", "")))
    return asked[0] if len(asked) == 1 and asked[0] in spec.get("settings", {}) else ""


def _keys(spec: Mapping[str, Any], grant: str) -> tuple[str, list[dict[str, Any]]]:
    declared = spec.get("jwt", {})
    alg = str(declared.get("alg", ""))
    own = {key: value for key, value in spec.items() if key != "grants"}
    signs = grant in ("jwt_bearer", "signed_jwt") or "jwt" in set(_named(own))
    if _auth(spec) == "private_key_jwt" or (signs and not alg.startswith("HS")):
        return _key(alg or "RS256")
    return "", []


@functools.cache
def _key(alg: str) -> tuple[str, list[dict[str, Any]]]:
    private: Any
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    algorithm: Any
    if alg in curves:
        private, algorithm = ec.generate_private_key(curves[alg]), jwt.algorithms.ECAlgorithm
    elif alg == "EdDSA":
        private, algorithm = ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm
    else:
        private, algorithm = rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, [json.loads(algorithm.to_jwk(private.public_key()))]
