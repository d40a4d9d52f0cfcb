"""Logging in, performed by hand: pushed requests, codes, devices. No server, and no time but what is waited."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from protocol_room import (
    CANARY,
    HERE,
    ISSUER,
    NOW,
    Script,
    account,
    asked,
    credentials,
    form,
    header,
    part,
    reply,
)

from connector.account import Account
from connector.authorization import Pending
from connector.device import DeviceCode
from connector.effects import NoReply
from connector.errors import NotAuthorizedError, RenewalError
from connector.jwts import new_dpop_key
from connector.record import Record
from connector.reply import Reply
from connector.secret import Secret
from connector.signin import begin_code, begin_device, finish, poll
from connector.signout import introspect, logout
from connector.token import Token

TOKENS = {"access_token": "a", "refresh_token": "r", "expires_in": 60}
DEVICE = {
    "device_code": "dc",
    "user_code": "UC",
    "verification_uri": f"{ISSUER}/d",
    "expires_in": 300,
    "interval": 5,
}
PENDING, SLOWER = (reply({"error": error}, 400) for error in ("authorization_pending", "slow_down"))
SILENCE = NoReply(sent=True, words="the server gave no whole answer")


def redirected(request: Pending, **more: str) -> str:
    """The address that the browser was sent to."""
    return f"{HERE}?{urlencode({'code': 'the-code', 'state': request.state, **more})}"


def begun(made: Account, *replies: Reply | NoReply) -> tuple[str, Pending, Script]:
    """A login that has begun: URL, request, and what was done."""
    script = Script(made, [*replies])
    url, request = script.run(begin_code(HERE, {}))
    return url, request, script


PAR = {"par": {"url": f"{ISSUER}/par"}}


def test_a_login_without_pushing() -> None:
    """The URL is made without asking anybody; the code brings the token in one call."""
    url, request, script = begun(account())
    assert url.startswith(f"{ISSUER}/authorize?")
    assert script.done == ["Reveal"]
    script.replies.append(reply(TOKENS))
    token = script.run(finish(request, redirected(request)))
    assert (token.access_token.reveal(), token.expires_at) == ("a", NOW + 60)
    assert [form(call)["code"] for call in script.posts] == ["the-code"]


def test_a_login_that_is_pushed() -> None:
    """RFC 9126 section 4: the browser carries the name that the server gave."""
    url, request, script = begun(account(PAR), reply({"request_uri": "urn:x", "expires_in": 60}, 201))
    assert url == f"{ISSUER}/authorize?client_id=me&request_uri=urn%3Ax"
    assert form(script.posts[0])["state"] == request.state


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (reply({"error": "invalid_client"}, 401), NotAuthorizedError, "client_refused"),
        (reply({"error": "invalid_scope"}, 400), NotAuthorizedError, "scope_refused"),
        (reply({"error": "invalid_request"}, 400), NotAuthorizedError, "refused"),
        (reply(b"", 503), RenewalError, "login_failed"),
        (reply(b"<html>", 200), RenewalError, "login_failed"),
        (SILENCE, RenewalError, "login_failed"),
    ],
)
def test_a_push_that_fails(answer: Any, error: type[Exception], code: str) -> None:
    """No URL is made then: what is wrong is told before a person is troubled."""
    with pytest.raises(error) as caught:
        begun(account(PAR), answer)
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (reply({"error": "invalid_grant"}, 400), NotAuthorizedError, "refused"),
        (reply({"error": "access_denied"}, 403), NotAuthorizedError, "access_denied"),
        (reply(b"", 307, location="https://evil.example.com"), RenewalError, "login_failed"),
        (reply(b"", 500), RenewalError, "login_failed"),
        (NoReply(sent=False, words="refused"), RenewalError, "login_failed"),
        (SILENCE, RenewalError, "login_failed"),
    ],
)
def test_a_code_is_shown_once(answer: Any, error: type[Exception], code: str) -> None:
    """RFC 6749 section 4.1.2: whatever comes back, also nothing, the code is not sent again."""
    _, request, script = begun(account())
    script.replies = [answer, reply(TOKENS)]
    with pytest.raises(error) as caught:
        script.run(finish(request, redirected(request)))
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert len(script.posts) == 1


def test_a_redirect_that_does_not_fit_costs_no_call() -> None:
    """The code of another login's answer is shown to nobody."""
    script = Script(account(), [])
    with pytest.raises(NotAuthorizedError) as caught:
        script.run(finish(asked(), redirected(asked(), code=CANARY)))
    assert caught.value.code == "state_mismatch"
    assert CANARY not in str(caught.value)
    assert script.posts == []


def test_a_login_keeps_its_key() -> None:
    """RFC 9449 section 10: the code is redeemed with the key that the page was told of, not with a new one."""
    key, other = new_dpop_key(), new_dpop_key()
    script = Script(account(dpop=True), [], credentials(dpop_key=key))
    _, request = script.run(begin_code(HERE, {}))
    script.credentials = credentials(dpop_key=other)
    script.replies = [reply({**TOKENS, "token_type": "DPoP"})]
    assert script.run(finish(request, redirected(request))).dpop_key == key


def device(*replies: Reply | NoReply, **said: Any) -> tuple[Script, DeviceCode]:
    """A device login under way, and what its polls will be answered."""
    told = {name: value for name, value in {**DEVICE, **said}.items() if value is not None}
    script = Script(account(), [reply(told)])
    code = script.run(begin_device())
    script.posts.clear()
    script.replies = [*replies]
    return script, code


def test_a_device_waits_first_and_between() -> None:
    """RFC 8628 section 3.5: no question before the interval has passed, nor sooner than that after the last."""
    script, code = device(PENDING, PENDING, reply(TOKENS))
    assert script.run(poll(code)).access_token.reveal() == "a"
    assert script.waits == [5, 5, 5]
    assert script.done[-4:] == ["Now", "Reveal", "Wait", "Post"]
    assert {form(call)["device_code"] for call in script.posts} == {"dc"}


def test_five_seconds_where_no_interval_is_given() -> None:
    """RFC 8628 section 3.2."""
    script, code = device(PENDING, reply(TOKENS), interval=None)
    script.run(poll(code))
    assert script.waits == [5, 5]


def test_slow_down_is_for_good() -> None:
    """RFC 8628 section 3.5: five seconds more, for this question and all that follow."""
    script, code = device(PENDING, SLOWER, PENDING, SLOWER, reply(TOKENS))
    script.run(poll(code))
    assert script.waits == [5, 5, 10, 10, 15]


@pytest.mark.parametrize(
    "silence", [SILENCE, NoReply(sent=False, words="x"), reply(b"", 503), reply(b"", 429)], ids=range(4)
)
def test_silence_is_asked_less_often(silence: Any) -> None:
    """RFC 8628 section 3.5: twice the pause for each answer that stays away, and back again after one that comes."""
    script, code = device(*[silence] * 5, PENDING, reply(TOKENS), expires_in=3600)
    script.run(poll(code))
    assert script.waits == [5, 10, 20, 40, 80, 80, 5]


def test_a_login_survives_silence_beside_slow_down() -> None:
    """What `slow_down` added is not forgotten by it."""
    script, code = device(SLOWER, SILENCE, PENDING, reply(TOKENS))
    script.run(poll(code))
    assert script.waits == [5, 10, 20, 10]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"error": "expired_token"}, 400), "login_timeout"),
        (reply({"error": "access_denied"}, 400), "access_denied"),
        (reply({"error": "access_denied"}, 403), "access_denied"),
        (reply({"error": "invalid_grant"}, 400), "refused"),
        (reply({"error": "invalid_client"}, 401), "client_refused"),
        (reply(b"<html>", 200), "login_failed"),
        (reply(b"", 404), "login_failed"),
    ],
)
def test_what_ends_it(answer: Reply, code: str) -> None:
    """RFC 8628 section 3.5: any other error ends the asking, in one clear error."""
    script, found = device(PENDING, answer, reply(TOKENS))
    with pytest.raises((NotAuthorizedError, RenewalError)) as caught:
        script.run(poll(found))
    assert caught.value.code == code
    assert len(script.posts) == 2
    assert "dc" not in str(caught.value).split()


def test_a_code_that_ends_is_not_asked_for() -> None:
    """Nobody came: after the code's end there is no question, however the server answers."""
    script, code = device(*[PENDING] * 100, expires_in=60)
    with pytest.raises(NotAuthorizedError) as caught:
        script.run(poll(code))
    assert caught.value.code == "login_timeout"
    assert script.now < code.expires_at
    assert len(script.posts) == 11


def test_an_interval_longer_than_the_code() -> None:
    """A server that makes no sense ends the login; nobody waits for what cannot come."""
    script, code = device(interval=10**9)
    with pytest.raises(NotAuthorizedError):
        script.run(poll(code))
    assert script.waits == []


def test_each_question_proves_itself_anew() -> None:
    """RFC 9449 section 11.1: no proof is used twice, and all are of the key that the login began with."""
    key = new_dpop_key()
    script = Script(account(dpop=True), [reply(DEVICE)], credentials(dpop_key=key))
    code = script.run(begin_device())
    script.credentials = credentials(dpop_key=new_dpop_key())
    script.posts.clear()
    script.replies = [PENDING, PENDING, reply({**TOKENS, "token_type": "DPoP"})]
    assert script.run(poll(code)).dpop_key == key
    proofs = [header(call, "Dpop") for call in script.posts]
    assert len({part(proof, 1)["jti"] for proof in proofs}) == 3
    assert len({str(part(proof, 0)["jwk"]) for proof in proofs}) == 1


def login() -> Record:
    """A login in the store."""
    return Record(
        version=3, token=Token(access_token=Secret("a"), refresh_token=Secret("r"), obtained_at=NOW)
    )


def test_logging_out() -> None:
    """RFC 7009: revoked under the lease, forgotten, the lease given back."""
    script = Script(account(), [reply(b"")], record=login())
    assert script.run(logout("me", revoke=True)) is True
    assert script.done == ["Now", "Acquire", "Load", "Reveal", "Post", "Delete", "Release"]
    assert script.record.token is None


def test_a_logout_that_fails_forgets_nothing() -> None:
    """RFC 7009 section 2.2.1: a 503 leaves the token alive, so the login is still there to be revoked."""
    script = Script(account(), [reply(b"", 503, retry_after="9")], record=login())
    flow = logout("me", revoke=True)
    with pytest.raises(RenewalError) as caught:
        script.run(flow)
    assert (caught.value.code, caught.value.retry_after) == ("logout_failed", 9.0)
    assert script.record == login()


def test_forgetting_alone() -> None:
    """Without revoking no server is asked; without a login there was none."""
    script = Script(account(), [], record=login())
    assert script.run(logout("me", revoke=False)) is True
    assert script.run(logout("me", revoke=True)) is False
    assert script.posts == []


def test_a_logout_waits_for_a_renewal_but_not_for_ever() -> None:
    """Another holder has the lease: after 50 s the person is told."""
    script = Script(account(), [], record=login(), holder="other")
    with pytest.raises(RenewalError) as caught:
        script.run(logout("me", revoke=True))
    assert caught.value.code == "lease_held"
    assert 50 < script.now - NOW < 51
    assert script.record == login()


def test_introspecting() -> None:
    """What the server says comes back; an outage is an error of its own."""
    token = login().token
    assert token is not None
    assert Script(account(), [reply({"active": True, "sub": "7"})]).run(introspect(token)).subject == "7"
    with pytest.raises(RenewalError) as caught:
        Script(account(), [reply(b"", 500)]).run(introspect(token))
    assert caught.value.code == "introspection_failed"
