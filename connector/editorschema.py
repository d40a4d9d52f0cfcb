"""One JSON Schema of all that a person writes, for editors: manifests and endpoint files, with the names,
settings and options of everything that is installed.

Rules of this room: one file, nothing to fetch, no ``$id`` inside; built of our own schemas, so that what
they say is said once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from connector.check import NAMES, schema
from connector.editorparts import Schema, choice, must_be_given, options_schema, settings_of
from connector.endpoint import Endpoint
from connector.registry import Registry

ID = "urn:connector:schema:bundle:1"
_ANEW = "If it is new, write this schema anew: connector schema --bundle."


def editor_schema(found: Registry, accounts: Iterable[str] = ()) -> Schema:
    """The schema of manifests, and of endpoint files: those that have a key ``schema`` or ``endpoint``.

    Args:
        found: what is installed; `Registry.endpoints` with those of the manifest.
        accounts: names of the manifest's accounts, which its steps may name.
    """
    defs: dict[str, Any] = {}
    for name in NAMES:
        flat = _flat(copy.deepcopy(dict(schema(name))), name)
        defs |= {f"{name}.{inner}": said for inner, said in flat.pop("$defs", {}).items()}
        defs[name] = {key: said for key, said in flat.items() if key not in ("$schema", "$id")}
    _extending(defs)
    _endpoints(defs, found)
    _account(defs["account"], defs, found)
    _manifest(defs["manifest"], found)
    _snaps(defs["manifest.snap"], defs, found, sorted(accounts))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Connector",
        "if": {"anyOf": [{"required": ["schema"]}, {"required": ["endpoint"]}]},
        "then": {"$ref": "#/$defs/endpoint"},
        "else": {"$ref": "#/$defs/manifest"},
        "$defs": defs,
    }


def _flat(value: Any, name: str) -> Any:
    """A schema whose references all lead into the one that holds it."""
    if isinstance(value, list):
        return [_flat(each, name) for each in value]
    if not isinstance(value, dict):
        return value
    said = {key: _flat(each, name) for key, each in value.items()}
    if isinstance(target := said.get("$ref"), str):
        said["$ref"] = _target(target, name)
    return said


def _target(target: str, name: str) -> str:
    for other in NAMES:
        if target.startswith(f"urn:connector:schema:{other}:1"):
            name, target = other, target.partition(":1")[2]
    return f"#/$defs/{name}" + (f".{target.removeprefix('#/$defs/')}" if target else "")


def _extending(defs: dict[str, Any]) -> None:
    """Beside ``extends`` a null removes what the base says, whatever its kind."""
    names = [name for name in defs if name.startswith("endpoint.")]
    for name in names:
        defs[name.replace("endpoint.", "extending.", 1)] = _nullable(copy.deepcopy(defs[name]))
    whole = {"$ref": "#/$defs/endpoint.own"}
    defs["endpoint.own"] = defs["endpoint.inline"]
    defs["extending.own"] = defs["extending.inline"]
    defs["endpoint.inline"] = {
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/extending.own"},
        "else": whole,
    }
    del defs["extending.inline"]


def _nullable(said: Any, *, inside: str = "") -> Any:
    if isinstance(said, list):
        return [_nullable(each) for each in said]
    if not isinstance(said, dict):
        return said
    if inside in ("properties", "patternProperties"):
        return {key: _or_null(each) for key, each in said.items()}
    if inside == "additionalProperties":
        return _or_null(said)
    made = {key: _nullable(each, inside=key) for key, each in said.items() if key != "$ref"}
    if "$ref" in said:
        made["$ref"] = said["$ref"].replace("/endpoint.", "/extending.", 1)
    return made


def _or_null(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    told = {key: said[key] for key in ("title", "description") if key in said}
    return {**told, "anyOf": [_nullable(said), {"type": "null"}]}


def _endpoints(defs: dict[str, Any], found: Registry) -> None:
    names = {name: _about(endpoint) for name, endpoint in sorted(found.endpoints.items())}
    wrong = f"No endpoint of this name is installed. {_ANEW}"
    defs["endpoint.name-of-one"] = choice(names, wrong=wrong)
    for kind in ("endpoint", "extending"):
        # Any other name may be declared in this very file.
        said = defs[f"{kind}.own"]["properties"]["extends"]
        told = {key: said[key] for key in ("title", "description") if key in said}
        anything = {"$ref": "#/$defs/endpoint.id"}
        defs[f"{kind}.own"]["properties"]["extends"] = {
            **told,
            "anyOf": [{"$ref": "#/$defs/endpoint.name-of-one"}, anything],
        }


def _about(endpoint: Endpoint) -> str:
    said = str(endpoint.spec.get("description", ""))
    return "\n\n".join(part for part in (endpoint.title, said, endpoint.docs) if part)


def _account(account: Schema, defs: dict[str, Any], found: Registry) -> None:
    properties = account["properties"]
    said = properties["oauth2_endpoint"]
    properties["oauth2_endpoint"] = {
        **{key: said[key] for key in ("title", "description")},
        # For suggestions: what is right is said below.
        "anyOf": [{"$ref": "#/$defs/endpoint.name-of-one"}, {}],
        "if": {"type": "object"},
        "then": {"$ref": "#/$defs/endpoint.inline"},
        "else": {
            "if": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*://"},
            "else": {"$ref": "#/$defs/endpoint.name-of-one"},
        },
    }
    secrets = [f"${{{scheme}:NAME}}" for scheme in sorted(found.secret_sources)]
    properties["client_secret"]["examples"] = secrets
    grant = properties["grant"]
    properties["grant"] = {"title": grant["title"], "description": grant["description"]}
    settings = properties["settings"].pop("additionalProperties")
    names = sorted(found.endpoints)
    account["allOf"] = [
        *(_for_endpoint(name, found, defs) for name in names),
        {
            "if": _where("oauth2_endpoint", {"enum": names}),
            "else": {
                "properties": {
                    "settings": {"additionalProperties": settings},
                    "grant": choice(_grants(found), wrong=f"No such grant is installed. {_ANEW}"),
                }
            },
        },
    ]


def _where(key: str, said: Schema) -> Schema:
    return {"required": [key], "properties": {key: said}}


def _grants(found: Registry) -> dict[str, str]:
    return dict.fromkeys(sorted(found.grants), "")


def _for_endpoint(name: str, found: Registry, defs: dict[str, Any]) -> Schema:
    """What an endpoint says of the accounts that name it."""
    endpoint = found.endpoints[name]
    defs[f"settings.{name}"] = settings_of(endpoint)
    grants = dict.fromkeys(endpoint.grants or _grants(found), "")
    wrong = f"{name} allows {', '.join(grants)}."
    then: Schema = {
        "properties": {
            "settings": {"$ref": f"#/$defs/settings.{name}"},
            "grant": choice(grants, wrong=wrong),
        }
    }
    if endpoint.scopes.known:
        known = {scope: str(told) for scope, told in endpoint.scopes.known.items()}
        then["properties"]["scopes"] = {
            "items": {"anyOf": [choice(known), {"$ref": "#/$defs/account.scope"}]},
        }
    if must_be_given(endpoint):
        then["required"] = ["settings"]
    return {"if": _where("oauth2_endpoint", {"const": name}), "then": then}


def _manifest(manifest: Schema, found: Registry) -> None:
    manifest["properties"]["store"]["examples"] = [
        f"{scheme}:///tokens.db" if scheme == "sqlite" else f"{scheme}://" for scheme in sorted(found.stores)
    ]


def _snaps(step: Schema, defs: dict[str, Any], found: Registry, accounts: list[str]) -> None:
    names = {name: snap.summary for name, snap in sorted(found.snaps.items())}
    said = step["properties"]["snap"]
    told = {key: said[key] for key in ("title", "description")}
    step["properties"]["snap"] = {
        **told,
        **choice(names, wrong=f"No snap of this name is installed. {_ANEW}"),
    }
    if accounts:
        # Others may have been declared since.
        account = step["properties"]["account"]
        step["properties"]["account"] = {**account, "anyOf": [{"enum": accounts}, {"type": "string"}]}
    step["allOf"] = []
    for name, snap in sorted(found.snaps.items()):
        options = defs[f"with.{name}"] = options_schema(snap)
        then: Schema = {"properties": {"with": {"$ref": f"#/$defs/with.{name}"}}}
        if "required" in options:
            then["required"] = ["with"]
        step["allOf"].append({"if": _where("snap", {"const": name}), "then": then})
