"""What the proofs share: a manifest for many accounts, people who sign them in, workers that may be killed."""

from __future__ import annotations

import base64
import copy
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import yaml
from django_server import DjangoServer, toolkit_secret_of
from landing import Landing
from oidc_server import OidcServer, secret_of
from people import plain_person
from rig_process import RigProcess

from connector.host import Host
from connector.opening import open_manifest
from connector.post import Poster
from connector.record import Record
from connector.recordkey import record_key
from connector.store import SqliteStore
from connector.vault import Vault, open_vault

# Nothing waits this long; it only keeps a broken run from hanging.
BOUND_S = 60.0
# One for all processes and places, so that places may be open at once, and none is left behind where a store has no
# folder of its own.
KEY = base64.b64encode(os.urandom(32)).decode()
SQLITE = "sqlite:///tokens.db"
# Started once, with everything imported: a worker is then a fork of it, there in milliseconds.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["connector.host", "connector.store", "httpx", "asyncio"])


@dataclass(kw_only=True)
class Place:
    """A folder with a manifest, and what its secrets resolve to: all that a worker is told.

    Attributes:
        accounts: by name, as the manifest says them.
        store: its URL.
    """

    folder: Path
    accounts: dict[str, dict[str, Any]]
    store: str = SQLITE
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment.setdefault("CONNECTOR_KEY", KEY)
        self.write()

    @property
    def path(self) -> Path:
        return self.folder / "manifest.yaml"

    def write(self) -> None:
        # Written out for each, since a manifest that is mostly aliases is refused.
        accounts = [(name, copy.deepcopy(account)) for name, account in self.accounts.items()]
        data = {"version": 1, "store": self.store, "accounts": dict(accounts)}
        self.path.write_text(yaml.safe_dump(data, sort_keys=False))

    def only(self, name: str) -> Path:
        """A manifest of one account on the same store: quickly opened, however many there are."""
        path = self.folder / f"{name}.yaml"
        data = {"version": 1, "store": self.store, "accounts": {name: self.accounts[name]}}
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    @contextmanager
    def open(self, **options: Any) -> Iterator[Host]:
        """A host of this process, with `poster` or `clock` of its own if need be."""
        os.environ.update(self.environment)
        opening = open_manifest(self.path)
        assert not opening.problems, opening.problems
        vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
        clock = options.get("clock")
        if clock is not None and isinstance(vault.store, SqliteStore):
            # The age of a token is told by the store's clock, so it is set along with that of the host.
            moved = SqliteStore(vault.store.path, clock=clock)
            vault = open_vault(moved, opening.registry.stores, opening.manifest.folder)
        with Host(opening, vault, **options) as host:
            yield host

    @contextmanager
    def vault(self) -> Iterator[Vault]:
        """The store, with its key."""
        os.environ.update(self.environment)
        opening = open_manifest(self.path)
        vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
        try:
            yield vault
        finally:
            vault.store.close()

    def keys(self, host: Host) -> dict[str, str]:
        """The names of the accounts in the store."""
        return {name: record_key(account) for name, account in host.accounts.items()}


def record_of(vault: Vault, key: str) -> Record:
    """What the store holds of an account."""
    stored = vault.store.load(key)
    return Record() if stored is None else vault.sealer.open(key, stored.sealed, version=stored.version)


def oidc_account(server: OidcServer, *, token_port: int = 0, **more: Any) -> dict[str, Any]:
    """An account of an oidc-provider, whose token calls may take the way through a proxy."""
    endpoint: dict[str, Any] = {
        "authorize": {"url": f"{server.url}/auth", "params": {"prompt": "consent"}},
        "token": {
            "url": f"http://127.0.0.1:{token_port or server.port}/token",
            "auth": "client_secret_basic",
        },
        "grants": ["authorization_code", "client_credentials", "device_code"],
        "refresh": {"rotates": "always"},
        "api": {"base_url": server.url},
    }
    return {
        "oauth2_endpoint": {**endpoint, **more.pop("endpoint", {})},
        "client_id": "basic",
        "client_secret": "${env:PROOF_SECRET_BASIC}",
        "grant": "authorization_code",
        "scopes": ["openid", "offline_access", "read"],
        **more,
    }


def toolkit_account(server: DjangoServer, *, token_port: int = 0, grace_s: float = 0) -> dict[str, Any]:
    """An account of a django-oauth-toolkit, which may have a grace window."""
    return {
        "oauth2_endpoint": {
            "authorize": {"url": f"{server.issuer}/authorize/"},
            "token": {
                "url": f"http://127.0.0.1:{token_port or server.port}/o/token/",
                "auth": "client_secret_basic",
            },
            "grants": ["authorization_code"],
            "refresh": {"rotates": "always", "grace": grace_s},
            "api": {"base_url": server.url},
        },
        "client_id": "confidential",
        "client_secret": "${env:PROOF_SECRET_CONFIDENTIAL}",
        "grant": "authorization_code",
        "scopes": ["read"],
    }


@contextmanager
def authorization_server(kind: str, folder: Path, *, grace_s: float) -> Iterator[RigProcess]:
    """Of a kind: ``strict``, or ``with grace``. One is enough for many accounts at once."""
    log = folder / f"{kind.replace(' ', '-')}.log"
    server: RigProcess
    if kind == "with grace":
        server = DjangoServer(log=log, access_token_ttl=3600, grace=grace_s)
    else:
        server = OidcServer(log=log, access_token_ttl=3600)
    with server:
        yield server


def account_on(server: RigProcess, *, token_port: int, grace_s: float) -> dict[str, Any]:
    """An account of such a server."""
    if isinstance(server, DjangoServer):
        return toolkit_account(server, token_port=token_port, grace_s=grace_s)
    assert isinstance(server, OidcServer)
    return oidc_account(server, token_port=token_port)


SECRETS = {
    "PROOF_SECRET_BASIC": secret_of("basic"),
    "PROOF_SECRET_DEVICE": secret_of("device-conf"),
    "PROOF_SECRET_CONFIDENTIAL": toolkit_secret_of("confidential"),
}


def sign_in(host: Host, names: Iterable[str], *, person: str = "") -> None:
    """Each account is authorized by a person of its own, or all of them by one.

    One person's logins to one client may be one grant for the server, which then ends them all together.
    """
    with Landing() as landing, httpx.Client(trust_env=False, timeout=10) as browser:
        for name in names:
            login = host.authorization(name, redirect_uri=landing.url)
            # With one person the browser remembers who that is.
            answered = plain_person(login.url, person or name, client=browser if person else None)
            login.finish(str(answered.url))


def quick_poster(clock: Callable[[], float]) -> Poster:
    """Token calls that give up soon, so that a fault of time costs a test little of it."""
    return Poster(timeout_s=1.0, total_s=1.5, clock=clock)


class Worker:
    """A process of ours: told what to do by its arguments, and known by its pid until it has ended."""

    def __init__(self, function: Callable[..., None], *args: Any, environment: Mapping[str, str]) -> None:
        self.ours, theirs = FORKS.Pipe()
        self.process: ForkServerProcess = FORKS.Process(
            target=_work, args=(function, dict(environment), theirs, *args)
        )
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def hear(self, within: float = BOUND_S) -> Any:
        """The next thing it says. Raises EOFError when it has ended without a word."""
        assert self.ours.poll(within), "a worker hangs"
        return self.ours.recv()

    def say(self, word: str) -> None:
        self.ours.send(word)

    def kill(self) -> None:
        self.process.kill()
        self.process.join(BOUND_S)
        self.ours.close()
        self.process.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


def _work(
    function: Callable[..., None], environment: Mapping[str, str], pipe: Connection, *args: Any
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    function(pipe, *args)
