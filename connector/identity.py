"""Whether an account really works, and who one is logged in as: one harmless request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from connector.account import Account
from connector.dress import api_values
from connector.endpointparts import StepSpec
from connector.filling import filled, filled_values, text_of
from connector.inspection import person_in
from connector.reading import cleaned, first, parse
from connector.reply import says_error
from connector.steps import step_url
from connector.template import TemplateError
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
    """Ask the endpoint's ``test`` request, or its user-info endpoint (OpenID Connect Core section 5.3).

    Args:
        http: a client of the account, which authenticates the request.
    """
    test = account.endpoint.test or _userinfo(account)
    if test is None:
        return Identity(works=None)
    try:
        response = _answer(account, test, token, http)
    except TemplateError:
        return Identity(works=None)
    except Exception as error:
        # The frames it passed hold what was filled in.
        error.__cause__ = error.__context__ = None
        bare = error.with_traceback(None)
    else:
        return _read(account, test, response)
    raise bare


def _answer(account: Account, test: StepSpec, token: Token, http: httpx.Client) -> httpx.Response:
    """Make the call. Raises TemplateError where its URL cannot be filled, and what `http` raises."""
    values = api_values(account, token)
    url = step_url(account, test, values)
    spec = test.request
    said = filled_values(spec.params, values)
    query = filled(spec.query, values)
    sent: dict[str, Any] = {}
    if spec.body == "json" and spec.method != "GET":
        sent["json"] = said
    elif spec.method == "GET" or spec.body == "query":
        query |= {name: text_of(value) for name, value in said.items()}
    elif said:
        sent["data"] = {name: text_of(value) for name, value in said.items()}
    if query:
        url += ("&" if urlsplit(url).query else "?") + urlencode(query)
    return http.request(spec.method, url, headers=filled(spec.headers, values), **sent)


def _read(account: Account, test: StepSpec, response: httpx.Response) -> Identity:
    works = response.status_code in test.expect if test.expect else response.is_success
    data = parse(response.content[: 1 << 20], response.headers.get("content-type", ""), "json")
    works = works and not says_error(data, test.response)
    label = first(data, test.label, {name.lower(): value for name, value in response.headers.items()})
    person = cleaned(str(label)) if isinstance(label, (str, int)) else ""
    if account.endpoint.test is None:
        person = person_in(data)
    return Identity(
        works=works,
        status=response.status_code,
        url=str(response.request.url.copy_with(query=None)),
        person=person if works else "",
    )


def _userinfo(account: Account) -> StepSpec | None:
    info = account.endpoint.userinfo
    return StepSpec(request=replace(info, method="GET")) if info and info.url else None
