"""Proof Key for Code Exchange (RFC 7636), and states that nobody guesses."""

from __future__ import annotations

import re

from connector.pkce import challenge, new_state, new_verifier
from connector.secret import Secret

# RFC 7636 section 4.1: unreserved characters only, 43 to 128 of them.
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def test_the_rfcs_example() -> None:
    """RFC 7636 appendix B: the challenge of the verifier given there."""
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge(verifier, "S256") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_are_well_formed_and_never_the_same() -> None:
    """256 bits of the system's randomness in the alphabet of section 4.1; none twice."""
    made = [new_verifier().reveal() for _ in range(500)]
    assert all(VERIFIER.fullmatch(text) for text in made)
    assert len(set(made)) == len(made)
    # Of 500 texts of 43 characters each of the 64 letters is missing with a chance of 10^-140.
    assert len(set("".join(made))) == 64


def test_a_verifier_prints_as_nothing() -> None:
    """It is a secret until the code is redeemed."""
    verifier = new_verifier()
    assert verifier.reveal() not in repr(verifier) + str(verifier) + f"{verifier}"


def test_the_challenge_tells_nothing_of_the_verifier() -> None:
    """S256 sends a digest without padding; only `plain`, which an endpoint must ask for, sends the text."""
    verifier = new_verifier()
    made = challenge(verifier, "S256")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made)
    assert made != verifier.reveal()
    assert challenge(verifier, "plain") == verifier.reveal()


def test_states_are_never_the_same() -> None:
    """RFC 6749 section 10.12: at least 128 random bits, in characters that travel as they are."""
    made = [new_state() for _ in range(500)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22,}", text) for text in made)
    assert len(set(made)) == len(made)
