"""Run the proofs in full and print what came of them: ``python -m tests.proof.figures [--write] [what ...]``.

What: soak, outages, kills, stops, faults (all of them if none is named). ``--write`` puts the tables into
docs/renewal.md, each between its two marks, so that the figures of the page are those of a run.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "renewal.md"
sys.path[:0] = [str(folder) for folder in (HERE, HERE.parent / "servers", HERE.parent / "store", HERE.parent)]

from proof_faults import WAYS, Case, faults  # noqa: E402
from proof_kills import kills_everywhere  # noqa: E402
from proof_outage import outages  # noqa: E402
from proof_proxy import FAULTS  # noqa: E402
from proof_soak import Soak, soak  # noqa: E402
from proof_stops import stops_everywhere  # noqa: E402
from proof_stores import STORES  # noqa: E402

Row = dict[str, Any]


def table(rows: Iterable[Row]) -> str:
    """As Markdown."""
    rows = list(rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *[list(row.values()) for row in rows]]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def upright(rows: Iterable[Row]) -> str:
    """As Markdown, turned: few rows of many columns."""
    rows = list(rows)
    first, *others = rows[0]
    lines = [[first, *[row[first] for row in rows]], ["---"] * (len(rows) + 1)]
    lines += [[name, *[row[name] for row in rows]] for name in others]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def of_soak(folder: Path) -> str:
    """60 s on each store."""
    done = []
    for name, store in STORES.items():
        with store(_new(folder)) as url:
            done.append(soak(Soak(store=name), _new(folder), url))
        done[-1].check()
    return upright(one.row() for one in done)


def of_kills(folder: Path) -> str:
    """200 on each kind of server and each store, the leases of the dead waited out."""
    done = kills_everywhere(200, _new(folder), wait_out=True)
    for one in done:
        one.check()
    return upright(one.row() for one in done)


def of_stops(folder: Path) -> str:
    """With leases as long as they are."""
    done = stops_everywhere(_new(folder), lease_s=0)
    for one in done:
        one.check()
    return table(one.row() for one in done)


def of_outages(folder: Path) -> str:
    """Each accident of a store's server, on both."""
    done = outages(_new(folder))
    for one in done:
        one.check()
    return upright(one.row() for one in done)


def of_faults(folder: Path) -> str:
    """Each accident in each way."""
    cases = faults(_new(folder))
    for case in cases:
        case.check()
    return told(cases)


def told(cases: list[Case]) -> str:
    """A table for each way, and what the accidents are."""
    parts = [table({"accident": name, "is": words} for name, words in FAULTS.items())]
    for way in WAYS:
        parts += [f"\n**{way}**\n\n", table(case.row() for case in cases if case.way == way)]
    return "".join(parts)


def _new(folder: Path) -> Path:
    made = folder / str(sum(1 for _ in folder.iterdir()))
    made.mkdir()
    return made


def write(what: str, text: str) -> None:
    """Into the page, between its marks."""
    page = PAGE.read_text("utf-8")
    begin, end = f"<!-- {what}: begin -->\n", f"<!-- {what}: end -->\n"
    before, found, rest = page.partition(begin)
    assert found, f"{PAGE.name} has no {begin.strip()}"
    assert end in rest, f"{PAGE.name} has no {end.strip()}"
    PAGE.write_text(before + begin + "\n" + text + "\n" + end + rest.partition(end)[2], "utf-8")


RUNS = {"soak": of_soak, "outages": of_outages, "kills": of_kills, "stops": of_stops, "faults": of_faults}


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*RUNS, []], metavar="what", help=", ".join(RUNS))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/renewal.md")
    asked = parser.parse_args()
    # Each failed renewal is expected here, and told in the tables.
    logging.getLogger("connector").setLevel(logging.CRITICAL)
    for what in asked.what or RUNS:
        began = time.monotonic()
        with TemporaryDirectory(prefix="proof-") as folder:
            text = RUNS[what](Path(folder))
        print(f"{what}, in {time.monotonic() - began:.0f} s\n\n{text}", flush=True)
        if asked.write:
            write(what, text)


if __name__ == "__main__":
    main()
