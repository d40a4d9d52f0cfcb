"""Records: the same seed gives the same ones, and what refers to something refers to something there."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from connector.sandbox import Records

NAMES = ["suppliers", "invoices", "incident", "sys_user", "cmdb_ci", "items"]


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name):
    """Same seed, same records; another seed, others."""
    assert Records().collection(name) == Records().collection(name)
    assert Records().collection(name) != Records(seed=8).collection(name)


def test_references_hold():
    """Every invoice's supplier and every incident's caller and machine exist; sums add up."""
    records = Records()
    for invoice in records.collection("invoices").values():
        supplier = records.collection("suppliers")[str(invoice["supplier"]["id"])]
        assert supplier["name"] == invoice["supplier"]["name"]
        lines = sum(Decimal(line["total"]) for line in invoice["invoice-lines"])
        assert lines + Decimal(invoice["tax-amount"]) == Decimal(invoice["gross-total"])
    for incident in records.collection("incident").values():
        assert incident["caller_id"] in records.collection("sys_user")
        assert incident["cmdb_ci"] in records.collection("cmdb_ci")


def test_sizes():
    """A few thousand by default, as many as asked for otherwise, and made quickly."""
    begun = time.monotonic()
    records = Records()
    assert [len(records.collection(name)) for name in NAMES] == [1000, 3000, 2500, 300, 400, 1000]
    assert time.monotonic() - begun < 1.0
    assert (len(records.hidden()), records.visible("incident")) == (40, 2460)
    few = Records(incidents=3, hidden_incidents=5)
    assert few.visible("incident") == 0
    with pytest.raises(KeyError):
        records.collection("nothing")
