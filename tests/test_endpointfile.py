"""Endpoint files: reading, extending, and what is told when that does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector import endpointfile, yamlfile
from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint
from connector.errors import ManifestError, Problem

BASE = """\
endpoint: base
settings: {host: {format: hostname}, region: {enum: [eu, us], default: eu}}
vars: {api: {from: region, map: {eu: eu.example.com, us: us.example.com}}}
grants: [client_credentials]
token: {url: "https://{host}/token", headers: {X-A: a}}
response: {capture: {shard: /shard}}
api: {base_url: ["https://{shard}.example.com", "https://{api}"], hosts: ["*.example.com"]}
"""


def raws(text: str) -> list[RawEndpoint]:
    """Endpoints of a text, unchecked."""
    documents = yamlfile.parse(text, file="e.yaml")
    return [RawEndpoint(name=d.data["endpoint"], spec=d.data, document=d) for d in documents]


def built(text: str) -> tuple[dict[str, Endpoint], list[Problem]]:
    """Endpoints of a text, built."""
    return endpointfile.build(raws(text))


def test_a_file_of_several(tmp_path: Path) -> None:
    """Endpoints of one file, one extending the other, know where they were declared."""
    file = tmp_path / "e.yaml"
    file.write_text(
        BASE
        + "---\nendpoint: own\nextends: base\ntoken: {headers: {X-A: null, X-B: b}}\nvars: null\napi: null\n"
    )
    endpoints, problems = endpointfile.build(endpointfile.load(file))
    assert not problems
    assert endpoints["own"].token.url == ("https://{host}/token",)
    assert dict(endpoints["own"].token.headers) == {"X-B": ("b",)}
    assert endpoints["own"].api.base_url == ()
    assert endpoints["own"].origin == f"{file}:9"


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    """Mistakes in several documents come together."""
    file = tmp_path / "e.yaml"
    file.write_text("endpoint: a\ntokn: {}\n---\ntitle: b\ntoken: {url: 5}\n")
    with pytest.raises(ManifestError) as caught:
        endpointfile.load(file)
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 1), (4, 1), (5, 14)]


def test_one_broken_endpoint_hides_no_other() -> None:
    """What is right is built; each problem of the rest is told."""
    endpoints, problems = built(BASE + "---\nendpoint: b\nextends: bse\n---\nendpoint: c\ntitle: C\n")
    assert set(endpoints) == {"base"}
    assert [(p.line, p.hint) for p in problems] == [
        (10, "did you mean base?"),
        (12, "write token: {url: https://...}"),
    ]


def test_an_endpoint_may_extend_the_one_it_replaces() -> None:
    """`extends: coupa` under the name coupa means the one that was there before."""
    known, _ = built(BASE)
    endpoints, problems = endpointfile.build(raws("endpoint: base\nextends: base\ntitle: Mine\n"), known)
    assert not problems
    assert endpoints["base"].title == "Mine"
    assert endpoints["base"].token.url == ("https://{host}/token",)


def test_circles_end() -> None:
    """Endpoints that extend each other in a circle are told, and nothing hangs."""
    endpoints, problems = built(
        "endpoint: a\nextends: b\n---\nendpoint: b\nextends: a\n---\nendpoint: c\nextends: c\n"
    )
    assert not endpoints
    assert [p.message for p in problems] == [
        "endpoints extend each other in a circle: a -> b -> a",
        "endpoints extend each other in a circle: c -> c",
    ]


def test_a_long_chain_is_cut() -> None:
    """A thousand endpoints, each extending the next, are refused without recursing that deep."""
    text = "---\n".join(f"endpoint: e{i}\nextends: e{i + 1}\n" for i in range(1000))
    endpoints, problems = built(text)
    assert not endpoints
    assert any("more than 20" in p.message for p in problems)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("token: {params: {client_secret: hunter2}}", "client_secret"),
        ("token: {params: {password: 22}}", "password"),
        ("token: {query: {code: hunter2}}", "code"),
        ("token: {params: {refresh_token: ['{client_id}', hunter2]}}", "refresh_token"),
        ("token: {body: json, params: {auth: {client_secret: hunter2}}}", "client_secret"),
        ("token: {headers: {authorization: Basic hunter2}}", "authorization"),
        ("token: {basic: {username: me, password: hunter2}}", "password"),
        ("refresh: {params: {client_assertion: hunter2}}", "client_assertion"),
        ("revoke: {url: 'https://a.example/r', params: {token: hunter2}}", "token"),
        ("authorize: {url: 'https://a.example/a', params: {api_key: hunter2}}", "api_key"),
        ("exchange: {path: /x, params: {assertion: hunter2}}", "assertion"),
        ("discover: [{path: /x, headers: {Cookie: sid=hunter2}}]", "Cookie"),
        ("test: {path: /x, headers: {X-Auth-Token: hunter2}}", "X-Auth-Token"),
        ("test: {path: /x, query: {apikey: hunter2}}", "apikey"),
        ("api: {headers: {Authorization: Bearer hunter2}}", "Authorization"),
        ("api: {headers: {Proxy-Authorization: Basic hunter2}}", "Proxy-Authorization"),
        ("api: {headers: {x-api-key: hunter2}}", "x-api-key"),
        ("api: {headers: {Ocp-Apim-Subscription-Key: 'hunter2{{'}}", "Ocp-Apim-Subscription-Key"),
        ("api: {query: {api-key: hunter2}}", "api-key"),
        ("api: {basic: {password: hunter2}}", "password"),
        ("grants: {client_credentials: {token: {params: {client_secret: hunter2}}}}", "client_secret"),
        ("vars: {k: hunter2}\napi: {headers: {x-api-key: '{k}'}}", "x-api-key"),
        ("jwt: {key: hunter2}", "the key of a JWT"),
    ],
)
def test_a_secret_in_clear(line: str, named: str) -> None:
    """It is refused by its name wherever it would be sent, at its place, and is not repeated."""
    _, problems = built(BASE + f"---\nendpoint: own\nextends: base\n{line}\n")
    assert [p.message for p in problems] == [f"{named} is a secret, and stands here in clear"]
    assert problems[0].line == 10 + len(line.splitlines())
    assert "hunter2" not in str(problems[0])
    assert problems[0].hint


@pytest.mark.parametrize(
    "line",
    [
        "token: {params: {client_secret: '{client_secret}', code: null, password: ''}}",
        "token: {params: {password: '{password}{region}'}}",
        "token: {basic: {username: '{api_key}', password: x}}",
        "token: {params: {audience: x, token_type_hint: refresh_token, code_challenge_method: S256}}",
        "api: {headers: {Authorization: 'token {access_token}', Accept: x, X-Atlassian-Token: no-check}}",
        "api: {headers: {x-api-key: ['{api_key}', '{client_id}']}, query: {code: de, token: x}}",
        "vars: {k: '{region}'}\napi: {headers: {x-api-key: '{k}'}}",
        "test: {path: /x, params: {code: de}}",
        "jwt: {key: '{client_secret}'}",
    ],
)
def test_what_is_no_secret_in_clear(line: str) -> None:
    """Templates, what is left out, a filler beside a name, and words that only look alike."""
    _, problems = built(BASE + f"---\nendpoint: own\nextends: base\n{line}\n")
    assert problems == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("token: {url: 'https://{hsot}/t'}", "did you mean {host}?"),
        ("token: {url: '{host}/t'}", ""),
        ("token: {url: 'http://{host}/t'}", "loopback"),
        ("token: {url: 'http://127.0.0.1:{host}/t'}", ""),
        ("token: {url: 'https://me@{host}/t'}", "user info"),
        ("token: {url: 'x/t'}", "not a URL"),
        ("token: {url: 'https://{shard}.example.com'}", ""),
        ("vars: {api: {from: regoin, map: {eu: x}}}", "no setting regoin"),
        ("vars: {host: x}", "a setting already"),
        ("api: {hosts: ['*']}", "at least two parts"),
        ("api: {base_url: 'https://api.{host}/v1?x=1'}", "a base URL has no query"),
        ("api: {hosts: ['{host}', 'a.example:8443']}", ""),
        ("api: {headers: {Host: x}}", "set by connector"),
        ("settings: {host: {pattern: '['}}", "regular expression"),
        ("settings: {region: {default: as}}", "among the choices"),
        ("grants: [authorization_code]", "authorization URL"),
        ('title: "a\\nb"', ""),
        ('token: {params: {a: "b\\r\\nc"}}', "control character"),
    ],
)
def test_what_the_schema_cannot_say(line: str, words: str) -> None:
    """Templates, URLs, hosts and settings are checked after merging, and told at their place."""
    _, problems = built(BASE + f"---\nendpoint: own\nextends: base\n{line}\n")
    assert bool(problems) == bool(words), problems
    assert words in "\n".join(map(str, problems))
    assert all(p.line == 11 for p in problems)


def test_a_mapping_from_python_is_checked_alike() -> None:
    """A plugin's mapping passes the same schema; its origin stands where a file would."""
    raw = endpointfile.from_mapping(
        {"endpoint": "e", "token": {"url": ("https://a.example/t",)}}, origin="my plugin"
    )
    endpoints, problems = endpointfile.build([raw])
    assert not problems
    assert endpoints["e"].origin == "my plugin:1"
    with pytest.raises(ManifestError, match=r"my plugin:1:1: .*tokn is not a key"):
        endpointfile.from_mapping({"endpoint": "e", "tokn": {}}, origin="my plugin")


def test_what_ships_is_right() -> None:
    """Every endpoint file in plugins/ is read without a problem."""
    files = sorted((Path(__file__).parents[1] / "plugins").glob("*.yaml"))
    endpoints, problems = endpointfile.build([raw for file in files for raw in endpointfile.load(file)])
    assert not problems
    assert {"coupa", "servicenow"} <= set(endpoints)
