"""Several processes, one store, one rotating login: each refresh token is shown once, no request fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from whole_world import World, alive

_WORKER = """
import json, sys, time
import connector

statuses, fingerprints, errors = [], set(), []
ends, enough, patience = time.monotonic() + float(sys.argv[2]), int(sys.argv[3]), time.monotonic() + 25
with connector.open(sys.argv[1]) as host, host.client("main") as http:
    # On a machine that is busy the requests are what takes long.
    while time.monotonic() < (ends if len(statuses) > enough else patience):
        try:
            statuses.append(http.get("/api/items", params={"limit": 1}).status_code)
            fingerprints.add(host.token("main").fingerprint)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
            break
        time.sleep(0.02)
    counts = host.counts("main")
print(json.dumps({
    "good": statuses.count(200), "bad": len(statuses) - statuses.count(200), "errors": errors,
    "failed": counts.failed_requests, "calls": counts.token_calls, "tokens": sorted(fingerprints),
}))
"""


def test_four_processes_share_one_login(world: World) -> None:
    """Four processes live through several two-second tokens on one store without a collision."""
    settings = {"lifetime": "2"}
    host = world.open({"main": world.account(settings=settings)})
    host.adopt("main", world.login(lifetime_s=2))
    command = [sys.executable, "-c", _WORKER, str(world.folder / "manifest.yaml"), "5", "20"]
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    workers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        outputs = [worker.communicate(timeout=30) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [worker.returncode for worker in workers] == [0] * 4, outputs
    reports = [json.loads(out) for out, _ in outputs]
    assert [(r["bad"], r["failed"], r["errors"]) for r in reports] == [(0, 0, [])] * 4
    assert min(r["good"] for r in reports) > 20
    seen = world.counts()
    assert max(seen.presentations.values()) == 1
    assert (seen.refused, seen.issued) == (0, seen.token_calls)
    # Two-second tokens renewed after 1.6 s: the four of them together need no more than one alone.
    assert 2 <= seen.token_calls <= 6
    assert sum(r["calls"] for r in reports) == seen.token_calls
    assert len({token for r in reports for token in r["tokens"]}) <= seen.token_calls + 1
    alive(world, host)
