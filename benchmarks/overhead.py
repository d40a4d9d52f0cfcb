"""What the transport costs: requests per second with and without it, paired in one run.

    python benchmarks/overhead.py [--rounds 5] [--requests 400]

Both clients send the same GET to the same sandbox over loopback, in turns, so that a drift of the machine's
speed hits both. The plain client carries a token that never ends in a header of its own. Printed are the
median of each and the ratio pair by pair; the ratio is what may be quoted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx

import connector
from connector.sandbox import Sandbox

MANIFEST = """
version: 1
store: sqlite:///tokens.db
accounts:
  bench:
    oauth2_endpoint: sandbox.strict
    client_id: sandbox
    client_secret: sandbox-secret
    grant: client_credentials
    settings: {origin: ORIGIN, lifetime: "3600"}
"""


def rate(client: httpx.Client, path: str, requests: int) -> float:
    """Requests per second of one round."""
    began = time.perf_counter()
    for _ in range(requests):
        client.get(path).raise_for_status()
    return requests / (time.perf_counter() - began)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        manifest = Path(folder) / "manifest.yaml"
        manifest.write_text(MANIFEST.replace("ORIGIN", sandbox.url))
        with connector.open(manifest) as host, host.client("bench") as ours:
            token = host.token("bench").access_token.reveal()
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=f"{sandbox.url}/strict", headers=headers) as plain:
                path = "/api/items?limit=1"
                rate(plain, path, 50), rate(ours, path, 50)  # warm both
                pairs = [
                    (rate(plain, path, options.requests), rate(ours, path, options.requests))
                    for _ in range(options.rounds)
                ]
    ratios = [mine / theirs for theirs, mine in pairs]
    print(f"plain httpx   {statistics.median(p for p, _ in pairs):8.0f} requests/s (median)")
    print(f"connector     {statistics.median(o for _, o in pairs):8.0f} requests/s (median)")
    print(f"ratio         {statistics.median(ratios):8.2f} (median; {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
