"""What the standards forbid a manifest to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.opening import open_manifest

ACCOUNT = """
version: 1
accounts:
  acme:
    client_id: me
    client_secret: ${{env:X}}
    oauth2_endpoint: https://as.example.com/authorize
    oauth2_token: https://as.example.com/token
    {line}
"""


def problems(folder: Path, line: str) -> list[str]:
    """What is wrong with an account that says this too."""
    file = folder / "manifest.yaml"
    file.write_text(ACCOUNT.format(line=line))
    return [problem.message for problem in open_manifest(file).problems]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:8765/callback", ""),
        ("http://localhost:8765/callback", ""),
        ("http://[::1]:8765/callback", ""),
        ("https://app.example.com/callback?tenant=7", ""),
        ("com.example.app:/callback", ""),
        ("http://app.example.com/callback", "loopback only"),
        ("https://app.example.com/callback#x", "fragment"),
        ("com.example.app:/callback#x", "fragment"),
        ("/callback", "not a URL"),
        ("https://u:p@app.example.com/", "user info"),
    ],
)
def test_what_a_redirect_uri_must_be(tmp_path: Path, uri: str, words: str) -> None:
    """RFC 6749 section 3.1.2, RFC 8252 section 7: absolute, without a fragment, in clear on this machine only."""
    found = problems(tmp_path, f'redirect_uri: "{uri}"')
    assert [words in message for message in found] == ([True] if words else [])


@pytest.mark.parametrize(
    ("resource", "good"),
    [
        ("https://api.example.com/v1", True),
        ("urn:example:api", True),
        ("api", False),
        ("https://x/#y", False),
        ("a: b", False),
    ],
)
def test_what_a_resource_must_be(tmp_path: Path, resource: str, good: bool) -> None:
    """RFC 8707 section 2: an absolute URI without a fragment."""
    found = problems(tmp_path, f'resource: "{resource}"')
    assert ["RFC 8707" in message for message in found] == ([] if good else [True])


def test_the_password_grant_must_be_allowed(tmp_path: Path) -> None:
    """RFC 9700 section 2.4 forbids it, so an account has to say that it means it."""
    line = "grant: password\n    username: ada\n    password: ${env:P}"
    assert ["RFC 9700" in message for message in problems(tmp_path, line)] == [True]
    assert problems(tmp_path, line + "\n    allow_password_grant: true") == []
