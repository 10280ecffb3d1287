"""Two simulated phones call each other in virtual time, on good and on bad networks."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import structlog

from voice.sim.habits import Answers, Habits, MediaFrom
from voice.sim.link import Link
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.rtp import SimRtpPorts
from voice.sim.speech import marked_frames, tone
from voice.sim.transport import SimTransport
from voice.sim.wire import request, response
from voice.sip.session import EndCause

ANN, BOB = "10.0.0.1", "10.0.0.2"


@dataclass
class Phones:
    """Ann calls Bob directly, without a server between them."""

    network: Network
    ann: SimPhone
    bob: SimPhone

    async def connected(self) -> tuple[PhoneCall, PhoneCall]:
        call = self.ann.call(f"sip:bob@{BOB}")
        await call.established()
        await asyncio.sleep(0.5)
        return call, self.bob.calls[-1]


@asynccontextmanager
async def phones(
    ann: Habits | None = None,
    bob: Habits | None = None,
    *,
    link: Link | None = None,
    protocol: str = "UDP",
) -> AsyncIterator[Phones]:
    network = Network(virtual_loop(), link=link)

    def phone(user: str, host: str, peer: str, habits: Habits | None) -> SimPhone:
        return SimPhone(
            user,
            plug=lambda: SimTransport(network, host),
            ports=SimRtpPorts(network, host),
            server=(protocol, (peer, 5060)),
            habits=habits,
            dice=random.Random(f"{user}{virtual_loop().seed}"),
        )

    both = Phones(network, phone("ann", ANN, BOB, ann), phone("bob", BOB, ANN, bob))
    await both.ann.start()
    await both.bob.start()
    try:
        yield both
    finally:
        await both.ann.close()
        await both.bob.close()


@pytest.fixture(autouse=True)
def nothing_is_swallowed() -> Iterator[None]:
    """The endpoint logs what an application raises and goes on; here that is a failure."""
    with structlog.testing.capture_logs() as entries:
        yield
    assert [entry for entry in entries if entry["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
@virtually
async def test_a_call_rings_is_answered_carries_audio_both_ways_and_ends(protocol: str) -> None:
    async with phones(protocol=protocol) as both:
        began = virtual_loop().time()
        call = both.ann.call(f"sip:bob@{BOB}")
        call.say(marked_frames(100))
        await call.established()
        assert call.progress[-1] == 180
        assert virtual_loop().time() - began == pytest.approx(2.0, abs=0.2)
        other = both.bob.calls[-1]
        other.say(marked_frames(100, first=1000))
        await asyncio.sleep(3)
        call.hang_up()
        assert (await call.over()).cause is EndCause.LOCAL
        assert (await other.over()).cause is EndCause.BYE
    assert other.hearing.marks().numbers == list(range(100))
    assert call.hearing.marks().numbers == list(range(1000, 1100))
    assert not both.ann.live_calls


@pytest.mark.parametrize(("answers", "code"), [(Answers.BUSY, 486), (Answers.DECLINES, 603), (Answers.IF_ASKED, 486)])
@virtually
async def test_a_call_can_be_refused(answers: Answers, code: int) -> None:
    async with phones(bob=Habits(answers=answers)) as both:
        call = both.ann.call(f"sip:bob@{BOB}")
        end = await call.over()
        assert (end.cause, end.code) == (EndCause.REJECTED, code)
        with pytest.raises(ConnectionError):
            await call.established()


@virtually
async def test_a_caller_who_gives_up_cancels() -> None:
    async with phones(bob=Habits(answers=Answers.NEVER)) as both:
        call = both.ann.call(f"sip:bob@{BOB}")
        other = await both.bob.called()
        await asyncio.sleep(5)
        call.hang_up()
        assert (await other.over()).cause is EndCause.CANCELLED
        assert (await call.over()).cause is EndCause.CANCELLED


@pytest.mark.parametrize(
    "header",
    [("Answer-Mode", "Auto"), ("Call-Info", "<sip:x>;answer-after=0"), ("Alert-Info", "Ring Answer")],
)
@virtually
async def test_a_badge_answers_at_once_when_the_call_asks_for_it(header: tuple[str, str]) -> None:
    async with phones(bob=Habits(answers=Answers.IF_ASKED)) as both:
        began = virtual_loop().time()
        call = both.ann.call(f"sip:bob@{BOB}", headers=[header])
        await call.established()
        assert virtual_loop().time() - began < 0.1


@virtually
async def test_a_late_offer_is_answered_in_the_ack() -> None:
    async with phones(ann=Habits(late_offer=True)) as both:
        call, other = await both.connected()
        call.say(marked_frames(20))
        other.say(marked_frames(20))
        await asyncio.sleep(1)
        assert other.offered is None
        assert call.hearing.marks().numbers == other.hearing.marks().numbers == list(range(20))


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
@virtually
async def test_phones_of_one_codec_meet_in_it(codec: str) -> None:
    async with phones(ann=Habits(codecs=(codec,), ptime=30)) as both:
        call, other = await both.connected()
        call.say(marked_frames(30))
        other.say(marked_frames(30))
        await asyncio.sleep(1)
        assert {call.hearing.codecs[p.payload_type] for p in call.hearing.packets()} == {codec}
        assert call.hearing.marks().numbers == other.hearing.marks().numbers == list(range(30))


@virtually
async def test_phones_without_a_common_codec_do_not_connect() -> None:
    async with phones(ann=Habits(codecs=("PCMA",)), bob=Habits(codecs=("PCMU",), after=0)) as both:
        end = await both.ann.call(f"sip:bob@{BOB}").over()
        assert end.code == 488


@pytest.mark.parametrize("by", ["rfc4733", "info", "inband"])
@virtually
async def test_digits_go_by_telephone_event_by_info_or_in_the_voice_band(by: str) -> None:
    async with phones() as both:
        call, other = await both.connected()
        call.press("7#", by=by)
        await call.said()
        await asyncio.sleep(0.5)
        events = {p.payload[0] for p in other.hearing.packets() if len(p.payload) == 4}
        assert events == ({7, 11} if by == "rfc4733" else set())
        assert [body for _, body in other.infos] == (
            [b"Signal=7\r\nDuration=100\r\n", b"Signal=#\r\nDuration=100\r\n"] if by == "info" else []
        )
        assert other.hearing.heard_silence_only() == (by == "info")


@virtually
async def test_a_phone_on_hold_is_sent_nothing_until_the_call_is_resumed() -> None:
    async with phones() as both:
        call, other = await both.connected()
        call.hold("inactive")
        await asyncio.sleep(1)
        since = virtual_loop().time()
        await asyncio.sleep(1)
        assert list(call.hearing.packets(since)) == list(other.hearing.packets(since)) == []
        call.resume()
        await asyncio.sleep(1)
        since = virtual_loop().time()
        await asyncio.sleep(1)
        assert len(list(call.hearing.packets(since))) == pytest.approx(50, abs=2)
        assert len(list(other.hearing.packets(since))) == pytest.approx(50, abs=2)


@virtually
async def test_a_phone_that_dies_says_nothing_more() -> None:
    async with phones() as both:
        call, other = await both.connected()
        await both.bob.die()
        died = virtual_loop().time()
        await asyncio.sleep(5)
        assert call.is_established
        assert list(call.hearing.packets(died + 0.1)) == []
        assert not [p for p in both.network.sent_by(BOB) if p.sent > died]
        with pytest.raises(ConnectionError):
            await other.over()
        await both.bob.start()


@virtually
async def test_a_rebooted_phone_can_be_called_again() -> None:
    async with phones() as both:
        await both.connected()
        await both.bob.reboot(3)
        call, _ = await both.connected()
        assert call.is_established


@virtually
async def test_a_phone_can_have_no_media_at_all() -> None:
    async with phones(ann=Habits(sends_media=False)) as both:
        _, other = await both.connected()
        await asyncio.sleep(2)
        assert list(other.hearing.packets()) == []


@pytest.mark.parametrize(
    ("media_from", "before_answer", "before_ack"),
    [(MediaFrom.RINGING, True, True), (MediaFrom.ANSWER, False, True), (MediaFrom.ACK, False, False)],
)
@virtually
async def test_media_begins_with_ringing_with_the_answer_or_with_the_ack(
    media_from: MediaFrom, before_answer: bool, before_ack: bool
) -> None:
    async with phones(bob=Habits(media_from=media_from)) as both:
        both.network.media_captured = []
        both.network.hold_back(request("ACK"), 0.3)
        await both.connected()
        answered = next(p.sent for p in both.network.sent_by(BOB) if response(200)(p))
        acknowledged = answered + 0.3
        times = [p.sent for p in both.network.media_captured if p.source[0] == BOB]
        assert (times[0] < answered) == before_answer
        assert (times[0] < acknowledged) == before_ack


@virtually
async def test_a_lost_answer_and_a_lost_ack_are_mended() -> None:
    async with phones() as both:
        lost = [both.network.lose(response(200)), both.network.lose(request("ACK"))]
        call, other = await both.connected()
        await asyncio.sleep(2)
        assert [rule.used for rule in lost] == [1, 1]
        assert call.is_established
        assert other.is_established


@pytest.mark.parametrize("mux", [False, True])
@virtually
async def test_reports_go_over_rtcp_on_a_port_of_their_own_or_on_that_of_rtp(mux: bool) -> None:
    async with phones(Habits(rtcp_mux=mux), Habits(rtcp_mux=mux)) as both:
        call, other = await both.connected()
        await asyncio.sleep(20)
        assert call.rtcp_received >= 3
        assert other.rtcp_received >= 3
        assert call.hearing.heard_silence_only()


def test_calls_come_through_bad_networks_whatever_the_seed() -> None:
    bad = Link(delay=0.05, jitter=0.05, loss=0.1, duplicate=0.05, reorder=0.05)

    async def story() -> tuple[list[float], int]:
        async with phones(link=bad) as both:
            call, other = await both.connected()
            call.say(tone(440, 2))
            await asyncio.sleep(3)
            call.hang_up()
            await asyncio.sleep(40)
            assert other.is_over
            return [p.sent for p in both.network.captured], len(other.hearing.sounds())

    stories = [run_virtual(story(), seed=seed) for seed in range(20)]
    assert stories[3] == run_virtual(story(), seed=3)
    assert all(heard > 60 for _, heard in stories)
