"""What every SIP transport promises (`voice.sip.transport.Transport`), on sockets and in the simulation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from voice.address import Address
from voice.errors import ConfigurationError
from voice.sim.loop import run_virtual, virtual_loop
from voice.sim.network import Network
from voice.sim.transport import SimTransport
from voice.sip.flow import Flow
from voice.sip.transport import SocketTransport, Transport


class World(Protocol):
    """Where transports live."""

    def transport(self, at: Address | None = None) -> Transport: ...
    def address(self, transport: Transport, protocol: str) -> Address: ...


class Sockets:
    """Loopback."""

    def transport(self, at: Address | None = None) -> SocketTransport:
        address = at or ("127.0.0.1", 0)
        return SocketTransport(udp=[address], tcp=[address])

    def address(self, transport: Transport, protocol: str) -> Address:
        assert isinstance(transport, SocketTransport)
        return dict(transport.listening)[protocol]


class Simulation:
    """A network in virtual time."""

    def __init__(self) -> None:
        self._network = Network(virtual_loop())
        self._hosts: dict[int, str] = {}

    def transport(self, at: Address | None = None) -> SimTransport:
        host = at[0] if at else f"10.0.0.{len(self._hosts) + 1}"
        transport = SimTransport(self._network, host)
        self._hosts[id(transport)] = host
        return transport

    def address(self, transport: Transport, protocol: str) -> Address:
        return self._hosts[id(transport)], 5060


Story = Callable[[World], Awaitable[None]]


@pytest.fixture(params=["sockets", "simulation"])
def tell(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Runs a story in one of the worlds."""

    def run(story: Story) -> None:
        async def whole() -> None:
            await story(Sockets() if request.param == "sockets" else Simulation())

        if request.param == "sockets":
            asyncio.run(asyncio.wait_for(whole(), 20))
        else:
            run_virtual(whole())

    return run


class Host:
    """A transport with what it was told."""

    def __init__(self, world: World, at: Address | None = None) -> None:
        self.world = world
        self.transport = world.transport(at)
        self.got: list[tuple[bytes, Flow]] = []
        self.failures: list[tuple[Flow, Exception]] = []
        self.transport.receiver = lambda data, flow: self.got.append((data, flow))
        self.transport.failed = lambda flow, error: self.failures.append((flow, error))

    @property
    def messages(self) -> list[bytes]:
        return [data for data, _ in self.got]

    def address(self, protocol: str) -> Address:
        return self.world.address(self.transport, protocol)


async def hosts(world: World) -> tuple[Host, Host]:
    a, b = Host(world), Host(world)
    await a.transport.start()
    await b.transport.start()
    return a, b


async def close(*all_hosts: Host) -> None:
    for host in all_hosts:
        await host.transport.close()


async def until(condition: Callable[[], object], patience: float = 40.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not condition():
        assert loop.time() < deadline, "nothing happened"
        await asyncio.sleep(0.005)


def message(number: int, body: bytes = b"") -> bytes:
    return b"OPTIONS sip:%d@example.org SIP/2.0\r\nContent-Length: %d\r\n\r\n%b" % (number, len(body), body)


def test_a_datagram_arrives_whole_with_the_flow_to_answer_by(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flow = a.transport.flow("UDP", b.address("UDP"))
        assert (flow.protocol, flow.remote, flow.reliable, flow.connection) == (
            "UDP",
            b.address("UDP"),
            False,
            0,
        )
        a.transport.send(message(1), flow)
        await until(lambda: b.got)
        assert b.got == [(message(1), Flow("UDP", b.address("UDP"), a.address("UDP")))]
        b.transport.send(message(2), b.got[0][1])
        await until(lambda: a.got)
        assert a.got == [(message(2), flow)]
        await close(a, b)

    tell(story)


def test_a_stream_opens_when_used_and_keeps_the_order_of_what_was_sent_before(
    tell: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flow = a.transport.flow("TCP", b.address("TCP"))
        assert flow.reliable
        assert flow.connection != 0
        sent = [message(number, b"x" * number * 50) for number in range(20)]
        for data in sent:
            a.transport.send(data, flow)
        await until(lambda: len(b.got) == 20)
        assert b.messages == sent
        assert len({seen for _, seen in b.got}) == 1
        await close(a, b)

    tell(story)


def test_an_answer_goes_back_by_the_same_connection(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flow = a.transport.flow("TCP", b.address("TCP"))
        a.transport.send(message(1), flow)
        await until(lambda: b.got)
        seen = b.got[0][1]
        assert seen.local == b.address("TCP")
        assert b.transport.flow("TCP", seen.remote) == seen
        b.transport.send(message(2), seen)
        await until(lambda: a.got)
        assert a.got == [(message(2), flow)]
        await close(a, b)

    tell(story)


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_a_second_flow_to_a_peer_is_the_first(tell: Callable[[Story], None], protocol: str) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        first = a.transport.flow(protocol, b.address(protocol))
        assert a.transport.flow(protocol, b.address(protocol)) == first
        a.transport.send(message(1), first)
        await until(lambda: b.got)
        assert a.transport.flow(protocol, b.address(protocol)) == first
        await close(a, b)

    tell(story)


def test_where_nobody_listens_the_flow_fails_and_sending_does_not(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        nowhere = b.address("TCP")
        await close(b)
        flow = a.transport.flow("TCP", nowhere)
        a.transport.send(message(1), flow)
        assert a.failures == []
        await until(lambda: a.failures)
        assert [(failed, isinstance(error, OSError)) for failed, error in a.failures] == [(flow, True)]
        await close(a)

    tell(story)


def test_sending_by_a_connection_that_is_gone_fails_later_not_at_once(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flow = a.transport.flow("TCP", b.address("TCP"))
        a.transport.send(message(1), flow)
        await until(lambda: b.got)
        await close(b)
        await until(lambda: a.failures)
        assert a.failures[0][0] == flow
        a.failures.clear()
        a.transport.send(message(2), flow)
        assert a.failures == []
        await until(lambda: a.failures)
        assert a.failures[0][0] == flow
        assert a.transport.flow("TCP", flow.remote) != flow
        await close(a)

    tell(story)


def test_after_close_nothing_is_reported_and_nothing_raised(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flows = [a.transport.flow(protocol, b.address(protocol)) for protocol in ("UDP", "TCP")]
        for flow in flows:
            a.transport.send(message(1), flow)
        await until(lambda: len(b.got) == 2)
        await close(a)
        for flow in flows:
            a.transport.send(message(2), flow)
        await asyncio.sleep(0.05)
        assert a.failures == []
        await close(b)

    tell(story)


def test_what_was_sent_before_close_still_goes_out(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        flow = a.transport.flow("TCP", b.address("TCP"))
        a.transport.send(message(1), flow)
        await until(lambda: b.got)
        for number in range(2, 10):
            a.transport.send(message(number), flow)
        await close(a)
        await until(lambda: len(b.got) == 9)
        await close(b)

    tell(story)


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_the_advertised_address_leads_back(tell: Callable[[Story], None], protocol: str) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        address = a.transport.advertised(a.transport.flow(protocol, b.address(protocol)))
        assert address == a.address(protocol)
        b.transport.send(message(1), b.transport.flow(protocol, address))
        await until(lambda: a.messages == [message(1)])
        await close(a, b)

    tell(story)


def test_it_tells_its_protocols(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a, b = await hosts(world)
        assert {"UDP", "TCP"} <= a.transport.protocols()
        await close(a, b)

    tell(story)


def test_an_address_that_is_taken_is_an_error_of_the_configuration(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        a = Host(world)
        await a.transport.start()
        b = Host(world, a.address("UDP"))
        with pytest.raises(ConfigurationError):
            await b.transport.start()
        await close(a)

    tell(story)
