"""The simulated network: its faults have the asked shares, come from the seed, and rules beat chance."""

import asyncio
from itertools import pairwise

import pytest

from voice.errors import PortsExhausted
from voice.sim.link import Link
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.rtp import SimRtpPorts, SimRtpSocket

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def pair(network: Network) -> tuple[SimRtpSocket, SimRtpSocket]:
    return SimRtpSocket(network, A), SimRtpSocket(network, B)


async def numbers_received(network: Network, count: int, pace: float = 0.02) -> list[int]:
    """Sends numbered packets from A to B and reads them off B, once per pace."""
    a, b = pair(network)
    got: list[int] = []
    for n in range(count):
        a.send(str(n).encode(), B)
        await asyncio.sleep(pace)
        got += [int(data) for data, _ in b.receive()]
    await asyncio.sleep(5)
    return got + [int(data) for data, _ in b.receive()]


@virtually
async def test_a_packet_arrives_after_the_delay_of_both_links_and_not_before() -> None:
    network = Network(virtual_loop(), link=Link(delay=0.03))
    a, b = pair(network)
    a.send(b"hello", B)
    await asyncio.sleep(0.0599)
    assert b.receive() == []
    await asyncio.sleep(0.0002)
    assert b.receive() == [(b"hello", A)]
    assert b.age == pytest.approx(0.0001, abs=1e-6)
    assert b.receive() == []


@virtually
async def test_what_is_still_on_the_way_stays_there() -> None:
    network = Network(virtual_loop(), link=Link(delay=0.05))
    a, b = pair(network)
    a.send(b"1", B)
    await asyncio.sleep(0.06)
    a.send(b"2", B)
    await asyncio.sleep(0.05)
    assert [data for data, _ in b.receive()] == [b"1"]
    await asyncio.sleep(0.06)
    assert [data for data, _ in b.receive()] == [b"2"]


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_the_share_of_lost_packets_is_the_one_asked_for(burst: float) -> None:
    async def lost() -> int:
        network = Network(virtual_loop(), link=Link())
        network.link(B[0], Link(loss=0.1, burst=burst))
        return 20_000 - len(await numbers_received(network, 20_000))

    assert run_virtual(lost()) == pytest.approx(2_000, rel=0.12)


def test_losses_come_in_bursts_of_the_asked_mean_length() -> None:
    async def mean_burst() -> float:
        network = Network(virtual_loop())
        network.link(B[0], Link(loss=0.05, burst=5))
        got = set(await numbers_received(network, 20_000))
        lost = [n for n in range(20_000) if n not in got]
        bursts = sum(n - 1 not in lost for n in lost)
        return len(lost) / bursts

    assert run_virtual(mean_burst()) == pytest.approx(5, rel=0.2)


def test_jitter_keeps_the_order() -> None:
    async def story() -> list[int]:
        return await numbers_received(Network(virtual_loop(), link=Link(jitter=0.2)), 500)

    assert run_virtual(story()) == list(range(500))


def test_reordered_packets_all_arrive_out_of_order() -> None:
    async def story() -> list[int]:
        return await numbers_received(Network(virtual_loop(), link=Link(reorder=0.05, late=0.05)), 1000)

    got = run_virtual(story())
    assert sorted(got) == list(range(1000))
    overtaken = sum(later < earlier for earlier, later in pairwise(got))
    assert 50 < overtaken < 150


def test_duplicated_packets_arrive_twice() -> None:
    async def story() -> list[int]:
        return await numbers_received(Network(virtual_loop(), link=Link(duplicate=0.05)), 2000)

    got = run_virtual(story())
    assert set(got) == set(range(2000))
    assert len(got) - 2000 == pytest.approx(195, rel=0.25)


def test_the_same_seed_has_the_same_fate_and_another_seed_another() -> None:
    bad = Link(loss=0.1, jitter=0.05, duplicate=0.05, reorder=0.05)

    async def story() -> list[int]:
        return await numbers_received(Network(virtual_loop(), link=bad), 300)

    assert run_virtual(story(), seed=1) == run_virtual(story(), seed=1) != run_virtual(story(), seed=2)


@virtually
async def test_a_host_that_is_cut_off_hears_and_says_nothing_until_it_is_back() -> None:
    network = Network(virtual_loop())
    a, b = pair(network)
    network.partition(A[0], until=virtual_loop().time() + 10)
    a.send(b"lost", B)
    b.send(b"lost", A)
    await asyncio.sleep(10)
    a.send(b"through", B)
    await asyncio.sleep(1)
    assert a.receive() == []
    assert [data for data, _ in b.receive()] == [b"through"]


@virtually
async def test_a_cut_can_be_of_one_direction_only() -> None:
    network = Network(virtual_loop())
    a, b = pair(network)
    network.partition(A[0], inbound=False)
    a.send(b"lost", B)
    b.send(b"through", A)
    await asyncio.sleep(1)
    assert (a.receive(), b.receive()) == ([(b"through", B)], [])
    network.heal(A[0])
    a.send(b"again", B)
    await asyncio.sleep(1)
    assert b.receive() == [(b"again", A)]


@virtually
async def test_rules_lose_hold_back_and_repeat_chosen_packets() -> None:
    network = Network(virtual_loop())
    a, b = pair(network)
    lost = network.lose(lambda packet: packet.data == b"1", media=True)
    network.hold_back(lambda packet: packet.data == b"2", 0.5, media=True)
    network.repeat(lambda packet: packet.data == b"3", after=0.1, times=2, media=True)
    for data in (b"1", b"1", b"2", b"3", b"4"):
        a.send(data, B)
    await asyncio.sleep(1)
    assert [data for data, _ in b.receive()] == [b"1", b"3", b"4", b"3", b"2"]
    assert lost.used == 1


@virtually
async def test_nat_shows_one_outside_address_and_lets_in_only_whom_the_host_has_called() -> None:
    network = Network(virtual_loop())
    network.nat(A[0], "198.51.100.1")
    a, b = pair(network)
    stranger = SimRtpSocket(network, ("10.0.0.3", 6000))
    a.send(b"hello", B)
    await asyncio.sleep(1)
    [(_, outside)] = b.receive()
    assert outside[0] == "198.51.100.1"
    assert outside[1] != A[1]
    b.send(b"answer", outside)
    b.send(b"to the inside address", A)
    stranger.send(b"intruder", outside)
    await asyncio.sleep(1)
    assert a.receive() == [(b"answer", B)]


@virtually
async def test_a_nat_that_forgets_gives_a_new_port() -> None:
    network = Network(virtual_loop())
    nat = network.nat(A[0], "198.51.100.1")
    a, b = pair(network)
    a.send(b"1", B)
    nat.forget()
    a.send(b"2", B)
    await asyncio.sleep(1)
    first, second = (source for _, source in b.receive())
    assert first != second
    b.send(b"to the old port", first)
    b.send(b"to the new port", second)
    await asyncio.sleep(1)
    assert a.receive() == [(b"to the new port", B)]


@virtually
async def test_ports_come_in_pairs_and_run_out() -> None:
    network = Network(virtual_loop())
    ports = SimRtpPorts(network, "10.0.0.9", first=20_001, last=20_006)
    pairs = [ports.open_pair(), ports.open_pair()]
    assert [(rtp.local[1], rtcp.local[1]) for rtp, rtcp in pairs] == [(20_002, 20_003), (20_004, 20_005)]
    with pytest.raises(PortsExhausted):
        ports.open_pair()
    for one in pairs[0]:
        one.close()
        one.close()
    assert ports.open_pair()[0].local == ("10.0.0.9", 20_002)


@virtually
async def test_a_closed_socket_neither_sends_nor_receives() -> None:
    network = Network(virtual_loop())
    a, b = pair(network)
    a.send(b"late", B)
    b.close()
    b.send(b"never", A)
    await asyncio.sleep(1)
    assert (a.receive(), b.receive()) == ([], [])
