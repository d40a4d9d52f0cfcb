"""What the two transports do to a request, shown once for sync, asyncio and trio."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.errors import ForeignHostError, NotAuthorizedError, RenewalError

Make = Callable[..., Any]


def auth(request: httpx.Request) -> str:
    return request.headers.get("authorization", "")


def test_a_copy_carries_the_token(make: Make) -> None:
    """The wire sees the token; the snap's own request, which the response holds, never does."""
    rig = make()
    [response] = rig.call({"url": "/thing"})
    assert response.status_code == 200
    assert auth(rig.side.seen[0]) == "Bearer token-0"
    assert "authorization" not in response.request.headers
    assert rig.side.calls == []


def test_a_401_costs_one_renewal_and_one_replay(make: Make) -> None:
    """A token the API refuses is replaced and the request sent again with the same body."""
    rig = make(good=False)
    [response] = rig.call({"method": "POST", "url": "/thing", "content": b"body"})
    assert response.status_code == 200
    assert [auth(r) for r in rig.side.seen] == ["Bearer token-0", "Bearer token-1"]
    assert rig.side.bodies == [b"body", b"body"]
    assert [call["refresh_token"] for call in rig.side.calls] == [["refresh-0"]]


def test_a_second_401_is_handed_out(make: Make) -> None:
    """An API that refuses fresh tokens too gets one replay, and the snap gets the 401 as it is."""
    rig = make()
    rig.side.answer = lambda request: httpx.Response(401, text="no such thing for you")
    [response] = rig.call({"url": "/thing"})
    assert (response.status_code, response.text) == (401, "no such thing for you")
    assert len(rig.side.seen) == 2
    assert len(rig.side.calls) == 1


def test_an_api_that_always_says_401_is_no_storm_of_token_calls(make: Make) -> None:
    """Fifty refused requests in a row cost a handful of token calls, not fifty."""
    rig = make()
    rig.side.answer = lambda request: httpx.Response(401)
    responses = rig.call(*[{"url": "/thing"}] * 50)
    assert {response.status_code for response in responses} == {401}
    assert len(rig.side.calls) <= 2


def test_a_one_shot_body_is_never_sent_twice(make: Make) -> None:
    """A generator is sent once: its 401 is handed out, and the next request has a new token."""
    rig = make(good=False)
    first, second = rig.call(
        {"method": "POST", "url": "/thing", "content": rig.one_shot(b"a", b"b")}, {"url": "/thing"}
    )
    assert (first.status_code, second.status_code) == (401, 200)
    assert rig.side.bodies == [b"ab", b""]


def test_a_one_shot_body_gets_an_early_renewal(make: Make) -> None:
    """With a token near its end, a body that cannot be sent again waits for a fresh one first."""
    rig = make(expires_in=3600)
    rig.side.clock.now += 3500
    [response] = rig.call({"method": "POST", "url": "/thing", "content": rig.one_shot(b"once")})
    assert response.status_code == 200
    assert [auth(r) for r in rig.side.seen] == ["Bearer token-1"]


def test_a_stale_token_goes_on_while_it_is_renewed(make: Make) -> None:
    """A plain request does not wait for an early renewal; a later one has the new token."""
    rig = make(expires_in=3600)
    rig.call({"url": "/thing"})
    rig.side.clock.now += 3500
    rig.call({"url": "/thing"})
    assert auth(rig.side.seen[1]) == "Bearer token-0"
    rig.source.settle()
    rig.call({"url": "/thing"})
    assert auth(rig.side.seen[2]) == "Bearer token-1"


def test_an_expired_token_is_never_sent(make: Make) -> None:
    """After its end a token is renewed before the request goes out."""
    rig = make(expires_in=10)
    rig.side.clock.now += 11
    [response] = rig.call({"url": "/thing"})
    assert response.status_code == 200
    assert [auth(r) for r in rig.side.seen] == ["Bearer token-1"]


# httpx.AsyncClient takes no synchronous file as a body.
@pytest.mark.parametrize("kind", ["sync"])
def test_a_file_is_wound_back_for_the_replay(make: Make, tmp_path: Path) -> None:
    """A file is sent again from where it stood, not from where the first sending left it."""
    path = tmp_path / "body"
    path.write_bytes(b"skipped:the body")
    rig = make(good=False)
    with path.open("rb") as file:
        file.seek(8)
        [response] = rig.call({"method": "POST", "url": "/thing", "content": file})
    assert response.status_code == 200
    assert rig.side.bodies == [b"the body", b"the body"]


def test_a_multipart_upload_is_sent_again_whole(make: Make) -> None:
    """Multipart fields that seek can be replayed."""
    rig = make(good=False)
    files = {"upload": ("a.txt", io.BytesIO(b"content of the file"))}
    [response] = rig.call({"method": "POST", "url": "/thing", "files": files, "data": {"k": "v"}})
    assert response.status_code == 200
    assert len(rig.side.bodies) == 2
    assert rig.side.bodies[0] == rig.side.bodies[1]
    assert b"content of the file" in rig.side.bodies[1]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.net/thing",
        "https://api.example.com.evil.net/thing",
        "https://api.example.com:8443/thing",
        "http://api.example.com/thing",
        "https://login.example.com/token",
        "https://sub.api.example.com/thing",
    ],
)
def test_no_token_for_another_host(make: Make, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another host, port or scheme sees no token, is answered as usual, and is warned of once."""
    rig = make()
    rig.side.answer = lambda request: httpx.Response(204)
    with caplog.at_level(logging.WARNING, "connector"):
        responses = rig.call({"url": url}, {"url": url})
    assert [response.status_code for response in responses] == [204, 204]
    assert [auth(r) for r in rig.side.seen] == ["", ""]
    assert [r.message for r in caplog.records if "host.foreign" in r.message] != []
    assert len([r for r in caplog.records if "host.foreign" in r.message]) == 1


def test_a_redirect_to_another_host_takes_no_token_along(make: Make) -> None:
    """With redirects on, the fence judges every hop, a 307 with its body included."""
    rig = make()

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.host == "api.example.com":
            return httpx.Response(307, headers={"location": "https://evil.example.net/x"})
        return httpx.Response(200, text="thanks")

    rig.side.answer = answer
    [response] = rig.call({"method": "POST", "url": "/go", "content": b"b"}, follow_redirects=True)
    assert response.text == "thanks"
    assert [auth(r) for r in rig.side.seen] == ["Bearer token-0", ""]


def test_foreign_hosts_refuse(make: Make) -> None:
    """An account may forbid requests to other hosts; the error names the rule and the hosts."""
    rig = make(foreign_hosts="refuse")
    with pytest.raises(ForeignHostError, match="foreign_hosts: refuse") as caught:
        rig.call({"url": "https://evil.example.net/x?token=abc"})
    assert caught.value.host == "evil.example.net"
    assert "api.example.com" in str(caught.value)
    assert "abc" not in str(caught.value.request.url)
    assert rig.side.seen == []


def test_listed_hosts_and_domains_see_the_token(make: Make) -> None:
    """`hosts` opens the fence for a host or all hosts of a domain, not for look-alikes."""
    api = {"base_url": "https://api.example.com", "hosts": ["*.files.example.com", "other.example.org:8443"]}
    rig = make(spec={"api": api})
    rig.side.answer = lambda request: httpx.Response(200)
    urls = (
        "https://a.files.example.com/",
        "https://other.example.org:8443/",
        "https://files.example.com/",
        "https://evilfiles.example.com/",
        "https://other.example.org/",
    )
    rig.call(*[{"url": url} for url in urls])
    assert [bool(auth(r)) for r in rig.side.seen] == [True, True, False, False, False]


def test_cookies_are_dropped_unless_asked_for(make: Make) -> None:
    """A session must not outlive its token; an account that wants cookies says so."""
    for keep, expected in ((False, None), (True, "s=1")):
        rig = make(cookies=keep)
        rig.side.answer = lambda request: httpx.Response(200, headers={"set-cookie": "s=1"})
        rig.call({"url": "/a"}, {"url": "/b"})
        assert rig.side.seen[1].headers.get("cookie") == expected


def test_retry_after_is_honoured_within_a_budget(make: Make) -> None:
    """429 and 503 are waited out as the server asks, as long as the account's budget lasts."""
    rig = make(retry_budget_s=10.0)
    left = [
        httpx.Response(429, headers={"retry-after": "3"}),
        httpx.Response(503, headers={"retry-after": "2"}),
    ]
    rig.side.answer = lambda request: left.pop(0) if left else None
    [response] = rig.call({"url": "/thing"})
    assert response.status_code == 200
    assert rig.side.slept == [3.0, 2.0]

    rig = make(retry_budget_s=10.0)
    rig.side.answer = lambda request: httpx.Response(429, headers={"retry-after": "11"})
    [response] = rig.call({"url": "/thing"})
    assert response.status_code == 429
    assert rig.side.slept == []


def test_a_post_is_not_repeated_on_503(make: Make) -> None:
    """Only what may be done twice is done twice: POST waits on 429, never on 503."""
    rig = make()
    rig.side.answer = lambda request: httpx.Response(503, headers={"retry-after": "1"})
    [response] = rig.call({"method": "POST", "url": "/thing", "content": b"x"})
    assert response.status_code == 503
    assert len(rig.side.seen) == 1


def test_403_means_expired_only_where_the_endpoint_says_so(make: Make) -> None:
    """A 403 is the API's own business unless the endpoint file declares it, with or without a body."""
    rig = make()
    rig.side.answer = lambda request: httpx.Response(403, json={"error": "forbidden"})
    rig.call({"url": "/thing"})
    assert len(rig.side.seen) == 1

    api = {
        "base_url": "https://api.example.com",
        "expired": {"status": [403], "body": {"/error": ["expired"]}},
    }
    for error, sent in (("forbidden", 1), ("expired", 2)):
        rig = make(spec={"api": api})
        rig.side.answer = lambda request, error=error: (
            httpx.Response(403, json={"error": error}) if auth(request) == "Bearer token-0" else None
        )
        [response] = rig.call({"url": "/thing"})
        assert len(rig.side.seen) == sent
        assert response.status_code == (403 if sent == 1 else 200)


def test_account_headers_fill_in_what_the_snap_left_open(make: Make) -> None:
    """An endpoint's headers replace httpx's own */*, never what the snap says."""
    api = {"base_url": "https://api.example.com", "headers": {"Accept": "application/json"}}
    rig = make(spec={"api": api})
    rig.call({"url": "/a"}, {"url": "/b", "headers": {"Accept": "text/csv"}})
    assert [r.headers["accept"] for r in rig.side.seen] == ["application/json", "text/csv"]


def test_a_token_in_the_query_is_not_in_the_snaps_request(make: Make) -> None:
    """Some servers want it in the query; what the snap and httpx's log see has none."""
    api = {"base_url": "https://api.example.com", "token": {"in": "query", "name": "access_token"}}
    rig = make(spec={"api": api})
    rig.side.answer = lambda request: httpx.Response(200)
    [response] = rig.call({"url": "/a?x=1"})
    assert rig.side.seen[0].url.params["access_token"] == "token-0"
    assert rig.side.seen[0].url.params["x"] == "1"
    assert "token-0" not in str(response.request.url)


def test_auto_refresh_off_says_so(make: Make) -> None:
    """With auto_refresh off an expired token is an error that says what to do, and nothing is sent."""
    rig = make(auto_refresh=False, expires_in=5)
    rig.side.clock.now += 10
    with pytest.raises(NotAuthorizedError, match="auto_refresh") as caught:
        rig.call({"url": "/thing"})
    assert caught.value.code == "auto_refresh_off"
    assert rig.side.seen == []
    assert rig.side.calls == []


def test_a_failed_renewal_is_an_httpx_error_that_says_when(make: Make) -> None:
    """Code that catches httpx.TransportError and tries later does the right thing."""
    rig = make(expires_in=5)
    rig.side.clock.now += 10
    rig.side.token_endpoint = None  # the poster asks the attribute anew for each call

    def down(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, headers={"retry-after": "7"})

    rig.side.token_endpoint = down
    with pytest.raises(httpx.TransportError) as caught:
        rig.call({"url": "/thing"})
    assert isinstance(caught.value, RenewalError)
    assert caught.value.retry_after == pytest.approx(7)
    assert str(caught.value.request.url) == "https://api.example.com/thing"


def test_header_authenticated_off_leaves_the_token_to_the_snap(make: Make) -> None:
    """The snap places the token itself; the account's headers and fence stay."""
    rig = make(header_authenticated=False)
    [response] = rig.call({"url": "/thing", "headers": {"X-Token": "mine"}})
    assert response.status_code == 401
    assert auth(rig.side.seen[0]) == ""
    assert len(rig.side.calls) == 0


def test_a_broken_wire_shows_no_header(make: Make) -> None:
    """An error of the wire carries no frame, cause or context that holds the Authorization header."""
    rig = make()

    def broken(request: httpx.Request) -> httpx.Response:
        headers = dict(request.headers)
        raise httpx.ReadError(f"cut off after {len(headers)} headers")

    rig.side.answer = broken
    with pytest.raises(httpx.ReadError) as caught:
        rig.call({"url": "/thing"})
    frames, trace = [], caught.value.__traceback__
    while trace is not None:
        if any(part in trace.tb_frame.f_code.co_filename for part in ("connector", "httpx")):
            frames.append(repr(dict(trace.tb_frame.f_locals)))
        trace = trace.tb_next
    assert any("Transport" in frame for frame in frames)
    assert "token-0" not in "".join(frames)
    assert caught.value.__cause__ is None
