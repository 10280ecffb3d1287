"""Who hears whom: mix-minus, gates that are open only while somebody talks, and bytes that nobody touches."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voice.errors import UsageError
from voice.media.gate import Gate
from voice.media.listening import Listener, Mode
from voice.media.mixing import alaw, linear, mix
from voice.media.room import Ear, Member, Role, Room, Voice
from voice.media.tones import Sound, clip
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.speech import marked_frames, marks, tone

FRAME = 160
STARTED = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


class Scene:
    """A room, and people in it who each say something of their own, 20 ms at a time."""

    def __init__(self) -> None:
        self.ticks = 0
        self.room = Room(lambda: self.ticks)
        self.voices: dict[str, Callable[[int], bytes]] = {}

    def member(self, id: str, role: Role, says: Callable[[int], bytes], *, catches_up: bool = True) -> Member:
        gate = Gate() if role is Role.DEVICE else None
        listener = Listener(self.room.audio) if role is Role.OPERATOR and catches_up else None
        member = Member(id, role, Track(STARTED + timedelta(seconds=self.ticks / 50)), gate, listener)
        self.voices[id] = says
        self.room.join(member)
        return member

    def device(self, id: str = "device", says: Callable[[int], bytes] | None = None) -> Member:
        return self.member(id, Role.DEVICE, says or frames_of(0))

    def operator(self, id: str, says: Callable[[int], bytes]) -> Member:
        return self.member(id, Role.OPERATOR, says)

    def tick(self) -> dict[str, bytes | None]:
        """One tick of the clock: everybody speaks, then everybody's leg asks for what it is to send."""
        for member in self.room.members:
            if member.received is not None and not member.received.closed:
                member.received.write(member.received.end, self.voices[member.id](self.ticks))
        heard = {member.id: self.room.source_for(member).frame() for member in self.room.members}
        self.ticks += 1
        return heard

    def run(self, ticks: int) -> dict[str, bytes | None]:
        heard: dict[str, bytes | None] = {}
        for _ in range(ticks):
            heard = self.tick()
        return heard


def frames_of(series: int) -> Callable[[int], bytes]:
    """Numbered frames, so that each says who and when."""
    return lambda tick: b"".join(marked_frames(1, series * 100_000 + tick))


def sine(frequency: float) -> Callable[[int], bytes]:
    audio = tone(frequency, 1.0, 0.2)  # whole periods in a second
    return lambda tick: audio[tick % 50 * FRAME :][:FRAME]


def share(frame: bytes | None, frequency: float) -> float:
    """The amplitude of `frequency` (a multiple of 50 Hz) in a frame, against full scale."""
    if frame is None:
        return 0.0
    turn = np.exp(-2j * np.pi * frequency * np.arange(FRAME) / 8000)
    return float(abs(np.sum(linear(frame) * turn))) / FRAME * 2 / 32768


def test_nobody_talks_and_the_device_hears_nothing_at_all() -> None:
    scene = Scene()
    device = scene.device()
    scene.operator("anna", frames_of(1))
    scene.operator("bert", frames_of(2))
    for _ in range(50):
        assert scene.tick()["device"] is None
    assert device.gate is not None
    assert not device.gate.open


def test_one_talker_reaches_the_device_byte_for_byte() -> None:
    scene = Scene()
    scene.device()
    anna = scene.operator("anna", frames_of(1))
    scene.run(10)
    assert scene.room.talk(anna, True) == ["device"]
    heard = [scene.tick()["device"] for _ in range(20)]
    said = [frames_of(1)(tick) for tick in range(10, 30)]
    started = heard.index(said[0])
    assert started <= 2  # the playout delay
    assert heard[started:] == said[: len(heard) - started]


def test_an_operator_who_listens_alone_gets_the_device_byte_for_byte() -> None:
    scene = Scene()
    scene.device()
    anna = scene.operator("anna", frames_of(1))
    scene.room.talk(anna, True)
    scene.run(10)
    for _ in range(50):
        assert anna.listener is not None
        position = anna.listener.position
        assert scene.tick()["anna"] == frames_of(0)(position // FRAME)


def test_what_was_said_before_talk_on_is_not_heard_by_the_device() -> None:
    scene = Scene()
    scene.device()
    anna = scene.operator("anna", frames_of(1))
    scene.run(100)
    scene.room.talk(anna, True)
    heard = b"".join(scene.tick()["device"] or b"" for _ in range(20))
    assert marks(heard).numbers
    assert min(marks(heard).numbers) >= 100_000 + 100


def test_talk_off_silences_within_the_same_tick() -> None:
    scene = Scene()
    scene.device()
    anna = scene.operator("anna", frames_of(1))
    scene.room.talk(anna, True)
    assert scene.run(10)["device"] is not None
    assert scene.room.talk(anna, False) == ["device"]
    assert scene.tick()["device"] is None


def test_talkers_hear_each_other_and_never_themselves() -> None:
    scene = Scene()
    scene.device(says=sine(400))
    anna, bert = scene.operator("anna", sine(700)), scene.operator("bert", sine(1000))
    scene.room.talk(anna, True)
    scene.room.talk(bert, True)
    heard = scene.run(20)
    assert [round(share(heard["anna"], f), 1) for f in (400, 700, 1000)] == [0.2, 0.0, 0.2]
    assert [round(share(heard["bert"], f), 1) for f in (400, 700, 1000)] == [0.2, 0.2, 0.0]
    assert [round(share(heard["device"], f), 1) for f in (400, 700, 1000)] == [0.0, 0.2, 0.2]


def test_who_only_listens_hears_all_who_talk_and_is_heard_by_nobody() -> None:
    scene = Scene()
    scene.device(says=sine(400))
    anna = scene.operator("anna", sine(700))
    scene.operator("bert", sine(1000))
    scene.room.talk(anna, True)
    heard = scene.run(20)
    assert [round(share(heard["bert"], f), 1) for f in (400, 700, 1000)] == [0.2, 0.2, 0.0]
    assert [round(share(heard["device"], f), 1) for f in (400, 700, 1000)] == [0.0, 0.2, 0.0]


def test_an_operator_who_is_catching_up_hears_only_the_past() -> None:
    scene = Scene()
    device = scene.device(says=sine(400))
    assert device.received is not None
    device.received.write(0, tone(400, 20.0, 0.2))
    anna, bert = scene.operator("anna", sine(700)), scene.operator("bert", sine(1000))
    assert bert.listener is not None
    bert.listener.to_live()
    scene.room.talk(bert, True)
    heard = scene.run(20)
    assert anna.listener is not None
    assert anna.listener.mode is Mode.CATCHING_UP
    assert share(heard["anna"], 1000) < 0.02
    anna.listener.to_live()
    assert share(scene.run(5)["anna"], 1000) == pytest.approx(0.2, abs=0.05)


def test_confirmation_sounds_are_heard_by_their_operator_alone_even_while_catching_up() -> None:
    scene = Scene()
    device = scene.device(says=lambda tick: ALAW_SILENCE * FRAME)
    assert device.received is not None
    device.received.write(0, ALAW_SILENCE * 80_000)
    anna, bert = scene.operator("anna", sine(700)), scene.operator("bert", sine(1000))
    scene.room.talk(anna, True)
    scene.run(5)
    anna.tones.play(clip(Sound.TALK_ON))
    for number in range(len(clip(Sound.TALK_ON)) // FRAME):
        heard = scene.tick()
        assert heard["anna"] == clip(Sound.TALK_ON)[number * FRAME : (number + 1) * FRAME]
        assert share(heard["device"], 700) > 0.1
        assert [round(share(heard["device"], f), 2) for f in (450, 650, 850)] == [0.0, 0.0, 0.0]
    assert bert.tones.playing is False


def test_a_contact_without_a_listener_hears_the_device_live() -> None:
    scene = Scene()
    scene.device(says=frames_of(0))
    scene.run(100)
    scene.member("contact", Role.CONTACT, frames_of(3))
    heard = [scene.tick()["contact"] for _ in range(5)]
    assert heard[-1] in {frames_of(0)(tick) for tick in range(scene.ticks - 5, scene.ticks)}


def test_all_device_legs_are_heard_live_together() -> None:
    scene = Scene()
    scene.device("first", sine(400))
    scene.device("second", sine(700))
    scene.operator("anna", sine(1000))
    heard = scene.run(20)
    assert [round(share(heard["anna"], f), 1) for f in (400, 700)] == [0.2, 0.2]
    assert (heard["first"], heard["second"]) == (None, None)


def test_loud_voices_together_are_limited_once_and_leave_each_ear_without_its_own_voice() -> None:
    scene = Scene()
    scene.device(says=lambda tick: ALAW_SILENCE * FRAME)
    loud = alaw(np.full(FRAME, 30_000, np.int16))
    low = alaw(np.full(FRAME, -30_000, np.int16))
    people = [
        scene.operator(name, lambda tick, says=says: says) for name, says in zip("abc", (loud, loud, low), strict=True)
    ]
    for member in people:
        scene.room.talk(member, True)
    heard = scene.run(20)
    assert heard["device"] is not None
    assert heard["a"] is not None
    assert heard["c"] is not None
    assert linear(heard["device"])[0] == linear(loud)[0]  # loud + loud - loud: no limit in between
    assert linear(heard["a"])[0] == 0
    assert linear(heard["c"])[0] == 32_256  # the loudest that A-law knows


# -- gates ---------------------------------------------------------------------------------------------------


def test_a_device_that_joins_while_somebody_talks_is_talked_to() -> None:
    scene = Scene()
    anna = scene.operator("anna", frames_of(1))
    assert scene.room.talk(anna, True) == []
    late = Member("late", Role.DEVICE, Track(STARTED), Gate())
    assert scene.room.join(late) == ["late"]


def test_gates_shut_only_when_the_last_talker_stops() -> None:
    scene = Scene()
    scene.device()
    anna, bert = scene.operator("anna", frames_of(1)), scene.operator("bert", frames_of(2))
    assert scene.room.talk(anna, True) == ["device"]
    assert scene.room.talk(bert, True) == []
    assert scene.room.talk(bert, True) == []
    assert scene.room.talk(anna, False) == []
    assert scene.room.leave(bert) == ["device"]
    assert scene.room.leave(bert) == []


def test_a_muted_person_is_not_heard_and_may_talk_again_only_when_the_mute_is_lifted() -> None:
    scene = Scene()
    device = scene.device()
    anna = scene.operator("anna", frames_of(1))
    scene.room.talk(anna, True)
    assert scene.room.mute(anna, True) == ["device"]
    assert scene.room.mute(anna, True) == []
    assert scene.room.talk(anna, True) == []
    assert device.gate is not None
    assert not device.gate.open
    assert scene.run(5)["device"] is None
    assert scene.room.mute(anna, False) == []
    assert anna.voice is Voice.LISTEN
    assert scene.room.talk(anna, True) == ["device"]


def test_a_device_that_leaves_has_its_gate_shut() -> None:
    scene = Scene()
    device = scene.device()
    scene.room.talk(scene.operator("anna", frames_of(1)), True)
    assert scene.room.leave(device) == ["device"]
    assert scene.room.source_for(device).frame() is None


def test_wrong_orders_are_refused() -> None:
    scene = Scene()
    device = scene.device()
    with pytest.raises(UsageError):
        scene.room.join(device)
    with pytest.raises(UsageError):
        scene.room.talk(device, True)
    with pytest.raises(UsageError):
        scene.room.talk(Member("stranger", Role.OPERATOR), True)


class Gates(RuleBasedStateMachine):
    """Any sequence of joining, talking, muting, leaving and dropping."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(lambda: 0)
        self.changes: list[tuple[str, bool]] = []
        self.gone: list[Member] = []
        self.count = 0
        self.told: Sequence[Ear] = ()
        self.room.on_hearing = self._tell

    def _tell(self, ears: Sequence[Ear]) -> None:
        self.told = ears

    def _new(self, role: Role) -> None:
        self.count += 1
        id = f"{role}-{self.count}"
        gate = Gate(on_change=lambda open, id=id: self.changes.append((id, open))) if role is Role.DEVICE else None
        self._expect(self.room.join, Member(id, role, gate=gate))

    def _expect(self, act: Callable[..., list[str]], *arguments: object) -> None:
        """What is returned is what has changed at the gates."""
        before = len(self.changes)
        assert sorted(act(*arguments)) == sorted(id for id, _ in self.changes[before:])

    def _pick(self, number: int, people: bool) -> Member | None:
        found = [m for m in self.room.members if not people or m.role is not Role.DEVICE]
        return found[number % len(found)] if found else None

    @rule()
    def a_device_joins(self) -> None:
        self._new(Role.DEVICE)

    @rule(role=st.sampled_from([Role.OPERATOR, Role.CONTACT, Role.EMERGENCY]))
    def a_person_joins(self, role: Role) -> None:
        self._new(role)

    @precondition(lambda self: self._pick(0, True) is not None)
    @rule(number=st.integers(0, 9), on=st.booleans())
    def somebody_talks(self, number: int, on: bool) -> None:
        member = self._pick(number, True)
        if member is not None:
            self._expect(self.room.talk, member, on)

    @precondition(lambda self: self._pick(0, True) is not None)
    @rule(number=st.integers(0, 9), on=st.booleans())
    def somebody_confers(self, number: int, on: bool) -> None:
        member = self._pick(number, True)
        if member is not None:
            self._expect(self.room.confer, member, on)

    @precondition(lambda self: self._pick(0, True) is not None)
    @rule(number=st.integers(0, 9), on=st.booleans())
    def somebody_is_muted(self, number: int, on: bool) -> None:
        member = self._pick(number, True)
        if member is not None:
            self._expect(self.room.mute, member, on)

    @precondition(lambda self: self._pick(0, False) is not None)
    @rule(number=st.integers(0, 9), times=st.integers(1, 2))
    def somebody_leaves(self, number: int, times: int) -> None:
        member = self._pick(number, False)
        if member is not None:
            self.gone.append(member)
            for _ in range(times):
                self._expect(self.room.leave, member)

    @invariant()
    def gates_are_open_exactly_while_somebody_talks(self) -> None:
        talked_to = any(m.voice is Voice.TALK for m in self.room.members)
        for member in self.room.members:
            assert member.gate is None or member.gate.open == talked_to
        assert not any(member.gate is not None and member.gate.open for member in self.gone)
        assert not any(member.voice is Voice.TALK for member in self.gone)

    @invariant()
    def the_timeline_knows_who_hears_whom(self) -> None:
        now = {ear.leg: set(ear.hears) for ear in self.room.hearing if ear.hears}
        assert {ear.leg: set(ear.hears) for ear in self.told if ear.hears} == now
        voices = {member.id: member.voice for member in self.room.members}
        for ear in self.room.hearing:
            assert ear.leg not in ear.hears
            if ear.role is Role.DEVICE:
                assert all(voices[leg] is Voice.TALK for leg in ear.hears)


TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# -- mixing --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(-9000, 9000)), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_everybody_hears_the_exact_sum_of_the_others_who_talk(people: list[tuple[bool, int]]) -> None:
    """Each says a constant, so that a sum tells who is in it. Nobody is ever in his own."""
    scene = Scene()
    scene.device(says=lambda tick: ALAW_SILENCE * FRAME)
    members, values = [], []
    for number, (talks, value) in enumerate(people):
        frame = alaw(np.full(FRAME, value, np.int16))
        members.append(scene.operator(str(number), lambda tick, frame=frame: frame))
        values.append(int(linear(frame)[0]) if talks else 0)
        scene.room.talk(members[-1], talks)
    heard = scene.run(10)
    for number, own in enumerate(values):
        expected = np.clip(sum(values) - own, -32768, 32767)
        got = heard[str(number)]
        assert got is None or np.array_equal(linear(got), linear(alaw(np.full(FRAME, expected, np.int16))))
        assert got is not None or expected == 0
    device = heard["device"]
    total = np.full(FRAME, np.clip(sum(values), -32768, 32767), np.int16)
    assert (device is None and not total.any()) or linear(device or b"")[0] == linear(alaw(total))[0]


@given(st.binary(min_size=FRAME, max_size=FRAME))
def test_silence_mixed_in_leaves_every_byte_as_it_was(frame: bytes) -> None:
    assert mix([frame, ALAW_SILENCE * FRAME]) == frame
    assert mix([frame]) is frame
    assert mix([]) is None
