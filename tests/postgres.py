"""A private PostgreSQL server for tests: it lives as long as the block, in a temporary folder, on a loopback port.

    with postgres_server() as url:
        store = Store(url)

It writes through the disk cache as a real one does (`fsync` is on), and dies with the process that started it.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from pwd import getpwnam
from typing import Any

from pg8000.native import Connection

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the server's programs, by version; they are not in the PATH."""

USER, PASSWORD = "earshot", "s3cret"

_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "jit": "off",
    "autovacuum": "off",
    "max_wal_size": "128MB",
}
_WITHIN = 60.0
_IPC_RMID = 0
"""<sys/ipc.h>: remove."""


class PostgresServer:
    """A server that can be stopped, killed and started again. `with PostgresServer() as server`."""

    def __init__(self, beside: Path | None = None) -> None:
        """`beside`: where its files are; else where temporary files are."""
        self._folder = Path(tempfile.mkdtemp(prefix="earshot-postgres-", dir=beside))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.port = _free_port()

    def __enter__(self) -> "PostgresServer":
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._remove_shared_memory()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self._folder}&port={self.port}&user={USER}"

    def new_database(self) -> str:
        """The name of a database that is empty."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def new_schema(self) -> str:
        """The URL of an empty schema, with its own user, in a database that many share: quicker to make and to remove.

        The user finds it by PostgreSQL's default search path.
        """
        user = f"user{next(self._numbers)}"
        self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
        self.execute(f"CREATE SCHEMA {user} AUTHORIZATION {user}")
        return self.url("postgres", user)

    def execute(self, statement: str, database: str = "postgres") -> Any:
        """Carry out a statement as the administrator of the server, outside of any transaction."""
        connection = Connection(USER, unix_sock=self._socket, database=database)
        try:
            return connection.run(statement)
        finally:
            connection.close()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_unprivileged("--pdeathsig", "KILL"), _program("postgres"), "-D", self._data, *settings],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        self._wait_until_up()

    def stop(self) -> None:
        """Stop as an administrator does who does not wait for clients."""
        if self._process is not None:
            stop = [*_unprivileged(), _program("pg_ctl"), "stop", "-D", self._data, "-m", "fast", "-w", "-s"]
            subprocess.run(stop, check=True, cwd=self._folder, capture_output=True)
            self._gone()

    def kill(self) -> None:
        """End at once, as a machine does whose power fails."""
        if self._process is not None:
            server = self._process.pid
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
            for pid in (server, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._gone()

    def _gone(self) -> None:
        if self._process is not None:
            self._process.wait(_WITHIN)
        self._process = None

    def _remove_shared_memory(self) -> None:
        """What a server leaves behind that is killed: the seventh line of this file says where."""
        with suppress(FileNotFoundError, IndexError):
            _, segment = (self._data / "postmaster.pid").read_text().splitlines()[6].split()
            ctypes.CDLL(None).shmctl(int(segment), _IPC_RMID, None)

    @property
    def _socket(self) -> str:
        return f"{self._folder}/.s.PGSQL.{self.port}"

    def _make(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if account := _account():
            for path in (self._folder, password):
                shutil.chown(path, account, account)
        made = subprocess.run(
            [
                *_unprivileged(),
                _program("initdb"),
                f"--pgdata={self._data}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + _WITHIN
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception as error:
                dead = self._process is None or self._process.poll() is not None
                if dead or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL does not start:\n{log[-2000:]}") from error
            time.sleep(0.02)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database on a server of its own."""
    with PostgresServer() as server:
        yield server.url(server.new_database())


def _program(name: str) -> str:
    found = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise RuntimeError(f"{name} is missing: install the Debian package postgresql (`make test` does)")
    return program


def _account() -> str | None:
    """Whom a server runs as that root starts: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            getpwnam(name)
        except KeyError:
            continue
        return name
    raise RuntimeError("there is neither a user postgres nor nobody")


def _unprivileged(*options: str) -> list[str]:
    account = _account()
    if account is None:
        return ["setpriv", *options] if options else []
    group = str(getpwnam(account).pw_gid)
    return ["setpriv", f"--reuid={account}", f"--regid={group}", "--clear-groups", *options]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
