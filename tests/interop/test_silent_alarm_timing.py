"""On the real clock, too, nobody can tell a worker's call for help from an ordinary one: 200 calls over SIP and RTP.

Workers dial `earshot serve` and sign in, every other time with the PIN for duress. The moment of each packet is the
kernel's. A busy machine makes both kinds of calls late, so nothing is held against a limit: the calls of one kind are
compared with those of the other by a permutation test, which fails for a difference that chance would bring about once
in some million runs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from voice.check_in.pins import hashed
from voice.sim.phone import SimPhone
from voice.sip.trace import read_trace
from voice.sip.transport import SocketTransport

from .ports import free_ports
from .rtp import PCMA, Packet
from .service import Service
from .sounds import ALAW_SILENCE, FRAME
from .watched_ports import Watch, WatchedPorts

pytestmark = pytest.mark.alone

HOST = "127.0.0.1"
NUMBER = "+31208080808"
PIN, DURESS = "8162", "9054"
WORKERS, CALLS = 25, 8
"""So many at a time, so many of each: 200 calls, half of them for help."""
APART = 0.2
"""Seconds between the first calls of two workers: for two cores that hash, and do all the rest."""
HEARD = 2.5
"""Seconds that a worker listens to the answer."""
PATIENCE = 20.0
"""Seconds for what normally takes less than one: the machine may be busy."""
COMPARED = 100
"""Packets of the answer that are compared octet by octet: two seconds."""
STRICT = 5.0
"""Standard deviations of the rank sum. Chance goes so far once in 1.7 million runs."""


@dataclass(frozen=True)
class Call:
    """What a bystander may measure in one call, from the last key on."""

    helps: bool
    delay: float
    """Seconds to the first sound."""
    call_id: str
    answer: bytes | None
    """The first two seconds that are heard then; None where a packet of them was lost."""
    packets: int
    """In the first two seconds, by their moments."""
    marked: int
    """Of those that follow the one before without a pause: where we were late a mark is due (RFC 3551 section 4.1)."""


def _worker(number: int) -> dict[str, Any]:
    return {
        "id": f"worker-{number}",
        "name": f"Worker {number}",
        "customer": "east",
        "code": f"{5000 + number}",
        "pin": hashed(PIN),
        "duress_pin": hashed(DURESS),
    }


@asynccontextmanager
async def _telephones(service: Service, ports: WatchedPorts) -> AsyncIterator[SimPhone]:
    port = free_ports()
    phone = SimPhone(
        "anonymous",
        plug=lambda: SocketTransport(udp=[(HOST, port)]),
        ports=ports,
        server=("UDP", service.address),
        dice=random.Random(port),
    )
    await phone.start()
    try:
        yield phone
    finally:
        await phone.die()


async def _calls(phone: SimPhone, ports: WatchedPorts, number: int) -> list[Call]:
    """All calls of one worker, for help every other time."""
    await asyncio.sleep(number * APART)
    return [await _call(phone, ports, number, helps=(number + call) % 2 == 1) for call in range(CALLS)]


async def _call(phone: SimPhone, ports: WatchedPorts, number: int, *, helps: bool) -> Call:
    call, watch = phone.call(f"sip:{NUMBER}@{HOST}"), ports.watches[-1]
    async with asyncio.timeout(PATIENCE):
        await call.established()
        keys = f"{5000 + number}#{DURESS if helps else PIN}#"
        call.press(keys)
        while len(watch.keys) < len(keys) or not _answer(watch):  # noqa: ASYNC110 - packets set no event
            await asyncio.sleep(0.05)
    await asyncio.sleep(HEARD)
    call.hang_up()
    async with asyncio.timeout(PATIENCE):
        await call.over()
    assert call.session is not None
    return _measured(call.session.call_id, watch, helps)


def _measured(call_id: str, watch: Watch, helps: bool) -> Call:
    packets = _answer(watch)
    first, compared = packets[0], packets[:COMPARED]
    steps = {(after.sequence - before.sequence) & 0xFFFF for before, after in pairwise(compared)}
    whole = len(compared) == COMPARED and steps == {1}
    return Call(
        helps=helps,
        call_id=call_id,
        delay=first.at - watch.keys[-1],
        answer=b"".join(packet.payload for packet in compared) if whole else None,
        packets=sum(packet.at < first.at + 2.0 for packet in packets),
        marked=sum(after.marker and after.timestamp - before.timestamp == FRAME for before, after in pairwise(packets)),
    )


def _answer(watch: Watch) -> list[Packet]:
    """What was heard from the first sound after the last key on."""
    after = [packet for packet in watch.heard if packet.payload_type == PCMA and packet.at > watch.keys[-1]]
    first = next((n for n, packet in enumerate(after) if packet.payload.strip(bytes([ALAW_SILENCE]))), len(after))
    return after[first:]


def _deviation(one: Sequence[float], other: Sequence[float]) -> float:
    """By how many standard deviations the ranks of `one` lie apart from what chance does (Mann and Whitney, 1947)."""
    values = np.array([*one, *other])
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    n, m = len(one), len(other)
    ties = float(np.sum(times**3 - times)) / ((n + m) * (n + m - 1))
    spread = np.sqrt(n * m / 12 * (n + m + 1 - ties))
    return float((ranks[:n].sum() - n * (n + m + 1) / 2) / spread) if spread else 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("timing")


@pytest.fixture(scope="module")
def calls(folder: Path) -> list[Call]:
    """All 200 of them."""
    return asyncio.run(_all_calls(folder))


async def _all_calls(folder: Path) -> list[Call]:
    settings = {"check_in": {"numbers": [NUMBER]}, "speech": {"directory": str(folder / "speech")}}
    rows = {"customers": [{"id": "east", "name": "East", "language": "en"}]}
    workers, ports = [_worker(number) for number in range(WORKERS)], WatchedPorts(HOST)
    with capture_logs(), Service(folder, workers=workers, settings=settings, rows=rows) as service:
        async with _telephones(service, ports) as phone:
            told = await asyncio.gather(*(_calls(phone, ports, number) for number in range(WORKERS)))
        raised = [incident.row["kind"] for incident in service.evidence.incidents()]
    assert Counter(raised) == {"duress": WORKERS}
    return [call for calls in told for call in calls]


def _both(calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    well, helped = [call for call in calls if not call.helps], [call for call in calls if call.helps]
    assert len(well) == len(helped) == WORKERS * CALLS / 2
    return well, helped


def test_the_answer_to_both_comes_after_the_same_time(calls: list[Call]) -> None:
    well, helped = _both(calls)
    apart = _deviation([call.delay for call in helped], [call.delay for call in well])
    medians = [round(float(np.median([call.delay for call in kind])) * 1000) for kind in (well, helped)]
    assert abs(apart) < STRICT, f"{apart:.1f} standard deviations; medians {medians} ms"


def test_the_answer_to_both_is_the_same_to_the_last_sample(calls: list[Call]) -> None:
    for kind in _both(calls):
        assert sum(call.answer is not None for call in kind) > len(kind) / 2
    assert len({call.answer for call in calls} - {None}) == 1


def test_both_are_sent_as_many_packets_and_none_is_marked(calls: list[Call]) -> None:
    well, helped = _both(calls)
    apart = _deviation([call.packets for call in helped], [call.packets for call in well])
    assert abs(apart) < STRICT, f"{apart:.1f} standard deviations"
    assert not any(call.marked for call in calls)


def test_both_are_sent_the_same_sip_messages(folder: Path, calls: list[Call]) -> None:
    well, helped = ({tuple(_messages(folder, call)) for call in kind} for kind in _both(calls))
    assert well == helped
    assert len(well) == 1


def _messages(folder: Path, call: Call) -> Iterator[str]:
    """All kinds of messages to the telephone, in order; one that was sent again counts once."""
    told = [message for message in read_trace(folder / "service" / "trace", call.call_id) if message.sent]
    yield from dict.fromkeys(message.label for message in told)


@pytest.mark.parametrize("shift", [0.0, 0.03])
def test_a_difference_of_thirty_milliseconds_would_be_found(shift: float) -> None:
    dice = random.Random(5)
    one, other = ([dice.gauss(0.35, 0.02) for _ in range(100)] for _ in range(2))
    assert (abs(_deviation(one, [value + shift for value in other])) < STRICT) is (shift == 0.0)
