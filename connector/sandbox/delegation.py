"""Grants without a person at hand: a signed assertion (RFC 7523), and a token for a token (RFC 8693).

Rules of this room: no HTTP. Callers hold `State.lock`. Every refusal is a `Refusal`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connector.sandbox.assertions import check_assertion
from connector.sandbox.habits import EXCHANGE_GRANT, Habits, Refusal
from connector.sandbox.issuing import Call, asked_anew, issue, issue_at_once, lasting_s, narrow
from connector.sandbox.jwts import BadJwt, take_apart
from connector.sandbox.state import State
from connector.sandbox.tokens import Terms

_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def by_assertion(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    """Return a token for the subject of an assertion that the client signed (RFC 7523 section 2.1)."""
    try:
        assertion = take_apart(call.form.get("assertion", ""))
        subject = assertion.text("sub")
        if assertion.text("iss") != call.client.client_id:
            raise BadJwt("iss must be the client")
        check_assertion(state, habits, assertion, call.audiences, of_client=False)
    except BadJwt as bad:
        raise Refusal("invalid_grant", f"the assertion is refused: {bad}") from None
    return issue_at_once(state, habits, call, Terms(subject=subject))


def token_for_token(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    """Return a token that allows at most what another one does, and lasts no longer (RFC 8693)."""
    form = call.form
    if form.get("subject_token_type") != _ACCESS_TOKEN:
        raise Refusal("invalid_request", f"subject_token_type must be {_ACCESS_TOKEN}")
    if form.get("requested_token_type", _ACCESS_TOKEN) != _ACCESS_TOKEN:
        raise Refusal("invalid_request", f"requested_token_type must be {_ACCESS_TOKEN}")
    if "actor_token" in form:
        raise Refusal("invalid_request", "acting for somebody is not known here")
    if "audience" in form:
        raise Refusal("invalid_target", "audiences are not known here; resources are")
    subject = state.read(habits.name, "access", form.get("subject_token", ""))
    if subject is None:  # RFC 8693 section 2.2.2 wants this word
        raise Refusal("invalid_request", "the subject token is invalid, expired or revoked")
    if subject.terms.key not in ("", call.key):
        raise Refusal("invalid_request", "the subject token is bound to a key that the call does not hold")
    agreement = asked_anew(narrow(subject.agreement(), form), form)
    left_s = subject.expires_at - state.clock()
    agreement = replace(agreement, lifetime_s=min(lasting_s(state, habits, agreement), left_s))
    reply = issue(state, habits, call, grant=EXCHANGE_GRANT, agreement=agreement)
    return {**reply, "issued_token_type": _ACCESS_TOKEN}
