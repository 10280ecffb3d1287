"""The same simulated phone on real sockets of this machine, as in `earshot demo`."""

import asyncio
import socket

import pytest

from voice.rtp.transport import UdpPorts
from voice.sim.habits import Habits
from voice.sim.phone import SimPhone
from voice.sim.speech import marked_frames
from voice.sip.transport import SocketTransport

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
async def test_two_phones_talk_over_loopback(protocol: str) -> None:
    ann_port, bob_port = free_port(), free_port()

    def phone(user: str, port: int, peer: int) -> SimPhone:
        return SimPhone(
            user,
            plug=lambda: SocketTransport(udp=[(HOST, port)], tcp=[(HOST, port)]),
            ports=UdpPorts(HOST, 36_000, 36_100),
            server=(protocol, (HOST, peer)),
            habits=Habits(after=0.1),
        )

    ann, bob = phone("ann", ann_port, bob_port), phone("bob", bob_port, ann_port)
    await ann.start()
    await bob.start()
    async with asyncio.timeout(10):
        call = ann.call(f"sip:bob@{HOST}:{bob_port}")
        await call.established()
        other = bob.calls[-1]
        call.say(marked_frames(20))
        await call.said()
        await asyncio.sleep(0.1)
        call.hang_up()
        await other.over()
    await ann.close()
    await bob.close()
    assert other.hearing.marks().numbers == list(range(20))
    assert call.hearing.heard_silence_only()
