"""Bad manifests: each text has a ``§`` where the problem must be reported, and the words that must be said.

Each has one mistake, and one mistake makes one problem.
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple

CANARY = "hunter2-CANARY-hunter2"


class Bad(NamedTuple):
    """One bad manifest."""

    name: str
    text: str
    words: tuple[str, ...]


def bad(name: str, text: str, *words: str) -> Bad:
    return Bad(name, dedent(text).lstrip("\n"), words)


def account(name: str, lines: str, *words: str) -> Bad:
    """A bad account: `lines` stand in an account that says nothing else."""
    indented = "\n".join("    " + line for line in dedent(lines).strip("\n").split("\n"))
    return Bad(name, f"version: 1\naccounts:\n  a:\n{indented}\n", words)


def coupa(name: str, lines: str, *words: str) -> Bad:
    """A bad account of the endpoint coupa: complete but for what `lines` add."""
    good = """
        client_id: x
        client_secret: ${env:X}
        oauth2_endpoint: coupa
    """
    return account(name, dedent(good).strip("\n") + "\n" + dedent(lines).strip("\n"), *words)


def bare(name: str, lines: str, *words: str) -> Bad:
    """A bad account of bare URLs: complete but for what `lines` add."""
    good = """
        client_id: x
        client_secret: ${env:X}
        oauth2_endpoint: https://login.example.com/authorize
        oauth2_token: https://login.example.com/token
    """
    return account(name, dedent(good).strip("\n") + "\n" + dedent(lines).strip("\n"), *words)


TEXTS = [
    bad("empty file", "§", "mapping that begins with version: 1", "empty"),
    bad("a list", "§- a", "mapping that begins with version: 1", "found a list"),
    bad("a text", "§hello", "found text"),
    bad("tab", "version: 1\naccounts:\n§\ta: {}", "tab", "indent with spaces"),
    bad("unclosed quote", 'version: 1\nstore: §"memory:', "quotes opened here are never closed"),
    bad("unclosed bracket", "version: 1\nplugins: [a, b\n§", "bracket", "not closed"),
    bad(
        "colon in text",
        "version: 1\nstore: sqlite§: x",
        "quotes",
    ),
    bad("bad indentation", "version: 1\n  x-a§: 1", "colon", "indented"),
    bad("list item on the key's line", "version: 1\nplugins: §- a", "list item", "own line"),
    bad(
        "reference in braces",
        "version: 1\naccounts: {a: {client_id: §${env:X}}}",
        "in quotes",
        'quote it: "${env:X}"',
    ),
    bad("reference in brackets", "version: 1\nx-a: [§${env:X}]", 'quote it: "${env:X}"'),
    bad("star", "version: 1\nx-a: *§.example.com", "alias", "*.example.com"),
    bad("alias of nothing", "version: 1\nx-a: §*hunter2", "alias", "stands for nothing"),
    bad("alias inside itself", "version: 1\nx-a: &a [§*a]", "contain itself"),
    bad("at sign", "version: 1\nx-a: §@me", "may not begin with @", "quotes"),
    bad("unknown escape", 'version: 1\nx-a: "C:\\§q"', "backslash"),
    bad("escape beyond Unicode", 'version: 1\n§x-a: "\\UFFFFFFFF"', "not valid YAML"),
    bad("half a surrogate", 'version: 1\nx-a: §"\\ud800"', "surrogate"),
    bad("NUL", "version: 1\nx-a: a§\0", "U+0000"),
    bad("python tag", "version: 1\nx-a: §!!python/object/apply:os.system [x]", "tags"),
    bad("own tag", "version: 1\nstore: §!env STORE", "tags"),
    bad("merge key", "version: 1\nx-a:\n  §<<: {b: 1}", "merge keys", "extends"),
    bad("duplicate key", "version: 1\nx-a: 1\n§x-a: 2", "given twice", "2:1"),
    bad("template braces", "version: 1\nstore: {§{ store }}", "mapping cannot be a key", "not filled in"),
    bad("number as key", "version: 1\nx-a:\n  §5: b", "key must be text", '"5"'),
    bad("key with a hidden space", "version: 1\nx-a:\n  §b\u00a0c: 1", "U+00A0", "does not print"),
    bad("key with an escape", 'version: 1\n§"x-\\e[2J": 1', "U+001B"),
    bad("leading zero", "version: 1\nx-a: §0123", "begins with 0", "in quotes"),
    bad("endless number", f"version: 1\nx-a: §{'9' * 5000}", "too large"),
    bad("two documents", "version: 1\n---\n§version: 1", "second document"),
    bad("deep nesting", "version: 1\nx-a: " + "[" * 39 + "§" + "[" * 5000, "levels deep"),
]

STRUCTURE = [
    bad("no version", "§x-a: 1", "version is missing", "version: 1"),
    bad("other version", "version: §2", "expected 1", "number 2"),
    bad("version as text", 'version: §"1"', "expected 1", "remove the quotes"),
    bad("unknown section", "version: 1\n§acounts: {}", "acounts", "did you mean accounts?"),
    bad(
        "accounts empty",
        "version: 1\naccounts:§",
        "nothing",
    ),
    bad(
        "accounts as list",
        "version: 1\naccounts:\n  §- a",
        "mapping of names to accounts",
        "found a list",
        "dashes",
    ),
    bad("account name", "version: 1\naccounts:\n  §Big One: {client_id: x}", "Big One is not", "big_one"),
    bad("store of another kind", "version: 1\nstore: §[a]", "URL of a token store", "found a list"),
    bad(
        "store without scheme", "version: 1\nstore: §tokens.db", "URL of a token store", "sqlite:///tokens.db"
    ),
    bad("store with two slashes", "version: 1\nstore: §sqlite://tokens.db", "three slashes"),
    bad("store null", "version: 1\nstore: §~", "found nothing"),
    bad("plugins as text", "version: 1\nplugins: §folder", "list of paths", "[...]"),
    bad("plugin as number", "version: 1\nplugins: [a, §5]", "expected a path", "number 5"),
]

ACCOUNTS = [
    bad(
        "no client id",
        "version: 1\naccounts:\n  §a: {client_auth: none, oauth2_token: https://x.example/t}",
        "a has no client_id",
    ),
    coupa("typo", f"§client_secrett: {CANARY}", "did you mean client_secret?"),
    account("label of the dialog", "§Client ID: x", "did you mean client_id?"),
    coupa("camel case", "§autoRefresh: true", "did you mean auto_refresh?"),
    coupa("access token", f"§access_token: {CANARY}", "tokens never live in the manifest", "connector adopt"),
    coupa(
        "refresh token", f"§refresh_token: {CANARY}", "tokens never live in the manifest", "connector adopt"
    ),
    bare("password with another grant", "§password: ${env:P}", "belongs to grant: password"),
    bare(
        "password in clear",
        f"grant: password\nallow_password_grant: true\nusername: ada\npassword: §{CANARY}",
        "a secret may not stand in the manifest itself",
    ),
    bare(
        "password grant",
        "grant: §password\nusername: ada\npassword: ${env:P}",
        "deprecated",
        "allow_password_grant: true",
    ),
    bare("key without a place", "tls: {certificate: §nowhere.pem}", "no such file"),
    bare("proxy that is none", "proxy: §ftp://proxy.example.com", "that is no proxy", "or direct"),
    bare(
        "proxy with its password",
        f"proxy: §http://robot:{CANARY}@proxy.example.com:3128",
        "do not belong into the manifest",
        "${env:EGRESS_PROXY}",
    ),
    bare("resource with fragment", "resource: §https://api.example.com/#x", "RFC 8707"),
    bare("literal key", f"private_key: §{CANARY}", "a secret may not stand in the manifest itself"),
    bare("token for another grant", "§subject_token: ${env:T}", "belongs to grant: token_exchange"),
    coupa("token_url", "§token_url: https://x.example/t", "oauth2_token"),
    coupa("grant_type", "§grant_type: client_credentials", "called grant"),
    coupa("host beside settings", "§host: acme.coupahost.com", "settings: {host: ...}"),
    account("client id as number", "client_id: §5", "client id as text", 'in quotes: "5"'),
    account("client id empty", "client_id:§", "found nothing", "give a value"),
    account("client id as boolean", "client_id: §true", "found the value true", 'in quotes: "true"'),
    coupa("auto_refresh yes", "auto_refresh: §yes", "expected true or false", "yes is text here; write true"),
    coupa("auto_refresh off", "auto_refresh: §off", "write false"),
    coupa("auto_refresh quoted", 'auto_refresh: §"true"', "without quotes"),
    coupa("auto_refresh other", f"auto_refresh: §{CANARY}", "expected true or false, found text"),
    coupa("retry budget quoted", 'retry_budget: §"60"', "a number of seconds", "write 60"),
    coupa("retry budget grouped", "retry_budget: §1_000", "write 1000"),
    coupa("retry budget negative", "retry_budget: §-1", "at least 0"),
    coupa("client_auth typo", "client_auth: §client_secret_bsic", "did you mean client_secret_basic?"),
    coupa("basic other", f"basic: §{CANARY}", "rfc6749 or raw"),
    coupa("foreign hosts", "foreign_hosts: §[a]", "without_token or refuse", "found a list"),
    coupa("scopes as number", "scopes: §5", "list of scopes"),
    coupa("scope twice", "scopes: §[a, a]", "different entries", "number 2"),
    coupa("scope with quote", "scopes: [§'a\"b']", "RFC 6749 section 3.3"),
    coupa("scope with space", "scopes: [§a b]", "an entry of its own"),
    coupa("scopes with commas", "scopes: §a, b", "comma", "spaces"),
    coupa("control character", 'redirect_uri: §"https://x.example/\\r\\nX: y"', "U+000D", "header or URL"),
    coupa("redirect of a script", "redirect_uri: §javascript:alert(1)", "not a URL"),
    coupa("redirect without https", "redirect_uri: §http://x.example/cb", "loopback only"),
    coupa("row without value", "token_endpoint_config: [§{name: a}]", "entry 1 has no value"),
    coupa("row twice", "auth_endpoint_config: [{name: a, value: b}, {name: a, value: §c}]", "given twice"),
    coupa("row that is ours", "token_endpoint_config: {grant_type: §x}", "set by connector", "grant:"),
    coupa("scope in a row", "auth_endpoint_config: {scope: §x}", "said by scopes:"),
    coupa("setting as fraction", "settings: {host: §1.5}", "text, a whole number", "number 1.5"),
]

SECRETS = [
    account(
        "secret with default",
        "client_id: x\nclient_secret: §${env:X:-" + CANARY + "}",
        "no default",
        "${env:X}",
    ),
    account("half a reference", "client_id: x\nclient_secret: §" + CANARY + "${env:X}", "whole value"),
    account(
        "shell style",
        "client_id: x\nclient_secret: §$COUPA_SECRET",
        "not how a reference is written",
        "${env:NAME}",
    ),
    account("secret of digits", "client_id: x\nclient_secret: §12345678", "found a number", "in quotes"),
    account(
        "secret as mapping",
        "client_id: x\nclient_secret: §{env: X}",
        "reference to the secret",
        "found a mapping",
    ),
    account("parameter", "client_id: §${param:x}\noauth2_endpoint: coupa", "belongs in pipelines"),
    account("reference to nothing", 'client_id: §"${env:}"', "names nothing"),
    account("reference in a URL", "client_id: x\noauth2_token: §${env:T}", "no place in oauth2_token"),
    account("reference in a label", "client_id: x\nlabel: §${env:T}", "no place in label"),
    account(
        "literal secret",
        f"client_id: x\nclient_secret: §{CANARY}\noauth2_token: https://x.example/t",
        "may not stand in the manifest",
        "${env:NAME}",
    ),
    account(
        "literal secret, API elsewhere",
        f"""
        client_id: x
        client_secret: §{CANARY}
        oauth2_token: http://127.0.0.1:8080/t
        api: {{base_url: "https://x.example"}}
        """,
        "may not stand in the manifest",
    ),
    account(
        "unknown scheme",
        'client_id: x\nclient_secret: §"${envv:X}"\noauth2_token: https://x.example/t',
        "no secret source is called envv",
        "did you mean ${env:X}?",
    ),
]

URLS = [
    account(
        "token instead of token URL", f"client_id: x\noauth2_token: §{CANARY}", "token URL", "connector adopt"
    ),
    account(
        "web token", "client_id: x\noauth2_token: §eyJhbGciOi.eyJzdWIi.x", "token URL", "connector adopt"
    ),
    account("http", "client_id: x\noauth2_token: §http://x.example/t", "loopback only"),
    account("ftp", "client_id: x\noauth2_token: §ftp://x.example/t", "must be https"),
    account("user info", f"client_id: x\noauth2_token: §https://me:{CANARY}@x.example/t", "user info"),
    account("strange port", f"client_id: x\noauth2_token: §https://x.example:{CANARY}/t", "host or port"),
    account("no scheme", "client_id: x\noauth2_token: §x.example/t", "does not begin with https://"),
    account("braces", "client_id: x\noauth2_token: §https://{host}/t", "as it stands"),
    account("fragment", "client_id: x\noauth2_token: §https://x.example/t#a", "fragment"),
    account("space", 'client_id: x\noauth2_token: §"https://x.example/a b"', "space"),
    account("authorization URL", "client_id: x\noauth2_endpoint: §http://x.example/a", "loopback only"),
    account("base URL", "client_id: x\napi: {base_url: §x.example}", "not a URL"),
    account("header name", 'client_id: x\napi: {headers: {§"X Y": z}}', "header name"),
    account("header of ours", "client_id: x\napi: {headers: {§Authorization: z}}", "set by connector"),
    account("header as number", "client_id: x\napi: {headers: {X: §5}}", "text", '"5"'),
    account("host with scheme", 'client_id: x\napi: {hosts: [§"https://x.example"]}', "without https://"),
    account("host of everything", 'client_id: x\napi: {hosts: [§"*.com"]}', "at least two parts"),
]

BINDING = [
    bad(
        "no server",
        "version: 1\naccounts:\n  §a: {client_id: x, client_auth: none}",
        "names no server",
        "oauth2_endpoint",
    ),
    account(
        "unknown endpoint", "client_id: x\noauth2_endpoint: §cupa", "no endpoint cupa", "did you mean coupa?"
    ),
    account(
        "host as endpoint",
        "client_id: x\noauth2_endpoint: §acme.example.com",
        "begins with https://",
        "coupa",
    ),
    account("no token URL", "client_id: x\noauth2_endpoint: §https://x.example/a", "oauth2_token", "missing"),
    coupa(
        "token URL too much",
        "settings: {host: a.b}\nscopes: [a]\noauth2_token: §https://x.example/t",
        "says itself",
    ),
    coupa(
        "api too much",
        "settings: {host: a.b}\nscopes: [a]\napi: §{hosts: [x.example]}",
        "bare URLs",
        "extends",
    ),
    coupa("setting missing", "scopes: [a]\n§settings: {}", "asks for the setting host", "acme.coupahost.com"),
    coupa("setting typo", "scopes: [a]\nsettings: {§hots: a.b}", "no setting hots", "did you mean host?"),
    coupa("host as URL", "scopes: [a]\nsettings: {host: §https://a.b/}", "host name", "did you mean a.b?"),
    coupa("host as boolean", "scopes: [a]\nsettings: {host: §true}", "expected text"),
    coupa(
        "grant typo",
        "scopes: [a]\nsettings: {host: a.b}\ngrant: §client_credential",
        "did you mean client_credentials?",
    ),
    coupa("grant not there", "scopes: [a]\nsettings: {host: a.b}\ngrant: §refresh_token", "does not allow"),
    coupa("scopes empty", "scopes: §[]\nsettings: {host: a.b}", "at least one scope", "core."),
    coupa(
        "two kinds of client authentication",
        """
        scopes: [a]
        settings: {host: a.b}
        send_client_data_as_basic_auth_header: true
        client_auth: §none
        """,
        "keep one of the two",
    ),
    bad(
        "no secret",
        "version: 1\naccounts:\n  §a: {client_id: x, oauth2_token: https://x.example/t}",
        "no client_secret",
        "${env:A_CLIENT_SECRET}",
        "client_auth: none",
    ),
    bad(
        "one of two settings",
        'version: 1\naccounts:\n  §a: {client_id: x, client_secret: "${env:X}", oauth2_endpoint: servicenow}',
        "host or instance",
    ),
    account(
        "setting against its pattern",
        """
        client_id: x
        client_secret: ${env:X}
        oauth2_endpoint: servicenow
        settings: {instance: §dev.service-now.com}
        """,
        "for example dev12345",
    ),
    account(
        "own endpoint extends nothing",
        "client_id: x\nclient_auth: none\noauth2_endpoint: {extends: §cuopa}",
        "no endpoint cuopa",
        "did you mean coupa?",
    ),
]

ENDPOINTS = [
    bad(
        "endpoint secret in clear",
        "version: 1\nendpoints:\n  e:\n    token:\n      url: https://x.example/t\n"
        f"      params: {{client_secret: §{CANARY}}}",
        "client_secret is a secret, and stands here in clear",
        "connector sends that of the account",
    ),
    account(
        "own endpoint grant typo",
        """
        client_id: x
        client_secret: ${env:X}
        grant: client_credential
        oauth2_endpoint:
          grants: [authorization_code, §client_credential]
          token: {url: https://x.example/t}
          authorize: {url: https://x.example/a}
        """,
        "there is no grant client_credential",
        "did you mean client_credentials?",
    ),
    bare(
        "base URL with a query",
        "api:\n  base_url: §https://api.example.com/v1?x=1",
        "a base URL has no query",
    ),
    account(
        "own endpoint header in clear",
        "client_id: x\nclient_auth: none\noauth2_endpoint:\n  extends: coupa\n"
        f"  api: {{headers: {{Authorization: §Bearer {CANARY}}}}}",
        "Authorization is a secret, and stands here in clear",
        "connector puts the token there",
    ),
    bad(
        "endpoint typo",
        "version: 1\nendpoints:\n  e: {§tokn: {url: https://x.example/t}}",
        "did you mean token?",
    ),
    bad("endpoint without token URL", "version: 1\nendpoints:\n  §e: {title: E}", "no token URL"),
    bad("circle", "version: 1\nendpoints:\n  a: {extends: b}\n  b: {extends: §a}", "circle: a -> b -> a"),
    bad(
        "unknown base",
        "version: 1\nendpoints:\n  a: {extends: §cupa}",
        "no endpoint cupa",
        "did you mean coupa?",
    ),
    bad(
        "unknown name",
        'version: 1\nendpoints:\n  e: {settings: {host: {}}, token: {url: §"https://{hots}/t"}}',
        "{hots}",
        "did you mean {host}?",
    ),
    bad(
        "endpoint over http",
        'version: 1\nendpoints:\n  e: {token: {url: §"http://x.example/t"}}',
        "loopback only",
    ),
    bad("environment", 'version: 1\nendpoints:\n  e: {token: {url: §"${env:URL}"}}', "cannot read secrets"),
    bad("lone brace", 'version: 1\nendpoints:\n  e: {token: {url: §"https://x.example/{"}}', "lone"),
    bad(
        "pointer",
        "version: 1\nendpoints:\n  e: {token: {url: https://x.example/t}, response: {access_token: §x}}",
        "JSON pointer",
    ),
    bad(
        "status",
        "version: 1\nendpoints:\n  e: {token: {url: https://x.example/t}, api: {retry: {status: [§42]}}}",
        "100",
    ),
    bad(
        "remote schema",
        "version: 1\nendpoints:\n  e: {§$ref: https://x.example/s.json, token: {url: https://x.example/t}}",
        "$ref",
    ),
    bad("extended to nothing", "version: 1\nendpoints:\n  e: {extends: coupa, token: §~}", "no token URL"),
]

PIPELINES = [
    bad("no snaps", "version: 1\npipelines:\n  §p: {label: x}", "p has no snaps"),
    bad("snaps empty", "version: 1\npipelines:\n  p: {snaps: §[]}", "list of snaps"),
    bad("snap as text", "version: 1\npipelines:\n  p: {snaps: [§http.read]}", "mapping with snap: NAME"),
    bad("snap misspelt", "version: 1\npipelines:\n  p: {snaps: [{§sanp: map}]}", "did you mean snap?"),
    bad("option beside with", "version: 1\npipelines:\n  p: {snaps: [{snap: map, §path: x}]}", "under with:"),
    bad(
        "on_error",
        "version: 1\npipelines:\n  p: {on_error: §stopp, snaps: [{snap: map}]}",
        "did you mean stop?",
    ),
    bad(
        "unknown account", "version: 1\npipelines:\n  p: {snaps: [{snap: map, account: §x}]}", "no account x"
    ),
    bad(
        "id twice",
        "version: 1\npipelines:\n  p: {snaps: [{snap: a, id: i}, {snap: b, id: §i}]}",
        "taken",
        "3:29",
    ),
    bad(
        "unknown parameter",
        'version: 1\npipelines:\n  p: {snaps: [{snap: a, with: {b: §"${param:x}"}}]}',
        "no parameter x",
    ),
    bad(
        "part of a value",
        'version: 1\npipelines:\n  p: {snaps: [{snap: a, with: {b: §"/${param:x}"}}]}',
        "whole value",
    ),
    bad(
        "environment in a snap",
        'version: 1\npipelines:\n  p: {snaps: [{snap: a, with: {b: §"${env:X}"}}]}',
        "parameter",
    ),
    bad(
        "parameter as list",
        "version: 1\npipelines:\n  p: {parameters: {a: §[b]}, snaps: [{snap: a}]}",
        "default value",
    ),
]

ALL = [*TEXTS, *STRUCTURE, *ACCOUNTS, *SECRETS, *URLS, *BINDING, *ENDPOINTS, *PIPELINES]
