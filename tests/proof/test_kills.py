"""The short form of the kills: 20, half of them on each kind of server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proof_kills import Kills, kills


def test_killed_in_the_middle_of_renewals(tmp_path: Path) -> None:
    """With a grace window no account is lost; without, only between send and save, told and not tried on."""
    folders = {server: tmp_path / server.replace(" ", "_") for server in ("strict", "with grace")}
    with ThreadPoolExecutor(2) as pool:
        running = []
        for server, folder in folders.items():
            folder.mkdir()
            running.append(pool.submit(kills, Kills(server=server, kills=10), folder))
        for one in running:
            print(one.result().row())
    for one in running:
        one.result().check()
