"""A call to a control room: what it is told, what becomes of it, and that its outcome is never guessed."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import pytest

from config.plans import Customer, EmergencyRoute, FrozenPlan, Plan, Step
from ivr.prompts import Prompts
from ivr.speech import Voice
from tests.unit.calling_out import Office, refusing
from voice.emergency_session import UNPROVEN_ALONE
from voice.escalation.commands import CallEmergency, Cancel
from voice.escalation.emergency import RINGING, EmergencyCalls
from voice.escalation.engine import begin
from voice.escalation.events import (
    EmergencyAnswered,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    HungUp,
    LegLost,
)
from voice.escalation.state import Facts, State
from voice.incidents.kinds import Kind
from voice.interlock import Interlock
from voice.live_incidents import Key, LiveIncident
from voice.media.room import Member, Role, Room
from voice.media.room import Voice as Speech
from voice.sim.control_room import SAYS, ControlRoom
from voice.sim.habits import Answers, Habits
from voice.sim.loop import virtually
from voice.sim.phone_call import PhoneCall
from voice.sim.spoken import SimSpeaker, hears, words
from voice.sip.bodies import parts
from voice.sip.message import header

NUMBER = "+31343000112"
FACTS = Facts(
    kind="panic",
    priority=1,
    worker="Anna de Vries",
    device="badge-7",
    address="Dam 1, Amsterdam",
    latitude=52.373058,
    longitude=4.892557,
    uncertainty_m=30.0,
)
CALL = CallEmergency("3.1", "police", "operator:olga")
PROMPTS = Prompts.load(files("config") / "prompts")
KPN: dict[str, Any] = {"id": "kpn"}


class Night:
    """An incident whose control room is called, and everything that is told about it."""

    def __init__(self, office: Office, **route: Any) -> None:
        self.office = office
        self.told: list[Event] = []
        self.notes: list[str] = []
        self.asked_for: list[str] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.speaker = SimSpeaker()
        clock = office.loop.clock
        self.incident = LiveIncident(
            id="1k3x9a0q",
            kind=Kind.PANIC,
            opened_at=clock.now() - timedelta(minutes=5),
            key=Key("badge-7"),
            device=None,
            worker=None,
            claimed="",
            journal=SimpleNamespace(post=lambda write, **_: self.notes.append(write.keywords["kind"])),  # type: ignore[arg-type]
            clock=clock,
            room=Room(lambda: office.clock.ticks),
            resolved=asyncio.get_running_loop().create_future(),
        )
        given = {"id": "police", "name": "Police", "number": NUMBER, "language": "en"} | route
        self.frozen = FrozenPlan(
            plan=Plan(id="plan", steps=(Step(ring=("operators",)),)),
            customer=Customer(id="zorg", name="Zorg Noord", caller_id="+31201234567"),
            routes={"police": EmergencyRoute.model_validate(given)},
        )
        self.calls = EmergencyCalls(
            outbound=office.outbound,
            legs=SimpleNamespace(emergency=self._leg),  # type: ignore[arg-type]
            incident=lambda id: self.incident if id == self.incident.id else None,
            voice=lambda language, zone: Voice(PROMPTS, self.speaker, language, zone),
            report=lambda incident, event: self.told.append(event),
            clock=clock,
            domain="earshot",
            ring_operators=self._ring_operators,
            spawn=self._spawn,
        )

    @property
    def state(self) -> State:
        return begin(self.incident.id, FACTS, self.incident.opened_at)

    async def place(self, command: CallEmergency = CALL) -> None:
        await self.calls.call(self.incident.id, self.state, self.frozen, command)

    async def answered(self) -> PhoneCall:
        """The call at the control room, once it is up."""
        call = await self.office.exchanges["kpn"].line(NUMBER).called()
        await call.established()
        return call

    async def pressing(self, keys: str) -> PhoneCall:
        """The call at the control room, whose keys are pressed as soon as the briefing has named them."""
        call = await self.answered()
        await hears(call, self.speaker, "At any time, press")
        call.press(keys)
        return call

    async def over(self) -> Event:
        """Wait until the last thing has been told."""
        while self.tasks:
            await asyncio.wait(self.tasks)
        await asyncio.sleep(0.1)  # the other side hears of it
        return self.told[-1]

    def _ring_operators(self, incident: LiveIncident, actor: str) -> None:
        incident.wants_help = True
        self.asked_for.append(actor)

    def operator(self) -> Member:
        """An operator comes into the room."""
        member = Member("olga", Role.OPERATOR)
        self.incident.room.join(member)
        return member

    def _leg(self) -> Any:
        return SimpleNamespace(id="leg-1", plan=self.office.plan, attach=lambda *_: None, ended=lambda end: None)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


async def night(habits: Habits | None = None, trunk: dict[str, Any] | None = None, **route: Any) -> Night:
    """A control room behind one trunk, that answers after a second."""
    office = await Office(KPN | (trunk or {})).open("kpn")
    office.line(NUMBER, habits or Habits(after=1.0))
    return Night(office, **route)


# -- what the call taker hears --


@virtually
async def test_the_call_taker_hears_who_what_where_and_since_when() -> None:
    it = await night()
    await it.place()
    room = await it.answered()
    for said in (
        "automatic emergency report by Earshot, on behalf of Zorg Noord",
        "panic alarm. It concerns Anna de Vries",
        "Dam 1, Amsterdam",
        "Coordinates",
        "30 metres",
        "5 minutes ago",
        "Call-back number",
    ):
        await hears(room, it.speaker, said, within=120)
    assert it.told == [EmergencyAnswered("3.1")]
    assert it.notes == ["control_room_rung", "control_room_answered"]


@virtually
async def test_the_number_of_the_customer_is_shown_and_the_call_is_marked_as_an_emergency() -> None:
    it = await night()
    await it.place()
    await it.answered()
    (invite,) = it.office.exchanges["kpn"].invites
    assert "+31201234567" in (header(invite, "From") or "")
    assert header(invite, "P-Asserted-Identity") == '"Zorg Noord" <tel:+31201234567>'
    assert header(invite, "Priority") == "emergency"
    assert header(invite, "Geolocation") is None, "this trunk takes none"


@virtually
async def test_the_location_travels_with_the_call_where_the_trunk_takes_it() -> None:
    it = await night(location="header")
    await it.place()
    await it.answered()
    (invite,) = it.office.exchanges["kpn"].invites
    sdp, location = parts(invite)
    assert sdp.content_type == "application/sdp"
    assert location.content_type == "application/pidf+xml"
    assert b"52.373058 4.892557" in location.body
    assert header(invite, "Geolocation") == "<cid:location-1k3x9a0q@earshot>"
    assert header(invite, "Geolocation-Routing") == "yes"
    assert b"Content-ID: <location-1k3x9a0q@earshot>" in invite.body


# -- confirmed --


@virtually
async def test_the_key_confirms_and_the_call_taker_may_go() -> None:
    it = await night()
    await it.place()
    room = await it.pressing("9")
    await hears(room, it.speaker, "The report is confirmed")
    assert it.told[1] == EmergencyConfirmed("3.1", "confirmed by key that the report was understood")
    await hears(room, it.speaker, "Goodbye", within=60)
    assert await it.over() == HungUp("3.1")
    assert room.is_over
    assert len(it.told) == 3


@virtually
async def test_who_asks_to_be_connected_hears_the_worker_and_is_heard_by_people_alone() -> None:
    it = await night()
    await it.place()
    operator = it.operator()
    room = await it.pressing("2")
    await hears(room, it.speaker, "being connected")
    await asyncio.sleep(1)
    assert it.told[1:] == [EmergencyConfirmed("3.1", "asked by key to be connected")]
    member = next(member for member in it.incident.room.members if member.role is Role.EMERGENCY)
    assert member.voice is Speech.CONFER
    assert any(ear.leg == "olga" and "leg-1" in ear.hears for ear in it.incident.room.hearing)
    assert not it.incident.room.talking, "no device hears him"
    assert it.asked_for == [], "an operator is there"
    assert it.notes[-1] == "control_room_connected"
    await asyncio.sleep(3600)
    assert not room.is_over, "for as long as they talk"
    it.incident.room.leave(operator)
    room.hang_up()
    assert await it.over() == HungUp("3.1")
    assert it.incident.room.members == ()


@virtually
async def test_operators_are_rung_for_a_call_taker_who_is_alone() -> None:
    it = await night()
    await it.place()
    room = await it.pressing("2")
    await asyncio.sleep(15)
    assert it.asked_for == ["emergency:police"]
    room.hang_up()
    await it.over()


@virtually
async def test_in_the_room_the_report_is_heard_again_with_1_and_confirmed_with_9() -> None:
    it = await night()
    await it.place()
    room = await it.answered()
    it.operator()
    await hears(room, it.speaker, "being connected", within=600)
    since = it.office.loop.time()
    assert it.told == [EmergencyAnswered("3.1")]
    room.press("1")
    await hears(room, it.speaker, "panic alarm", since=since)
    room.press("9")
    await hears(room, it.speaker, "The report is confirmed", since=since)
    assert it.told[-1] == EmergencyConfirmed("3.1", "confirmed by key that the report was understood")
    room.hang_up()
    assert await it.over() == HungUp("3.1")


@virtually
async def test_a_person_in_the_room_can_confirm_for_a_call_taker_without_keys() -> None:
    it = await night()
    await it.place()
    room = await it.answered()
    assert not it.calls.confirm(it.incident.id, "operator:olga"), "nobody has spoken with him yet"
    await hears(room, it.speaker, "being connected", within=600)
    it.operator()
    assert it.calls.confirm(it.incident.id, "operator:olga")
    assert it.calls.confirm(it.incident.id, "operator:olga")
    assert it.told[1:] == [EmergencyConfirmed("3.1", "confirmed by operator:olga")]
    room.hang_up()
    assert await it.over() == HungUp("3.1")


# -- a machine call that never ends must not exist --


@virtually
async def test_a_machine_that_picks_up_is_told_everything_and_let_go_with_a_goodbye() -> None:
    it = await night()
    await it.place()
    room = await it.answered()
    assert await it.over() == EmergencyIndeterminate("3.1", "it was answered, and ended without a confirmation")
    assert room.is_over
    said = words(room.hearing, it.speaker)
    assert said.endswith("Goodbye.")
    assert said.count("panic alarm") == 3
    began, ended = room.answered_at, room.ended_at
    assert began is not None
    assert ended is not None
    assert ended - began < 600 + UNPROVEN_ALONE
    assert it.asked_for == ["emergency:police"], "a person may talk with whoever it is, until then"


@virtually
async def test_one_who_has_proven_to_be_a_person_is_not_kept_for_ever_either() -> None:
    it = await night()
    await it.place()
    room = await it.pressing("2")
    assert await it.over() == HungUp("3.1")
    assert room.is_over


@virtually
async def test_a_call_taker_whose_line_dies_is_noticed() -> None:
    it = await night()
    await it.place()
    room = await it.pressing("2")
    await hears(room, it.speaker, "being connected")
    it.operator()
    await it.office.exchanges["kpn"].die()
    placed = next(iter(it.calls._placed.values()))
    placed.leg.on_quiet()
    assert await it.over() == LegLost("3.1")


# -- failed, for certain --


@virtually
@pytest.mark.parametrize("status", [403, 404, 486, 503, 603])
async def test_a_network_that_refuses_the_call_has_reached_nobody(status: int) -> None:
    it = await night()
    it.office.exchanges["kpn"].refuses = status
    await it.place()
    event = await it.over()
    assert isinstance(event, EmergencyFailed)
    assert event.status == status
    assert it.told == [event]


@virtually
async def test_a_trunk_without_a_word_has_reached_nobody_and_the_next_one_is_tried() -> None:
    office = await Office(KPN, {"id": "bt"}).open("kpn", "bt")
    office.line(NUMBER, Habits(after=1.0), at=["bt"])
    await office.exchanges["kpn"].die()
    it = Night(office, trunks=["kpn", "bt"])
    await it.place()
    await asyncio.sleep(10)
    assert it.told == [EmergencyAnswered("3.1")]
    assert it.notes[:2] == ["control_room_rung", "control_room_rung"]


@virtually
async def test_a_network_that_never_said_a_word_is_a_failure() -> None:
    it = await night()
    await it.office.exchanges["kpn"].die()
    await it.place()
    assert await it.over() == EmergencyFailed("3.1", None, "does not answer")


@virtually
async def test_a_control_room_that_lets_it_ring_was_not_reached() -> None:
    it = await night(Habits(answers=Answers.NEVER))
    began = it.office.loop.time()
    await it.place()
    assert await it.over() == EmergencyFailed("3.1", None, "nobody picked up")
    assert it.office.loop.time() - began < RINGING + 5


@virtually
async def test_without_a_trunk_that_is_armed_no_real_number_is_called() -> None:
    for number in ("112", "+31112", "urn:service:sos"):
        it = await night(number=number)
        await it.place()
        event = await it.over()
        assert isinstance(event, EmergencyFailed)
        assert "emergency.armed" in event.why
        assert it.office.exchanges["kpn"].invites == []
        assert it.notes == []


@virtually
async def test_an_armed_trunk_brings_the_call_to_the_service() -> None:
    """RFC 6442 and RFC 5031: the service URN is the Request-URI, the trunk the route."""
    office = await Office(KPN, interlock=Interlock(armed=["kpn"])).open("kpn")
    it = Night(office, number="urn:service:sos", location="header")
    refusing(office.exchanges["kpn"], 486)
    await it.place()
    await it.over()
    (invite,) = office.exchanges["kpn"].invites
    assert str(invite.uri) == "urn:service:sos"
    assert header(invite, "Route") == "<sip:10.5.0.1;lr>"
    assert header(invite, "To") == "<urn:service:sos>"


@virtually
async def test_an_incident_or_a_route_that_is_not_there_is_a_failure() -> None:
    it = await night()
    await it.place(CallEmergency("3.1", "fire", "plan"))
    await it.calls.call("another", it.state, it.frozen, CALL)
    assert [type(event) for event in it.told] == [EmergencyFailed, EmergencyFailed]


# -- not known --


@virtually
async def test_a_call_taker_who_hangs_up_without_a_key_has_confirmed_nothing() -> None:
    it = await night()
    await it.place()
    room = await it.answered()
    await asyncio.sleep(20)
    room.hang_up()
    assert await it.over() == EmergencyIndeterminate("3.1", "it was answered, and ended without a confirmation")


@virtually
async def test_a_network_that_falls_silent_while_it_rings_has_perhaps_reached_somebody() -> None:
    it = await night(Habits(answers=Answers.NEVER))
    await it.place()
    await asyncio.sleep(10)
    await it.office.exchanges["kpn"].die()
    assert isinstance(await it.over(), EmergencyIndeterminate)


@virtually
async def test_an_answer_in_the_moment_of_giving_up_has_perhaps_reached_somebody() -> None:
    it = await night(Habits(after=RINGING + 0.005))
    await it.place()
    assert isinstance(await it.over(), EmergencyIndeterminate)


# -- once --


@virtually
async def test_the_same_command_twice_is_one_call() -> None:
    it = await night()
    await it.place()
    await it.place()
    room = await it.answered()
    await it.place()
    await asyncio.sleep(5)
    assert len(it.office.exchanges["kpn"].invites) == 1
    room.hang_up()
    await it.over()


@virtually
async def test_a_call_that_is_not_needed_any_more_is_withdrawn() -> None:
    it = await night(Habits(answers=Answers.NEVER))
    await it.place()
    await asyncio.sleep(3)
    it.calls.cancel(it.incident.id, Cancel("3.1"))
    it.calls.cancel(it.incident.id, Cancel("3.1"))
    await it.over()
    await asyncio.sleep(1)
    (call,) = it.office.exchanges["kpn"].line(NUMBER).calls
    assert call.is_over


@virtually
@pytest.mark.parametrize("connected", [False, True])
async def test_who_has_answered_is_told_that_it_is_over(connected: bool) -> None:
    it = await night()
    await it.place()
    room = await it.pressing("2" if connected else "")
    await asyncio.sleep(10)
    it.calls.cancel(it.incident.id, Cancel("3.1"))
    await it.over()
    assert words(room.hearing, it.speaker).count("The incident is closed.") == 1
    assert room.is_over
    assert it.incident.room.members == ()


@virtually
async def test_when_the_incident_is_resolved_the_call_taker_in_the_room_is_told() -> None:
    it = await night()
    await it.place()
    room = await it.pressing("2")
    await asyncio.sleep(10)
    it.incident.resolved.set_result(None)
    assert await it.over() == HungUp("3.1")
    assert words(room.hearing, it.speaker).endswith("There is nothing more for you to do. Goodbye.")


# -- the simulated control room --


@virtually
async def test_a_simulated_control_room_says_that_it_is_one() -> None:
    it = await night()
    line = it.office.exchanges["kpn"].line(NUMBER)
    staff = ControlRoom(line, it.speaker, language="nl", presses="9", after=12.0)
    await it.place()
    assert await it.over() == HungUp("3.1")
    (call,) = staff.calls
    assert call.is_over
    assert isinstance(it.told[1], EmergencyConfirmed)
    assert [text.text for text in it.speaker.texts if text.language == "nl"] == [SAYS["nl"]]


@virtually
async def test_what_the_simulated_control_room_says_reaches_the_recording() -> None:
    it = await night()
    ControlRoom(it.office.exchanges["kpn"].line(NUMBER), it.speaker)
    await it.place()
    await it.answered()
    await asyncio.sleep(12)
    (up,) = it.office.calls.live
    track = up.media.received
    assert track is not None
    assert SAYS["en"] in [text.text for text in it.speaker.read(track.read(0, track.end))]
    up.hang_up()
    await it.over()
