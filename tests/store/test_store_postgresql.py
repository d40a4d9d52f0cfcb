"""PostgreSQL as a store: its schema, its durability, and what can be wrong with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from ports import port_ahead
from real_servers import Postgresql
from store_room import READS, WRITES, operations, refused

from connector.errors import StoreError
from connector.store.postgresql import MIGRATIONS, PostgresqlStore
from connector.testing.doing import in_threads
from connector.tokenstore import Stored

pytestmark = pytest.mark.slow


@pytest.fixture
def schema(postgresql: Postgresql, own_name: str) -> str:
    """A schema of a test's own."""
    postgresql.ask(f"CREATE SCHEMA {own_name}")
    return own_name


@pytest.fixture
def store(postgresql: Postgresql, schema: str) -> Iterator[PostgresqlStore]:
    """A store in it, which is not made yet."""
    opened = PostgresqlStore(postgresql.url(schema))
    yield opened
    opened.close()


def tables(server: Postgresql, schema: str) -> list[str]:
    """The tables of a schema."""
    query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1"
    return [row[0] for row in server.ask(query)]


# --- the schema ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*READS, "delete", "release"])
def test_looking_creates_nothing(
    postgresql: Postgresql, schema: str, store: PostgresqlStore, name: str
) -> None:
    """A status, or a clean-up, on a store that was never used leaves no table."""
    assert not operations(store)[name]()
    assert tables(postgresql, schema) == []


def test_what_a_row_looks_like(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """One row per account that a person can read but for its bytes; the lease ends by the server's clock."""
    store.save("a", b"\0sealed", version=1)
    [(account, version, sealed, age)] = postgresql.ask(
        f"SELECT account, version, sealed, extract(epoch FROM now() - updated_at) FROM {schema}.connector_record"
    )
    assert (account, version, bytes(sealed)) == ("a", 1, b"\0sealed")
    assert 0 <= age < 10
    lease = store.acquire("a", "me", ttl_s=60)
    [(holder, left, until)] = postgresql.ask(
        "SELECT holder, extract(epoch FROM expires_at - now()), extract(epoch FROM expires_at)::float8"
        f" FROM {schema}.connector_lease"
    )
    assert (holder, until) == ("me", lease.expires_at)
    assert 50 < left <= 60
    assert postgresql.ask(f"SELECT version FROM {schema}.connector_schema") == [(1,)]


def test_a_newer_schema_is_not_touched(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """A store that a newer connector has migrated is refused with advice, not downgraded."""
    store.save("a", b"1", version=1)
    store.close()
    postgresql.ask(f"UPDATE {schema}.connector_schema SET version = 7")
    refused(store, "newer_store", "upgrade connector", "schema version 7")
    assert postgresql.ask(f"SELECT version FROM {schema}.connector_schema") == [(7,)]


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE {}.connector_record (name text)"],
        ["CREATE TABLE {}.connector_schema (version integer)"],
        [
            "CREATE TABLE {}.connector_schema (version text)",
            "INSERT INTO {}.connector_schema VALUES ('one')",
            "CREATE TABLE {}.connector_record ()",
            "CREATE TABLE {}.connector_lease ()",
        ],
        [
            "CREATE TABLE {}.connector_schema (name text)",
            "CREATE TABLE {}.connector_record ()",
            "CREATE TABLE {}.connector_lease ()",
        ],
    ],
)
def test_tables_of_others_are_left_alone(
    postgresql: Postgresql, schema: str, store: PostgresqlStore, statements: list[str]
) -> None:
    """Tables of these names that another program made are refused, and nothing is added to them."""
    postgresql.ask(*(statement.format(schema) for statement in statements))
    before = tables(postgresql, schema)
    refused(store, "not_a_store", "nothing was changed")
    assert tables(postgresql, schema) == before


def test_an_older_schema_is_migrated_once(
    postgresql: Postgresql, schema: str, store: PostgresqlStore
) -> None:
    """Eight that open it at once bring it to the next version together; what was saved is still there."""
    store.save("a", b"precious", version=1)
    more = {**MIGRATIONS, 2: (f"ALTER TABLE {schema}.connector_record ADD COLUMN note text",)}

    def one(number: int, gate: threading.Barrier) -> Stored | None:
        newer = PostgresqlStore(postgresql.url(schema), migrations=more)
        gate.wait(30)
        try:
            return newer.load("a")
        finally:
            newer.close()

    assert in_threads(8, one, 60.0) == [Stored(version=1, sealed=b"precious")] * 8
    assert postgresql.ask(f"SELECT version FROM {schema}.connector_schema") == [(2,)]
    store.close()
    refused(store, "newer_store")


def test_a_migration_that_fails_changes_nothing(
    postgresql: Postgresql, schema: str, store: PostgresqlStore
) -> None:
    """All of it or nothing: the older connector goes on with what there was."""
    store.save("a", b"1", version=1)
    broken = {**MIGRATIONS, 2: (f"ALTER TABLE {schema}.connector_record DROP COLUMN sealed", "SELECT 1/0")}
    refused(PostgresqlStore(postgresql.url(schema), migrations=broken), "store_unusable", "division by zero")
    assert store.load("a") == Stored(version=1, sealed=b"1")


def test_tables_that_vanish_are_made_again(
    postgresql: Postgresql, schema: str, store: PostgresqlStore
) -> None:
    """An operator who empties the schema under a running pipeline costs the records, not the pipeline."""
    store.save("a", b"1", version=1)
    postgresql.ask(f"DROP SCHEMA {schema} CASCADE", f"CREATE SCHEMA {schema}")
    assert store.load("a") is None
    store.save("a", b"1", version=1)
    assert store.load("a") == Stored(version=1, sealed=b"1")


# --- durability and losses -------------------------------------------------------------------------------


def test_a_save_that_returned_survives_a_crash(own_name: str) -> None:
    """With fsync on and a server that would rather commit later: killed right after, the record is there."""
    with Postgresql(durable=True) as server:
        server.ask("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()")
        store = PostgresqlStore(server.url())
        store.save("a", b"1", version=1)
        assert store._rows("SELECT current_setting('synchronous_commit')", {}) == [("on",)]
        store.save("a", b"2", version=2)
        server.kill()
        refused(store, "store_unreachable")
        server.start()
        assert store.load("a") == Stored(version=2, sealed=b"2")
        store.close()


def test_a_server_that_comes_and_goes() -> None:
    """Restarted: not noticed. Stopped in its tracks: every operation gives up in time, and goes on after it."""
    with Postgresql() as server:
        store = PostgresqlStore(server.url(), bound_s=2.0)
        store.save("a", b"1", version=1)
        store.wait("a", 0.01)
        server.restart()
        store.save("a", b"2", version=2)  # on a connection that the restart has ended
        store.wait("a", 0.01)
        server.pause()
        try:
            refused(store, "store_unreachable")
            began = time.monotonic()
            store.wait("a", 0.2)
            assert time.monotonic() - began < 5
        finally:
            server.resume()
        assert store.load("a") in (None, Stored(version=2, sealed=b"2"))  # what was asked for may yet be done
        store.close()


def test_a_connection_that_is_cut_is_replaced(
    postgresql: Postgresql, schema: str, store: PostgresqlStore
) -> None:
    """An administrator who ends all sessions is not noticed, waiters included."""
    store.save("a", b"1", version=1)
    store.wait("a", 0.01)
    postgresql.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    time.sleep(0.2)
    store.save("a", b"2", version=2)
    store.wait("a", 0.01)
    assert store.load("a") == Stored(version=2, sealed=b"2")


def test_few_connections_are_kept(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """After sixteen at once eight stay open, two of them when nobody calls any more, none once it is closed."""
    brief = PostgresqlStore(postgresql.url(schema), idle_s=1.0)

    def one(number: int, gate: threading.Barrier) -> None:
        gate.wait(30)
        brief.acquire(str(number), "me", ttl_s=1)

    def count() -> int:
        [(found,)] = postgresql.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%connector_lease%'"
        )
        return int(found) - 1  # the one that asks

    in_threads(16, one, 60.0)
    assert 3 <= count() <= 8
    deadline = time.monotonic() + 10
    while count() != 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.2)
    assert count() == 2
    brief.close()
    time.sleep(0.2)
    assert count() == 0


# --- what can be wrong -----------------------------------------------------------------------------------


def test_a_wrong_password(postgresql: Postgresql) -> None:
    """Said as what it is, without the password."""
    refused(
        PostgresqlStore(postgresql.url(password="CANARY-wrong")), "store_refused", "password authentication"
    )


def test_a_database_that_is_not_there(postgresql: Postgresql) -> None:
    """The server's own words say which."""
    url = postgresql.url().replace("/postgres", "/nowhere")
    refused(PostgresqlStore(url), "store_unusable", 'database "nowhere" does not exist')


def test_nobody_listens() -> None:
    """A server that does not run."""
    refused(
        PostgresqlStore(f"postgresql://u:CANARY@127.0.0.1:{port_ahead()}/db"), "store_unreachable", "refused"
    )


def test_a_user_who_may_not(postgresql: Postgresql, schema: str) -> None:
    """Neither make the tables nor, where they are, use them."""
    user = f"user_{schema}"
    postgresql.ask(f"CREATE ROLE {user} LOGIN PASSWORD 'CANARY'", f"GRANT USAGE ON SCHEMA {schema} TO {user}")
    weak = PostgresqlStore(postgresql.url(schema, user=user, password="CANARY"))
    refused(weak, "store_refused", "permission denied for schema", only=WRITES)
    PostgresqlStore(postgresql.url(schema)).save("a", b"1", version=1)
    refused(weak, "store_refused", "permission denied for table")


def test_a_server_that_only_reads(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """Looking goes on; what writes is refused, on an empty schema too."""
    standby = PostgresqlStore(postgresql.url(schema) + "%20-cdefault_transaction_read_only%3Don")
    refused(standby, "store_read_only", only=WRITES)
    store.save("a", b"1", version=1)
    assert standby.load("a") == Stored(version=1, sealed=b"1")
    assert list(standby.accounts()) == ["a"]
    assert standby.holder("a") is None
    refused(standby, "store_read_only", "read-only transaction", only=[*WRITES, "delete", "release"])


def test_a_full_disk(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """What PostgreSQL reports as a full disk; the record before is still there."""
    store.save("a", b"precious", version=1)
    postgresql.ask(
        f"CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$",
        *(
            f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {schema}.connector_{table}"
            f" FOR EACH ROW EXECUTE FUNCTION {schema}.full()"
            for table in ("record", "lease")
        ),
    )
    refused(store, "store_full", "No space left", only=WRITES)
    assert store.load("a") == Stored(version=1, sealed=b"precious")


def test_a_row_that_is_locked(postgresql: Postgresql, schema: str, store: PostgresqlStore) -> None:
    """Somebody's open transaction holds a save up for a few seconds, not for ever."""
    store.save("a", b"1", version=1)
    with psycopg.connect(postgresql.url(schema)) as db:
        db.execute("SELECT * FROM connector_record FOR UPDATE")
        assert store.load("a") == Stored(version=1, sealed=b"1")
        refused(store, "store_unreachable", "lock timeout", only=["delete"])
    store.save("a", b"2", version=2)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:CANARY@host:port/db",
        "postgresql://u:CAN/ARY@host/db",
        "postgresql://u:CANARY@host/db?nonsense=1",
        "postgresql://u:%zzCANARY@host/db",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """Refused before anything is asked for, without repeating what may be a password."""
    with pytest.raises(StoreError) as caught:
        PostgresqlStore(url)
    assert caught.value.code == "bad_store_url"
    assert "CAN" not in str(caught.value)


def test_it_is_shown_without_its_password() -> None:
    """In a message, in a log, in a debugger."""
    store = PostgresqlStore("postgresql://me:CANARY@db.example.com:5433/tokens")
    assert repr(store) == "<PostgresqlStore postgresql://db.example.com:5433/tokens>"
