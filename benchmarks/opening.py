"""What opening a manifest costs, beside reading every endpoint we ship, paired in one run.

    python benchmarks/opening.py [--rounds 10] [--more 0]

A manifest with one account of coupa is opened by a process that did not open one before (in a fork of one
that has imported everything), and so is one whose opening reads all endpoint files, as strangers' plugins
are. `--more` adds so many copies of coupa.yaml to those. Printed are medians and the ratio pair by pair; the
ratio is what may be quoted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import connector
from connector.endpointfile import build, load
from connector.plugins.endpoints import connector_endpoints

MANIFEST = """
version: 1
store: memory://
accounts:
  bench: {oauth2_endpoint: coupa, client_id: me, client_secret: "${env:S}", settings: {host: a.coupahost.com}, scopes: [core.invoice.read]}
"""  # noqa: E501


def measured(manifest: Path, files: list[Path], answer: Any) -> None:
    """Open the manifest, reading `files` as well; the seconds it took."""
    began = time.perf_counter()
    raws = [raw for file in files for raw in load(file)]
    build(raws)
    connector.open(manifest).close()
    answer.send(time.perf_counter() - began)


def seconds(manifest: Path, files: list[Path]) -> float:
    """The same in a process of its own."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe()
    process = fork.Process(target=measured, args=(manifest, files, sender))
    process.start()
    found: float = receiver.recv()
    process.join()
    return found


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--more", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.yaml"
        manifest.write_text(MANIFEST)
        files = [Path(file) for file in connector_endpoints()]
        coupa = next(file for file in files if file.stem == "coupa").read_text("utf-8")
        for number in range(options.more):
            more = Path(folder) / f"more{number}.yaml"
            more.write_text(coupa.replace("endpoint: coupa", f"endpoint: more{number}"), "utf-8")
            files.append(more)
        pairs = [(seconds(manifest, []), seconds(manifest, files)) for _ in range(options.rounds)]
    ratios = [eager / lazy for lazy, eager in pairs]
    print(f"connector.open           {1e3 * statistics.median(p for p, _ in pairs):8.1f} ms (median)")
    print(
        f"and all {len(files):3} files read   {1e3 * statistics.median(p for _, p in pairs):8.1f} ms (median)"
    )
    print(
        f"ratio                    {statistics.median(ratios):8.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()
