"""What the machine allows: the least that a program can do for an alarm, and for a packet to be passed on.

No parsing, no media, no state: the figures of the service are to be read beside these.
"""

from __future__ import annotations

import re
import select
import socket
from multiprocessing.connection import Connection
from typing import Any

import pysqlite3.dbapi2 as sqlite

from benchmarks.machine import pin
from voice.address import Address

_COPIED = re.compile(rb"^(?:Via|From|Call-ID|CSeq): [^\r]*\r\n", re.MULTILINE)
_TO = re.compile(rb"^To: [^\r]*", re.MULTILINE)
_MOST = 256
"""Calls in one commit at most, as in the service."""


def answer_after_commit(control: Connection, path: str) -> None:
    """Answer every INVITE with 200 after one row of it is on the disk; those that wait share a commit."""
    pin(0)
    database = sqlite.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE alarms (call TEXT)",
    ):
        database.execute(statement)
    with _socket() as bare:
        control.send(bare.getsockname())
        while not control.poll():
            if select.select([bare.fileno(), control.fileno()], [], [], 1.0)[0]:
                _answer_all(bare, database)
    database.close()


def _answer_all(bare: socket.socket, database: Any) -> None:
    waiting = _waiting(bare)
    alarms = [(data,) for data, _ in waiting if data.startswith(b"INVITE")]
    if alarms:
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO alarms VALUES (?)", alarms)
        database.execute("COMMIT")
    for data, peer in waiting:
        if not data.startswith(b"ACK"):
            bare.sendto(_ok(data), peer)


def _waiting(bare: socket.socket) -> list[tuple[bytes, Address]]:
    found: list[tuple[bytes, Address]] = []
    try:
        while len(found) < _MOST:
            found.append(bare.recvfrom(4096))
    except BlockingIOError:
        pass
    return found


def _ok(request: bytes) -> bytes:
    to = _TO.search(request)
    head = b"".join(_COPIED.findall(request)) + (to[0] if to else b"To: <sip:a@b>")
    return b"SIP/2.0 200 OK\r\n" + head + b";tag=1\r\nContact: <sip:bare@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"


def forward(control: Connection) -> None:
    """Pass every datagram on, at once, to the address that `control` named."""
    pin(0)
    with _socket() as bare:
        control.send(bare.getsockname())
        target: Address = control.recv()
        while not control.poll():
            if select.select([bare.fileno(), control.fileno()], [], [], 1.0)[0]:
                for data, _ in _waiting(bare):
                    bare.sendto(data, target)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made
