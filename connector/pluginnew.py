"""`connector plugin new`: an endpoint file to fill in, or a distribution around one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from connector.clientauth import CLIENT_AUTHENTICATION
from connector.console import command, say
from connector.effects import NoReply
from connector.errors import ConnectorError
from connector.metadata import well_known
from connector.post import Poster
from connector.reading import parse
from connector.registry import collect
from connector.skeletons import Names, Told, distribution, endpoint_file
from connector.template import TemplateError, check_url
from connector.tokenrequest import TokenRequest

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")
_METADATA = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "device": "device_authorization_endpoint",
    "par": "pushed_authorization_request_endpoint",
    "revoke": "revocation_endpoint",
    "introspect": "introspection_endpoint",
    "userinfo": "userinfo_endpoint",
}
_URN = "urn:ietf:params:oauth:grant-type:"
_GRANTS = {
    "authorization_code": "authorization_code",
    "client_credentials": "client_credentials",
    f"{_URN}device_code": "device_code",
    f"{_URN}jwt-bearer": "jwt_bearer",
    f"{_URN}token-exchange": "token_exchange",
    "refresh_token": "refresh_token",
}


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option("--package", is_flag=True, help="A distribution with entry point, hooks and tests.")
@click.option("--endpoint-only", is_flag=True, help="One YAML file (the default).")
@click.option(
    "--dir",
    "folder",
    metavar="FOLDER",
    default=".",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write it.",
)
@click.option(
    "--from-discovery", "url", metavar="URL", help="Fill in what the server at this issuer tells (RFC 8414)."
)
@command
def new(name: str, package: bool, endpoint_only: bool, folder: Path, url: str | None) -> None:
    """Begin a plugin: an endpoint as one commented YAML file, or a distribution that brings it.

    NAME is what accounts will say in oauth2_endpoint. Nothing that is there is written over.
    """
    if package and endpoint_only:
        raise click.UsageError("--package and --endpoint-only are two different things")
    _judge(name)
    told = _discovered(url) if url else None
    if package:
        made = _package(folder, Names.of(name), told)
        say(f"wrote {made}: next, pip install -e '{made}[dev]', and see its README.md")
        return
    file = folder / f"{name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    _write(file, endpoint_file(name, file.name, told))
    say(f"wrote {file}: fill it in, then: connector plugin check {file}")


def _judge(name: str) -> None:
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9_.-]+", "-", name.strip().lower()).strip("-_.")
        hint = f"; for example {near}" if _NAME.fullmatch(near) else ""
        raise click.BadParameter(
            "a name is up to 64 lower-case letters, digits, '_', '.' and '-', with a letter or digit at each"
            f" end{hint}",
            param_hint="NAME",
        )
    found = collect()
    if name in found.endpoints:
        raise ConnectorError(
            f"there is an endpoint {name} already, from {found.owners.get(f'endpoint {name}', 'a plugin')}",
            code="duplicate",
            resolution=f"choose another name; its file may say `extends: {name}`",
        )


def _write(file: Path, text: str) -> None:
    try:
        # O_EXCL: neither a file nor a link that somebody put there is ever written through.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise _there(file) from None
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _there(path: Path) -> ConnectorError:
    return ConnectorError(
        f"{path} is there already, and stays as it is",
        code="file_exists",
        resolution="choose another name or --dir",
    )


def _package(folder: Path, names: Names, told: Told | None) -> Path:
    made = folder / names.distribution
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made.mkdir()
    except FileExistsError:
        raise _there(made) from None
    try:
        for path, text in distribution(names, told).items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, text)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)  # half a distribution is none
        raise
    return made


# --- what a server tells ---


def _discovered(url: str) -> Told:
    try:
        check_url(url)
    except TemplateError as error:
        raise click.BadParameter(f"{error}; write the issuer's URL", param_hint="--from-discovery") from None
    places = (url,) if "/.well-known/" in url else well_known(url)
    words = ""
    for place in places:
        headers = (("Accept", "application/json"),)
        reply = Poster().post(TokenRequest(method="GET", url=place, headers=headers, body=b""))
        if isinstance(reply, NoReply):
            words = reply.words
            continue
        data = parse(reply.body, reply.headers.get("content-type", ""), "json")
        if reply.status == 200 and isinstance(data, Mapping):
            return _told(data, url)
        words = f"HTTP {reply.status}" if reply.status != 200 else "the answer is not a JSON object"
    raise ConnectorError(
        f"the server at {url} does not describe itself",
        code="discovery_failed",
        reason=words,
        resolution="leave --from-discovery out and take the URLs from the vendor's documentation",
    )


def _told(data: Mapping[str, Any], url: str) -> Told:
    urls = {key: found for key, name in _METADATA.items() if (found := _url(data.get(name)))}
    if data.get("require_pushed_authorization_requests") is not True:
        urls.pop("par", None)  # declared, it would be used
    if "token" not in urls:
        raise ConnectorError(
            f"the server at {url} names no token URL that a secret may travel to",
            code="bad_metadata",
            reason="token_endpoint is missing, no URL, or not https (RFC 8414 section 2)",
            resolution="leave --from-discovery out and take the URLs from the vendor's documentation",
        )
    # RFC 8414 section 2: what holds where these are left out.
    ways = _texts(data, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    grants = [_GRANTS[grant] for grant in _texts(data, "grant_types_supported") if grant in _GRANTS]
    order = list(_GRANTS.values())
    issuer = _url(data.get("issuer")) or url
    return Told(
        urls=urls,
        auth=next((way for way in ways if way in CLIENT_AUTHENTICATION), "client_secret_basic"),
        grants=tuple(
            sorted((g for g in grants if g != "refresh_token" or len(grants) == 1), key=order.index)
        ),
        scopes=tuple(scope for scope in _texts(data, "scopes_supported")[:100] if scope),
        issuer=issuer,
        iss=data.get("authorization_response_iss_parameter_supported") is True,
        base_url=issuer.rstrip("/"),
    )


def _url(said: Any) -> str:
    try:
        return check_url(said) if isinstance(said, str) else ""
    except TemplateError:
        return ""


def _texts(data: Mapping[str, Any], name: str) -> list[str]:
    said = data.get(name)
    texts = said if isinstance(said, list) else []
    return [each for each in texts if isinstance(each, str) and each.isprintable()]
