"""docs/first-endpoint.md, word for word: five commands from nothing to a pipeline that has run."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "first-endpoint.md"
# The manifest of the page needs the endpoint file that the page makes, so it is no block of `yaml`, which
# tests/house/test_docs.py reads by itself.
_BLOCK = re.compile(r"^```(sh|yml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BOUND_S = 60


@pytest.fixture
def port() -> int:
    """A port of our own instead of the page's: somebody may be using that one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """This environment's `connector` first, and a key file instead of anybody's keyring."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    null = "keyring.backends.null.Keyring"
    return {**kept, "PATH": path, "PYTHON_KEYRING_BACKEND": null, "HOME": str(tmp_path)}


@pytest.fixture
def steps(port: int) -> list[tuple[str, str]]:
    """The blocks of the page, in order."""
    return [(kind, text.replace("8400", str(port))) for kind, text in _BLOCK.findall(PAGE.read_text("utf-8"))]


@pytest.fixture
def server(
    steps: list[tuple[str, str]], port: int, environ: dict[str, str], tmp_path: Path
) -> Iterator[None]:
    """The page's first command, in a terminal of its own."""
    kind, command = steps[0]
    assert (kind, command) == ("sh", f"connector sandbox --port {port}\n")
    with subprocess.Popen(command.split(), env=environ, cwd=tmp_path, stderr=subprocess.DEVNULL) as running:
        ends = time.monotonic() + BOUND_S
        while time.monotonic() < ends:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield
        running.terminate()


def test_the_walk(
    server: None, steps: list[tuple[str, str]], environ: dict[str, str], tmp_path: Path
) -> None:
    """Each command succeeds, and at the end there are the server's records as the page says."""
    commands = [text for kind, text in steps if kind == "sh"]
    assert len(commands) <= 5
    for kind, text in steps[1:]:
        if kind == "yml":
            (tmp_path / "manifest.yaml").write_text(text)
            continue
        assert text.count("\n") == 1, "one command each"
        done = subprocess.run(
            text, shell=True, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=BOUND_S
        )
        assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
    lines = (tmp_path / "items.jsonl").read_text("utf-8").splitlines()
    assert len(lines) > 100
    assert set(json.loads(lines[0])) == {"article", "price"}
    assert (tmp_path / "tokens.db").is_file()
