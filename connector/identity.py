"""Whether an account really works, and who one is logged in as: one harmless request."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from connector.account import Account
from connector.inspection import person_in
from connector.reading import cleaned, parse, pointed
from connector.template import TemplateError, fill, fill_first, fill_url
from connector.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a test request showed.

    Attributes:
        works: whether the answer was the one expected; None: the endpoint declares no test request.
        status: of the answer; 0: none was asked for.
        url: of the request, without its query.
        person: who one is logged in as; empty: the server does not tell.
    """

    works: bool | None
    status: int = 0
    url: str = ""
    person: str = ""


def identify(account: Account, token: Token, http: httpx.Client) -> Identity:
    """Ask the endpoint's ``test`` request, or its user-info endpoint (OpenID Connect Core section 5.3)."""
    test = account.endpoint.test
    place = str(test["path"]) if test.get("path") else ""
    try:
        if place:
            url = fill(place, account.names(token.captured))
        else:
            info = account.endpoint.userinfo
            url = fill_first(info.url, account.names(token.captured), fill_url) if info else ""
    except TemplateError:
        url = ""
    if not url:
        return Identity(works=None)
    response = http.request(str(test.get("method", "GET")), url)
    expected = test.get("expect")
    works = response.status_code in expected if expected else response.is_success
    data = parse(response.content[: 1 << 20], response.headers.get("content-type", ""), "json")
    label = pointed(data, test["label"]) if test.get("label") else None
    person = cleaned(str(label)) if isinstance(label, (str, int)) else "" if place else person_in(data)
    return Identity(
        works=works,
        status=response.status_code,
        url=str(response.request.url.copy_with(query=None)),
        person=person if works else "",
    )
