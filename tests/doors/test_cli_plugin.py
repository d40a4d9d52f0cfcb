"""`connector plugin list`: what there is, and whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_what_there_is(call: Any) -> None:
    """Endpoints with their settings, grants, snaps, stores and secret sources, each with its owner."""
    told = call("plugin", "list", "--json").json
    assert set(told) == {"endpoints", "grants", "snaps", "stores", "secrets", "services"}
    coupa = next(row for row in told["endpoints"] if row["name"] == "coupa")
    assert coupa["grants"][0] == "client_credentials"
    assert coupa["settings"]["host"]["required"]
    assert not coupa["settings"]["device_url"]["required"]
    assert coupa["from"] == "connector (connector.plugins.endpoints)"
    assert {row["name"] for row in told["snaps"]} >= {"http.read", "python"}


def test_those_of_the_manifest_too(call: Any, folder: Path) -> None:
    """A manifest's own endpoints and plugins are listed; without a manifest, what is installed."""
    text = "schema: 1\nendpoint: acme\ntoken: {url: https://a.example/t}\n"
    (folder / "acme.yaml").write_text(text)
    (folder / "manifest.yaml").write_text(
        "version: 1\nplugins: [acme.yaml]\nendpoints: {own: {token: {url: https://b.example/t}}}\naccounts: {}\n"
    )
    listed = call("plugin", "list", "endpoints")
    assert listed.code == 0
    rows = {line.split()[0]: line for line in listed.out.splitlines()[2:]}
    assert rows["acme"].endswith("acme.yaml")
    assert rows["own"].endswith("this manifest")
    (folder / "manifest.yaml").unlink()
    assert "own" not in call("plugin", "list", "endpoints").out
    assert call("plugin", "list", "-m", "gone.yaml").code == 2
