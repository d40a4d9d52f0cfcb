"""How authorization servers differ, as data; and the words in which any of them refuses.

Rules of this room: values only. What is done with them is in `exchange`, `token_endpoint` and `consent`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

CLIENT_ID = "sandbox"
CLIENT_SECRET = "sandbox-secret"
PUBLIC_CLIENT_ID = "sandbox-public"
# Every character here comes out differently when RFC 6749 section 2.3.1 is not followed.
ODD_CLIENT_ID = "odd client:1"
ODD_CLIENT_SECRET = "p%40ss+wörd/&=: "
# Long enough for libraries that want 32 bytes for HS256 (RFC 7518 section 3.2).
LONG_CLIENT_ID = "sandbox-long"
LONG_CLIENT_SECRET = "sandbox-secret-of-more-than-32-bytes"
PASSWORD_USER, PASSWORD = "admin", "sandbox"

# The person who sits at every browser, and the way of proving it that `acr_values` may ask for.
PERSON, PERSON_NAME = "ada", "Ada Baker"
ACR = "urn:sandbox:two-factors"

# The grant types whose names are long (RFC 8628 section 3.4, RFC 7523 section 2.1, RFC 8693 section 2.1).
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"

# None: a public client (RFC 6749 section 2.1).
CLIENTS: Mapping[str, str | None] = {
    CLIENT_ID: CLIENT_SECRET,
    PUBLIC_CLIENT_ID: None,
    ODD_CLIENT_ID: ODD_CLIENT_SECRET,
    LONG_CLIENT_ID: LONG_CLIENT_SECRET,
}


class Refusal(Exception):
    """A request that the authorization server turns down (RFC 6749 sections 4.1.2.1 and 5.2).

    Attributes:
        error: the code, e.g. ``invalid_grant``.
        description: what is wrong, for people.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who is calling, and whether it is one that has nothing to prove it with (RFC 6749 section 2.1)."""

    client_id: str
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What one authorization server does its own way.

    Attributes:
        name: the persona.
        token_path: where its token endpoint is.
        access_lifetime_s, refresh_lifetime_s: what the vendor gives.
        grants: the grant types it knows.
        refreshable: (grant, scopes, client is public) -> whether a refresh token comes along.
        refuse: makes the answer to a refused token call.
        token_type: as it spells it.
        default_scopes: granted when none is asked for; empty: at least one must be.
        basic, post: which ways of sending the client secret it takes.
        one_method: refuses a secret sent in two ways at once, duplicate fields, and a content type with
            parameters (RFC 6749 sections 2.3 and 3.2, read to the letter).
        url_credentials: takes fields of a token call from the query too.
        needs_pkce: of every client; public ones always need it.
        assertions: takes signed assertions for client authentication (RFC 7523 section 2.2).
        nonce_s: how long its nonces for DPoP last; 0: it does not know DPoP (RFC 9449).
        steps_up: heeds ``acr_values`` (RFC 9470).
        pushed: takes requests by the name that its client was given for them (RFC 9126).
        needs_state: refuses an authorization request without ``state``.
        rotates: each use of a refresh token answers a new one; the second use kills the family.
        reissues: a refresh answers a still valid access token unchanged.
        session_cookie: set on token calls, and good in place of a token; empty: none.
    """

    name: str
    token_path: str
    access_lifetime_s: float
    refresh_lifetime_s: float
    grants: frozenset[str]
    refreshable: Callable[[str, tuple[str, ...], bool], bool]
    refuse: Callable[[Refusal], Response]
    token_type: str = "Bearer"
    default_scopes: tuple[str, ...] = ()
    basic: bool = False
    post: bool = True
    one_method: bool = False
    url_credentials: bool = False
    needs_pkce: bool = False
    assertions: bool = False
    nonce_s: float = 0.0
    steps_up: bool = False
    pushed: bool = False
    needs_state: bool = False
    rotates: bool = False
    reissues: bool = False
    session_cookie: str = ""
