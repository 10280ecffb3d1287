"""What every pair of RTP sockets promises (`voice.rtp.transport`), on the system and in the simulation."""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from voice.errors import ConfigurationError, PortsExhausted
from voice.rtp import batch
from voice.rtp.transport import RtpPorts, RtpSocket, UdpPorts, UdpSocket, raise_file_limit
from voice.sim.loop import run_virtual, virtual_loop
from voice.sim.network import Network
from voice.sim.rtp import SimRtpPorts

FIRST, LAST = 30_001, 30_060


class World(Protocol):
    """Where the sockets are."""

    def ports(self, first: int = FIRST, last: int = LAST) -> RtpPorts: ...

    async def arrival(self) -> None:
        """Wait until what was sent has arrived."""
        ...


class System:
    """The machine's own sockets, on loopback."""

    def __init__(self, host: str) -> None:
        self._host = host

    def ports(self, first: int = FIRST, last: int = LAST) -> UdpPorts:
        return UdpPorts(self._host, first, last, random.Random(1))

    async def arrival(self) -> None:
        await asyncio.sleep(0.01)


class Simulation:
    """A network in virtual time."""

    def __init__(self) -> None:
        self._network = Network(virtual_loop())

    def ports(self, first: int = FIRST, last: int = LAST) -> RtpPorts:
        return SimRtpPorts(self._network, "192.0.2.1", first=first, last=last)

    async def arrival(self) -> None:
        await asyncio.sleep(1.0)


WORLDS: dict[str, Callable[[], World]] = {
    "IPv4": lambda: System("127.0.0.1"),
    "IPv6": lambda: System("::1"),
    "simulation": Simulation,
}


@pytest.fixture(params=list(WORLDS))
def story(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs a story in each world."""
    make = WORLDS[request.param]

    def run(told: Callable[[World], object]) -> None:
        async def whole() -> None:
            await told(make())  # type: ignore[misc]

        if request.param == "simulation":
            run_virtual(whole())
        else:
            asyncio.run(whole())

    return run


def close(*pairs: tuple[RtpSocket, RtpSocket]) -> None:
    for pair in pairs:
        for one in pair:
            one.close()


def test_rtp_is_on_an_even_port_and_rtcp_on_the_next(story: Callable[..., None]) -> None:
    async def told(world: World) -> None:
        ports = world.ports()
        pairs = [ports.open_pair() for _ in range(20)]
        for rtp, rtcp in pairs:
            assert rtp.local[1] % 2 == 0
            assert rtcp.local == (rtp.local[0], rtp.local[1] + 1)
            assert FIRST <= rtp.local[1] < LAST
        assert len({rtp.local for rtp, _ in pairs}) == 20
        close(*pairs)

    story(told)


def test_what_is_sent_arrives_in_order_with_its_source(story: Callable[..., None]) -> None:
    async def told(world: World) -> None:
        ports = world.ports()
        one, other = ports.open_pair(), ports.open_pair()
        for number in range(40):
            one[0].send(bytes([number]) * 172, other[0].local)
        await world.arrival()
        received = other[0].receive()
        assert sorted(received) == [(bytes([number]) * 172, one[0].local) for number in range(40)]
        assert other[0].receive() == []
        assert other[1].receive() == []
        assert other[0].age >= 0.0
        close(one, other)

    story(told)


def test_an_empty_datagram_is_a_datagram(story: Callable[..., None]) -> None:
    async def told(world: World) -> None:
        ports = world.ports()
        one, other = ports.open_pair(), ports.open_pair()
        one[0].send(b"", other[0].local)
        await world.arrival()
        assert other[0].receive() == [(b"", one[0].local)]
        close(one, other)

    story(told)


def test_sending_to_nobody_raises_nothing(story: Callable[..., None]) -> None:
    async def told(world: World) -> None:
        rtp, rtcp = world.ports().open_pair()
        rtp.send(b"x", (rtp.local[0], rtcp.local[1] + 1))
        await world.arrival()
        assert rtp.receive() == []
        close((rtp, rtcp))

    story(told)


def test_a_closed_socket_is_quiet_and_closing_twice_is_harmless(story: Callable[..., None]) -> None:
    async def told(world: World) -> None:
        ports = world.ports()
        one, other = ports.open_pair(), ports.open_pair()
        close(other, other)
        one[0].send(b"x", other[0].local)
        other[0].send(b"y", one[0].local)
        await world.arrival()
        assert other[0].receive() == []
        assert one[0].receive() == []
        close(one)

    story(told)


def test_when_no_pair_is_free_that_is_said_and_a_closed_one_can_be_had_again(
    story: Callable[..., None],
) -> None:
    async def told(world: World) -> None:
        ports = world.ports(30_010, 30_017)
        pairs = [ports.open_pair() for _ in range(4)]
        with pytest.raises(PortsExhausted):
            ports.open_pair()
        close(pairs[2])
        again = ports.open_pair()
        assert again[0].local == pairs[2][0].local
        close(again, pairs[0], pairs[1], pairs[3])

    story(told)


# -- what only the system's sockets have --


def test_ports_that_other_programs_hold_are_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 30_013))
        ports = UdpPorts("127.0.0.1", 30_010, 30_015)
        pairs = [ports.open_pair(), ports.open_pair()]
        assert sorted(rtp.local[1] for rtp, _ in pairs) == [30_010, 30_014]
        with pytest.raises(PortsExhausted):
            ports.open_pair()
        close(*pairs)


def test_a_pair_is_free_again_only_when_both_sockets_are_closed() -> None:
    ports = UdpPorts("127.0.0.1", 30_020, 30_023)
    rtp, rtcp = ports.open_pair()
    assert ports.free == 1
    rtp.close()
    assert ports.free == 1
    rtcp.close()
    assert ports.free == 2


def test_ports_are_not_reused_soon() -> None:
    ports = UdpPorts("127.0.0.1", 30_030, 30_049)
    seen = []
    for _ in range(10):
        pair = ports.open_pair()
        seen.append(pair[0].local[1])
        close(pair)
    assert len(set(seen)) == 10


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "not an address"])
def test_an_address_that_this_machine_does_not_have_is_a_configuration_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match="rtp"):
        UdpPorts(host, 30_000, 30_100).check()


def test_a_good_range_passes_the_check_and_stays_free() -> None:
    ports = UdpPorts("127.0.0.1", 30_050, 30_059)
    ports.check()
    assert ports.free == 5


def test_receiving_singly_gives_the_same_as_receiving_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    batched = UdpSocket("127.0.0.1", 0)
    monkeypatch.setattr(batch, "load", lambda family: None)
    single = UdpSocket("127.0.0.1", 0)
    for receiver in (batched, single):
        for number in range(50):
            batched.send(bytes([number]), receiver.local)
    expected = [(bytes([number]), batched.local) for number in range(50)]
    assert batched.receive() == single.receive() == expected
    batched.close()
    single.close()


def test_two_seconds_of_audio_fit_into_the_buffer_of_a_socket() -> None:
    receiver, sender = UdpSocket("127.0.0.1", 0), UdpSocket("127.0.0.1", 0)
    for _ in range(2 * 50):
        sender.send(bytes(172), receiver.local)
    assert len(receiver.receive()) == 100
    receiver.close()
    sender.close()


def test_the_age_of_a_packet_is_the_time_that_it_waited() -> None:
    receiver, sender = UdpSocket("127.0.0.1", 0), UdpSocket("127.0.0.1", 0)
    sender.send(b"x", receiver.local)
    time.sleep(0.05)
    receiver.receive()
    assert 0.04 < receiver.age < 1.0
    receiver.close()
    sender.close()


def test_what_the_system_does_not_take_is_counted() -> None:
    sender = UdpSocket("127.0.0.1", 0)
    sender.send(bytes(70_000), sender.local)
    sender.send(b"x", ("::1", 9))
    assert sender.unsent == 2
    sender.close()


def test_the_limit_of_open_files_is_raised() -> None:
    assert raise_file_limit() >= 1024
