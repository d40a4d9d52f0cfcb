"""A host and its plugins: services are started when needed, and a broken plugin harms only what needs it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import connector
from connector.errors import ConnectorError, PluginError
from connector.hookspecs import hookimpl
from connector.sandbox import Sandbox

PLAIN = {
    "client_id": "me",
    "client_secret": "${env:HOST_TEST_SECRET}",
    "oauth2_token": "https://login.example.com/token",
    "grant": "client_credentials",
}
SERVED = {
    "oauth2_endpoint": "served",
    "client_id": "sandbox",
    "client_secret": "${noted:secret}",
    "scopes": ["core.invoice.read"],
}
ENDPOINT = {
    "endpoint": "served",
    "settings": {"origin": {"x-filled-by": "service"}},
    "grants": ["client_credentials"],
    "token": {"url": "{origin}/coupa/oauth2/token", "auth": "client_secret_post"},
    "api": {"base_url": "{origin}/coupa"},
    "service": "noted",
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a manifest with these accounts."""
    monkeypatch.setenv("HOST_TEST_SECRET", "very-secret")

    def made(**accounts: Any) -> Path:
        path = tmp_path / "manifest.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "store": "memory:", "accounts": accounts}))
        return path

    return made


class Noted:
    """A plugin that brings an endpoint with a service, and notes what is done to it."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.notes: list[str] = []
        self.secrets = ["sandbox-secret"]
        self._fails = fails
        self._sandbox = Sandbox()

    @property
    def settings(self) -> dict[str, str]:
        return {"origin": self._sandbox.url}

    def authorize(self, account: Any) -> None:
        """Nobody has to consent here."""

    def __enter__(self) -> Noted:
        self.notes.append("start")
        if self._fails:
            raise self._fails
        self._sandbox.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._sandbox.stop()
        self.notes.append("stop")

    def secret(self, ref: str, folder: Path) -> str:
        """Whatever is the secret now."""
        self.notes.append(f"asked for {ref}")
        return self.secrets[-1]

    @hookimpl
    def connector_endpoints(self) -> Any:
        return [ENDPOINT]

    @hookimpl
    def connector_services(self) -> Any:
        return {"noted": lambda: self}

    @hookimpl
    def connector_secret_sources(self) -> Any:
        return {"noted": self.secret}


def test_a_service_runs_from_the_first_need_to_the_end(write: Write) -> None:
    """Opening, looking and counting start nothing; two accounts share one; closing the host stops it."""
    plugin = Noted()
    path = write(one=SERVED, two={**SERVED, "scopes": ["core.supplier.read"]}, plain=PLAIN)
    with connector.open(path, plugins=[plugin]) as host:
        assert host.status("one").state == "expired"
        assert host.counts("one").requests == 0
        assert plugin.notes == []
        first = host.token("one")
        assert first.access_token
        assert host.token("two").fingerprint != first.fingerprint
        assert plugin.notes.count("start") == 1
        assert host.status("one").state == "ready"
        assert host.counts("one").token_calls == 1
        assert "stop" not in plugin.notes
    assert plugin.notes[-1] == "stop"


def test_a_service_that_is_told_of_another_is_not_started(write: Write) -> None:
    """An account that says itself where the server is uses that one."""
    plugin = Noted()
    with Sandbox() as elsewhere:
        path = write(one={**SERVED, "settings": {"origin": elsewhere.url}})
        with connector.open(path, plugins=[plugin]) as host:
            assert host.token("one").access_token
        assert elsewhere.counts["coupa"].token_calls == 1
    assert "start" not in plugin.notes


def test_a_service_that_does_not_start_is_its_plugins_fault(write: Write) -> None:
    """The error names plugin and hook, its accounts only are affected, and it may be tried again."""
    plugin = Noted(fails=OSError("hunter2"))
    with connector.open(write(one=SERVED, plain=PLAIN), plugins=[plugin]) as host:
        for starts in (1, 2):
            with pytest.raises(PluginError, match=r"test_host_plugins\.Noted failed") as caught:
                host.token("one")
            assert caught.value.hook == "connector_services"
            assert re.fullmatch(r"OSError at \S*test_host_plugins\.py:\d+", caught.value.reason)
            assert plugin.notes.count("start") == starts
        assert host.status("plain").state == "expired"
    assert "stop" not in plugin.notes


def test_a_secret_is_asked_for_at_each_token_call(write: Write) -> None:
    """A client secret that was changed in its safe needs no restart."""
    plugin = Noted()
    plugin.secrets.append("wrong")
    with connector.open(write(one=SERVED), plugins=[plugin]) as host:
        with pytest.raises(ConnectorError) as caught:
            host.renew("one")
        assert caught.value.code == "client_refused"
        plugin.secrets.append("sandbox-secret")
        assert host.renew("one").access_token
    assert plugin.notes.count("asked for secret") == 2


def test_asked_for_an_account_while_it_is_made(write: Write) -> None:
    """A signal handler may come anywhere, so here as well: there is one login, or two would share one lease."""
    plugin = Noted()
    meanwhile: list[object] = []

    def secret(ref: str, folder: Path) -> str:
        if not meanwhile:
            meanwhile.append(None)
            meanwhile.append(host.token("one"))
        return "sandbox" if ref == "id" else "sandbox-secret"

    plugin.secret = secret  # type: ignore[method-assign]
    path = write(one={**SERVED, "client_id": "${noted:id}"})
    with connector.open(path, plugins=[plugin]) as host:
        token = host.token("one")
        assert meanwhile[1] is token
        assert host.counts("one").token_calls == 1


class Broken:
    """A plugin that fails in a hook."""

    @hookimpl
    def connector_endpoints(self) -> Any:
        raise RuntimeError("out of order")


def test_a_broken_plugin_harms_only_what_needs_it(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and listed; an account that may need it raises an error that names it, others work."""
    path = write(theirs={**PLAIN, "oauth2_endpoint": "theirs", "oauth2_token": None}, plain=PLAIN)
    text = yaml.safe_load(path.read_text())
    del text["accounts"]["theirs"]["oauth2_token"]
    path.write_text(yaml.safe_dump(text))
    with caplog.at_level(logging.WARNING, "connector"), connector.open(path, plugins=[Broken()]) as host:
        assert list(host.accounts) == ["plain"]
        assert list(host.broken) == ["theirs"]
        [problem] = host.problems
        assert "out of order" in str(problem)
        with pytest.raises(PluginError, match="out of order") as caught:
            host.token("theirs")
        assert (caught.value.code, caught.value.hook) == ("plugin_failed", "connector_endpoints")
        assert caught.value.owner.endswith("Broken")
        assert host.status("plain").state == "expired"
    assert [record.message for record in caplog.records if record.message.startswith("plugin.broken")]


def test_two_plugins_that_claim_one_name_open_nothing(write: Write) -> None:
    """Nobody can tell which one the manifest means, so this is an error that names both owners."""

    class Other(Noted):
        pass

    with pytest.raises(PluginError, match=r"Noted and .*Other") as caught:
        connector.open(write(one=SERVED), plugins=[Noted(), Other()])
    assert caught.value.code == "duplicate"


def test_an_endpoint_whose_service_nobody_brings(write: Write) -> None:
    """The error names the service."""

    class Homeless:
        @hookimpl
        def connector_endpoints(self) -> Any:
            return [ENDPOINT]

    account = {**SERVED, "client_secret": "${env:HOST_TEST_SECRET}"}
    with (
        connector.open(write(one=account), plugins=[Homeless()]) as host,
        pytest.raises(ConnectorError, match="'noted'") as caught,
    ):
        host.token("one")
    assert caught.value.code == "unknown_service"
