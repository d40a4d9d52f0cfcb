"""The store for several machines that have a Redis: records in one hash, each lease a key that expires.

Every write is one Lua script, so that nothing comes between looking and writing. What a save promises, that
it survives a crash, Redis keeps only when told so: ``appendonly yes`` and ``appendfsync always`` (with
``everysec`` the last second may be lost, and with it a rotated refresh token), and the ``maxmemory-policy``
``noeviction``: the others evict when room is needed, and those called ``volatile-...`` take leases first,
since a lease is a key that expires. The log warns once of a server where this is known to be otherwise.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from connector.observe import tell
from connector.store import trouble
from connector.store.kept import Kept, Seats
from connector.store.redissays import failure, no_room
from connector.store.redisurl import Address
from connector.tokenstore import Lease, Stored, VersionConflict

_SCHEMA = 1
_ANSWER_S = 2.0
# How many calls of a process are under way at a time; a further one waits for a connection.
_MOST = 8

# The field "\0schema" marks the hash as ours: no account has such a name.
_LOOK = """
local schema = redis.call('HGET', KEYS[1], '\\0schema')
if schema and schema ~= '1' then return {'newer', schema} end
if not schema and redis.call('EXISTS', KEYS[1]) == 1 then return {'foreign', ''} end
"""
_LOAD = _LOOK + "return {'ok', redis.call('HGET', KEYS[1], ARGV[1])}"
_NAMES = _LOOK + "return {'ok', redis.call('HKEYS', KEYS[1])}"
_DELETE = _LOOK + "return {'ok', redis.call('HDEL', KEYS[1], ARGV[1])}"
# A save that is asked for again because the answer was lost has perhaps been made already; its bytes are
# unlike any others, so the record itself tells.
_SAVE = (
    _LOOK
    + """
local found = redis.call('HGET', KEYS[1], ARGV[1])
local fresh = ARGV[2] .. ':' .. ARGV[3]
if ARGV[5] == 'again' and found == fresh then return {'ok', 1} end
local version = found and tonumber(string.match(found, '^(%d+):')) or 0
if version ~= tonumber(ARGV[2]) - 1 then return {'ok', 0} end
redis.call('HSET', KEYS[1], '\\0schema', '1', ARGV[1], fresh)
redis.pcall('PUBLISH', ARGV[4], '')
return {'ok', 1}"""
)
_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""
# A lease without an end is none that a script wrote, and would last for ever: it is taken over.
_ACQUIRE = (
    _NOW
    + """
local owner, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if owner and owner ~= ARGV[1] and left > 0 then return {owner, tostring(now + left)} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {ARGV[1], tostring(now + ARGV[2])}"""
)
_HOLDER = (
    _NOW
    + """
local owner, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if not owner or left <= 0 then return {false, '0'} end
return {owner, tostring(now + left)}"""
)
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[2], '')
return 1"""


class RedisStore:
    """`TokenStore` in a Redis server, 5.0 or later.

    Args:
        url: ``redis://user:password@host:port/database?prefix=connector``, ``rediss://`` for TLS, or
            ``redis+unix:///path/of.sock?db=0``. Everything is kept under keys that begin with the prefix.

    Raises StoreError ``bad_store_url``.
    """

    def __init__(self, url: str) -> None:
        self.address = Address(url)
        options: dict[str, Any] = {
            "socket_connect_timeout": _ANSWER_S,
            "socket_timeout": _ANSWER_S,
            "retry": Retry(NoBackoff(), 0),  # what may be asked for again is decided here
        }
        self._pool = redis.BlockingConnectionPool.from_url(
            self.address.url, max_connections=_MOST, timeout=_ANSWER_S, **options
        )
        self._client: Any = redis.Redis(connection_pool=self._pool)
        # Those who listen have their own, since each keeps one for as long as it waits.
        self._listeners: Any = redis.Redis.from_url(self.address.url, **options)
        self._seats = Seats(_MOST)
        self._ears: Kept[PubSub] = Kept(_hang_up, rest=0, idle_s=60.0)
        self._records = f"{self.address.prefix}:records"
        self._looked = False

    def __repr__(self) -> str:
        return f"<RedisStore {self.address.shown}>"

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        found = self._record(_LOAD, account)
        if found is None:
            return None
        version, mark, sealed = bytes(found).partition(b":")
        if not mark or not version.isdigit():
            raise trouble.damaged(self.address.shown, account)
        return Stored(version=int(version), sealed=sealed)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        if not self._record(_SAVE, account, str(version), bytes(sealed), self._channel(account)):
            raise VersionConflict(f"the record of account {account!r} was saved by another holder")

    def delete(self, account: str) -> None:
        """See `TokenStore.delete`."""
        self._record(_DELETE, account)

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        names = [bytes(name).decode("utf-8", "surrogatepass") for name in self._record(_NAMES)]
        return sorted(name for name in names if name != "\0schema")

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        ttl_ms = str(max(1, round(ttl_s * 1000)))
        owner, until = self._script(_ACQUIRE, self._lease(account), holder, ttl_ms)
        return Lease(account=account, holder=bytes(owner).decode(), expires_at=float(until) / 1000)

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        owner, until = self._script(_HOLDER, self._lease(account))
        if owner is None:
            return None
        return Lease(account=account, holder=bytes(owner).decode(), expires_at=float(until) / 1000)

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        self._script(_RELEASE, self._lease(account), holder, self._channel(account))

    def wait(self, account: str, timeout_s: float) -> None:
        """See `connector.tokenstore.Waking`."""
        ends = time.monotonic() + timeout_s
        with self._seats.one() as seated:
            # Being woken is a courtesy; what is the matter shows when the caller looks again.
            if not (seated and self._listen(account, ends)):
                time.sleep(max(0.0, min(ends - time.monotonic(), 0.5)))

    def close(self) -> None:
        """See `TokenStore.close`."""
        self._ears.close()
        self._listeners.close()
        self._pool.disconnect()

    def _listen(self, account: str, ends: float) -> bool:
        """Return when woken or at `ends`; False: at once, since it cannot be listened."""
        ear = self._ears.take(account, other=False)
        try:
            if ear is None:
                ear = self._listeners.pubsub()
                ear.subscribe(self._channel(account))
            while True:
                said = ear.get_message(timeout=max(0.0, ends - time.monotonic()))
                if (said and said["type"] == "message") or time.monotonic() >= ends:
                    break
        except (redis.RedisError, OSError):
            if ear is not None:
                _hang_up(ear)
            return False
        # It goes on listening: what happens before this caller waits again is not missed.
        self._ears.give(ear, account)
        return True

    def _lease(self, account: str) -> str:
        return f"{self.address.prefix}:lease:{account}"

    def _channel(self, account: str) -> str:
        name = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{self.address.prefix}:wake:{name}"

    def _record(self, script: str, *values: str | bytes) -> Any:
        """Run a script on the hash of records."""
        state, found = self._script(script, self._records, *values)
        if state == b"newer":
            raise trouble.newer(self.address.shown, int(found), _SCHEMA)
        if state == b"foreign":
            raise trouble.foreign(self.address.shown, f"the key {self._records} is not a token store's")
        return found

    def _script(self, script: str, key: str, *values: str | bytes) -> Any:
        """Run a script; once more, told so, when the connection was lost under it."""
        sent = [
            value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value for value in values
        ]
        name = key.encode("utf-8", "surrogatepass")
        try:
            try:
                found = self._client.eval(script, 1, name, *sent)
            except redis.TimeoutError:
                raise
            except redis.ConnectionError as error:
                if no_room(error):
                    raise
                found = self._client.eval(script, 1, name, *sent, b"again")
            self._look_once()
        except (redis.RedisError, OSError) as error:
            failed = failure(error, self.address, script)
        else:
            return found
        # Out here, and forgotten: neither redis-py's error nor this frame is kept by who keeps ours.
        try:
            raise failed
        finally:
            del failed

    def _look_once(self) -> None:
        """Warn, once, of a server that is known to forget."""
        if self._looked:
            return
        self._looked = True
        try:
            persistence, memory = self._client.info("persistence"), self._client.info("memory")
        except redis.RedisError:
            return  # not everybody may ask
        if not persistence.get("aof_enabled"):
            self._tell_of(
                "appendonly is off, so a crash of Redis loses tokens that were renewed since its last"
                " snapshot; set `appendonly yes` and `appendfsync always`"
            )
        policy = memory.get("maxmemory_policy") or "noeviction"
        # Without a limit nothing is evicted; where it is not told, there may be one.
        if memory.get("maxmemory") != 0 and policy != "noeviction":
            what = "leases" if str(policy).startswith("volatile") else "tokens and leases"
            self._tell_of(
                f"maxmemory-policy {policy} may evict {what} when others need room, so that a refresh token"
                " is lost or shown twice; set `noeviction`"
            )

    def _tell_of(self, reason: str) -> None:
        tell("store.not_durable", store=self.address.shown, reason=reason)


def _hang_up(ear: PubSub) -> None:
    ear.close()
