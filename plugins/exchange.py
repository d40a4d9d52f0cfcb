"""One request of an API snap and its reply: templates filled, failures put into words, GETs tried again."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from connector.errors import ConnectorError, SnapError
from connector.reading import retry_after
from connector.snap import Document
from connector.wirewords import advice, place, why

WAITS_S = (0.5, 1.0, 2.0)
# As those of the clients: of connecting one knows sooner that nothing will come of it.
TIMEOUT_S, CONNECT_S = 30.0, 10.0
# How long a pause a server may ask for where no account waits as its `retry_budget` says.
PATIENCE_S = 60.0


class Pace:
    """At most so many requests a second; None: as fast as they go."""

    def __init__(
        self, per_second: float | None, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._sleep, self._clock = sleep, clock
        self._next_at = clock()

    def wait(self) -> None:
        """Wait until the next request may go."""
        now = self._clock()
        if self._gap_s and now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._gap_s


_FIELD = re.compile(r"\{([A-Za-z_][\w.-]*)\}")


def fill_path(template: str, document: Document) -> str:
    """Fill ``{field}`` of a path, percent-encoded; a template of one field only may be a whole URL.

    Raises SnapError where a field is missing, empty, or would lead to another path (``..``).
    """
    whole = _FIELD.fullmatch(template)
    if whole:
        return _text(whole[1], document)

    def piece(match: re.Match[str]) -> str:
        text = _text(match[1], document)
        if text in ("", ".", ".."):
            # "/users/{id}" must never become a request to "/users/" itself.
            raise SnapError(f"The field {match[1]!r} is {text!r}, which would be another path")
        return quote(text, safe="")

    return _FIELD.sub(piece, template)


def is_relative(template: str) -> bool:
    """Whether a path, once filled, can only be understood with a base URL."""
    return not template.lower().startswith(("http://", "https://")) and not _FIELD.fullmatch(template)


def fill_value(value: Any, document: Document) -> Any:
    """Fill ``{field}`` in the texts of a value; a text of one field only becomes the field as it is."""
    if isinstance(value, Mapping):
        return {key: fill_value(each, document) for key, each in value.items()}
    if isinstance(value, list):
        return [fill_value(each, document) for each in value]
    if not isinstance(value, str):
        return value
    whole = _FIELD.fullmatch(value)
    if whole:
        return _found(whole[1], document)
    return _FIELD.sub(lambda match: _text(match[1], document), value)


def _text(name: str, document: Document) -> str:
    value = _found(name, document)
    if value is None or isinstance(value, (dict, list)):
        raise SnapError(f"The field {name!r} is no text or number")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _found(name: str, document: Document) -> Any:
    if name in document:
        return document[name]
    value: Any = document
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise SnapError(f"The document has no field {name!r}", code="field_missing")
        value = value[key]
    return value


def send(
    client: httpx.Client,
    method: str,
    url: httpx.URL,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    timeout_s: float = TIMEOUT_S,
    sleep: Callable[[float], None] | None = None,
    patience_s: float = 0.0,
) -> httpx.Response:
    """Send a request; return a reply of success.

    A GET that failed on the way, or met a 5xx, is sent again up to three times, with `sleep` in between;
    another method only where the request provably never left (RFC 9110 section 9.2.2). A pause that the
    server asks for is kept up to `patience_s`; with an account that is 0, since it has waited before. A
    longer one is an error at once: asking again before it is over is what the server asked not to do.
    Raises SnapError; errors of the account (ConnectorError) pass as they are.
    """
    waits = list(WAITS_S) if sleep is not None else []
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    while True:
        pause_s = 0.0
        try:
            response = client.request(method, url, headers=headers, json=body, timeout=timeout)
        except ConnectorError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure, transient = _broken(client, method, url, error), _is_transient(method, error)
        except (TypeError, ValueError) as error:
            failure, transient = _unsendable(method, url, error), False
        else:
            if response.is_success:
                return response
            pause_s = _asked_pause(response)
            failure, transient = _refused(response, pause_s), method == "GET" and response.status_code >= 500
            if pause_s:
                transient = method == "GET" and pause_s <= patience_s
        if not transient or not waits or sleep is None:
            raise failure
        sleep(max(waits.pop(0), pause_s))


def reply_of(response: httpx.Response, *, strict: bool = True) -> Any:
    """The JSON of a reply; None for an empty one. Not JSON: SnapError, or the text where not `strict`."""
    if not response.content.strip():
        return None
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        if not strict:
            return response.text
        raise SnapError(
            f"{where(response.request)} was answered with something that is no JSON",
            code="bad_reply",
            reason=f"{str(error)[:80]}; it begins {excerpt(response.text, 80)!r}",
            resolution="Ask for JSON in `headers` (Accept: application/json), or run again.",
        ) from None


def where(request: httpx.Request) -> str:
    """Method and path of a request; not the query, which may hold a secret."""
    return f"{request.method} {request.url.path}"


_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _is_transient(method: str, error: Exception) -> bool:
    permanent = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    passing = httpx.TransportError if method == "GET" else _NEVER_SENT
    return isinstance(error, passing) and not isinstance(error, permanent)


def _broken(client: httpx.Client, method: str, url: httpx.URL, error: Exception) -> SnapError:
    resolution = advice(error)
    if _may_have_arrived(method, error):
        resolution = f"Look whether the server acted on it before sending it again. {resolution}"
    # The host too: it is what is wrong when there is none of its name.
    whole = url if url.host else client.base_url.copy_with(path=client.base_url.path.rstrip("/") + url.path)
    return SnapError(f"{method} {place(whole)} failed", code="http", reason=why(error), resolution=resolution)


def _may_have_arrived(method: str, error: Exception) -> bool:
    never = (*_NEVER_SENT, httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)
    return method != "GET" and not isinstance(error, never)


def _unsendable(method: str, url: httpx.URL, error: Exception) -> SnapError:
    return SnapError(f"{method} {url.path} cannot be sent", code="http", reason=str(error)[:200])


_RESOLUTIONS = {
    400: "Compare the request with the API's documentation; the server's own words are the reason.",
    401: "The API takes no token of this account, or was sent none: check that the step names the right"
    " `account`, that `path` is on its API, and what its scopes and its user may do.",
    403: "Ask for the scope or role that this request needs.",
    404: "Check `path`, and the account's base URL.",
    409: "The record has changed or exists already: read it again first.",
    422: "Correct the document; the server's own words are the reason.",
    429: "The server asks for fewer requests: lower `concurrency`, or set `requests_per_second`.",
}


def _asked_pause(response: httpx.Response) -> float:
    if response.status_code not in (429, 503):
        return 0.0
    return retry_after(response.headers.get("retry-after"), time.time()) or 0.0


def _come_back(pause_s: float) -> str:
    minutes = math.ceil(pause_s / 60)
    span = f"{math.ceil(pause_s)} seconds" if minutes < 2 else f"{minutes} minutes"
    when = datetime.fromtimestamp(time.time() + pause_s, UTC)
    return (
        f"The server asks to wait {span}: run it again after {when:%H:%M:%S} UTC, or let the account wait"
        " longer with `retry_budget`."
    )


def _refused(response: httpx.Response, pause_s: float) -> SnapError:
    status = response.status_code
    reason = excerpt(response.text)
    resolution = _RESOLUTIONS.get(
        status, "The server is in trouble: try again later." if status >= 500 else ""
    )
    if pause_s:
        resolution = _come_back(pause_s)
    if response.has_redirect_location:
        reason = f"it points to {_bare(response)}"
        resolution = "Write the address it points to in `path`."
    return SnapError(
        f"{where(response.request)} was answered with {status}",
        code=f"http_{status}",
        reason=reason,
        resolution=resolution,
    )


def _bare(response: httpx.Response) -> str:
    target = response.request.url.join(response.headers["location"])
    return str(target.copy_with(query=None, fragment=None, userinfo=b""))


_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(
    r"(?i)\b(bearer|basic|dpop)\s+[\w.~+/=-]{6,}"
    r"|([\"']?(?:access_token|refresh_token|id_token|client_secret|password|api_key)[\"']?\s*[:=]\s*)[\"']?[^\s\"',&}]+"
)


def excerpt(text: str, longest: int = 200) -> str:
    """The beginning of a reply's text for an error message: no markup, no control characters, no secrets."""
    text = _TAG.sub(" ", text[:20_000])
    text = _SECRET.sub(lambda match: f"{match[1] or match[2].rstrip()} ***", text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
