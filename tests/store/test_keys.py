"""Where the key is found, made, kept and changed; and that no other process loses by it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from store_worker import Elsewhere

from connector.errors import StoreError
from connector.keys import encode, keep, new_key, parse_keys, sealer_for
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.store import MemoryStore, SqliteStore
from connector.token import Token
from connector.vault import Vault, open_vault, shown

posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


class BrokenKeyring:
    """A keyring that fails at reading, at writing, or at both."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails

    def get_password(self, service: str, name: str) -> str | None:
        if "get" in self.fails:
            raise RuntimeError("CANARY in a backend's message")
        return None

    def set_password(self, service: str, name: str, text: str) -> None:
        if "set" in self.fails:
            raise RuntimeError(f"could not keep {text}")


def names(sealer: Sealer) -> list[str]:
    return [key.name.hex() for key in sealer.keys]


# --- order ----------------------------------------------------------------------------------------------


def test_the_first_place_that_has_a_key_wins(tmp_path: Path, keyring: Any) -> None:
    """CONNECTOR_KEY before the key file, the file before the keyring; nothing is copied between them."""
    file, ours = tmp_path / "k", [new_key(), new_key(), new_key()]
    keyring.set_password("connector", "u", encode(ours[2:]))
    found = sealer_for("u", file, environ={}, keyring=keyring)
    assert (found.where, found.keys) == ("the OS keyring", (ours[2],))
    file.write_text(encode(ours[1:2]))
    file.chmod(0o600)
    found = sealer_for("u", file, environ={"CONNECTOR_KEY": "  "}, keyring=keyring)
    assert (found.where, found.keys) == (str(file), (ours[1],))
    found = sealer_for("u", file, environ={"CONNECTOR_KEY": encode(ours[:1])}, keyring=keyring)
    assert (found.where, found.keys) == ("CONNECTOR_KEY", (ours[0],))


def test_a_new_key_goes_to_the_keyring(tmp_path: Path, keyring: Any) -> None:
    """Where there is a keyring no file is made, and the next to ask finds the same key."""
    one = sealer_for("u", tmp_path / "k", environ={}, keyring=keyring)
    assert list(tmp_path.iterdir()) == []
    assert sealer_for("u", tmp_path / "k", environ={}, keyring=keyring).keys == one.keys
    assert sealer_for("other", tmp_path / "k", environ={}, keyring=keyring).keys != one.keys


@posix
def test_without_a_keyring_a_file_is_made(tmp_path: Path) -> None:
    """Mode 0600 in a folder 0700, whatever the umask, and nothing else left there."""
    before = os.umask(0)
    try:
        one = sealer_for("u", tmp_path / "d" / "k", environ={}, keyring=None)
    finally:
        os.umask(before)
    assert [file.name for file in (tmp_path / "d").iterdir()] == ["k"]
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "d" / "k").stat().st_mode & 0o777 == 0o600
    assert sealer_for("u", tmp_path / "d" / "k", environ={}, keyring=None).keys == one.keys


def test_a_keyring_that_keeps_nothing_is_none(tmp_path: Path) -> None:
    """It reads but refuses to write: a file is made instead."""
    found = sealer_for("u", tmp_path / "k", environ={}, keyring=BrokenKeyring("set"))
    assert found.where == str(tmp_path / "k")


def test_a_locked_keyring_makes_no_second_key(tmp_path: Path) -> None:
    """What cannot be read may hold the key: an error for the operator, without the backend's words."""
    with pytest.raises(StoreError) as caught:
        sealer_for("u", tmp_path / "k", environ={}, keyring=BrokenKeyring("get"))
    assert caught.value.code == "keyring_locked"
    assert "CANARY" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_not_replaced(tmp_path: Path) -> None:
    """The store holds records, but no place holds a key: a new one would hide what is wrong."""
    store = SqliteStore(tmp_path / "t.db")
    store.save("a", b"sealed elsewhere", version=1)
    vault = Vault(store, url="u", environ={}, keyring=None)
    with pytest.raises(StoreError) as caught:
        vault.sealer.open("a", b"\x01" + bytes(60), version=1)
    assert caught.value.code == "key_missing"
    assert not vault.key_file.exists()


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_an_exposed_key_file_is_refused(tmp_path: Path, mode: int) -> None:
    """Others could have read it: the error says how to mend it, and that rotating may be wise."""
    file = tmp_path / "k"
    file.write_text(encode([new_key()]))
    file.chmod(mode)
    with pytest.raises(StoreError) as caught:
        sealer_for("u", file, environ={}, keyring=None)
    assert caught.value.code == "key_exposed"
    assert f"{mode:04o}" in str(caught.value)
    assert f"chmod 600 {file}" in str(caught.value)


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ=", "Ümlaut", "=" * 44])
def test_a_key_file_without_a_key(tmp_path: Path, text: str) -> None:
    """Empty, cut or foreign: never replaced, since the right one may be in a backup."""
    file = tmp_path / "k"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(StoreError) as caught:
        sealer_for("u", file, environ={}, keyring=None)
    assert caught.value.code == "bad_key"
    assert not text or text not in str(caught.value)
    assert file.read_text() == text


@posix
def test_a_link_that_leads_nowhere_is_a_missing_key(tmp_path: Path) -> None:
    """A mount that is not there must not lead to a second key."""
    (tmp_path / "k").symlink_to(tmp_path / "unmounted" / "k")
    with pytest.raises(StoreError) as caught:
        sealer_for("u", tmp_path / "k", environ={}, keyring=None)
    assert caught.value.code == "bad_key"


def test_keys_as_text() -> None:
    """Spaces, commas and new lines separate; both alphabets of base64 are read."""
    keys = (new_key(), new_key())
    assert parse_keys(Secret(encode(keys)), where="x") == keys
    assert parse_keys(Secret(encode(keys).replace(" ", ",\n")), where="x") == keys
    assert parse_keys(Secret(encode(keys).replace("-", "+").replace("_", "/")), where="x") == keys


# --- many at once -----------------------------------------------------------------------------------------


def test_processes_that_make_a_key_at_once_agree(tmp_path: Path, workers: Any) -> None:
    """Six processes find no key: one is made, all use it."""
    workers.start(6, "key", tmp_path / "d" / "t.db")
    assert len(set(workers.results())) == 1


def test_threads_that_make_a_key_in_a_keyring_agree(tmp_path: Path, keyring: Any) -> None:
    """A keyring has no "only if there is none"; the lock on the folder makes up for it."""
    gate, found = threading.Barrier(12), []

    def one() -> None:
        gate.wait(30)
        found.append(sealer_for("u", tmp_path / "k", environ={}, keyring=keyring).keys)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 12
    assert len(set(found)) == 1


# --- rotation ---------------------------------------------------------------------------------------------


def put(vault: Vault, account: str, text: str = "token") -> None:
    stored = vault.store.load(account)
    version = (stored.version if stored else 0) + 1
    record = Record(token=Token(access_token=Secret(text), obtained_at=1.0))
    vault.store.save(account, vault.sealer.seal(account, record, version=version), version=version)


def got(vault: Vault, account: str) -> str:
    stored = vault.store.load(account)
    assert stored is not None
    token = vault.sealer.open(account, stored.sealed, version=stored.version).token
    assert token is not None
    return token.access_token.reveal()


@pytest.mark.parametrize("kind", ["file", "keyring", "memory"])
def test_rotation(tmp_path: Path, keyring: Any, kind: str) -> None:
    """Every record is under the new key, one that is open elsewhere follows, and two keys are kept."""
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "t.db")
    ring = keyring if kind == "keyring" else None
    mine, other = (
        Vault(store, url="u", environ={"XDG_DATA_HOME": str(tmp_path)}, keyring=ring) for _ in "12"
    )
    put(mine, "a", "one")
    put(mine, "b", "two")
    assert got(other, "a") == "one"
    seen = [mine.sealer.keys[0]]
    for _ in range(3):
        assert mine.rotate() == 2
        assert mine.sealer.keys[1] == seen[-1]
        assert len(mine.sealer.keys) == 2
        seen.append(mine.sealer.keys[0])
        for account in ("a", "b"):
            stored = store.load(account)
            assert stored is not None
            assert mine.sealer.current(stored.sealed)
        assert [got(mine, "a"), got(mine, "b")] == ["one", "two"]
    assert len(set(seen)) == 4
    put(other, "c", "three")
    assert (got(mine, "c"), got(other, "b")) == ("three", "two")
    if kind == "memory":
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "keyring"])
def test_rotation_where_others_have_their_key(tmp_path: Path, keyring: Any, kind: str) -> None:
    """Two projects on servers share one place; either may rotate as often as it likes, the other's logins stay."""
    ring, environ = keyring if kind == "keyring" else None, {"XDG_DATA_HOME": str(tmp_path / "home")}
    mine, other = (
        Vault(Elsewhere(tmp_path / f"{name}.db"), url="u", environ=environ, keyring=ring)
        for name in ("mine", "other")
    )
    put(mine, "a", "one")
    put(other, "a", "two")
    for count in range(2, 5):
        assert mine.rotate() == 1
        assert len(mine.sealer.keys) == count
    assert got(Vault(other.store, url="u", environ=environ, keyring=ring), "a") == "two"
    assert other.rotate() == 1
    assert got(mine, "a") == "one"
    assert len(set(mine.sealer.read_again())) == 5
    assert list(tmp_path.glob("*.key")) == []


def test_projects_that_rotate_at_once_lose_no_key(tmp_path: Path, workers: Any) -> None:
    """Four projects rotate one shared key file in the same moment: every key that any of them made is in it."""
    workers.start(4, "rotate", tmp_path)
    made = {name for names in workers.results() for name in names}
    kept = {
        key.name.hex() for key in parse_keys(Secret((tmp_path / "connector" / "key").read_text()), where="")
    }
    assert len(kept) == 81
    assert made <= kept


def test_a_rotation_follows_one_of_another_project(tmp_path: Path) -> None:
    """A record sealed meanwhile with a key that another project put in front is opened, and stays as new as it is."""
    environ = {"XDG_DATA_HOME": str(tmp_path)}
    mine, other = (
        Vault(
            Elsewhere(tmp_path / f"{name}.db"),
            url="u",
            environ=environ,
            keyring=None,
            sleep=lambda _: meanwhile(),
        )
        for name in ("mine", "other")
    )
    put(mine, "a", "one")
    mine.store.acquire("a", "a renewal", ttl_s=60)

    def meanwhile() -> None:
        other.rotate()
        put(mine, "a", "renewed")
        mine.store.release("a", "a renewal")

    assert mine.rotate() == 1
    assert got(mine, "a") == "renewed"
    assert len(mine.sealer.keys) == 3


def test_a_rotation_that_was_held_up_ends(tmp_path: Path, clock: Any) -> None:
    """Its lease ran out and another began: it forgets no key that the other needs, and says who is at it."""
    store = SqliteStore(tmp_path / "t.db", clock=clock)

    def held_up(_: float) -> None:
        clock.now += 100
        store.acquire("#rotation of the key", "another", ttl_s=60)

    vault = Vault(store, url="u", environ={}, keyring=None, sleep=held_up)
    put(vault, "a", "one")
    put(vault, "b", "two")
    first = vault.sealer.keys[0]
    store.acquire("a", "a renewal", ttl_s=60)
    with pytest.raises(StoreError) as caught:
        vault.rotate()
    assert (caught.value.code, "another" in caught.value.reason) == ("rotation_running", True)
    assert first in vault.sealer.read_again()
    assert [got(vault, "a"), got(vault, "b")] == ["one", "two"]


def test_rotation_while_others_renew(tmp_path: Path, workers: Any) -> None:
    """Two processes renew as fast as they can during five rotations: no renewal is lost or refused."""
    vault = Vault(SqliteStore(tmp_path / "t.db"), url="u", environ={}, keyring=None)
    assert vault.sealer.keys
    workers.start(1, "keep_renewing", vault.store.path, "a")  # type: ignore[attr-defined]
    workers.start(1, "keep_renewing", vault.store.path, "b")  # type: ignore[attr-defined]
    try:
        for _ in range(5):
            vault.rotate()
    finally:
        (tmp_path / "stop").touch()
    last = workers.results()
    assert [got(vault, "a"), got(vault, "b")] == [f"a/{last[0]}", f"b/{last[1]}"]
    assert min(last) > 0


def test_one_rotation_at_a_time(tmp_path: Path) -> None:
    """Two would each write a list of keys without the other's; the second is told to wait."""
    vault = Vault(SqliteStore(tmp_path / "t.db"), url="u", environ={}, keyring=None)
    put(vault, "a")
    vault.store.acquire("#rotation of the key", "another", ttl_s=60)
    before = vault.key_file.read_text()
    with pytest.raises(StoreError) as caught:
        vault.rotate()
    assert caught.value.code == "rotation_running"
    assert vault.key_file.read_text() == before
    vault.store.release("#rotation of the key", "another")
    assert vault.rotate() == 1


def test_a_rotation_that_fails_forgets_no_key(tmp_path: Path) -> None:
    """A record that cannot be opened stops it; all keys so far stay, and a second try is possible."""
    vault = Vault(SqliteStore(tmp_path / "t.db"), url="u", environ={}, keyring=None)
    put(vault, "z")
    first = vault.sealer.keys[0]
    vault.store.save("a", Sealer([new_key()]).seal("a", Record(), version=1), version=1)
    for _ in range(3):
        with pytest.raises(StoreError) as caught:
            vault.rotate()
        assert caught.value.code == "wrong_key"
    assert got(vault, "z") == "token"
    assert first in vault.sealer.read_again()
    vault.store.delete("a")
    assert vault.rotate() == 1


def test_rotation_through_the_environment(tmp_path: Path) -> None:
    """With CONNECTOR_KEY its owner puts the new key in front; the records follow, then the old one may go."""
    old, new = new_key(), new_key()
    store = SqliteStore(tmp_path / "t.db")

    def vault(*keys: Any) -> Vault:
        return Vault(store, url="u", environ={"CONNECTOR_KEY": encode(keys)}, keyring=None)

    put(vault(old), "a", "one")
    with pytest.raises(StoreError) as caught:
        vault(old).rotate()
    assert caught.value.code == "key_in_environment"
    assert "new old" in caught.value.resolution
    both = vault(new, old)
    assert both.rotate() == 1
    assert both.rotate() == 0
    assert got(vault(new), "a") == "one"
    assert not both.key_file.exists()


def test_a_keyring_that_fails_at_keeping(tmp_path: Path) -> None:
    """A rotation that cannot write the new key changes nothing."""
    sealer = Sealer([new_key()], where="the OS keyring")
    with pytest.raises(StoreError) as caught:
        keep(sealer, lambda kept: (new_key(), *kept), "u", tmp_path / "k", keyring=BrokenKeyring("set"))
    assert caught.value.code == "keyring_locked"
    assert encode(sealer.keys) not in str(caught.value)


# --- vault ------------------------------------------------------------------------------------------------


def test_looking_makes_no_key(tmp_path: Path, keyring: Any) -> None:
    """A vault, and its sealer in hand, leave nothing behind until something is sealed."""
    vault = Vault(SqliteStore(tmp_path / "t.db"), url="u", environ={}, keyring=keyring)
    assert vault.sealer is not None
    assert list(vault.store.accounts()) == []
    assert list(tmp_path.iterdir()) == []
    assert keyring.kept == {}


def test_no_secret_in_any_file(tmp_path: Path) -> None:
    """Neither the database, amid a write with its WAL, nor the key file holds the text of a token."""
    store = SqliteStore(tmp_path / "t.db")
    vault = Vault(store, url="u", environ={}, keyring=None)
    with store._writing():
        pass
    with store._reading() as held:
        assert held is not None
        for number in range(20):
            put(vault, f"a{number}", "CANARY-access-token")
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert {"t.db", "t.db-wal", "t.db.key"} <= set(files)
    for name, raw in files.items():
        assert b"CANARY" not in raw, name
        if name != "t.db.key":
            assert vault.sealer.keys[0].raw not in raw, name


def test_one_file_has_one_key_however_it_is_opened(tmp_path: Path) -> None:
    """By URL, by another spelling, or given as an object: the name in the keyring is the same."""
    openers = {"sqlite": lambda url, folder: SqliteStore(folder / url.removeprefix("sqlite:///"))}
    (tmp_path / "d").mkdir()
    urls = {
        open_vault("sqlite:///t.db", openers, tmp_path).url,
        open_vault("sqlite:///d/../t.db", openers, tmp_path).url,
        open_vault(SqliteStore(tmp_path / "d" / ".." / "t.db"), {}, tmp_path).url,
    }
    assert urls == {f"sqlite:///{tmp_path.resolve() / 't.db'}"}


@pytest.mark.parametrize("store", ["nosuch:x", "tokens.db", "", "://"])
def test_a_url_nobody_knows(tmp_path: Path, store: str) -> None:
    """The error lists the schemes there are."""
    with pytest.raises(StoreError) as caught:
        open_vault(store, {"sqlite": lambda url, folder: MemoryStore()}, tmp_path)
    assert caught.value.code == "bad_store_url"
    assert "sqlite" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:CANARY@host:1/0",
        "postgresql://me:CANARY@host/db",
        "postgresql://me:p@CANARY@host/db",
        "postgresql://[bad/?user=x&password=CANARY&y=1",
        "redis://host?Access_Token=CANARY",
    ],
)
def test_a_store_that_fails_to_open_shows_no_password(tmp_path: Path, url: str) -> None:
    """Neither its URL nor the words of the driver get into the error."""

    def opener(url: str, folder: Path) -> Any:
        raise ValueError(f"cannot open {url}")

    with pytest.raises(StoreError) as caught:
        open_vault(url, {"redis": opener, "postgresql": opener}, tmp_path)
    assert caught.value.code == "store_unusable"
    assert "CANARY" not in str(caught.value)
    assert "host" in shown(url) or "bad" in shown(url)
