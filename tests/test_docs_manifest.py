"""docs/manifest.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from manifest_world import everything

from connector import check

PAGE = (Path(__file__).parents[1] / "docs" / "manifest.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(version:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_is_a_manifest(block: str) -> None:
    """Whole manifests on the page bind without a problem."""
    accounts, problems = everything(block)
    assert not problems
    assert accounts.keys() == yaml.safe_load(block).get("accounts", {}).keys()


def test_errors_look_as_shown() -> None:
    """The messages on the page are what the file beside them gives."""
    wrong = PAGE.partition("```yaml-with-mistakes\n")[2].partition("```")[0]
    shown = PAGE.partition("```text\n")[2].partition("```")[0]
    _, problems = everything(wrong)
    assert [str(p) for p in problems] == shown.strip().split("\n")


@pytest.mark.parametrize("name", ["account", "manifest"])
def test_every_key_is_on_the_page(name: str) -> None:
    """No key of a manifest or an account is left out."""
    for key in check.schema(name)["properties"]:
        assert f"`{key}`" in PAGE
        assert re.search(rf"\b{key}:", PAGE), f"an example of {key}"
