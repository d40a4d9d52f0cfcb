"""The pytest plugin: its fixtures in a run of their own, and nothing of it where none is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = '''
import logging
import pytest
from connector.errors import ManifestError

MANIFEST = """
version: 1
accounts:
  acme:
    oauth2_endpoint: sandbox.strict
    client_id: sandbox
    client_secret: sandbox-secret
    grant: client_credentials
    settings: {origin: ORIGIN}
"""


def test_a_host_and_a_sandbox(connector_host, connector_sandbox, connector_canary):
    host = connector_host(MANIFEST.replace("ORIGIN", connector_sandbox.url))
    connector_canary.watch(host.token("acme").access_token.reveal(), "access token")
    with host.client("acme") as http:
        assert http.get("/api/items").status_code == 200
    assert connector_sandbox.counts["strict"].issued == 1


def test_a_checked_endpoint(connector_endpoint, tmp_path):
    spec = {"endpoint": "acme", "token": {"url": "https://login.example.com/token"}}
    assert connector_endpoint(spec).token.url == ("https://login.example.com/token",)
    file = tmp_path / "acme.yaml"
    file.write_text("schema: 1\\nendpoint: acme\\nextends: coupa\\ntoken: {urk: x}\\n")
    with pytest.raises(ManifestError, match="acme.yaml:4"):
        connector_endpoint(file)


def test_a_secret_that_shows(connector_canary):
    logging.getLogger("acme").debug("sent %s", connector_canary.new("client secret"))


def test_a_part_of_it_encoded(connector_canary):
    text = connector_canary.new("client secret")
    with pytest.raises(AssertionError, match="the body shows the client secret"):
        connector_canary.check(text.replace(" ", "%20").encode()[:30], "the body")
    connector_canary.check("nothing of it")


def test_the_level_is_as_it_was():
    assert logging.getLogger().level == logging.WARNING
'''


def test_the_fixtures(tmp_path: Path) -> None:
    """A host on a manifest's text, a sandbox, a checked endpoint; a secret in a log fails its test alone."""
    (tmp_path / "test_acme.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "ERROR" in done.stdout
    assert "a secret shows: the client secret in the log of acme" in done.stdout
    assert "5 passed, 1 error" in done.stdout, done.stdout


def test_it_costs_nothing_unused() -> None:
    """pytest loads it in each run, and connector stays where it is until a test asks."""
    program = "import sys, pytest_connector; print('connector' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_its_fixtures_are_found(pytestconfig: pytest.Config) -> None:
    """It is installed by its entry point."""
    assert pytestconfig.pluginmanager.has_plugin("connector")
