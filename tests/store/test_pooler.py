"""PostgreSQL behind a pooler, whose sessions are others' too: nothing is left on them, and its refusals are told.

A pooler's habits are played here: it gives its clients numbers of its own, and knows few startup parameters.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from real_servers import Postgresql
from store_room import operations, refused

from connector.store.postgresql import PostgresqlStore
from connector.tokenstore import Stored

pytestmark = pytest.mark.slow

SEEN = """
SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
    current_setting('default_transaction_isolation'), current_setting('transaction_isolation'),
    current_setting('synchronous_commit'), array(SELECT pg_listening_channels())"""


@contextmanager
def answering(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on loopback, where each connection is served in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def doors() -> None:
            while True:
                try:
                    client, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=doors, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """What comes goes on, to its end."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def read(source: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise OSError("it hung up")
        data += more
    return data


def between(server: int) -> Callable[[socket.socket], None]:
    """A pooler's way to give its clients another process number (protocol "BackendKeyData")."""

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", server)) as upstream:
            there = threading.Thread(target=pump, args=(client, upstream), daemon=True)
            there.start()
            kind = b""
            while kind != b"K":
                try:
                    kind, size = struct.unpack("!cI", read(upstream, 5))
                    body = read(upstream, size - 4)
                except OSError:
                    return
                if kind == b"K":
                    body = struct.pack("!I", 4_000_000) + body[4:]
                client.sendall(struct.pack("!cI", kind, size) + body)
            pump(upstream, client)
            there.join()

    return serve


def of_another(server: Postgresql, schema: str, port: int) -> str:
    """The URL of the same store at another port, in clear."""
    return server.url(schema).replace(f":{server.port}/", f":{port}/") + "&sslmode=disable"


@pytest.fixture
def schema(postgresql: Postgresql, own_name: str) -> str:
    """A schema of a test's own."""
    postgresql.ask(f"CREATE SCHEMA {own_name}")
    return own_name


def test_nothing_is_left_on_a_connection(postgresql: Postgresql, schema: str) -> None:
    """What an operation sets ends with it: whoever has the session next finds it as it was."""
    store = PostgresqlStore(postgresql.url(schema))
    for call in operations(store).values():
        call()
    kept = store._idle.take()
    assert kept is not None
    with psycopg.connect(postgresql.url(schema), autocommit=True) as fresh:
        assert kept.execute(SEEN).fetchall() == fresh.execute(SEEN).fetchall()
    kept.close()
    store.close()


def test_what_an_operation_sets_holds_while_it_runs(postgresql: Postgresql, schema: str) -> None:
    """However the session is set up, which a pooler's may be by others."""
    lax = postgresql.url(schema) + "".join(
        f"%20-c{name}%3D{value}"
        for name, value in {
            "statement_timeout": "1h",
            "lock_timeout": "1h",
            "default_transaction_isolation": "serializable",
            "synchronous_commit": "off",
        }.items()
    )
    store = PostgresqlStore(lax)
    store.save("a", b"1", version=1)
    [(*seen, _)] = store._rows(SEEN, {})  # type: ignore[arg-type]
    assert seen == ["4s", "3s", "serializable", "read committed", "on"]
    store.close()


def test_nobody_listens_behind_a_pooler(postgresql: Postgresql, schema: str) -> None:
    """A session that others get too is not left listening; who waits looks again soon, and all else goes on."""
    listening = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UNLISTEN%connector%' /* {schema} */"
    before = postgresql.ask(listening)
    with answering(between(postgresql.port)) as port:
        store = PostgresqlStore(of_another(postgresql, schema, port))
        store.save("a", b"1", version=1)
        for _ in range(3):
            began = time.monotonic()
            store.wait("a", 5.0)
            assert 0.3 < time.monotonic() - began < 2
        assert postgresql.ask(listening) == before
        assert store.load("a") == Stored(version=1, sealed=b"1")
        store.close()
    direct = PostgresqlStore(postgresql.url(schema))
    direct.wait("a", 0.1)
    assert postgresql.ask(listening) != before  # so this is how it would show
    direct.close()


def test_a_pooler_that_does_not_know_a_part_of_the_url(postgresql: Postgresql, schema: str) -> None:
    """No waiting cures that, so it is a refusal that says what stands there; its other errors are no such thing."""
    said = "unsupported startup parameter: options"

    def serve(client: socket.socket) -> None:
        with client:
            [size] = struct.unpack("!I", read(client, 4))
            read(client, size - 4)
            fields = f"SFATAL\0VFATAL\0C08P01\0M{said}\0\0".encode()
            client.sendall(struct.pack("!cI", b"E", 4 + len(fields)) + fields)

    with answering(serve) as port:
        store = PostgresqlStore(of_another(postgresql, schema, port))
        refused(store, "store_refused", said, "PgBouncer", "session mode", "ignore_startup_parameters")
        said = "server login has been failing, try again later"
        refused(store, "store_unreachable", said)


def test_a_pooler_in_statement_mode(postgresql: Postgresql, schema: str) -> None:
    """It takes no transaction of several messages, as making the tables is; nor does any waiting cure that."""
    store = PostgresqlStore(postgresql.url(schema))
    store.save("a", b"1", version=1)
    said = "transaction blocks not allowed in statement pooling mode"
    postgresql.ask(
        f"CREATE FUNCTION {schema}.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{said}' USING ERRCODE = '08P01'; END $$",
        f"CREATE TRIGGER no BEFORE INSERT OR UPDATE OR DELETE ON {schema}.connector_record"
        f" FOR EACH ROW EXECUTE FUNCTION {schema}.no()",
    )
    refused(store, "store_refused", said, "PgBouncer", "transaction mode", only=["save", "delete"])
    store.close()
