"""Plugins of every origin and kind: what they bring, and what is said of those that are broken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connector.errors import PluginError
from connector.hookspecs import hookimpl
from connector.registry import HOOKS, Registry, collect
from connector.snap import Snap
from connector.store import MemoryStore

ENDPOINT = {"endpoint": "acme", "token": {"url": "https://acme.example.com/token"}}


@dataclass(frozen=True)
class PlainGrant:
    """A grant that does nothing."""

    name: str = "plain"
    interactive: bool = False

    def obtain(self, account: Any, secret: Any) -> None:
        """Nothing."""

    def renew(self, account: Any, token: Any, secret: Any) -> None:
        """Nothing."""


class PlainService:
    """A service that does nothing."""

    settings = {"origin": "http://127.0.0.1:1"}  # noqa: RUF012

    def authorize(self, account: Any) -> None:
        """Nothing."""

    def __enter__(self) -> PlainService:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def run(documents: Any, context: Any) -> Any:
    """Pass documents on."""
    yield from documents


def plugin(**hooks: Any) -> Any:
    """A plugin object; each hook returns the value given, or calls it when it is a function."""
    made = ModuleType("acme_plugin")
    for name, value in hooks.items():

        def answer(value: Any = value) -> Any:
            return value() if isinstance(value, type(run)) else value

        setattr(made, f"connector_{name}", hookimpl(lambda answer=answer: answer()))
    return made


EVERYTHING: dict[str, Any] = {
    "endpoints": [ENDPOINT],
    "grants": [PlainGrant()],
    "stores": {"acme": lambda url, folder: MemoryStore()},
    "secret_sources": {"safe": lambda ref, folder: "text"},
    "snaps": [Snap(name="acme.pass", run=run)],
    "services": {"acme": PlainService},
}
NAMES = {
    "endpoints": "acme",
    "grants": "plain",
    "stores": "acme",
    "secret_sources": "safe",
    "snaps": "acme.pass",
    "services": "acme",
}


def test_the_built_ins_are_plugins_without_a_problem() -> None:
    """What we ship comes by the same hooks, each name with its owner."""
    found = collect()
    assert found.problems == []
    assert {"coupa", "servicenow", "sandbox.coupa"} <= found.endpoints.keys()
    assert set(found.grants) == {
        "authorization_code",
        "client_credentials",
        "device_code",
        "jwt_bearer",
        "password",
        "refresh_token",
        "token_exchange",
        "two_step",
        "signed_jwt",
        "api_key",
        "basic",
        "bearer",
        "none",
        "custom",
    }
    assert {"sqlite", "memory"} <= found.stores.keys()
    assert set(found.secret_sources) == {"env", "file"}
    assert {"http.read", "map", "file.write"} <= found.snaps.keys()
    assert set(found.services) == {"sandbox"}
    assert found.owners["grant client_credentials"] == "connector (connector.plugins.grants)"


def test_there_are_six_hooks() -> None:
    """The words that plugins speak."""
    assert sorted(HOOKS) == sorted(f"connector_{name}" for name in EVERYTHING)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_each_hook_brings_what_it_returns(kind: str) -> None:
    """A plugin that has one hook brings its kind of thing under its name, with itself as owner."""
    found = collect(plugins=[plugin(**{kind: EVERYTHING[kind]})])
    assert found.problems == []
    assert NAMES[kind] in getattr(found, kind)
    word = kind.removesuffix("s").replace("_", " ")
    assert found.owners[f"{word} {NAMES[kind]}"] == "acme_plugin"


@pytest.mark.parametrize("kind", ["endpoints", "grants", "snaps"])
def test_a_hook_may_be_a_generator(kind: str) -> None:
    """Lists may come one by one."""

    def one_by_one() -> Any:
        yield from EVERYTHING[kind]

    found = collect(plugins=[plugin(**{kind: one_by_one})])
    assert found.problems == []
    assert NAMES[kind] in getattr(found, kind)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_a_hook_may_bring_nothing(kind: str) -> None:
    """None and an empty collection are no mistake."""
    for nothing in (None, type(EVERYTHING[kind])()):
        assert collect(plugins=[plugin(**{kind: nothing})]).problems == []


def problem(found: Registry) -> PluginError:
    """The one thing that is wrong."""
    [error] = found.problems
    assert isinstance(error, PluginError)
    return error


@pytest.mark.parametrize("kind", EVERYTHING)
def test_two_that_claim_one_name_are_both_named(kind: str) -> None:
    """The first one stays, and the error says who else brings it."""
    first, second = plugin(**{kind: EVERYTHING[kind]}), plugin(**{kind: EVERYTHING[kind]})
    second.__name__ = "other_plugin"
    found = collect(plugins=[first, second])
    error = problem(found)
    assert error.code == "duplicate"
    assert "both acme_plugin and other_plugin" in str(error)
    assert repr(NAMES[kind]) in str(error)
    assert NAMES[kind] in getattr(found, kind)


def test_one_that_claims_a_built_in_name_does_not_replace_it() -> None:
    """A plugin cannot slip itself under an endpoint or secret source that we ship."""
    stolen = plugin(
        secret_sources={"env": lambda ref, folder: "stolen"}, endpoints=[{**ENDPOINT, "endpoint": "coupa"}]
    )
    found = collect(plugins=[stolen])
    assert [error.code for error in found.problems] == ["duplicate", "duplicate"]
    assert all("acme_plugin" in str(error) and "connector (" in str(error) for error in found.problems)
    assert found.endpoints["coupa"].token.url != ENDPOINT["token"]["url"]  # type: ignore[index]
    with pytest.raises(LookupError):
        found.secret_sources["env"]("CONNECTOR_NOT_SET", Path())


def test_one_plugin_that_claims_a_name_twice() -> None:
    """It is told as one owner, not as two."""
    error = problem(collect(plugins=[plugin(snaps=[*EVERYTHING["snaps"], *EVERYTHING["snaps"]])]))
    assert "acme_plugin twice" in str(error)


@pytest.mark.parametrize("kind", EVERYTHING)
@pytest.mark.parametrize("raised", [ValueError("broken\nhere"), SystemExit(3), KeyError("x")], ids=repr)
def test_a_hook_that_raises_harms_nobody_else(kind: str, raised: BaseException) -> None:
    """It is named with owner, hook and words; the plugin's other hooks and all other plugins go on."""

    def fail() -> Any:
        raise raised

    broken = plugin(**{**EVERYTHING, kind: fail})
    other = plugin(secret_sources={"other": lambda ref, folder: "text"})
    other.__name__ = "other_plugin"
    found = collect(plugins=[broken, other])
    error = problem(found)
    assert (error.code, error.owner, error.hook) == ("plugin_failed", "acme_plugin", f"connector_{kind}")
    assert error.reason.startswith(type(raised).__name__)
    assert "\n" not in error.reason
    brought = {name for name in EVERYTHING if NAMES[name] in getattr(found, name)}
    assert brought == EVERYTHING.keys() - {kind}
    assert "other" in found.secret_sources
    assert "coupa" in found.endpoints


def test_a_generator_that_breaks_in_the_middle_brings_nothing() -> None:
    """Half of a list is not taken: nobody would know what is missing."""

    def half() -> Any:
        yield from EVERYTHING["snaps"]
        raise RuntimeError("lost")

    found = collect(plugins=[plugin(snaps=half)])
    assert problem(found).hook == "connector_snaps"
    assert "acme.pass" not in found.snaps


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("endpoints", "acme.yaml"),
        ("endpoints", [5]),
        ("grants", [PlainGrant]),
        ("grants", {"plain": PlainGrant()}),
        ("grants", [object()]),
        ("snaps", [run]),
        ("stores", [MemoryStore]),
        ("stores", {"acme": MemoryStore()}),
        ("secret_sources", {"": lambda ref, folder: "x"}),
        ("secret_sources", {5: lambda ref, folder: "x"}),
        ("services", {"acme": PlainService()}),
    ],
)
def test_what_is_not_what_was_promised(kind: str, value: Any) -> None:
    """A value of the wrong kind is told with its type, and nothing of it is taken."""
    found = collect(plugins=[plugin(**{kind: value})])
    error = problem(found)
    assert (error.owner, error.hook, error.code) == ("acme_plugin", f"connector_{kind}", "plugin_failed")
    assert "was promised" in error.reason
    assert getattr(found, kind).keys() == getattr(collect(), kind).keys()


def test_an_endpoint_with_mistakes_is_told_with_all_of_them() -> None:
    """A mapping is checked like a file; the owner is named, and the plugin's other endpoints are taken."""
    wrong = {"endpoint": "wrong", "token": {"urk": "x"}, "grantz": []}
    found = collect(plugins=[plugin(endpoints=[wrong, ENDPOINT])])
    error = problem(found)
    assert (error.code, error.owner, error.hook) == ("bad_endpoint", "acme_plugin", "connector_endpoints")
    assert "urk" in error.reason
    assert "grantz" in error.reason
    assert "acme" in found.endpoints


def test_an_endpoint_may_build_on_another_plugins() -> None:
    """`extends` finds endpoints of all plugins, whatever their order."""
    child = {"endpoint": "child", "extends": "acme", "title": "Child"}
    found = collect(plugins=[plugin(endpoints=[child]), plugin(endpoints=[ENDPOINT])])
    assert found.problems == []
    assert found.endpoints["child"].token.url == ("https://acme.example.com/token",)


@pytest.mark.parametrize(
    ("name", "words"),
    [("connector_snap", "connector_snap"), ("connector_endpoint", "connector_endpoint")],
)
def test_a_hook_of_an_unknown_name_is_a_mistake(name: str, words: str) -> None:
    """A misspelt hook would never be called, so the plugin does not fit."""
    made = ModuleType("acme_plugin")
    setattr(made, name, hookimpl(lambda: ()))
    error = problem(collect(plugins=[made]))
    assert (error.code, error.owner) == ("bad_plugin", "acme_plugin")
    assert words in error.reason


def test_a_hook_without_its_mark_is_a_mistake() -> None:
    """A function that is named like a hook and lacks @hookimpl is told, not skipped."""
    made: Any = ModuleType("acme_plugin")
    made.connector_snaps = lambda: EVERYTHING["snaps"]
    error = problem(collect(plugins=[made]))
    assert (error.code, error.hook) == ("bad_plugin", "connector_snaps")
    assert "@hookimpl" in error.reason


def test_a_hook_with_arguments_is_a_mistake() -> None:
    """Hooks take none."""
    made: Any = ModuleType("acme_plugin")
    made.connector_snaps = hookimpl(lambda manifest: ())
    error = problem(collect(plugins=[made]))
    assert (error.code, error.hook) == ("bad_plugin", "connector_snaps")


def test_an_object_without_hooks_is_a_mistake() -> None:
    """Somebody meant it to be a plugin."""
    error = problem(collect(plugins=[object()]))
    assert (error.code, error.owner) == ("bad_plugin", "builtins.object")


def test_the_same_object_twice_is_one_plugin() -> None:
    """Given twice it is asked once; two objects of one class are two plugins with names of their own."""

    class Acme:
        @hookimpl
        def connector_snaps(self) -> Any:
            return EVERYTHING["snaps"]

    one = Acme()
    assert collect(plugins=[one, one]).problems == []
    error = problem(collect(plugins=[one, Acme()]))
    assert error.code == "duplicate"
    assert "Acme and " in str(error)
    assert "(plugins[1])" in str(error)
