"""The URL of a Redis store: what is redis-py's of it, what ours, and what may be shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from connector.store import trouble

_PREFIX = re.compile(r"[A-Za-z0-9_.:{}-]{1,100}")
_HOW = "write redis://host:6379/0?prefix=connector, rediss://... or redis+unix:///path/of.sock?db=0"


class Address:
    """Where a Redis is, and how it is shown: without the password.

    Attributes:
        url: as redis-py understands it.
        prefix: of all keys.
        shown: for messages.

    Raises StoreError ``bad_store_url``.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise trouble.bad_url("its host or port is none", _HOW) from None
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.prefix = options.pop("prefix", "connector")
        if not _PREFIX.fullmatch(self.prefix):
            raise trouble.bad_url("its prefix is none", "letters, digits and _ . : { } - make a prefix")
        # The others of redis-py would change how long is waited, or what its answers look like.
        strange = sorted(name for name in options if name != "db" and not name.startswith("ssl_"))
        if strange:
            raise trouble.bad_url(
                f"{', '.join(strange)} is no option of it", "prefix, db and ssl_... are understood"
            )
        socket = parts.scheme == "redis+unix"
        place, last = (parts.path, options.get("db", "0")) if socket else (parts.hostname, parts.path[1:])
        if not place or not (last or "0").isdigit() or not options.get("db", "0").isdigit() or parts.fragment:
            raise trouble.bad_url("it does not name a server and a database number", _HOW)
        self._password = unquote(parts.password or "")
        scheme = "unix" if socket else parts.scheme
        self.url = urlunsplit((scheme, parts.netloc, parts.path, urlencode(options), ""))
        at = f"{place}:{port}" if port else place
        self.shown = f"{parts.scheme}://{at}" + (f"?db={last}" if socket else f"/{last or 0}")

    def clean(self, text: str) -> str:
        """The server's words in one line, and never the password."""
        words = " ".join(text.split())
        return words.replace(self._password, "***") if self._password else words
