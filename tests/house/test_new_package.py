"""A distribution as `connector plugin new --package` writes it: installed, found, and its own tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.cli import cli

pytestmark = pytest.mark.slow


def ran(*command: str, cwd: Path, site: Path) -> str:
    """Run a command with the distribution's place on the path."""
    environ = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_a_plugin_and_its_tests_pass(tmp_path: Path) -> None:
    """Nothing is edited in between."""
    made = CliRunner().invoke(cli, ["plugin", "new", "acme", "--package", "--dir", str(tmp_path)])
    assert made.exit_code == 0, made.output
    package, site = tmp_path / "connector-acme", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ran(*pip, "--target", str(site), str(package), cwd=tmp_path, site=site)
    listed = ran(sys.executable, "-m", "connector", "plugin", "list", "endpoints", cwd=tmp_path, site=site)
    assert any(
        "acme" in line and "connector-acme 0.1.0 (connector_acme)" in line for line in listed.splitlines()
    )
    told = ran(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests", cwd=package, site=site)
    assert " passed" in told
    assert "failed" not in told
