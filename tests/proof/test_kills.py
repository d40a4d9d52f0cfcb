"""The short form of the kills: 20, half of them on each kind of server."""

from __future__ import annotations

from pathlib import Path

import pytest
from proof_kills import Kills, kills


@pytest.mark.parametrize("server", ["strict", "with grace"])
def test_killed_in_the_middle_of_renewals(tmp_path: Path, server: str) -> None:
    """With a grace window no account is lost; without, only between send and save, told and not tried on."""
    done = kills(Kills(server=server, kills=10), tmp_path)
    print(done.row())
    done.check()
