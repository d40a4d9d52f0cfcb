"""docs/plugins.md and the code agree: each hook with its exact arguments and what it returns, each fixture."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest_connector
from connector import hookspecs, testing, tokenstore
from connector.endpointhooks import EndpointHooks
from connector.registry import HOOKS

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
_ROW = re.compile(r"^\| `([\w.]+)\(([^()`]*)\)` \| `([^`]*)` \|", re.MULTILINE)


def arguments(function: Callable[..., Any]) -> str:
    """A function's parameters as one would write them in a call's place; `self` is nobody's business."""
    said = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in said:
            said.append("*")
        said.append(name)
    return ", ".join(name for name in said if name != "self")


def methods(cls: type, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods that a class itself declares."""
    for name, value in vars(cls).items():
        if inspect.isfunction(value) and not name.startswith("_"):
            yield f"{prefix}{name}", value


def known() -> dict[str, tuple[str, str]]:
    """Everything that a plugin's author writes: name -> arguments and what is returned."""
    found: dict[str, Callable[..., Any]] = {name: getattr(hookspecs, name) for name in HOOKS}
    found |= methods(EndpointHooks)
    for cls in (hookspecs.Grant, hookspecs.TokenStore, tokenstore.Waking, hookspecs.Service):
        found |= methods(cls, f"{cls.__name__}.")
    return {
        name: (arguments(function), function.__annotations__["return"]) for name, function in found.items()
    }


def test_each_hook_has_its_row() -> None:
    """No hook without a row, no row without a hook, and each with its arguments and its answer."""
    written = {name: (given, answer.replace("\\|", "|")) for name, given, answer in _ROW.findall(PAGE)}
    assert written == known()


def test_the_table_is_compared_with_something() -> None:
    """Both kinds of hooks, and the three things with methods."""
    assert len(known()) == 6 + 5 + 2 + 8 + 1 + 1
    assert known()["TokenStore.acquire"] == ("account, holder, *, ttl_s", "Lease")


def test_each_function_a_hook_names_has_its_arguments() -> None:
    """What the hooks' own words say of callables stands in the page as well."""
    for name in HOOKS:
        said = inspect.getdoc(getattr(hookspecs, name)) or ""
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}("))
        for callable_name in re.findall(r"``(\w+\([\w, ]*\))", said):
            assert f"`{callable_name}`" in row, f"{name}: {callable_name}"


def test_each_fixture_has_its_row() -> None:
    """The pytest plugin's, by name."""
    fixtures = {
        name
        for name, value in vars(pytest_connector).items()
        if type(value).__name__ == "FixtureFunctionDefinition" or hasattr(value, "_pytestfixturefunction")
    }
    assert fixtures
    assert set(re.findall(r"^\| `(connector_\w+)` \|", PAGE, re.MULTILINE)) == fixtures


def test_each_contract_has_its_row() -> None:
    """The classes of `connector.testing`."""
    assert set(re.findall(r"^\| `(\w+Contract)` \|", PAGE, re.MULTILINE)) == set(testing.__all__)


def test_the_example_grant_keeps_its_contract() -> None:
    """The page's grant, tried as its reader would."""
    text = PAGE.partition("### A grant\n")[2].partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"__name__": "test_day"}
    exec(compile(text, "docs/plugins.md", "exec", dont_inherit=True), names)
    contract = names["TestDayGrant"]()
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) > 8
    for test in tests:
        getattr(contract, test)()


def test_the_example_hooks_are_those_of_the_example_endpoint(tmp_path: Path, connector_endpoint: Any) -> None:
    """The page's endpoint file with the page's class beside it."""
    section = PAGE.partition("## When YAML is not enough\n")[2]
    (tmp_path / "acme.yaml").write_text(section.partition("```yml\n")[2].partition("```")[0])
    (tmp_path / "acme_hooks.py").write_text(section.partition("```python\n")[2].partition("```")[0])
    endpoint = connector_endpoint(tmp_path / "acme.yaml")
    assert type(endpoint.hooks).__name__ == "Acme"
