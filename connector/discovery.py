"""Asking a server for its metadata: at most once an hour, and what was known goes on being used."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, TypeAlias

from connector.account import Account
from connector.effects import NoReply
from connector.errors import NotAuthorizedError, RenewalError
from connector.lives import forks
from connector.metadata import Place, completed, place_of
from connector.post import Poster
from connector.reading import parse
from connector.tokenrequest import TokenRequest

_KEPT_S = 3600.0
_RETRY_S = 10.0
_STALE_S = 60.0
# The metadata, or None and why there is none.
Found: TypeAlias = tuple[Mapping[str, Any] | None, str]


class Discovery:
    """Completes accounts by what their servers tell; one for all accounts of a host, from any thread."""

    def __init__(self, poster: Poster, *, clock: Callable[[], float] = time.time) -> None:
        self._poster = poster
        self._clock = clock
        self._lock = threading.RLock()
        self._known: dict[Place, tuple[float, Mapping[str, Any]]] = {}
        # By process as well: a forked child has none of the threads that would bring an answer.
        self._asking: dict[tuple[int, Place], Future[Found]] = {}
        forks(self)

    def after_fork(self) -> None:
        """In the child: a lock that another thread held is held by nobody here."""
        self._lock = threading.RLock()

    def complete(self, account: Account) -> Account:
        """The account with every URL it needs.

        Raises RenewalError ``discovery_failed`` when the metadata cannot be had, NotAuthorizedError when
        it does not fit.
        """
        place = place_of(account)
        if place is None:
            return account
        try:
            return completed(account, self._metadata(account, place), place)
        except NotAuthorizedError:
            with self._lock:
                self._known.pop(place, None)  # once it is mended, it counts at once
            raise

    def _metadata(self, account: Account, place: Place) -> Mapping[str, Any]:
        with self._lock:
            asked_at, metadata = self._known.get(place, (0.0, None))
        if metadata is not None and 0 <= self._clock() - asked_at < _KEPT_S:
            return metadata
        found, words = self._asked(account, place)
        if found is None:
            if metadata is not None:
                # A server that cannot describe itself just now may still renew; asked again in a minute.
                with self._lock:
                    self._known[place] = self._clock() - _KEPT_S + _STALE_S, metadata
                return metadata
            raise RenewalError(
                f"the server of account {account.name!r} does not say where its endpoints are",
                account=account.name,
                code="discovery_failed",
                reason=words,
                resolution="check the endpoint's discovery or issuer, or declare its URLs",
                retry_after=_RETRY_S,
            )
        return found

    def _asked(self, account: Account, place: Place) -> Found:
        """`_ask`, once for all who want to know at the same time."""
        key = os.getpid(), place
        with self._lock:
            under_way = self._asking.get(key)
            asking = self._asking.setdefault(key, Future())
        if under_way is not None:
            try:
                return under_way.result()
            except CancelledError:  # whoever asked was interrupted: that is no answer for others
                return self._asked(account, place)
        try:
            found = self._ask(account, place)
        except BaseException as error:
            with self._lock:
                del self._asking[key]
            if isinstance(error, Exception):
                asking.set_exception(error)
            else:
                asking.cancel()
            raise
        with self._lock:
            if found[0] is not None:
                self._known[place] = (self._clock(), found[0])
            del self._asking[key]
        asking.set_result(found)
        return found

    def _ask(self, account: Account, place: Place) -> Found:
        words = ""
        for url in place.urls:
            headers = (("Accept", "application/json"),)
            reply = self._poster.post(
                TokenRequest(
                    method="GET", url=url, headers=headers, body=b"", tls=account.tls, proxy=account.proxy
                )
            )
            if isinstance(reply, NoReply):
                words = reply.words
                continue
            data = parse(reply.body, reply.headers.get("content-type", ""), "json")
            if reply.status == 200 and isinstance(data, Mapping):
                return data, ""
            words = f"HTTP {reply.status}" if reply.status != 200 else "the answer is not a JSON object"
        return None, words
