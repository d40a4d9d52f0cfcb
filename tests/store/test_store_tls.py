"""Stores on the other side of a network: TLS with a certificate that is looked at, and words in any language."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ports import port_ahead
from real_servers import IN_URL, PASSWORD, Postgresql, Redis
from store_room import refused

import connector
from connector.errors import StoreError
from connector.keys import encode, new_key
from connector.store.postgresql import PostgresqlStore
from connector.store.redis import RedisStore
from connector.tokenstore import Stored, TokenStore

sys.path.append(str(Path(__file__).parents[1] / "whole"))
from tls_server import issue

pytestmark = pytest.mark.slow
AUTHORITY, OTHER = issue("authority"), issue("other authority")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities: of the servers, and of others. The certificates are for 127.0.0.1."""
    made = tmp_path_factory.mktemp("tls")
    (made / "ca.pem").write_bytes(AUTHORITY.certificate_pem)
    (made / "other.pem").write_bytes(OTHER.certificate_pem)
    return made


@pytest.fixture(scope="module")
def postgresql_tls() -> Iterator[Postgresql]:
    """One that takes nothing else."""
    server, pair = Postgresql(), issue("server", AUTHORITY)
    server.settings = {
        "ssl": "on",
        "ssl_cert_file": server.put("server.pem", pair.certificate_pem),
        "ssl_key_file": server.put("server.key", pair.key_pem()),
    }
    with server:
        yield server


@pytest.fixture(scope="module")
def redis_tls(folder: Path) -> Iterator[tuple[Redis, int]]:
    """One, and its port for TLS."""
    pair, port = issue("server", AUTHORITY), port_ahead()
    (folder / "redis.pem").write_bytes(pair.certificate_pem)
    (folder / "redis.key").write_bytes(pair.key_pem())
    settings = {
        "tls-port": str(port),
        "tls-cert-file": str(folder / "redis.pem"),
        "tls-key-file": str(folder / "redis.key"),
        "tls-ca-cert-file": str(folder / "ca.pem"),
        "tls-auth-clients": "no",
    }
    with Redis(**settings) as server:
        yield server, port


def works(store: TokenStore) -> None:
    """Saving, loading, leasing, and being woken."""
    store.save("a", b"SEALED", version=1)
    assert store.load("a") == Stored(version=1, sealed=b"SEALED")
    assert store.acquire("a", "me", ttl_s=5).holder == "me"
    store.release("a", "me")
    store.close()


def test_postgresql_over_tls(postgresql_tls: Postgresql, folder: Path) -> None:
    """`sslmode=verify-full` with the right authority and name works; with another of either nothing is sent."""
    url = f"{postgresql_tls.url()}?sslmode=verify-full&sslrootcert={folder}"
    works(PostgresqlStore(f"{url}/ca.pem"))
    [(encrypted,)] = postgresql_tls.ask(
        "SELECT bool_and(ssl) FROM pg_stat_ssl WHERE pid <> pg_backend_pid()"
    ) or [(None,)]
    assert encrypted is not False
    refused(PostgresqlStore(f"{url}/other.pem"), "store_unproven", "certificate verify failed")
    refused(PostgresqlStore(f"{url}/ca.pem".replace("127.0.0.1", "localhost")), "store_unproven", "localhost")
    refused(PostgresqlStore(f"{url}/nowhere.pem"), "store_unproven", "nowhere.pem")


def test_postgresql_without_tls(postgresql: Postgresql, folder: Path) -> None:
    """A server that speaks none is not spoken to where it is asked for."""
    store = PostgresqlStore(f"{postgresql.url()}?sslmode=require")
    refused(store, "store_unproven", "does not support SSL")


def test_redis_over_tls(redis_tls: tuple[Redis, int], folder: Path) -> None:
    """The same with `rediss://`; without an authority of its own, those of the system count."""
    server, port = redis_tls
    plain = server.url("tls")
    url = plain.replace("redis://", "rediss://").replace(f":{server.port}/", f":{port}/")
    works(RedisStore(f"{url}&ssl_ca_certs={folder}/ca.pem"))
    for wrong, words in {
        f"{url}&ssl_ca_certs={folder}/other.pem": "verify failed",
        f"{url}&ssl_ca_certs={folder}/ca.pem".replace("127.0.0.1", "localhost"): "localhost",
        url: "verify failed",
    }.items():
        refused(RedisStore(wrong), "store_unproven", words)
    assert server.ask("HLEN", "tls:records") == 2


def test_a_server_that_speaks_german() -> None:
    """What is wrong at the door is known by its SQLSTATE, whatever the words."""
    german = {"LANGUAGE": "de", "LC_MESSAGES": "C.UTF-8", "LC_ALL": ""}
    with Postgresql(environment=german, lc_messages="C.UTF-8") as server:
        wrong = PostgresqlStore(server.url(password="CANARY-wrong"))
        refused(wrong, "store_refused", "Passwort-Authentifizierung")
        nowhere = PostgresqlStore(server.url().replace("/postgres", "/nowhere"))
        refused(nowhere, "store_unusable", "existiert nicht")
        server.ask("CREATE ROLE few LOGIN PASSWORD 'x'")
        server.ask("ALTER ROLE few CONNECTION LIMIT 0")
        refused(PostgresqlStore(server.url(user="few", password="x")), "store_unreachable", "Verbindungen")


@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_a_password_by_reference(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host works with it, and the password is in no word that is shown."""
    server = request.getfixturevalue("postgresql" if kind == "postgresql" else "redis_server")
    monkeypatch.setenv("STORE_PASSWORD", PASSWORD)
    monkeypatch.setenv("CONNECTOR_KEY", encode([new_key()]))
    path = tmp_path / "manifest.yaml"
    account = {
        "oauth2_endpoint": {
            "authorize": {"url": "http://127.0.0.1:1/a"},
            "token": {"url": "http://127.0.0.1:1/t"},
        },
        "client_id": f"client-of-{tmp_path.name}",
        "client_secret": "s",
        "grant": "authorization_code",
    }
    url = server.url().replace(IN_URL, "${env:STORE_PASSWORD}")
    path.write_text(yaml.safe_dump({"version": 1, "store": url, "accounts": {"main": account}}))
    with connector.open(path) as host:
        host.adopt("main", {"access_token": "a", "expires_in": 100})
        assert host.status("main").state == "ready"
        assert "CANARY" not in repr(host)
    monkeypatch.setenv("STORE_PASSWORD", "CANARY-wrong")
    with connector.open(path) as host, pytest.raises(StoreError) as caught:
        host.status("main")
    assert caught.value.code == "store_refused"
    assert "CANARY" not in f"{caught.value} {caught.value!r}"
