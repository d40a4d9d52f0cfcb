"""The store that docs/plugins.md shows, "A token store": it keeps the contract, and its accounts through kills."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# One process that is forked, since to start Python anew takes longer than all else. Its output is how often was saved.
KILLS = """
import os, pathlib, random, signal, time
from test_acme_store import AcmeStore

store, rounds, saved = AcmeStore(pathlib.Path("tokens.json")), 60, 0

def begin(task):
    parent, child = os.getpid(), os.fork()
    while not child:
        task()
        if os.getppid() != parent:
            os._exit(1)  # nobody is left to kill it
    return child

def read():
    assert sorted(store.accounts()) == ["a", "b"] and store.load("a") and store.load("b")

for account in ("a", "b"):
    store.save(account, b"1", version=1)
for number in range(rounds):
    account = "ab"[number % 2]
    reads, writes = os.pipe()

    def write():
        version = store.load(account).version + 1
        store.acquire(account, "me", ttl_s=45)
        store.save(account, b"%d" % version, version=version)
        os.write(writes, b" %d" % version)

    before = store.load(account).version
    children = [begin(write), begin(read)]
    os.close(writes)
    os.read(reads, 1)  # until the first save
    time.sleep(random.uniform(0, 0.02))
    for child in children:
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, "it ended by itself"
    with os.fdopen(reads) as pipe:
        told = len(pipe.read().split())
    found = store.load(account)
    assert found.sealed == b"%d" % found.version
    assert found.version - before - told in (0, 1), "one may have been saved and not told, none told and not saved"
    read()
    saved += told
print(saved, "saves in", rounds, "rounds")
"""


def shown(folder: Path) -> Path:
    """The page's store, in a file."""
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8").partition("### A token store\n")[2]
    file = folder / "test_acme_store.py"
    file.write_text(page.partition("```python\n")[2].partition("```")[0])
    return file


def test_the_store_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    """Run by pytest as its reader would."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", shown(tmp_path).name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_store_of_the_page_loses_no_account_to_a_kill(tmp_path: Path) -> None:
    """Readers and writers are killed at any moment: what a save returned for is there, and nothing blocks."""
    shown(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", KILLS], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 60
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_looking_at_the_store_of_the_page_writes_nothing(tmp_path: Path) -> None:
    """Nor does asking in vain: what is not written cannot be lost."""
    spec = importlib.util.spec_from_file_location("acme", shown(tmp_path))
    assert spec is not None
    assert spec.loader is not None
    acme: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(acme)
    file = tmp_path / "tokens.json"
    store = acme.AcmeStore(file)
    assert store.load("a") is None
    assert not file.exists()
    store.save("a", b"1", version=1)
    store.acquire("a", "me", ttl_s=60)
    before = file.stat()
    store.load("a"), store.accounts(), store.holder("a"), store.release("a", "you"), store.delete("b")
    assert store.acquire("a", "you", ttl_s=60).holder == "me"
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
