"""What every telephone of a dialogue promises (`ivr.phone.Phone`): a call over the simulated network, and the
pretended one."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from config.prompts import FOLDER
from ivr.accept import Alarm, Outcome, accept
from ivr.phone import HungUp, Listens, Phone
from ivr.prompts import Prompts
from ivr.speech import Voice
from ivr.taker import dismiss
from voice.call import Call, Calls, Destination, MediaPlan
from voice.media.clock import MediaClock
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.phone import CallPhone
from voice.rtp.codecs import SAMPLE_RATE
from voice.rtp.transport import RtpSocket
from voice.sim.habits import Habits
from voice.sim.loop import run_virtual, virtual_loop
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.pretend import PretendPhone
from voice.sim.rtp import SimRtpPorts
from voice.sim.speech import Marks, clip, marked_frames, marks, silence, tone
from voice.sim.spoken import SimSpeaker, heard, hears, words
from voice.sim.transport import SimTransport
from voice.sip.endpoint import Endpoint
from voice.sip.useragent import Identity, Target

SERVICE, CONTACT = "10.0.0.1", "10.0.0.5"


class World(Protocol):
    """A phone of ours, and the person at the other end."""

    phone: Phone

    def press(self, digits: str) -> None: ...
    def leave(self) -> None: ...
    def say(self, audio: bytes) -> None: ...
    def heard(self) -> Marks: ...
    @property
    def is_over(self) -> bool: ...


class Pretended:
    def __init__(self) -> None:
        self.phone = PretendPhone()
        self.press, self.leave, self.say = self.phone.press, self.phone.leave, self.phone.say

    def heard(self) -> Marks:
        return marks(b"".join(played.audio for played in self.phone.played))

    @property
    def is_over(self) -> bool:
        return self.phone.is_over


class Called:
    """A real call of the service, to a simulated phone."""

    def __init__(self, call: Call, person: SimPhone) -> None:
        self.phone = CallPhone(call)
        self.theirs = person.calls[-1]
        self.press, self.leave, self.say = self.theirs.press, self.theirs.hang_up, self.theirs.say

    def heard(self) -> Marks:
        return self.theirs.hearing.marks()

    @property
    def is_over(self) -> bool:
        return self.theirs.is_over


def _leg(rtp: RtpSocket, rtcp: RtpSocket, host: str) -> MediaLeg:
    clock, dice = virtual_loop().clock, random.Random(2)
    return MediaLeg("leg", rtp, rtcp, Gate(Profile.FULL), clock=clock, rng=dice, signalling_host=host)


async def _called() -> tuple[Called, Callable[[], Awaitable[None]]]:
    network, dice = Network(virtual_loop()), random.Random(1)
    person = SimPhone(
        "anna",
        plug=lambda: SimTransport(network, CONTACT),
        ports=SimRtpPorts(network, CONTACT),
        server=("UDP", (SERVICE, 5060)),
        habits=Habits(after=1.0),
        dice=dice,
    )
    await person.start()
    clock = MediaClock()
    clock.start()
    endpoint = Endpoint(
        SimTransport(network, SERVICE), identity=Identity(domain="earshot"), application=person, random=dice
    )
    await endpoint.start()
    ports = SimRtpPorts(network, SERVICE)
    calls = Calls(endpoint, lambda host: ports, clock, lambda bound, host: SERVICE, "earshot")
    target = Target(f"sip:anna@{CONTACT}", next_hop=("UDP", (CONTACT, 5060)))
    call = calls.dial(Destination(target, CONTACT), MediaPlan(_leg))
    assert await call.wait_answered(10)
    await asyncio.sleep(0.5)

    async def close() -> None:
        call.hang_up()
        await asyncio.sleep(1)
        clock.stop()
        await person.close()
        await endpoint.close()

    return Called(call, person), close


async def _pretended() -> tuple[Pretended, Callable[[], Awaitable[None]]]:
    async def close() -> None:
        return

    return Pretended(), close


WORLDS: dict[str, Callable[[], Awaitable[tuple[World, Callable[[], Awaitable[None]]]]]] = {
    "call": _called,
    "pretended": _pretended,
}
Told = Callable[[World], Awaitable[None]]


@pytest.fixture(params=list(WORLDS))
def story(request: pytest.FixtureRequest) -> Callable[[Told], None]:
    """Tells a story in each world."""

    def run(told: Told) -> None:
        async def whole() -> None:
            world, close = await WORLDS[request.param]()
            await told(world)
            await close()

        run_virtual(whole())

    return run


def _clip(frames: int, first: int = 0) -> bytes:
    return b"".join(marked_frames(frames, first))


def _now() -> float:
    return virtual_loop().time()


def test_clips_are_played_whole_and_without_a_gap(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        assert await world.phone.play([_clip(50), _clip(30, 50)]) is None
        assert await world.phone.play([_clip(20, 80)]) is None
        await asyncio.sleep(0.5)
        assert world.heard().numbers == list(range(100))
        assert world.heard().in_place

    story(told)


def test_playing_takes_as_long_as_the_clips_are(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        began = _now()
        await world.phone.play([_clip(100)])
        assert _now() - began == pytest.approx(2.0, abs=0.05)
        await world.phone.play([])
        assert _now() - began == pytest.approx(2.0, abs=0.05)

    story(told)


def test_a_key_barges_in_and_the_sound_stops_within_40_ms(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        began = _now()
        virtual_loop().call_later(1.0, world.press, "4")
        assert await world.phone.play([_clip(250)]) == "4"
        pressed = _now() - began
        assert pressed < 1.2
        await asyncio.sleep(1.0)
        last = max(world.heard().numbers)
        assert last * 0.02 <= pressed + 0.04
        assert await world.phone.collect(0) is None

    story(told)


def test_a_key_is_kept_when_it_may_not_barge_in(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        virtual_loop().call_later(0.5, world.press, "12")
        assert await world.phone.play([_clip(100)], barge_in=False) is None
        assert [await world.phone.collect(5.0), await world.phone.collect(5.0)] == ["1", "2"]
        await asyncio.sleep(0.5)
        assert world.heard().numbers == list(range(100))

    story(told)


def test_a_key_that_was_typed_ahead_is_taken_before_anything_is_played(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        world.press("57")
        await asyncio.sleep(1.0)
        assert await world.phone.play([_clip(100)]) == "5"
        assert await world.phone.collect(1.0) == "7"
        assert world.heard().numbers == []

    story(told)


def test_waiting_for_a_key_ends_with_the_key_or_with_the_time(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        began = _now()
        assert await world.phone.collect(3.0) is None
        assert _now() - began == pytest.approx(3.0, abs=0.05)
        virtual_loop().call_later(1.0, world.press, "#")
        assert await world.phone.collect(3.0) == "#"
        assert _now() - began < 4.3
        assert await world.phone.collect(0) is None

    story(told)


def test_stopping_ends_what_is_played(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        began = _now()
        virtual_loop().call_later(1.0, world.phone.stop)
        assert await world.phone.play([_clip(250)], barge_in=False) is None
        assert _now() - began == pytest.approx(1.0, abs=0.1)
        world.phone.stop()

    story(told)


def test_a_cancelled_play_is_silent_and_leaves_the_call_up(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        playing = asyncio.ensure_future(world.phone.play([_clip(250)]))
        await asyncio.sleep(1.0)
        playing.cancel()
        await asyncio.sleep(1.0)
        assert max(world.heard().numbers) <= 52
        assert not world.is_over
        world.press("3")
        assert await world.phone.collect(2.0) == "3"

    story(told)


@pytest.mark.parametrize("doing", ["play", "collect"])
def test_a_person_who_hangs_up_ends_whatever_is_going_on(story: Callable[[Told], None], doing: str) -> None:
    async def told(world: World) -> None:
        virtual_loop().call_later(1.0, world.leave)
        began = _now()
        with pytest.raises(HungUp):
            await (world.phone.play([_clip(250)]) if doing == "play" else world.phone.collect(5.0))
        assert _now() - began == pytest.approx(1.0, abs=0.3)
        with pytest.raises(HungUp):
            await world.phone.play([_clip(10)])
        with pytest.raises(HungUp):
            await world.phone.collect(0)

    story(told)


def test_a_key_pressed_just_before_hanging_up_counts(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        world.press("4")
        await asyncio.sleep(0.5)
        world.leave()
        await asyncio.sleep(0.5)
        assert await world.phone.collect(1.0) == "4"
        with pytest.raises(HungUp):
            await world.phone.collect(1.0)

    story(told)


def test_we_can_hang_up_twice(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        await world.phone.hang_up()
        await world.phone.hang_up()
        await asyncio.sleep(0.5)
        assert world.is_over
        with pytest.raises(HungUp):
            await world.phone.play([_clip(10)])

    story(told)


def test_what_the_person_says_reaches_the_ear(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        heard = bytearray()
        assert isinstance(world.phone, Listens)
        world.phone.listen(heard.extend)
        world.say(_clip(100, 500))
        await world.phone.play([_clip(75)])
        await world.phone.collect(1.0)
        assert marks(bytes(heard)).numbers == list(range(500, 600))
        assert len(heard) <= 3 * SAMPLE_RATE
        world.phone.listen(None)
        world.say(_clip(20, 900))
        await world.phone.collect(2.0)
        assert marks(bytes(heard)).numbers == list(range(500, 600))

    story(told)


def test_what_the_person_says_is_recorded_until_the_key_that_ends_it(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        began = _now()
        virtual_loop().call_later(0.5, world.say, _clip(100, 500))
        virtual_loop().call_later(1.0, world.press, "7")
        virtual_loop().call_later(4.0, world.press, "#")
        clip = await world.phone.record(30.0)
        assert marks(clip).numbers == list(range(500, 600))
        assert _now() - began < 4.4
        assert len(clip) / SAMPLE_RATE == pytest.approx(_now() - began, abs=0.2)
        assert await world.phone.collect(0) is None

    story(told)


def test_recording_ends_with_the_time_and_begins_anew_each_time(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        world.say(_clip(30, 500))
        await asyncio.sleep(1.0)
        virtual_loop().call_later(0.5, world.say, _clip(40, 700))
        clip = await world.phone.record(2.0)
        assert marks(clip).numbers == list(range(700, 740))
        assert len(clip) / SAMPLE_RATE == pytest.approx(2.0, abs=0.2)
        assert not world.is_over

    story(told)


def test_who_hangs_up_while_he_is_recorded_loses_nothing_of_it(story: Callable[[Told], None]) -> None:
    async def told(world: World) -> None:
        virtual_loop().call_later(0.5, world.say, _clip(50, 500))
        virtual_loop().call_later(3.0, world.leave)
        assert marks(await world.phone.record(30.0)).numbers == list(range(500, 550))
        for again in range(2):
            with pytest.raises(HungUp):
                await (world.phone.record(1.0) if again else world.phone.play([_clip(10)]))

    story(told)


def test_a_peer_that_put_us_on_hold_stops_no_dialogue() -> None:
    async def told() -> None:
        world, close = await _called()
        world.theirs.hold("inactive")
        await asyncio.sleep(0.5)
        began = _now()
        assert await world.phone.play([_clip(100)]) is None
        assert _now() - began == pytest.approx(4.0, abs=0.1)
        await close()

    run_virtual(told())


def test_a_contact_hears_the_key_presses_it_and_has_taken_the_alarm() -> None:
    async def told() -> None:
        world, close = await _called()
        speaker, contact = SimSpeaker(), world.theirs
        voice = Voice(Prompts.load(FOLDER), speaker, "en")
        asked = asyncio.ensure_future(accept(world.phone, voice, Alarm("Care East", "Anna", "panic"), key="7"))
        asking = await hears(contact, speaker, "press")
        assert asking.text == "To take this alarm, press seven."
        contact.press("7")
        confirmed = await hears(contact, speaker, "you have taken the alarm")
        assert confirmed.at - asking.until < 1.0
        assert (await asked).outcome is Outcome.ACCEPTED
        assert [text.text for text in heard(contact.hearing, speaker) if text.whole] == [
            "Earshot alarm for Care East: Anna.",
            "This is a panic alarm.",
            "To take this alarm, press seven.",
            "Thank you. You have taken the alarm.",
        ]
        await dismiss(world.phone, voice, "Bert")
        assert "taken by Bert" in words(contact.hearing, speaker)
        with pytest.raises(AssertionError, match="was not heard"):
            await hears(contact, speaker, "nonsense")
        await close()
        assert contact.is_over

    run_virtual(told())


def test_what_a_mailbox_says_over_a_call_is_noticed() -> None:
    async def told() -> None:
        world, close = await _called()
        voice = Voice(Prompts.load(FOLDER), SimSpeaker(), "en")
        world.say(clip("badge") + tone(1000, 0.4) + silence(30))
        acceptance = await accept(world.phone, voice, Alarm("Care East", "Anna", "panic"), key="7")
        assert acceptance.outcome is Outcome.VOICEMAIL_SUSPECTED
        assert "1000 Hz" in acceptance.why
        await close()

    run_virtual(told())
