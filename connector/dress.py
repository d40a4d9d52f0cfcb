"""Where an account's token goes on a request of the API: headers, query, cookie, path.

Rules of this room: values only; whoever sends the request puts them on. Everything here may hold the token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from connector.account import Account
from connector.errors import NotAuthorizedError
from connector.filling import basic_pair, filled
from connector.template import fill, names
from connector.token import Token

# RFC 9110 section 5.5; clients refuse the rest in words that repeat it.
_FIELD = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dress:
    """What a request wears.

    Attributes:
        headers: set unless the snap sets them itself.
        proof: headers that hold the token; they are always set.
        query: parameters that are added.
        cookie: name and value; None: there is none.
        segment: put before the path below the API's base URL, percent-encoded; empty: nothing.
        in_url: whether the URL itself becomes a secret (RFC 6750 section 2.3).
    """

    headers: Mapping[str, str] = field(repr=False)
    proof: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookie: tuple[str, str] | None = field(default=None, repr=False)
    segment: str = field(default="", repr=False)

    in_url: bool = False


def api_values(account: Account, token: Token) -> Mapping[str, str]:
    """Everything that the templates of the API may name."""
    also = {"access_token": token.access_token.reveal(), **token.private}
    return account.names(token.captured, also=also)


def dress(account: Account, token: Token, *, bare: bool = False) -> Dress:
    """What a request of the API wears. The same for each request with that token.

    Args:
        bare: without the token itself, since the snap places it.

    Raises NotAuthorizedError ``unsendable`` for a secret or setting that fits in no header.
    """
    worn = _worn(account, token, bare=bare)
    wrong = _unsendable(worn)
    if not wrong:
        return worn
    raise NotAuthorizedError(
        f"the requests of account {account.name!r} cannot be sent",
        account=account.name,
        code="unsendable",
        reason=f"the value of its header {wrong} has a line break, outer blanks or what is not ASCII",
        resolution="look at where its keys, its token and its settings come from",
    )


def _unsendable(worn: Dress) -> str:
    """The first header that no client sends; empty: there is none."""
    cookie = {"Cookie": "=".join(worn.cookie)} if worn.cookie else {}
    several = (worn.headers, worn.proof, cookie)
    found = (name for one in several for name, value in one.items() if not _FIELD.fullmatch(value))
    return next(found, "")


def _worn(account: Account, token: Token, *, bare: bool) -> Dress:
    api, text = account.endpoint.api, token.access_token.reveal()
    values = api_values(account, token)
    # Both may name secrets. Of what stands in `headers` the snap may say something else all the same.
    headers, query = filled(api.headers, values), filled(api.query, values)
    if bare or account.grant == "none":
        return Dress(headers=headers, query=query)
    pair = api.basic
    if pair is not None:
        given = [fill(part, {name: values.get(name, "") for name in names(part)}) for part in pair]
        return Dress(headers=headers, query=query, proof={"Authorization": basic_pair(*given)})
    if account.grant == "basic":
        return Dress(headers=headers, query=query, proof={"Authorization": f"Basic {text}"})
    text = api.token_prefix + text
    if api.token_in == "query":
        return Dress(headers=headers, query={**query, api.token_name: text}, in_url=True)
    if api.token_in == "cookie":
        return Dress(headers=headers, query=query, cookie=(api.token_name, text))
    if api.token_in == "path":
        return Dress(headers=headers, query=query, segment=quote(text, safe=":"), in_url=True)
    proof = {api.token_name: text} if api.token_in == "header" else {}
    return Dress(headers=headers, query=query, proof=proof)
