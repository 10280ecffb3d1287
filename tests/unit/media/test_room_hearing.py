"""Who hears whom: conferring without the device, what the timeline is told, prompts over the alarm, levels."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.media.test_room import Scene, frames_of, share, sine
from voice.media.mixing import alaw, linear
from voice.media.room import Ear, Member, Role, Voice
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.speech import clip, frames, marks

FRAME = 160
SILENT = lambda tick: ALAW_SILENCE * FRAME  # noqa: E731


class Told:
    """A scene that keeps what its room tells the timeline."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.notes: list[dict[str, tuple[str, ...]]] = []
        self.ears: Sequence[Ear] = ()
        self.scene.room.on_hearing = self._tell

    def _tell(self, ears: Sequence[Ear]) -> None:
        self.ears = ears
        self.notes.append({ear.leg: ear.hears for ear in ears if ear.hears})

    @property
    def hearing(self) -> dict[str, tuple[str, ...]]:
        return self.notes[-1] if self.notes else {}


# -- conferring ----------------------------------------------------------------------------------------------


def test_people_who_confer_hear_each_other_and_the_device_hears_nothing_at_all() -> None:
    scene = Scene()
    device = scene.device(says=sine(400))
    anna = scene.operator("anna", sine(700))
    carl = scene.member("carl", Role.CONTACT, sine(1000), catches_up=False)
    assert scene.room.confer(anna, True) == []
    assert scene.room.confer(carl, True) == []
    for _ in range(50):
        heard = scene.tick()
        assert heard["device"] is None
    assert device.gate is not None
    assert not device.gate.open
    assert [round(share(heard["anna"], f), 1) for f in (400, 700, 1000)] == [0.2, 0.0, 0.2]
    assert [round(share(heard["carl"], f), 1) for f in (400, 700, 1000)] == [0.2, 0.2, 0.0]


def test_the_control_room_hears_people_who_confer() -> None:
    scene = Scene()
    scene.device(says=SILENT)
    anna = scene.operator("anna", frames_of(1))
    scene.member("control room", Role.EMERGENCY, frames_of(2))
    scene.room.confer(anna, True)
    heard = b"".join(scene.tick()["control room"] or b"" for _ in range(10))
    assert marks(heard).numbers == list(range(100_000, 100_000 + len(marks(heard).numbers)))


def test_the_device_hears_who_talks_and_not_who_confers_byte_for_byte() -> None:
    scene = Scene()
    scene.device(says=SILENT)
    anna, bert = scene.operator("anna", frames_of(1)), scene.operator("bert", frames_of(2))
    scene.room.talk(anna, True)
    scene.room.confer(bert, True)
    scene.run(10)
    for _ in range(20):
        heard = scene.tick()
        assert heard["device"] == heard["bert"]
        assert marks(heard["device"] or b"").numbers[0] // 100_000 == 1
        assert marks(heard["anna"] or b"").numbers[0] // 100_000 == 2


def test_what_was_said_to_the_people_is_not_heard_by_the_device_when_talk_begins() -> None:
    scene = Scene()
    scene.device(says=SILENT)
    anna = scene.operator("anna", frames_of(1))
    scene.room.confer(anna, True)
    scene.run(100)
    scene.room.talk(anna, True)
    heard = b"".join(scene.tick()["device"] or b"" for _ in range(20))
    assert min(marks(heard).numbers) >= 100_000 + 100


def test_conferring_ends_talk_in_the_same_tick_and_talk_returns_to_conferring() -> None:
    scene = Scene()
    scene.device(says=SILENT)
    anna, _ = scene.operator("anna", frames_of(1)), scene.operator("bert", SILENT)
    scene.room.talk(anna, True)
    assert scene.run(10)["device"] is not None
    assert scene.room.confer(anna, True) == ["device"]
    heard = scene.tick()
    assert heard["device"] is None
    assert heard["bert"] is not None
    assert scene.room.talk(anna, True) == ["device"]
    assert scene.room.talk(anna, False) == ["device"]
    assert anna.voice is Voice.CONFER
    scene.room.confer(anna, False)
    assert anna.voice is Voice.LISTEN
    assert scene.tick()["bert"] == ALAW_SILENCE * FRAME  # the device alone


def test_who_is_muted_cannot_confer_and_has_forgotten_that_he_did() -> None:
    scene = Scene()
    anna = scene.operator("anna", frames_of(1))
    scene.room.confer(anna, True)
    scene.room.mute(anna, True)
    scene.room.confer(anna, True)
    assert anna.voice is Voice.MUTED
    scene.room.mute(anna, False)
    scene.room.talk(anna, True)
    scene.room.talk(anna, False)
    assert anna.voice is Voice.LISTEN


def test_a_talker_who_leaves_within_a_tick_is_missed_by_nobody_who_asks_after_him() -> None:
    scene = Scene()
    device = scene.device(says=SILENT)
    anna, bert = scene.operator("anna", frames_of(1)), scene.operator("bert", frames_of(2))
    scene.room.talk(anna, True)
    scene.room.talk(bert, True)
    scene.run(10)
    for member in scene.room.members:
        if member.received is not None:
            member.received.write(member.received.end, scene.voices[member.id](scene.ticks))
    assert scene.room.hears(bert) is not None
    scene.room.leave(anna)
    assert scene.room.hears(device) is not None  # this tick was mixed already


def test_eight_legs_hear_exactly_the_others() -> None:
    """A device, two operators, four contacts, a control room: everybody talks, and nobody hears himself."""
    scene = Scene()
    device = scene.device(says=lambda tick: alaw(np.full(FRAME, 100, np.int16)))
    roles = [Role.OPERATOR] * 2 + [Role.CONTACT] * 4 + [Role.EMERGENCY]
    values = [200 * number for number in range(1, 8)]
    people = [
        scene.member(str(number), role, lambda tick, v=value: alaw(np.full(FRAME, v, np.int16)), catches_up=False)
        for number, (role, value) in enumerate(zip(roles, values, strict=True))
    ]
    for member in people:
        scene.room.talk(member, True)
    heard = scene.run(20)
    said = {member.id: int(linear(scene.voices[member.id](0))[0]) for member in (device, *people)}
    for member in people:
        expected = alaw(np.full(FRAME, sum(said.values()) - said[member.id], np.int16))
        assert heard[member.id] == expected
    assert heard["device"] == alaw(np.full(FRAME, sum(said.values()) - said["device"], np.int16))


# -- the timeline --------------------------------------------------------------------------------------------


def test_the_timeline_is_told_when_somebody_comes_talks_stops_and_goes_and_at_no_other_time() -> None:
    told = Told()
    scene = told.scene
    scene.device()
    assert told.notes == []  # nobody hears anybody
    anna = scene.operator("anna", frames_of(1))
    assert told.notes == [{"anna": ("device",)}]
    scene.run(10)
    scene.room.talk(anna, True)
    assert told.hearing == {"anna": ("device",), "device": ("anna",)}
    scene.room.talk(anna, True)
    scene.run(50)
    assert len(told.notes) == 2
    scene.room.talk(anna, False)
    assert told.hearing == {"anna": ("device",)}
    scene.room.leave(anna)
    assert told.notes[3:] == [{}]


def test_the_timeline_knows_role_and_voice_of_each_leg() -> None:
    told = Told()
    told.scene.device()
    carl = told.scene.member("carl", Role.CONTACT, frames_of(1))
    told.scene.member("control room", Role.EMERGENCY, frames_of(2))
    told.scene.room.confer(carl, True)
    assert [(ear.leg, ear.role, ear.voice) for ear in told.ears] == [
        ("device", Role.DEVICE, Voice.LISTEN),
        ("carl", Role.CONTACT, Voice.CONFER),
        ("control room", Role.EMERGENCY, Voice.LISTEN),
    ]
    assert told.hearing == {"carl": ("device",), "control room": ("device", "carl")}


def test_a_mute_is_told_like_the_end_of_talk() -> None:
    told = Told()
    told.scene.device()
    anna = told.scene.operator("anna", frames_of(1))
    told.scene.run(10)
    told.scene.room.talk(anna, True)
    told.scene.room.mute(anna, True)
    assert told.hearing == {"anna": ("device",)}


def test_who_catches_up_hears_the_device_and_nobody_else_until_he_is_live() -> None:
    told = Told()
    scene = told.scene
    device = scene.device()
    assert device.received is not None
    device.received.write(0, ALAW_SILENCE * 160_000)
    bert = scene.operator("bert", frames_of(2))
    assert bert.listener is not None
    bert.listener.to_live()
    scene.run(5)
    scene.room.confer(bert, True)
    anna = scene.operator("anna", frames_of(1))
    assert told.hearing["anna"] == ("device",)
    assert anna.listener is not None
    anna.listener.to_live()
    scene.run(5)
    assert told.hearing["anna"] == ("device", "bert")
    count = len(told.notes)
    anna.listener.back(10)
    scene.run(2)
    assert told.hearing["anna"] == ("device",)
    assert len(told.notes) == count + 1


def test_everybody_is_told_who_comes_and_goes_but_himself() -> None:
    scene = Scene()
    seen: list[tuple[str, str, bool]] = []

    def watched(id: str, role: Role) -> Member:
        member = scene.member(id, role, SILENT)
        member.on_company = lambda other, came: seen.append((id, other.id, came))
        return member

    watched("device", Role.DEVICE)
    watched("anna", Role.OPERATOR)
    scene.room.leave(watched("carl", Role.CONTACT))
    assert seen == [("device", "anna", True)] + [
        (who, "carl", came) for came in (True, False) for who in ("device", "anna")
    ]


# -- prompts and levels --------------------------------------------------------------------------------------


def test_the_alarm_is_fainter_while_a_prompt_speaks_to_whoever_has_to_understand_it() -> None:
    scene = Scene()
    scene.device(says=sine(400))
    carl = scene.member("carl", Role.CONTACT, SILENT)
    carl.ducks = True
    dirk = scene.member("dirk", Role.CONTACT, SILENT)
    scene.run(10)
    for member in (carl, dirk):
        member.tones.play(b"".join(sine(700)(tick) for tick in range(10)))
    heard = scene.run(5)
    assert share(heard["carl"], 400) == pytest.approx(0.05, abs=0.01)  # 12 dB less
    assert share(heard["dirk"], 400) == pytest.approx(0.2, abs=0.01)
    assert share(heard["carl"], 700) == pytest.approx(0.2, abs=0.01)
    scene.run(10)
    assert share(scene.tick()["carl"], 400) == pytest.approx(0.2, abs=0.01)


def quiet_speech(decibels: float) -> list[bytes]:
    return list(frames(alaw(np.rint(linear(clip("badge")) * 10 ** (decibels / 20)).astype(np.int32)) * 4))


def rms(audio: bytes) -> float:
    return float(np.sqrt(np.mean(linear(audio).astype(float) ** 2)))


def test_a_faint_voice_is_heard_louder_by_everybody_and_recorded_as_it_came() -> None:
    scene, said = Scene(), quiet_speech(-12)
    device = scene.device(says=SILENT)
    anna = scene.operator("anna", lambda tick: said[tick % len(said)])
    scene.operator("bert", SILENT)
    scene.room.talk(anna, True)
    heard = [scene.tick() for _ in range(len(said))]
    for ear in ("device", "bert"):
        late = b"".join(frame[ear] or ALAW_SILENCE * FRAME for frame in heard[-400:])
        assert rms(late) > 2.5 * rms(b"".join(said[-400:]))
    assert anna.received is not None
    assert anna.received.read(0, anna.received.end) == b"".join(said)
    assert device.received is not None


def test_a_faint_device_is_heard_louder_by_who_listens() -> None:
    scene, said = Scene(), quiet_speech(-12)
    scene.device(says=lambda tick: said[tick % len(said)])
    scene.operator("anna", SILENT)
    scene.member("carl", Role.CONTACT, SILENT)
    heard = [scene.tick() for _ in range(len(said))]
    for ear in ("anna", "carl"):
        late = b"".join(frame[ear] or ALAW_SILENCE * FRAME for frame in heard[-400:])
        assert rms(late) > 2.5 * rms(b"".join(said[-400:]))
