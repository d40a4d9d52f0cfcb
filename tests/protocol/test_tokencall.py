"""One call to the authorization server, performed by hand: posted, read, made again for a nonce."""

from __future__ import annotations

import math
from typing import Any

import pytest
from protocol_room import NOW, Script, account, credentials, form, header, part, reply

from connector.effects import NoReply, Ready
from connector.jwts import new_dpop_key
from connector.reply import Refusal, Reply
from connector.secret import Secret
from connector.token import Token
from connector.tokencall import post, token_call
from connector.tokenrequest import TokenRequest, build

KEY = new_dpop_key()
GOOD = {"access_token": "new", "token_type": "DPoP", "expires_in": 60}


def wants(nonce: str, status: int = 400) -> Reply:
    """RFC 9449 section 8: the server wants this nonce in the proof."""
    return reply({"error": "use_dpop_nonce"}, status, dpop_nonce=nonce)


def called(
    replies: list[Any], *, previous: Token | None = None, **more: Any
) -> tuple[Token | Refusal | NoReply, Script]:
    """A token call with a key, and what was done for it."""
    script = Script(account(dpop=True), replies, credentials(dpop_key=KEY, **more))
    ready = Ready(account=script.account, credentials=script.credentials)

    def make(ready: Ready) -> TokenRequest:
        params = {"grant_type": "x"}
        return build(ready.account, ready.account.endpoint.token, params, ready.credentials, dpop_key=KEY)

    return script.run(token_call(ready, make, previous=previous, until=math.inf)), script


def proofs(script: Script) -> list[dict[str, Any]]:
    """The claims of the proof that each request carried."""
    return [part(header(request, "Dpop"), 1) for request in script.posts]


def test_a_nonce_is_one_more_call() -> None:
    """RFC 9449 section 8: the same call again with the nonce, and a proof that was not used before."""
    token, script = called([wants("n1"), reply(GOOD)])
    assert isinstance(token, Token)
    assert (token.token_type, token.dpop_key) == ("DPoP", KEY)
    first, second = proofs(script)
    assert "nonce" not in first
    assert second["nonce"] == "n1"
    assert first["jti"] != second["jti"]
    assert form(script.posts[0]) == form(script.posts[1])


def test_each_nonce_counts_until_the_next() -> None:
    """RFC 9449 section 8.2: a server may change its mind; the last one it said is used."""
    token, script = called([wants("n1"), wants("n2", 401), reply(GOOD)], dpop_nonce="old")
    assert isinstance(token, Token)
    assert [claims["nonce"] for claims in proofs(script)] == ["old", "n1", "n2"]
    assert len({claims["jti"] for claims in proofs(script)}) == 3


def test_a_server_that_refuses_its_own_nonces() -> None:
    """Three are enough: no loop, and an answer that says what is wrong."""
    found, script = called([wants("n1"), wants("n2"), wants("n3"), wants("n4")])
    assert isinstance(found, Refusal)
    assert (found.kind, len(script.posts)) == ("protocol", 3)
    assert "nonce" in found.description
    assert found.spent is False


@pytest.mark.parametrize("nonce", ["", "x" * 1025])
def test_a_nonce_that_is_none(nonce: str) -> None:
    """Without a nonce of a sane size there is nothing to try again with."""
    found, script = called([wants(nonce)])
    assert isinstance(found, Refusal)
    assert (found.kind, len(script.posts)) == ("login", 1)


def test_another_nos_header_is_no_reason() -> None:
    """A nonce beside another error, or with a good answer, makes no second call."""
    for answer in (reply({"error": "invalid_grant"}, 400, dpop_nonce="n"), reply(GOOD, dpop_nonce="n")):
        assert len(called([answer])[1].posts) == 1


def test_no_reply_is_handed_on() -> None:
    """What became of the call is for the caller to judge: nothing is sent again."""
    found, script = called([NoReply(sent=True, words="gone")])
    assert found == NoReply(sent=True, words="gone")
    assert len(script.posts) == 1


def test_the_limit_goes_along() -> None:
    """Each call of the loop carries the moment after which it is not to be made."""
    ready = Ready(account=account(), credentials=credentials())
    flow = post(ready, lambda ready: build(ready.account, ready.account.endpoint.token, {}, ready.credentials),
                lambda answer, request: "read", until=NOW + 5)  # fmt: skip
    assert next(flow).until == NOW + 5  # type: ignore[union-attr]
    with pytest.raises(StopIteration) as end:
        flow.send(reply(GOOD))
    assert end.value.value == "read"


def test_assertions_are_new_as_well() -> None:
    """RFC 7523 section 3: a client assertion is used once, so the second call signs another."""
    made = account({"token": {"auth": "client_secret_jwt"}}, dpop=True)
    script = Script(made, [wants("n"), reply(GOOD)], credentials(dpop_key=KEY))
    ready = Ready(account=made, credentials=script.credentials)

    def make(ready: Ready) -> TokenRequest:
        return build(made, made.endpoint.token, {}, ready.credentials, dpop_key=KEY)

    script.run(token_call(ready, make, previous=None, until=math.inf))
    first, second = (part(form(request)["client_assertion"], 1)["jti"] for request in script.posts)
    assert first != second


def test_a_login_that_comes_unbound_is_refused() -> None:
    """RFC 9449 section 5: whoever asks for a bound token and gets another one has not got it."""
    found, _ = called([reply({**GOOD, "token_type": "Bearer", "refresh_token": "r"})])
    assert isinstance(found, Refusal)
    assert "did not bind" in found.description


def test_a_bearer_token_stays_bearer() -> None:
    """A renewal that comes unbound is kept: throwing it away would lose a rotated refresh token."""
    before = Token(access_token=Secret("a"), obtained_at=0.0, refresh_token=Secret("r0"), dpop_key=KEY)
    token, _ = called([reply({**GOOD, "token_type": "Bearer", "refresh_token": "r"})], previous=before)
    assert isinstance(token, Token)
    assert (token.token_type, token.dpop_key, token.refresh_token) == ("Bearer", KEY, Secret("r"))


def test_a_bound_token_that_nobody_asked_for() -> None:
    """RFC 6749 section 7.1: a token of a type that we cannot show is not used."""
    made = account()
    script = Script(made, [reply(GOOD)])
    ready = Ready(account=made, credentials=script.credentials)
    found = script.run(token_call(ready, lambda ready: build(made, made.endpoint.token, {}, ready.credentials),
                                  previous=None, until=math.inf))  # fmt: skip
    assert isinstance(found, Refusal)
    assert "DPoP" in found.description
