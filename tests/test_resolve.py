"""What a reference may lead to."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from connector.errors import SecretMissingError
from connector.resolve import resolve_with
from connector.secret import SecretRef

REF = SecretRef(scheme="env", ref="NAME", file="manifest.yaml", line=4, column=9, pointer="/accounts/a/x")


def found(text: str) -> str:
    """What a reference resolves to whose source answers `text`."""
    return resolve_with({"env": lambda ref, folder: text}, Path())(REF)


@pytest.mark.parametrize("text", ["secret", "ключ 🔑", " spaces "])
def test_text_is_handed_over_as_it_is(text: str) -> None:
    """Nothing is trimmed or normalised on the way."""
    assert found(text) == text


@pytest.mark.parametrize(("text", "said"), [("", "an empty text"), ("hunter\udcff2", "not UTF-8 text")])
def test_what_no_request_can_carry_is_missing(text: str, said: str) -> None:
    """Nothing, and bytes that are no text, are told with their place; what was found is shown nowhere."""
    with pytest.raises(SecretMissingError, match=said) as caught:
        found(text)
    assert (caught.value.line, caught.value.column, caught.value.pointer) == (4, 9, "/accounts/a/x")
    assert "hunter" not in "".join(traceback.format_exception(caught.value))
