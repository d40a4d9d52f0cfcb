"""A few thousand believable records made from a seed: suppliers, invoices, incidents and what they refer to.

Rules of this room: one generator per collection, so that the size of one changes no id of another; dates
hang on a fixed day, so that the same seed gives the same bytes for ever.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connector.sandbox import vocabulary as words

Record = dict[str, Any]
_DAY_ZERO = datetime.datetime(2026, 1, 5, 8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The collections of one seed, each made when it is first asked for.

    Attributes:
        seed: decides every value.
        suppliers, invoices, incidents, users, machines, items: how many of each there are.
        hidden_incidents: how many incidents no caller may see: a block in the middle, larger than small
            pages, and the rest scattered. `visible` counts the others.
    """

    seed: int | str = 7
    suppliers: int = 1000
    invoices: int = 3000
    incidents: int = 2500
    users: int = 300
    machines: int = 400
    items: int = 1000
    hidden_incidents: int = 40
    _made: dict[str, dict[str, Record]] = field(default_factory=dict, repr=False, compare=False)

    def collection(self, name: str) -> dict[str, Record]:
        """Return id -> record of one collection. Treat it as frozen: it is shared.

        Raises KeyError for a name other than ``suppliers``, ``invoices``, ``incident``, ``sys_user``,
        ``cmdb_ci`` and ``items``.
        """
        if name not in self._made:
            rng = random.Random(f"{self.seed} {name}")  # noqa: S311 - not for secrets
            key = "sys_id" if name in ("incident", "sys_user", "cmdb_ci") else "id"
            self._made[name] = {str(record[key]): record for record in _MAKERS[name](self, rng)}
        return self._made[name]

    def hidden(self) -> frozenset[str]:
        """Return the sys_ids of the incidents that the access rules hide."""
        ids = list(self.collection("incident"))
        count = min(self.hidden_incidents, len(ids))
        block = min(25, count)
        middle = (len(ids) - block) // 2
        rest = ids[:middle] + ids[middle + block :]
        rng = random.Random(f"{self.seed} hidden")  # noqa: S311 - not for secrets
        return frozenset(ids[middle : middle + block] + rng.sample(rest, count - block))

    def visible(self, name: str) -> int:
        """Return how many records of a collection a caller gets by reading every page."""
        hidden = len(self.hidden()) if name == "incident" else 0
        return len(self.collection(name)) - hidden


def _suppliers(records: Records, rng: random.Random) -> list[Record]:
    made = []
    for number in range(1, records.suppliers + 1):
        name = f"{rng.choice(words.FIRMS)} {rng.choice(words.TRADES)} {rng.choice(words.FORMS)}"
        city, country, currency = rng.choice(words.PLACES)
        created = _moment(rng)
        made.append(
            {
                "id": number,
                "number": f"SUP-{number:05}",
                "name": name,
                "display-name": name.rsplit(" ", 1)[0],
                "status": "inactive" if rng.random() < 0.08 else "active",
                "currency": {"code": currency},
                "payment-method": rng.choice(("invoice", "virtual_card", "bank_transfer")),
                "primary-address": {"city": city, "country": {"code": country}},
                "created-at": created.isoformat() + "Z",
                "updated-at": _later(created, rng).isoformat() + "Z",
            }
        )
    return made


def _invoices(records: Records, rng: random.Random) -> list[Record]:
    suppliers = list(records.collection("suppliers").values())
    return [_invoice(number, rng, rng.choice(suppliers)) for number in range(1, records.invoices + 1)]


def _invoice(number: int, rng: random.Random, supplier: Record) -> Record:
    created = _moment(rng)
    lines = []
    cents = 0
    for position in range(1, int(rng.random() * 4) + 2):
        quantity, price = int(rng.random() * 20) + 1, int(rng.random() * 50_000) + 95
        cents += quantity * price
        lines.append(
            {
                "id": number * 10 + position,
                "line-num": position,
                "description": rng.choice(words.GOODS),
                "quantity": f"{quantity}.0",
                "price": _money(price),
                "total": _money(quantity * price),
            }
        )
    tax = cents * rng.choice((0, 7, 19, 20, 21)) // 100
    return {
        "id": number,
        "invoice-number": f"INV-{supplier['id']:04}-{number:06}",
        "invoice-date": created.date().isoformat(),
        "status": rng.choice(words.INVOICE_STATES),
        "currency": supplier["currency"],
        "supplier": {"id": supplier["id"], "name": supplier["name"], "number": supplier["number"]},
        "payment-term": {"code": rng.choice(("Net 30", "Net 45", "Net 60", "2/10 Net 30"))},
        "invoice-lines": lines,
        "tax-amount": _money(tax),
        "gross-total": _money(cents + tax),
        "created-at": created.isoformat() + "Z",
        "updated-at": _later(created, rng).isoformat() + "Z",
    }


def _users(records: Records, rng: random.Random) -> list[Record]:
    made = []
    for number in range(1, records.users + 1):
        first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
        login = f"{first}.{last}{number}".lower()
        made.append(
            {
                "sys_id": _sys_id(rng),
                "user_name": login,
                "name": f"{first} {last}",
                "email": f"{login}@example.com",
                "department": rng.choice(words.DEPARTMENTS),
                "active": "false" if rng.random() < 0.05 else "true",
                "sys_created_on": _moment(rng).isoformat(" "),
            }
        )
    return made


def _machines(records: Records, rng: random.Random) -> list[Record]:
    made = []
    for number in range(1, records.machines + 1):
        kind, prefix = rng.choice(words.MACHINES)
        made.append(
            {
                "sys_id": _sys_id(rng),
                "name": f"{prefix}-{number:04}",
                "sys_class_name": kind,
                "serial_number": f"SN{rng.getrandbits(40):010X}",
                "ip_address": f"10.{number // 250}.{rng.randrange(1, 32)}.{number % 250 + 1}",
                "operational_status": rng.choice(("1", "1", "1", "1", "2", "6")),
                "sys_created_on": _moment(rng).isoformat(" "),
            }
        )
    return made


def _incidents(records: Records, rng: random.Random) -> list[Record]:
    users, machines = list(records.collection("sys_user")), list(records.collection("cmdb_ci"))
    return [
        _incident(f"INC{10_000 + number:07}", rng, rng.choice(users), rng.choice(users), rng.choice(machines))
        for number in range(1, records.incidents + 1)
    ]


def _incident(number: str, rng: random.Random, caller: str, assignee: str, machine: str) -> Record:
    category, complaint = rng.choice(words.COMPLAINTS)
    opened = _moment(rng)
    state = rng.choice(("1", "2", "2", "3", "6", "7", "7", "8"))
    closed = state in ("7", "8")
    return {
        "sys_id": _sys_id(rng),
        "number": number,
        "short_description": complaint,
        "category": category,
        "state": state,
        "priority": rng.choice(("1", "2", "3", "3", "4", "4", "5")),
        "active": "false" if closed else "true",
        "caller_id": caller,
        "assigned_to": "" if state == "1" else assignee,
        "cmdb_ci": machine,
        "assignment_group": rng.choice(words.GROUPS),
        "opened_at": opened.isoformat(" "),
        "closed_at": _later(opened, rng).isoformat(" ") if closed else "",
        "sys_created_on": opened.isoformat(" "),
        "sys_updated_on": _later(opened, rng).isoformat(" "),
    }


def _items(records: Records, rng: random.Random) -> list[Record]:
    return [
        {
            "id": number,
            "sku": f"SKU-{rng.getrandbits(24):06X}-{number:04}",
            "name": rng.choice(words.GOODS),
            "price": _money(rng.randrange(95, 90_000)),
            "stock": rng.randrange(0, 500),
            "updated_at": _moment(rng).isoformat() + "Z",
        }
        for number in range(1, records.items + 1)
    ]


_MAKERS: dict[str, Callable[[Records, random.Random], list[Record]]] = {
    "suppliers": _suppliers,
    "invoices": _invoices,
    "sys_user": _users,
    "cmdb_ci": _machines,
    "incident": _incidents,
    "items": _items,
}


def _moment(rng: random.Random) -> datetime.datetime:
    return _DAY_ZERO + datetime.timedelta(seconds=int(rng.random() * 25_000_000))


def _later(moment: datetime.datetime, rng: random.Random) -> datetime.datetime:
    return moment + datetime.timedelta(seconds=int(rng.random() * 900_000) + 60)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _sys_id(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"
