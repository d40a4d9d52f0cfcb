"""What `connector plugin new` writes: an endpoint file with comments, or a distribution around one.

Rules of this room: texts only. What is written is right as it stands: `connector check` has nothing to say
about it, and the tests of the distribution pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a server tells of itself (RFC 8414), as far as an endpoint file says it.

    Attributes:
        urls: ``authorize``, ``token``, ``device``, ``par``, ``revoke``, ``introspect``, ``userinfo`` -> URL.
        auth: client authentication at the token URL.
        grants: those that we know as well.
        scopes: their names.
        issuer: who answers.
        iss: whether redirects say who answers (RFC 9207).
    """

    urls: Mapping[str, str]
    auth: str = "client_secret_basic"
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    issuer: str = ""
    iss: bool = False
    base_url: str = ""


_HEAD = """\
# yaml-language-server: $schema=.connector/schema.json
# (Your editor explains and completes each key, once you have run
#  `connector schema --bundle -o .connector/schema.json` here.)
#
# {title} as an OAuth2 endpoint. Fill in what the vendor's documentation says, remove what does not
# apply, then
#     connector plugin check {file}
# What each key means: docs/endpoint-schema.md. There is no expression language: {{name}} is filled from
# settings, and anything a few lines of YAML cannot say is for Python hooks (docs/plugins.md).
schema: 1
endpoint: {name} # what an account says in oauth2_endpoint
title: {title}
"""
_GUESSED = """\
docs: https://developer.example.com/oauth # the page that all this was taken from, for the next who reads it
# What an account must say beyond client id and secret. Each may have: default, enum, pattern, description.
settings:
  host: {title: Host, format: hostname, examples: [acme.example.com]}
# Ways to a token, the usual one first: authorization_code, device_code, client_credentials, jwt_bearer, ...
grants: [authorization_code, client_credentials]
# Where a person consents. PKCE is on unless you say `pkce: none`.
authorize:
  url: https://{host}/oauth/authorize
  # params: {access_type: offline} # what this server wants beside the standard parameters
# Where tokens come from, and how the client proves itself there: client_secret_post,
# client_secret_basic, none, ...
token:
  url: https://{host}/oauth/token
  auth: client_secret_post
  # body: json # instead of a form
# Whether a renewal brings a new refresh token and ends the old one: never, maybe, always.
refresh: {rotates: maybe}
scopes:
  # Asked for when the account names none, and those that bring a refresh token.
  default: []
  # offline: [offline_access]
  # Suggestions for editors and forms.
  known: {}
# Where tokens are ended when a person logs out.
# revoke: {url: "https://{host}/oauth/revoke"}
# Where things are in a token reply that is not as RFC 6749 has it (JSON pointers).
# response: {access_token: /data/token, expires_in: /data/ttl, lifetime: 3600}
# The API behind it. The token goes to these hosts and nowhere else.
api:
  base_url: https://{host}/api
  # hosts: ["files.{host}"]
  # headers: {Accept: application/json}
# A harmless call that proves an account works, and what of its answer names the account.
# test: {path: /me, label: /email}
"""


def endpoint_file(name: str, file: str, told: Told | None = None) -> str:
    """A new endpoint file, with a beginner's comments."""
    head = _HEAD.format(title=title_of(name), name=name, file=file)
    return head + (_GUESSED if told is None else _told(told))


def title_of(name: str) -> str:
    """A name as people write it."""
    return " ".join(
        word.capitalize() for word in name.replace("_", " ").replace("-", " ").replace(".", " ").split()
    )


def _told(told: Told) -> str:
    lines = [f"# From the server's own description of itself (RFC 8414), {comment(told.issuer)}"]
    lines += [
        f"issuer: {_text(told.issuer)}",
        "docs: https://developer.example.com/oauth # the vendor's page",
    ]
    if told.grants:
        lines += ["# Ways to a token, the usual one first.", f"grants: [{', '.join(told.grants)}]"]
    if "authorize" in told.urls:
        lines += ["# Where a person consents.", "authorize:", f"  url: {_text(told.urls['authorize'])}"]
        lines += ["  iss: true # each redirect says who answers (RFC 9207)"] if told.iss else []
    lines += ["# Where tokens come from, and how the client proves itself there.", "token:"]
    lines += [f"  url: {_text(told.urls['token'])}", f"  auth: {told.auth}"]
    lines += ["# Whether a renewal brings a new refresh token and ends the old one: never, maybe, always."]
    lines += ["refresh: {rotates: maybe}"]
    for key in ("device", "par", "revoke", "introspect", "userinfo"):
        lines += [f"{key}: {{url: {_text(told.urls[key])}}}"] if key in told.urls else []
    if told.scopes:
        lines += ["# Suggestions for editors and forms; say what each allows.", "scopes:", "  known:"]
        lines += [f'    {json.dumps(scope)}: ""' for scope in told.scopes]
    lines += [
        "# The API behind it: metadata does not tell where. The token goes to its hosts and nowhere else."
    ]
    lines += [f"api: {{base_url: {_text(told.base_url)}}}"]
    lines += ["# A harmless call that proves an account works, and what of its answer names the account."]
    return "\n".join([*lines, "# test: {path: /me, label: /email}", ""])


def comment(text: str) -> str:
    """A text that stays on its line."""
    return "".join(char if char.isprintable() else " " for char in text)


def _text(template: str) -> str:
    return json.dumps(template.replace("{", "{{").replace("}", "}}"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How the parts of a distribution are called."""

    endpoint: str
    distribution: str = field(default="")
    module: str = field(default="")
    hooks: str = field(default="")

    @classmethod
    def of(cls, endpoint: str) -> Names:
        """The names that follow from an endpoint's."""
        words = endpoint.replace(".", "-").replace("_", "-").strip("-")
        module = "connector_" + words.replace("-", "_")
        hooks = "".join(word.capitalize() for word in words.split("-")) + "Hooks"
        hooks = hooks if hooks[0].isalpha() else f"The{hooks}"
        return cls(endpoint=endpoint, distribution=f"connector-{words}", module=module, hooks=hooks)


def distribution(names: Names, told: Told | None = None) -> dict[str, str]:
    """The files of a new distribution: path below its folder -> text."""
    file = f"{names.endpoint}.yaml"
    values: dict[str, Any] = {
        "NAME": names.endpoint,
        "TITLE": title_of(names.endpoint),
        "DISTRIBUTION": names.distribution,
        "MODULE": names.module,
        "HOOKS": names.hooks,
    }
    texts = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"src/{names.module}/__init__.py": _INIT,
        f"src/{names.module}/hooks.py": _HOOKS,
        "tests/test_NAME.py": _TEST,
    }
    filled = {path.replace("NAME", names.module): _fill(text, values) for path, text in texts.items()}
    inside = endpoint_file(names.endpoint, f"src/{names.module}/{file}", told)
    hooked = f"# Python for what YAML cannot say: what is in {names.module}/hooks.py.\n"
    hooked += f"# plugin: {names.module}.hooks:{names.hooks}\n"
    return {**filled, f"src/{names.module}/{file}": inside + hooked}


def _fill(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"<{key}>", value)
    return text


_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "<DISTRIBUTION>"
version = "0.1.0"
description = "<TITLE> as an OAuth2 endpoint of connector"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["connector"]

[project.optional-dependencies]
dev = ["pytest>=8.2"]

# This line is what makes it a plugin: connector asks every installed distribution for this group.
[project.entry-points.connector]
"<NAME>" = "<MODULE>"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
"<MODULE>" = ["*.yaml"]
"""
_README = """\
# <DISTRIBUTION>

<TITLE> as an OAuth2 endpoint of connector.

    pip install -e '.[dev]'
    connector plugin list endpoints    # <NAME> is among them
    pytest                             # the endpoint against a server that behaves as it says

`src/<MODULE>/<NAME>.yaml` is the endpoint; `src/<MODULE>/hooks.py` is for what YAML cannot say. If it is not
needed, remove it.
"""
_INIT = '''\
"""<TITLE> as an OAuth2 endpoint of connector."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connector.hookspecs import hookimpl


@hookimpl
def connector_endpoints() -> Iterable[Path]:
    """The endpoint files of this folder."""
    return sorted(Path(__file__).parent.glob("*.yaml"))
'''
_HOOKS = '''\
"""What <TITLE> needs and YAML cannot say: override the hooks it takes, or remove this file if it takes none.

The endpoint file names this class: `plugin: <MODULE>.hooks:<HOOKS>`. What may stand here, with its exact
arguments: docs/plugins.md, "When YAML is not enough".
"""

from __future__ import annotations

from connector.endpointhooks import Call, EndpointHooks, Situation


class <HOOKS>(EndpointHooks):
    """Nothing is changed yet."""

    def prepare_token_request(self, call: Call, situation: Situation) -> Call:
        """Change a call to the token endpoint before it is sent: sign it, add a derived parameter."""
        return call
'''
_TEST = '''\
"""<NAME> keeps what its file says, tried against a server that behaves that way."""

from __future__ import annotations

from pathlib import Path

import <MODULE>
from connector.testing import EndpointContract


class Test<HOOKS>(EndpointContract):
    endpoint = Path(<MODULE>.__file__).with_name("<NAME>.yaml")
'''
