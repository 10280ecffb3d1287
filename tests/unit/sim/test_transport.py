"""SIP transport on the simulated network: datagrams with faults, streams without."""

import asyncio

import pytest

from voice.errors import ConfigurationError
from voice.sim.link import Link
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.transport import SimTransport
from voice.sim.wire import request, response
from voice.sip.flow import Flow

A, B = ("10.0.0.1", 5060), ("10.0.0.2", 5060)


class Mailbox:
    """Keeps what a transport hands over."""

    def __init__(self, transport: SimTransport) -> None:
        self.got: list[tuple[bytes, Flow]] = []
        self.failures: list[tuple[Flow, Exception]] = []
        transport.receiver = lambda data, flow: self.got.append((data, flow))
        transport.failed = lambda flow, error: self.failures.append((flow, error))

    @property
    def messages(self) -> list[bytes]:
        return [data for data, _ in self.got]


async def two(network: Network) -> tuple[SimTransport, Mailbox, SimTransport, Mailbox]:
    a, b = SimTransport(network, A[0]), SimTransport(network, B[0])
    await a.start()
    await b.start()
    return a, Mailbox(a), b, Mailbox(b)


@virtually
async def test_a_datagram_is_answered_on_the_flow_it_came_by() -> None:
    a, at_a, b, at_b = await two(Network(virtual_loop()))
    a.send(b"OPTIONS", a.flow("UDP", B))
    await asyncio.sleep(1)
    [(data, flow)] = at_b.got
    assert (data, flow) == (b"OPTIONS", Flow("UDP", B, A))
    b.send(b"200", flow)
    await asyncio.sleep(1)
    assert at_a.got == [(b"200", Flow("UDP", A, B))]


@virtually
async def test_a_stream_connects_lazily_and_delivers_in_order_what_was_sent_meanwhile() -> None:
    a, at_a, b, at_b = await two(Network(virtual_loop(), link=Link(jitter=0.2)))
    flow = a.flow("TCP", B)
    assert flow.reliable
    assert a.flow("TCP", B) is flow
    for n in range(20):
        a.send(b"%d" % n, flow)
    await asyncio.sleep(2)
    assert at_b.messages == [b"%d" % n for n in range(20)]
    seen = at_b.got[0][1]
    assert (seen.local, seen.remote) == (B, flow.local)
    b.send(b"back", seen)
    assert b.flow("TCP", flow.local) == seen
    await asyncio.sleep(2)
    assert at_a.got == [(b"back", flow)]


def test_a_stream_loses_nothing_on_a_bad_link_it_is_only_late() -> None:
    async def story() -> list[bytes]:
        network = Network(virtual_loop(), link=Link(loss=0.2, jitter=0.05, reorder=0.1, duplicate=0.1))
        a, _, _, at_b = await two(network)
        flow = a.flow("TCP", B)
        for n in range(200):
            a.send(b"%d" % n, flow)
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        return at_b.messages

    assert run_virtual(story(), seed=3) == [b"%d" % n for n in range(200)]


@virtually
async def test_a_stream_to_where_nobody_listens_fails() -> None:
    a, at_a, b, _ = await two(Network(virtual_loop()))
    await b.close()
    flow = a.flow("TCP", B)
    a.send(b"anybody there?", flow)
    await asyncio.sleep(1)
    [(failed, error)] = at_a.failures
    assert failed == flow
    assert isinstance(error, ConnectionRefusedError)


@virtually
async def test_a_stream_to_a_host_that_is_cut_off_fails_in_the_end() -> None:
    network = Network(virtual_loop())
    a, at_a, _, _ = await two(network)
    network.partition(B[0])
    a.send(b"anybody there?", a.flow("TCP", B))
    await asyncio.sleep(120)
    assert [type(error) for _, error in at_a.failures] == [TimeoutError]


@virtually
async def test_a_stream_survives_a_short_cut() -> None:
    network = Network(virtual_loop())
    a, at_a, _, at_b = await two(network)
    flow = a.flow("TCP", B)
    a.send(b"1", flow)
    await asyncio.sleep(1)
    network.partition(B[0], until=virtual_loop().time() + 5)
    a.send(b"2", flow)
    await asyncio.sleep(30)
    assert (at_b.messages, at_a.failures) == ([b"1", b"2"], [])


@virtually
async def test_the_peer_of_a_closed_stream_learns_it_after_the_last_message() -> None:
    a, at_a, _b, at_b = await two(Network(virtual_loop()))
    flow = a.flow("TCP", B)
    a.send(b"last words", flow)
    await asyncio.sleep(1)
    a.send(b"very last words", flow)
    await a.close()
    await asyncio.sleep(1)
    assert at_b.messages == [b"last words", b"very last words"]
    assert [failed.connection for failed, _ in at_b.failures] == [flow.connection]
    assert at_a.failures == []


@virtually
async def test_sending_on_a_stream_that_is_gone_fails_without_raising() -> None:
    a, at_a, b, _ = await two(Network(virtual_loop()))
    flow = a.flow("TCP", B)
    a.send(b"1", flow)
    await asyncio.sleep(1)
    b.break_streams()
    await asyncio.sleep(1)
    a.send(b"2", flow)
    await asyncio.sleep(1)
    assert [failed for failed, _ in at_a.failures] == [flow, flow]
    assert a.flow("TCP", B).connection != flow.connection


@virtually
async def test_rules_pick_sip_messages_and_the_capture_tells_their_fate() -> None:
    network = Network(virtual_loop())
    a, _, b, at_b = await two(network)
    ok = b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n"
    bye_ok = b"SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n"
    network.lose(response(200, "INVITE"))
    network.hold_back(request("BYE"), 3)
    for message in (bye_ok, ok, ok, b"BYE sip:a SIP/2.0\r\n\r\n"):
        a.send(message, a.flow("UDP", B))
    await asyncio.sleep(5)
    assert at_b.messages == [bye_ok, ok, b"BYE sip:a SIP/2.0\r\n\r\n"]
    assert [len(packet.arrives) for packet in network.sent_by(A[0])] == [1, 0, 1, 1]
    assert network.captured[-1].start_line == "BYE sip:a SIP/2.0"
    assert list(network.sent_by(B[0])) == []
    await b.close()


@virtually
async def test_two_hosts_cannot_have_one_address() -> None:
    network = Network(virtual_loop())
    await two(network)
    with pytest.raises(ConfigurationError, match="in use"):
        await SimTransport(network, A[0]).start()


@virtually
async def test_nat_is_seen_by_signalling_too() -> None:
    network = Network(virtual_loop())
    network.nat(A[0], "198.51.100.1")
    a, at_a, b, at_b = await two(network)
    for protocol in ("UDP", "TCP"):
        a.send(b"REGISTER", a.flow(protocol, B))
        await asyncio.sleep(1)
        flow = at_b.got[-1][1]
        assert flow.remote[0] == "198.51.100.1"
        b.send(b"200", flow)
        await asyncio.sleep(1)
        assert at_a.messages[-1] == b"200"
    assert a.advertised(a.flow("UDP", B)) == A
