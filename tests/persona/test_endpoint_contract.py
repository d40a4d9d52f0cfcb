"""The contract that authors of endpoint files run, and what it says of a file that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import pytest
import yaml
from persona_room import CLIENT, RICH, changed

from connector.testing import EndpointContract
from connector.testing.checked import check_endpoints
from connector.testing.sampled import Given


class TestRich(EndpointContract):
    """A mapping, with a setting of the author's."""

    endpoint = RICH
    settings: ClassVar[dict[str, str]] = {"shop": "corner"}


class TestCoupa(EndpointContract):
    """A file that is relative to this one, with scopes of the author's."""

    endpoint = "../../plugins/coupa.yaml"
    scopes = ("core.common.read",)


def test_a_failing_file_fails_the_test_that_is_about_it() -> None:
    """And says where: a label that is nowhere in the answer fails only the test of the test request."""

    class Failing(EndpointContract):
        endpoint = RICH

    problem = check_endpoints([changed(RICH, "test|label", "/name")], persona=RICH)
    Failing._reports = problem
    Failing().test_tokens_are_renewed()
    with pytest.raises(AssertionError, match="test request"):
        Failing().test_the_other_calls_fit()


def test_what_is_not_played_does_not_pass(tmp_path: Path) -> None:
    """A file with Python hooks: its tests are skipped, and say why; that the file is sound is tested."""
    hooks = "from connector.endpointhooks import EndpointHooks\n\nclass Acme(EndpointHooks):\n    pass\n"
    (tmp_path / "acme_hooks.py").write_text(hooks)
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump({**CLIENT, "plugin": "acme_hooks:Acme"}))

    class Hooked(EndpointContract):
        endpoint = tmp_path / "acme.yaml"

    Hooked().test_the_file_is_sound()
    with pytest.raises(SkipTest, match="Python hooks"):
        Hooked().test_tokens_are_renewed()


def test_a_problem_names_file_line_and_key(tmp_path: Path) -> None:
    """Of a key in a grant's own part the place is there, not in the part for all grants."""
    path = tmp_path / "acme.yaml"
    spec: dict[str, Any] = {
        "schema": 1,
        "endpoint": "acme",
        "token": {"url": "https://login.example.com/token"},
        "grants": {"client_credentials": {"token": {"auth": "client_secret_basic"}}},
        "api": {"base_url": "https://api.example.com"},
    }
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    honest = changed(spec, "grants|client_credentials|token|auth", "client_secret_post")
    (report,) = check_endpoints([path], persona=honest)
    assert {(p.file, p.line, p.pointer) for p in report.problems} == {
        (str(path), 8, "/grants/client_credentials/token/auth")
    }


def test_what_a_person_says_cannot_leave_its_place_in_a_path() -> None:
    """Slashes and question marks of a setting are part of its value, in steps as everywhere."""
    spec = changed(CLIENT, "settings", {"folder": {"title": "Folder"}})
    spec["test"] = {"path": "/folders/{folder}?fields=name", "label": "/name"}
    given = Given(settings={"folder": "a b/../c?d=1#e"})
    (report,) = check_endpoints([spec], given=given)
    assert [str(problem) for problem in report.problems] == []


def test_every_choice_makes_an_account() -> None:
    """A table that lacks one of a setting's choices leaves URLs that cannot be built."""
    spec: dict[str, Any] = {
        "schema": 1,
        "endpoint": "acme",
        "settings": {"region": {"enum": ["eu", "us"], "default": "eu"}},
        "vars": {"host": {"from": "region", "map": {"eu": "eu.example.com"}}},
        "token": {"url": "https://{host}/token"},
        "grants": ["client_credentials"],
        "api": {"base_url": "https://{host}"},
    }
    (report,) = check_endpoints([spec])
    assert ["region: us" in str(problem) for problem in report.problems] == [True]


def test_what_is_wrong_with_the_file_itself_comes_first(tmp_path: Path) -> None:
    """Nothing is played of a file that the schema refuses, or that extends nothing."""
    (tmp_path / "one.yaml").write_text("schema: 1\nendpoint: one\ntoken: {uri: x}\n")
    (tmp_path / "two.yaml").write_text("schema: 1\nendpoint: two\nextends: nobody\n")
    reports = check_endpoints([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert [bool(report.flaws) for report in reports] == [True, True]
    assert [report.grants for report in reports] == [[], []]
