"""`connector plugin check`: its report, its JSON, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from connector.cli import cli

GOOD = """
schema: 1
endpoint: acme
grants: [client_credentials]
token: {url: https://login.example.com/token}
api: {base_url: https://api.example.com}
"""


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["plugin", "check", *args])
    return result.exit_code, result.stdout, result.stderr


def test_a_good_file(tmp_path: Path) -> None:
    """A table of what was played, and exit code 0."""
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD)
    code, out, err = run(str(path))
    assert code == 0, err
    assert "client_credentials" in out
    assert "renewal by expiry" in out
    assert err == "1 endpoint, no problems\n"


def test_a_wrong_file(tmp_path: Path) -> None:
    """One line per problem with its place, and exit code 2; other files are played all the same."""
    good, bad = tmp_path / "acme.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("url:", "uri:"))
    code, out, err = run(str(bad), str(good))
    assert code == 2
    assert "renewal by expiry" in out
    assert f"{bad}:5:9" in err
    assert "in 2 endpoints" in err


def test_a_file_that_contradicts_itself(tmp_path: Path) -> None:
    """What only shows in play: a test request at a host that may not see the token."""
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD + "test: {url: https://login.example.com/me}\n")
    code, _, err = run("-q", str(path))
    assert code == 2
    assert f"{path}:6:6: /api: client_credentials: test request: login.example.com is none of" in err
    assert "the key to blame is api.hosts" in err


def test_as_json(tmp_path: Path) -> None:
    """The same as data."""
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD)
    code, out, _ = run("--json", str(path))
    data = json.loads(out)
    assert code == 0
    assert data["ok"]
    (endpoint,) = data["endpoints"]
    assert endpoint["endpoint"] == "acme"
    assert endpoint["grants"][0]["played"][0] == {"name": "login", "words": "by itself", "ok": True}


def test_a_base_url_with_a_query(tmp_path: Path) -> None:
    """The base URL is blamed, which no path can follow, and not the test request that was to follow it."""
    path = tmp_path / "acme.yaml"
    path.write_text(
        GOOD.replace("https://api.example.com", '"https://api.example.com/v1?x=1"')
        + "test: {path: /me, params: {x: y}}\n"
    )
    code, _, err = run(str(path))
    assert code == 2
    first, told = err.splitlines()
    assert first.startswith(f"error: {path}:6:17: /api/base_url: a base URL has no query")
    assert told == "1 problem in 1 endpoint"


def test_a_secret_in_clear(tmp_path: Path) -> None:
    """A file is for others to read: what stands there in clear is told with its place, and not repeated."""
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD + "revoke: {url: https://login.example.com/r, headers: {x-api-key: hunter2}}\n")
    code, out, err = run(str(path))
    assert code == 2
    assert f"{path}:7:65: /revoke/headers/x-api-key: x-api-key is a secret, and stands here in clear" in err
    assert "hunter2" not in out + err


def test_hooks_are_not_played(tmp_path: Path) -> None:
    """A file whose Python hooks do the work is not called good: it says that nothing was played, and why."""
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD + "plugin: acme_hooks:Acme\n")
    hooks = "from connector.endpointhooks import EndpointHooks\n\nclass Acme(EndpointHooks):\n    pass\n"
    (tmp_path / "acme_hooks.py").write_text(hooks)
    code, out, err = run(str(path))
    assert code == 0, err
    assert "good" not in out
    assert "nothing: its Python hooks" in out
    assert err == "1 endpoint, no problems, 1 not played\n"
    (grant,) = json.loads(run("--json", str(path))[1])["endpoints"][0]["grants"]
    assert grant["unplayed"]
    assert grant["played"] == []


def test_there_is_no_such_file(tmp_path: Path) -> None:
    """A file that is not there is an error of its own."""
    code, _, err = run(str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml" in err
