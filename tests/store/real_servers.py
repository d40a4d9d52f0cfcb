"""PostgreSQL and Redis of Debian's packages, as private processes on loopback in folders of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import psycopg
import redis
from ports import port_ahead

HINT = "run .ci/servers, or: apt-get install postgresql redis-server"
# Characters that mean something in a URL, so that a password is never compared by luck.
PASSWORD, IN_URL = "CANARY:w%rd/@#", "CANARY%3Aw%25rd%2F%40%23"


def binary(name: str) -> str:
    """A server's program; Debian keeps those of PostgreSQL by version, beside the search path."""
    beside = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: float(path.parts[-3]),
        reverse=True,
    )
    found = str(beside[0]) if beside else shutil.which(name)
    assert found, f"there is no {name} here; {HINT}"
    return found


def alive(pid: int) -> bool:
    """Whether a process is there, and not merely waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class RealServer:
    """Started by ``with``; what it writes lies in its folder until it is stopped."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="connector-store-"))
        self.port = port_ahead()
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}

    @property
    def said(self) -> str:
        """What it wrote so far."""
        log = self.folder / "log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    def start(self, *, within: float = 30.0) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self._as
            )
        deadline = time.monotonic() + within
        while not self.answers():
            assert self._process.poll() is None, f"it did not start:\n{self.said}"
            assert time.monotonic() < deadline, f"it did not get ready:\n{self.said}"
            time.sleep(0.02)

    def family(self) -> list[int]:
        """The process that was started, and those that it started."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *map(int, children.split())]

    def send(self, number: int) -> None:
        """Send a signal to those processes, and to no other."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self) -> None:
        """It answers no more, and its connections stay."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on as if nothing had been."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """As a crash would end it."""
        assert self._process is not None
        family = self.family()
        self.send(signal.SIGKILL)
        self._process.wait(20)
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in family) and time.monotonic() < deadline:
            time.sleep(0.01)  # what the first process leaves behind would keep the next from starting

    def stop(self, number: int = signal.SIGTERM) -> None:
        """As an operator would end it."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process = process
            self.resume()
            self._process = None
            process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgresql(RealServer):
    """A cluster with one superuser who has a password, its socket in its own folder.

    Args:
        durable: False: without fsync, which is faster.
        environment: of the server, beside this process's.
        settings: further ones, as in postgresql.conf.
    """

    def __init__(
        self, *, durable: bool = False, environment: Mapping[str, str] = MappingProxyType({}), **settings: str
    ) -> None:
        super().__init__()
        self.durable = durable
        self.settings = settings
        if os.geteuid() == 0:
            # It refuses to run as root.
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._as["env"] = {**os.environ, **environment}
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        done = subprocess.run(
            [
                *(
                    binary("initdb"),
                    "-D",
                    "data",
                    "-U",
                    "keeper",
                    "-A",
                    "scram-sha-256",
                    "--pwfile",
                    "password",
                ),
                *("-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._as,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def put(self, name: str, content: bytes) -> str:
        """A file that nobody but the server can read."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        if "user" in self._as:
            os.chown(path, self._as["user"], self._as["group"])
        return str(path)

    def command(self) -> list[str]:
        """See `RealServer.command`."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self.durable else "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [binary("postgres"), "-D", "data", "-p", str(self.port), *options]

    def answers(self) -> bool:
        """See `RealServer.answers`."""
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def url(self, schema: str = "", *, user: str = "keeper", password: str = IN_URL) -> str:
        """A store URL; `schema`: with tables of its own."""
        search = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres{search}"

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the superuser; the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as db:
            for statement in statements:
                found = db.execute(statement)  # type: ignore[arg-type]
                rows = found.fetchall() if found.description else []
        return rows

    def stop(self, number: int = signal.SIGINT) -> None:
        """Fast: not waiting for others to hang up."""
        super().stop(number)


class Redis(RealServer):
    """A server with a password, and by default with the durability that the store asks for."""

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.settings = {"appendonly": "yes", "appendfsync": "always", "save": "", **settings}

    def command(self) -> list[str]:
        """See `RealServer.command`."""
        given = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "requirepass": PASSWORD,
            "dir": str(self.folder),
            "unixsocket": str(self.folder / "redis.sock"),
            **self.settings,
        }
        return [binary("redis-server"), *(part for n, v in given.items() for part in (f"--{n}", v))]

    @property
    def client(self) -> Any:
        """One that may do everything."""
        return redis.Redis(port=self.port, password=PASSWORD, socket_timeout=5)

    def answers(self) -> bool:
        """See `RealServer.answers`."""
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def ask(self, *command: object) -> Any:
        """Run a command."""
        with self.client as client:
            return client.execute_command(*command)

    def url(self, prefix: str = "connector", *, password: str = IN_URL) -> str:
        """A store URL; `prefix`: with keys of its own."""
        return f"redis://:{password}@127.0.0.1:{self.port}/0?prefix={prefix}"
