"""A private PostgreSQL server for tests: it lives as long as the block, in a temporary folder, on a loopback port.

    with postgres_server() as url:
        store = Store(url)

It writes through the disk cache as a real one does (`fsync` is on), and dies with the process that started it.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from pwd import getpwnam
from typing import Any

from pg8000.native import Connection

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
_STARTS_WITHIN = 60.0


class PostgresServer:
    """A server that can be stopped, killed and started again. `with PostgresServer() as server`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="earshot-postgres-"))
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
        self._end("fast")

    def kill(self) -> None:
        """End at once, as a machine does whose power fails."""
        self._end("immediate")

    def _end(self, mode: str) -> None:
        if self._process is None:
            return
        stop = [*_unprivileged(), _program("pg_ctl"), "stop", "-D", self._data, "-m", mode, "-w", "-s"]
        subprocess.run(stop, check=False, cwd=self._folder, capture_output=True)
        self._process.wait(_STARTS_WITHIN)
        self._process = None

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
        deadline = time.monotonic() + _STARTS_WITHIN
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
    """Debian keeps the server's programs beside each other, by version, and not in the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
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
