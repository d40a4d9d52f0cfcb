"""What the errors of a Redis mean: its own words, and the classes that redis-py makes of them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable

import redis

from connector.errors import StoreError
from connector.store import trouble
from connector.store.redisurl import Address

_REFUSED = (
    redis.AuthenticationError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.AuthorizationError,
)
_AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)
# Of redis-py's older and newer versions: what the one leaves in the words, the other makes a class of.
_LATER = ("BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING")
_SOON = (
    redis.exceptions.MasterDownError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    redis.BusyLoadingError,
)
# Redis up to 7.0, and from 7.2 on.
_REFUSED_INSIDE = ("user executing the script can't", "ACL failure in script")
_SCRIPT = re.compile(
    r"(?:Error running script \(call to \w+\): )?(.*?)[,. ]*(?:script: \w+, )?on @user_script:(\d+)\.?"
)


def no_room(error: Exception) -> bool:
    """Whether all connections of redis-py's pool stayed in use: it has no class for that."""
    return str(error) == "No connection available."


def failure(error: Exception, address: Address, script: str) -> StoreError:
    """The StoreError for what redis-py raised of a script."""
    if no_room(error):
        return trouble.busy(
            address.shown, "all connections of this process were in use for longer than may be waited"
        )
    if trouble.NO_FILES in str(error):
        return trouble.no_files(address.shown, address.clean(str(error)))
    # The hash of our own script is of no use to anybody; its line is, where a command is refused.
    words, line = _without_script(address.clean(str(error)) or type(error).__name__)
    # redis-py keeps the first word of an answer, or makes a class of it.
    code = words.partition(" ")[0]
    made: Callable[[str, str], StoreError] = trouble.unusable
    if _unproven(error):
        made = trouble.unproven
    elif any(mark in words for mark in _REFUSED_INSIDE):
        made, words = trouble.refused, words + _commands(script, line)
    elif isinstance(error, _REFUSED):
        made = trouble.refused
    elif isinstance(error, redis.ReadOnlyError) or code == "NOREPLICAS":
        made = trouble.read_only
    elif isinstance(error, redis.OutOfMemoryError) or code == "MISCONF":
        made = trouble.full
    elif code == "WRONGTYPE":
        made = trouble.foreign
    elif code in _LATER or isinstance(error, (*_AWAY, *_SOON)):
        made = trouble.unreachable
    return made(address.shown, words)


def _without_script(words: str) -> tuple[str, int]:
    """What Redis says without what it adds of the script, and the line it adds; 0: none."""
    found = _SCRIPT.fullmatch(words)
    return (found[1], int(found[2])) if found else (words, 0)


def _commands(script: str, line: int) -> str:
    """The commands of a script's line, for the one that may not be said."""
    lines = script.split("\n")
    found = re.findall(r"redis\.call\('(\w+)'", lines[line - 1]) if 0 < line <= len(lines) else []
    return f" ({' or '.join(found)})" if found else ""


def _unproven(error: BaseException | None) -> bool:
    """Whether it comes of a certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
