"""The short form of the kills: a few on each kind of server and each store."""

from __future__ import annotations

from pathlib import Path

from proof_kills import MOMENTS, kills_everywhere


def test_killed_in_the_middle_of_renewals(tmp_path: Path) -> None:
    """With a grace window no account is lost; without, only between send and save, told and not tried on."""
    for one in kills_everywhere(len(MOMENTS), tmp_path, wait_out=False):
        print(one.row())
        one.check()
