"""What a host hands out, what it refuses, what it counts, and the logins it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from host_room import MANIFEST, REPLY, Open, Outside, get

import connector
from connector.errors import ConnectorError, ManifestError, NotAuthorizedError, StoreError
from connector.host import Host

KINDS = pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])


@KINDS
def test_a_client_is_signed_in(host: Host, outside: Outside, kind: str) -> None:
    """Base URL and token are the account's, and an option that is the caller's own counts."""
    seen = get(host, kind, headers={"X-Own": "1"})
    assert (seen["host"], seen["authorization"], seen["x-own"]) == ("api.example.com", "Bearer token-1", "1")
    assert get(host, kind)["authorization"] == "Bearer token-1"
    assert len(outside.calls) == 1
    assert b"very-secret" in outside.calls[0]


def test_a_client_is_never_without_a_timeout(host: Host) -> None:
    """Ours is longer than httpx's; the caller's own counts."""
    with host.client("machine") as http:
        assert (http.timeout.read, http.timeout.connect) == (30.0, 10.0)
    with host.client("machine", timeout=3) as http:
        assert http.timeout.read == 3


@pytest.mark.parametrize(
    "option", ["transport", "mounts", "proxy", "verify", "cert", "auth", "trust_env", "base_url"]
)
def test_options_that_belong_to_the_account_are_refused(host: Host, option: str) -> None:
    """They would bypass the account's transport without a word, so they are a TypeError that names them."""
    for make in (host.client, host.async_client):
        with pytest.raises(TypeError, match=rf"{option} belongs to the account.*host\.transport"):
            make("machine", **{option: None})


@pytest.mark.parametrize("ask", ["client", "async_client", "transport", "token", "status", "counts", "renew"])
def test_an_unknown_account_has_a_near_miss(host: Host, ask: str) -> None:
    """Whatever is asked for: the error names the account that was probably meant, and the manifest's place."""
    with pytest.raises(ManifestError, match="did you mean machine") as caught:
        getattr(host, ask)("machin")
    assert caught.value.code == "unknown_account"
    assert caught.value.file.endswith("manifest.yaml")


def test_an_unknown_account_without_a_near_miss_lists_those_there_are(host: Host) -> None:
    """So does one that resembles nothing."""
    with pytest.raises(ManifestError, match="it has machine, person"):
        host.token("zzz")


def test_the_story_of_a_login(host: Host, outside: Outside) -> None:
    """`status` follows a login from nothing to its end, and never calls the server."""
    assert host.status("person").state == "needs_authorization"
    with pytest.raises(NotAuthorizedError, match="connector login person"):
        host.token("person")
    with pytest.raises(NotAuthorizedError):
        host.renew("person")
    outside.now += 1
    token = host.adopt("person", REPLY)
    status = host.status("person")
    assert (status.state, status.fingerprint, status.refreshable) == ("ready", token.fingerprint, True)
    assert status.expires_at == outside.now + 3600
    assert host.token("person").access_token.reveal() == "adopted"
    outside.now += 3595
    assert host.status("person").state == "expired"
    assert outside.calls == []
    assert host.token("person").access_token.reveal() == "token-1"
    assert (host.status("person").state, host.status("person").renewals) == ("ready", 1)
    assert host.renew("person").access_token.reveal() == "token-2"
    assert b"refresh_token=refresh-1" in outside.calls[1]


def test_a_bad_reply_leaves_the_login_there_was(host: Host) -> None:
    """`adopt` takes a token reply or nothing."""
    host.adopt("person", REPLY)
    with pytest.raises(ConnectorError) as caught:
        host.adopt("person", {"error": "invalid_grant"})
    assert caught.value.code == "bad_token_reply"
    assert host.token("person").access_token.reveal() == "adopted"


def test_another_login_counts_at_once(host: Host) -> None:
    """A token in memory does not outlive the login it came from."""
    host.adopt("person", REPLY)
    host.token("person")
    host.adopt("person", {**REPLY, "access_token": "second"})
    assert host.token("person").access_token.reveal() == "second"


def test_counts_and_used(host: Host) -> None:
    """Each account is counted by itself; looking at one does not make it used."""
    host.status("person")
    host.counts("person")
    assert host.used() == {}
    with host.client("machine") as http:
        http.get("/things")
        http.get("/things")
    assert list(host.used()) == ["machine"]
    counts = host.used()["machine"]
    assert (counts.requests, counts.token_calls, counts.renewals, counts.failed_requests) == (2, 1, 0, 0)
    assert host.counts("machine") is not counts  # a copy: before and after can be compared
    assert host.counts("person").requests == 0


def test_two_hosts_on_one_store_share_logins(opened: Open, outside: Outside) -> None:
    """What one renewed the other finds; a manifest that means another client does not."""
    first, second = opened(), opened()
    first.adopt("person", REPLY)
    assert second.token("person").access_token.reveal() == "adopted"
    person = {**MANIFEST["accounts"]["person"], "client_id": "somebody-else"}
    third = opened(accounts={"person": person})
    assert third.status("person").state == "needs_authorization"


def test_rotating_the_key_costs_no_login(opened: Open, outside: Outside) -> None:
    """Every record is sealed anew, under way too; a host that was open before reads it with the new key."""
    host, other = opened(), opened()
    host.adopt("person", REPLY)
    host.token("machine")
    before = {key: outside.store.load(key) for key in outside.store.accounts()}
    assert host.rotate_key() == 2
    for key, old in before.items():
        new = outside.store.load(key)
        assert new is not None
        assert old is not None
        assert (new.version, new.sealed != old.sealed) == (old.version + 1, True)
    assert other.token("person").access_token.reveal() == "adopted"
    assert host.renew("person").access_token.reveal() == "token-2"


def test_open_says_everything_that_is_wrong(tmp_path: Path) -> None:
    """A manifest with mistakes opens no host: all of them come in one error."""
    path = tmp_path / "manifest.yaml"
    accounts = {"a": {"client_id": 5}, "b": {"oauth2_endpoint": "coupaa", "client_id": "x"}}
    path.write_text(yaml.safe_dump({"version": 1, "store": "sqlit:///x.db", "accounts": accounts}))
    with pytest.raises(ManifestError) as caught:
        connector.open(path)
    assert {"/accounts/a/client_id", "/accounts/b/oauth2_endpoint", "/store"} <= {
        problem.pointer for problem in caught.value.problems
    }


def test_a_store_given_in_python_counts_instead_of_the_manifests(tmp_path: Path, outside: Outside) -> None:
    """By object or URL; the manifest's own may then be one that nobody knows."""
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, "store": "unknown:"}))
    for store in (outside.store, "memory:", "sqlite:///tokens.db"):
        with connector.open(path, store=store) as host:
            assert host.status("person").state == "needs_authorization"
    with pytest.raises(StoreError) as caught:
        connector.open(path, store="unknown:")
    assert caught.value.code == "bad_store_url"
