"""What can be wrong with a store that keeps tokens, in the same words for all of them.

Each function makes a StoreError; `shown` is the file, or the server without its password, `reason` what it
said, which the caller has cleaned of passwords.
"""

from __future__ import annotations

from connector.errors import StoreError


def unreachable(shown: str, reason: str) -> StoreError:
    """It does not answer, or not in time; nobody knows whether what was asked for was done."""
    return StoreError(
        f"the token store {shown} does not answer",
        code="store_unreachable",
        reason=reason,
        resolution="see whether it runs and can be reached from here; it is tried again by itself",
    )


def refused(shown: str, reason: str) -> StoreError:
    """It knows neither user nor password, or does not let the user do what is needed."""
    return StoreError(
        f"the token store {shown} does not let connector in",
        code="store_refused",
        reason=reason,
        resolution="check user, password and permissions",
    )


def pooler(shown: str, reason: str) -> StoreError:
    """A pooler before the server takes no such part of the URL, or pools in a mode that is none for us."""
    return StoreError(
        f"the token store {shown} does not let connector in",
        code="store_refused",
        reason=reason,
        resolution="a pooler such as PgBouncer stands before it: name the server itself, or let it pool in"
        " session or transaction mode, and leave `options` out of the URL: in session mode too the pooler"
        " refuses it, or with `ignore_startup_parameters` may drop it without a word; set it for the user"
        " (ALTER ROLE ... SET search_path = ...)",
    )


def unproven(shown: str, reason: str) -> StoreError:
    """Its certificate does not prove that it is the server named, or it speaks no TLS."""
    return StoreError(
        f"the token store {shown} does not prove who it is",
        code="store_unproven",
        reason=reason,
        resolution="name its CA in the URL (PostgreSQL: sslrootcert, Redis: ssl_ca_certs), and the host that"
        " its certificate is for",
    )


def read_only(shown: str, reason: str) -> StoreError:
    """It can be read, and takes no writes."""
    return StoreError(
        f"the token store {shown} can only be read",
        code="store_read_only",
        reason=reason,
        resolution="name the primary server, or make this one take writes again",
    )


def full(shown: str, reason: str, where: str = "the server") -> StoreError:
    """It has no room, on disk or in memory."""
    return StoreError(
        f"the token store {shown} is full",
        code="store_full",
        reason=reason,
        resolution=f"give {where} more room; what was saved before is still there",
    )


def busy(shown: str, reason: str) -> StoreError:
    """Others are at it, and it was waited for as long as may be."""
    return StoreError(
        f"the token store {shown} is busy",
        code="store_busy",
        reason=reason,
        resolution="it is tried again by itself; where this goes on, see what keeps it busy",
    )


# The system's words, as libpq and redis-py hand them on.
NO_FILES = "Too many open files"


def no_files(shown: str, reason: str) -> StoreError:
    """It is not asked at all: this process, or the system, cannot open anything more."""
    return StoreError(
        f"the token store {shown} cannot be asked from this process",
        code="store_unusable",
        reason=reason,
        resolution="see what keeps files and sockets open here, or allow more (`ulimit -n`)",
    )


def unusable(shown: str, reason: str) -> StoreError:
    """Everything else that a server may say."""
    return StoreError(
        f"the token store {shown} cannot be used",
        code="store_unusable",
        reason=reason,
        resolution="see the server's own log",
    )


def foreign(shown: str, reason: str) -> StoreError:
    """What stands where the records should be was made by another program."""
    return StoreError(
        f"{shown} holds something else where the token store should be",
        code="not_a_store",
        reason=reason,
        resolution="name another database, schema or prefix in `store:`; nothing was changed in this one",
    )


def newer(shown: str, found: int, known: int) -> StoreError:
    """A newer connector has migrated it."""
    return StoreError(
        f"the token store {shown} was written by a newer connector",
        code="newer_store",
        reason=f"it has schema version {found}, and this connector knows {known}",
        resolution="upgrade connector, or name another store in the manifest",
    )


def damaged(shown: str, account: str) -> StoreError:
    """A record that no connector wrote."""
    return StoreError(
        f"the stored token of account {account!r} is damaged",
        code="corrupt_record",
        reason="it was not written by connector",
        resolution=f"look who else writes to {shown}, then authorize the account again",
    )


def bad_url(reason: str, resolution: str) -> StoreError:
    """The URL cannot be understood; it is not repeated, since it may hold a password."""
    return StoreError(
        "the store URL cannot be used", code="bad_store_url", reason=reason, resolution=resolution
    )


def driver_missing(scheme: str, extra: str, reason: str) -> StoreError:
    """The Python package that speaks to such a server is not installed."""
    return StoreError(
        f"a token store at {scheme}: needs a package that is not installed",
        code="driver_missing",
        reason=reason,
        resolution=f"pip install 'connector[{extra}]'",
    )
