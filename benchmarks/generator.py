"""Many simulated devices in one process: each sends 50 RTP packets a second that carry their own number."""

from __future__ import annotations

import ctypes
import re
import socket
import struct
import time
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.machine import pin
from voice.address import Address
from voice.rtp.batch import IoVector, Message, load

HOST = "127.0.0.1"
FRAME = 160
STEPS = 10
"""The calls are spread over the 20 ms in so many groups."""

MAGIC = b"\x11\x22\x33\x44"
_NUMBER = struct.Struct("!I")
_FILLER = bytes(range(FRAME - 8))
_FRAME = re.compile(re.escape(MAGIC) + b"(.{4})" + re.escape(_FILLER), re.DOTALL)


def packet(number: int) -> bytes:
    """RTP packet `number` of any call; its audio says which it is."""
    header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 0x45415253)
    return header + MAGIC + _NUMBER.pack(number) + _FILLER


def count_packets(folder: Path) -> int:
    """How many packets are in the recordings below a folder, each counted once per file."""
    total = 0
    for path in folder.rglob("*"):
        if path.suffix in (".wav", ".raw"):
            total += len(set(_FRAME.findall(path.read_bytes())))
    return total


class Burst:
    """Sends one and the same packet to a group of addresses with one system call (sendmmsg)."""

    def __init__(self, sending: socket.socket, targets: list[Address]) -> None:
        self._socket = sending
        self._count = len(targets)
        self._packet = ctypes.create_string_buffer(12 + FRAME)
        names = b"".join(
            struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
            for host, port in targets
        )
        self._names = ctypes.create_string_buffer(names, len(names) or 1)
        self._vector = IoVector(ctypes.addressof(self._packet), 12 + FRAME)
        self._messages = (Message * max(1, self._count))()
        for index in range(self._count):
            self._messages[index].name = ctypes.addressof(self._names) + 16 * index
            self._messages[index].name_length = 16
            self._messages[index].vector = ctypes.addressof(self._vector)
            self._messages[index].vector_length = 1
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg

    def send(self, data: bytes) -> int:
        """How many were sent. Raises OSError."""
        self._packet.raw = data
        done = 0
        while done < self._count:
            first = ctypes.byref(self._messages, done * ctypes.sizeof(Message))
            sent = self._call(self._socket.fileno(), first, self._count - done, 0)
            if sent <= 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            done += sent
        return done


def generate(control: Connection) -> None:
    """The generator's process: says where it sends from, is told where to, sends until it is told to stop."""
    pin(1)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(STEPS)]
    for each in sockets:
        each.bind((HOST, 0))
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    control.send([each.getsockname() for each in sockets])
    targets: list[Address] = control.recv()
    bursts = [Burst(sockets[step], targets[step::STEPS]) for step in range(STEPS)]
    receiver = load(socket.AF_INET)
    start, number, sent = time.monotonic(), 0, 0
    while not control.poll():
        data = packet(number)
        for step, burst in enumerate(bursts):
            due = start + 0.02 * (number + step / STEPS)
            time.sleep(max(0.0, due - time.monotonic()))
            sent += burst.send(data)
            if receiver is not None:
                receiver.receive(sockets[step].fileno())
        number += 1
    control.send(sent)
