"""The persona ``/servicenow``: half-hour tokens, one refresh token for a hundred days, one error for all.

Facts: ServiceNow's product documentation (OAuth API endpoints, Table API).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.consent import authorization_page
from connector.sandbox.guard import Guard, bucket_for, whole_number
from connector.sandbox.habits import ASSERTION_GRANT, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import revocation_endpoint, token_endpoint

_TABLES = ("incident", "cmdb_ci", "sys_user")
_REFERENCES = {"caller_id": "sys_user", "assigned_to": "sys_user", "cmdb_ci": "cmdb_ci"}
_API = "/servicenow/api/now/table"
_MOST = 10_000


def _refuse(refusal: Refusal) -> Response:
    if refusal.error == "invalid_request":
        body = {"error": "invalid_request", "error_description": refusal.description}
    else:  # dead refresh tokens, wrong secrets, unknown grants: all the same words
        body = {"error": "server_error", "error_description": "access_denied"}
    return JSONResponse(body, 401)


def _refreshable(grant: str, scopes: tuple[str, ...], public: bool) -> bool:
    return grant in ("authorization_code", "password") and not public


HABITS = Habits(
    name="servicenow",
    token_path="/servicenow/oauth_token.do",
    access_lifetime_s=1_800,
    refresh_lifetime_s=8_640_000,
    grants=frozenset(
        {"authorization_code", "refresh_token", "password", "client_credentials", ASSERTION_GRANT}
    ),
    refreshable=_refreshable,
    refuse=_refuse,
    default_scopes=("useraccount",),
    needs_state=True,
    reissues=True,
    session_cookie="JSESSIONID",
)


def routes(state: State) -> list[Route]:
    """Return the routes of this persona."""
    guard = Guard(
        state=state,
        persona="servicenow",
        unauthorized=_unauthorized,
        forbidden=_unauthorized,
        session_cookie=HABITS.session_cookie,
        bucket=bucket_for(state, rate_per_s=25, burst=50),
    )
    tables = _Tables(state)

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(state.foreign_url + request.url.path, 307)

    revoke = revocation_endpoint(state, HABITS, authenticated=False)
    return [
        Route("/servicenow/oauth_auth.do", authorization_page(state, HABITS), methods=["GET", "POST"]),
        Route(HABITS.token_path, token_endpoint(state, HABITS), methods=["POST"]),
        Route("/servicenow/oauth_revoke_token.do", revoke, methods=["GET", "POST"]),
        Route("/servicenow/api/now/elsewhere", guard(elsewhere)),
        Route(_API + "/{table}", guard(tables.list)),
        Route(_API + "/{table}", guard(tables.create), methods=["POST"]),
        Route(_API + "/{table}/{sys_id}", guard(tables.get)),
        Route(_API + "/{table}/{sys_id}", guard(tables.update), methods=["PUT", "PATCH"]),
    ]


class _Tables:
    """The handlers of the Table API."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._hidden: frozenset[str] | None = None

    async def list(self, request: Request) -> Response:
        name = request.path_params["table"]
        if name not in _TABLES:
            return _problem(400, f"Invalid table {name}", None)
        conditions = _conditions(request.query_params.get("sysparm_query", ""))
        rows = [row for row in self._state.table(name).values() if conditions.items() <= row.items()]
        offset = whole_number(request, "sysparm_offset", 0, most=10**9)
        limit = whole_number(request, "sysparm_limit", _MOST, most=_MOST, least=1)
        # The limit comes before the access rules: pages in the middle may be short, or even empty.
        page = [row for row in rows[offset : offset + limit] if not self._is_hidden(name, row)]
        headers = {"X-Total-Count": str(len(rows)), "Link": _links(request, offset, limit, len(rows))}
        return JSONResponse({"result": [_shown(request, row) for row in page]}, headers=headers)

    async def get(self, request: Request) -> Response:
        row = self._find(request)
        if row is None:
            return _no_record()
        return JSONResponse({"result": _shown(request, row)})

    async def create(self, request: Request) -> Response:
        name, fields = request.path_params["table"], await _read(request)
        if name not in _TABLES:
            return _problem(400, f"Invalid table {name}", None)
        if fields is None:
            return _problem(400, "Exception while reading request", "the body is not a JSON object")
        table = self._state.table(name)
        sys_id = f"{self._state.random(f'{name} {len(table)}').getrandbits(128):032x}"
        row = {**fields, "sys_id": sys_id}
        if name == "incident":
            row = {
                "state": "1",
                "priority": "5",
                "active": "true",
                **row,
                "number": f"INC{10_001 + len(table):07}",
            }
        table[sys_id] = row
        location = {"Location": f"{_site(request)}{_API}/{name}/{sys_id}"}
        return JSONResponse({"result": _shown(request, row)}, 201, headers=location)

    async def update(self, request: Request) -> Response:
        row, fields = self._find(request), await _read(request)
        if row is None:
            return _no_record()
        if fields is None:
            return _problem(400, "Exception while reading request", "the body is not a JSON object")
        row = {**row, **fields, "sys_id": row["sys_id"]}
        self._state.table(request.path_params["table"])[row["sys_id"]] = row
        return JSONResponse({"result": _shown(request, row)})

    def _find(self, request: Request) -> dict[str, Any] | None:
        name = request.path_params["table"]
        row = self._state.table(name).get(request.path_params["sys_id"]) if name in _TABLES else None
        return None if row is None or self._is_hidden(name, row) else row

    def _is_hidden(self, name: str, row: dict[str, Any]) -> bool:
        if name != "incident":
            return False
        if self._hidden is None:
            self._hidden = self._state.records.hidden()
        return row["sys_id"] in self._hidden


def _conditions(query: str) -> dict[str, str]:
    """Return the plain ``field=value`` parts of an encoded query; what else it says is ignored."""
    parts = (part.partition("=") for part in query.split("^"))
    return {field: value for field, sign, value in parts if sign and field.replace("_", "").isalnum()}


def _shown(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the Table API shows it: references as links, and only the fields asked for."""
    wanted = request.query_params.get("sysparm_fields", "")
    names = [name for name in wanted.split(",") if name in row] if wanted else list(row)
    shown = {name: row[name] for name in names}
    for name, table in _REFERENCES.items():
        if shown.get(name):
            link = f"{_site(request)}{_API}/{table}/{shown[name]}"
            shown[name] = {"link": link, "value": shown[name]}
    return shown


def _links(request: Request, offset: int, limit: int, total: int) -> str:
    last = (total - 1) // limit * limit if total else 0
    targets = {"first": 0, "prev": max(0, offset - limit), "next": offset + limit, "last": last}
    if offset == 0:
        del targets["prev"]
    if offset + limit >= total:
        del targets["next"]
    asked = dict(request.query_params) | {"sysparm_limit": str(limit)}
    page = f"{_site(request)}{request.url.path}"
    return ",".join(
        f'<{page}?{urlencode(asked | {"sysparm_offset": str(to)})}>;rel="{rel}"'
        for rel, to in targets.items()
    )


def _site(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


async def _read(request: Request) -> dict[str, Any] | None:
    try:
        read = json.loads(await request.body())
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _problem(status: int, message: str, detail: str | None) -> Response:
    return JSONResponse({"error": {"message": message, "detail": detail}, "status": "failure"}, status)


def _no_record() -> Response:
    return _problem(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def _unauthorized(request: Request, why: str) -> Response:
    response = _problem(401, "User Not Authenticated", "Required to provide Auth information")
    response.headers["WWW-Authenticate"] = 'BASIC realm="Service-now"'
    return response
