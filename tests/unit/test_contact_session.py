"""What a contact who took an alarm can do with the keys of his telephone, and how that ends."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.models import Device, Worker
from config.plans import Contact, Customer, FrozenPlan, Plan, Step
from ivr.taker import Says
from voice.call import Call, CallEnd
from voice.contact_session import SAY_PATIENCE, ContactEnd, ContactHooks, ContactSession
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.journal import Journal
from voice.live_incidents import Key, LiveIncident
from voice.media.gate import Gate, Source
from voice.media.room import Member, Role, Room, Voice
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE_FRAME
from voice.sim.loop import virtual_loop, virtually
from voice.sim.speech import marked_frame, marks
from voice.sip.session import EndCause

CARL = Contact(id="carl", name="Carl Smit", numbers=("+31612345678",))
ACME = Customer(id="acme", name="Acme", close_word="TULP", duress_word="ROOS")
BADGE = Device(id="badge-7", username="badge-7", password="secret", worker="anna")
ANNA = Worker(id="anna", name="Anna Jansen")
CLOSES, FORCED = "8857", "7667"


class Media:
    def __init__(self) -> None:
        self.received = Track(virtual_loop().clock.now())
        self.source: Source | None = None
        self.quiet_for = 0.0


class Telephone:
    """The call with the contact, as a session sees it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.media = Media()
        self.digits: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Future[CallEnd] = loop.create_future()
        self.lives = True
        self.hung_up = False

    @property
    def up(self) -> bool:
        return not self.ended.done()

    def hang_up(self, reason: str | None = None) -> None:
        if self.up:
            self.hung_up = True
            self.ended.set_result(CallEnd(EndCause.LOCAL, reason=reason or ""))

    def ends(self, cause: EndCause = EndCause.BYE, code: int | None = None, *, by_peer: bool = True) -> None:
        self.ended.set_result(CallEnd(cause, code, by_peer=by_peer))

    async def gives_sign_of_life(self, seconds: float) -> bool:
        await asyncio.sleep(0 if self.lives else seconds)
        return self.lives


@dataclass
class Scene:
    """An incident with a device, a contact who took it, and the clock that drives what he hears."""

    customer: Customer | None = ACME
    connected: bool = True
    kind: Kind = Kind.PANIC
    badge: Device | None = BADGE
    """None: no device has raised it; a silent alarm, a missed check-in."""
    notes: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    memo: bytes | None = None
    emergency_possible: bool = True
    device_answers: bool = False
    slow: float = 0.0
    """Seconds that a prompt takes to be made."""

    def __post_init__(self) -> None:
        loop = virtual_loop()
        self.ticks = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        plan = Plan(id="plan", steps=(Step(ring=("operators",)),))
        self.incident = LiveIncident(
            id="incident",
            kind=self.kind,
            opened_at=loop.clock.now(),
            key=Key(self.badge.id if self.badge else None),
            device=self.badge,
            worker=ANNA,
            claimed="",
            journal=cast(Journal, self),
            clock=loop.clock,
            room=Room(lambda: self.ticks),
            resolved=loop.create_future(),
            state=State.ACKNOWLEDGED,
            frozen=FrozenPlan(plan=plan, customer=self.customer),
            on_change=self._changed,
        )
        self.device = Member("device", Role.DEVICE, Track(loop.clock.now()), Gate())
        if self.connected:
            self.connect()
        self.call = Telephone()

    def connect(self) -> None:
        up = SimpleNamespace(ended=asyncio.get_running_loop().create_future())
        self.incident.device_calls["device"] = cast(Call, up)
        self.incident.room.join(self.device)

    def take(self) -> asyncio.Task[ContactEnd]:
        hooks = ContactHooks(
            ring_operators=lambda incident, actor: self.asked.append(f"operators for {actor}"),
            ask_emergency=self._ask_emergency,
            duress=lambda incident, actor: self.asked.append(f"duress of {actor}"),
            call_back=self._call_back,
            memo=self._memo,
            heard=lambda incident, seconds: self.asked.append(f"heard after {seconds:.0f} s"),
            spawn=self.spawn,
        )
        self.session = ContactSession(CARL, self.incident, cast(Call, self.call), "leg", self._say, hooks)
        self.spawn(self._run_clock())
        self.ended = self.spawn(self.session.run())
        return self.ended

    @property
    def gate_open(self) -> bool:
        return self.device.gate is not None and self.device.gate.open

    def operator(self) -> Member:
        member = Member("olga", Role.OPERATOR, Track(virtual_loop().clock.now()))
        self.incident.room.join(member)
        return member

    async def press(self, digits: str, seconds: float = 1.0) -> None:
        for digit in digits:
            self.call.digits.put_nowait(digit)
        await asyncio.sleep(seconds)

    def kinds(self) -> list[str]:
        return [note["kind"] for note in self.notes if "kind" in note and note["kind"] != "hearing"]

    def note(self, kind: str) -> dict[str, Any]:
        (found,) = [note for note in self.notes if note.get("kind") == kind]
        return found

    @property
    def changes(self) -> list[dict[str, Any]]:
        return [note for note in self.notes if "to" in note]

    # -- what a session asks of the service --

    def post(self, write: Any, *, urgent: bool = False) -> None:
        """The journal."""
        assert isinstance(write, partial)
        self.notes.append(dict(write.keywords))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def _say(self, prompt: str, **values: Any) -> bytes:
        self.said.append(" ".join([prompt, *map(str, values.values())]))
        await asyncio.sleep(self.slow)
        return marked_frame(_NUMBERS[prompt]) * 25

    def _ask_emergency(self, incident: LiveIncident, actor: str) -> bool:
        self.asked.append(f"emergency for {actor}")
        return self.emergency_possible

    async def _call_back(self, incident: LiveIncident, actor: str) -> bool:
        self.asked.append(f"call back for {actor}")
        await asyncio.sleep(5)
        if self.device_answers:
            self.connect()
        return self.device_answers

    async def _memo(self, incident: LiveIncident) -> bytes | None:
        return self.memo

    def _changed(self, incident: LiveIncident) -> None:
        if incident.state is State.RESOLVED and not incident.resolved.done():
            incident.resolved.set_result(None)

    async def _run_clock(self) -> None:
        while self.call.up:
            if self.device.received is not None:
                self.device.received.write(self.device.received.end, ALAW_SILENCE_FRAME)
            source = self.call.media.source
            self.heard.append((source.frame() if source else None) or ALAW_SILENCE_FRAME)
            self.ticks += 1
            await asyncio.sleep(0.02)

    def prompts_heard(self) -> list[str]:
        """What came out of the telephone, in order; each as long as it was heard."""
        numbers = {number: prompt for prompt, number in _NUMBERS.items()}
        found = [numbers[n] for n in marks(b"".join(self.heard)).numbers if n in numbers]
        return [prompt for n, prompt in enumerate(found) if n == 0 or found[n - 1] != prompt]


_NUMBERS = {str(prompt): number for number, prompt in enumerate(Says, 1)}


# -- listening -----------------------------------------------------------------------------------------------


@virtually
async def test_he_listens_silently_and_is_told_what_he_can_do() -> None:
    scene = Scene()
    scene.take()
    await asyncio.sleep(2)
    assert scene.prompts_heard() == [Says.WELCOME]
    assert scene.session.member.voice is Voice.LISTEN
    assert not scene.gate_open
    assert scene.note("contact_joined")["actor"] == "contact:carl"


@virtually
async def test_he_hears_the_device_live_at_first_and_with_2_from_second_0() -> None:
    scene = Scene()
    track = scene.device.received
    assert track is not None
    track.write(0, b"".join(marked_frame(1000 + n) for n in range(500)))
    scene.take()
    await asyncio.sleep(2)
    assert not [n for n in marks(b"".join(scene.heard)).numbers if n >= 1000]
    assert scene.note("first_audio_heard")["detail"]["from_s"] == pytest.approx(10, abs=0.1)
    await scene.press("2")
    assert min(n for n in marks(b"".join(scene.heard)).numbers if n >= 1000) < 1100
    await scene.press("3")
    assert scene.said == [Says.WELCOME, Says.BEGINNING, Says.LIVE]
    assert scene.kinds()[-1] == "listening_live"


@virtually
async def test_1_is_talk_on_and_talk_off() -> None:
    scene = Scene()
    scene.take()
    await scene.press("1")
    assert scene.session.member.voice is Voice.TALK
    assert scene.gate_open
    assert scene.note("talk_on")["detail"] == {"gates": ["device"]}
    await scene.press("1")
    assert not scene.gate_open
    assert scene.said == [Says.WELCOME, Says.TALK_ON, Says.TALK_OFF]
    assert [change["to"] for change in scene.changes] == [State.IN_PROGRESS]


@virtually
async def test_1_has_the_device_called_back_when_its_call_is_over() -> None:
    scene = Scene(connected=False, device_answers=True)
    scene.take()
    await asyncio.sleep(1)
    await scene.press("11")
    assert scene.asked == ["call back for contact:carl"]  # once
    assert scene.session.member.voice is Voice.LISTEN
    await asyncio.sleep(6)
    assert scene.said == [Says.DEVICE_GONE, Says.CALLING_BACK, Says.CALLING_BACK, Says.DEVICE_BACK]
    await scene.press("1")
    assert scene.session.member.voice is Voice.TALK


@virtually
async def test_a_device_that_cannot_be_called_back_is_told() -> None:
    scene = Scene(connected=False)
    scene.take()
    await scene.press("1", 7)
    assert scene.said[-1] == Says.UNAVAILABLE


@virtually
async def test_he_is_told_when_the_device_hangs_up() -> None:
    scene = Scene()
    scene.take()
    await asyncio.sleep(1)
    scene.incident.device_calls.clear()
    scene.incident.room.leave(scene.device)
    await asyncio.sleep(1)
    assert scene.said[-1] == Says.DEVICE_GONE


def silent_alarm(*, connected: bool) -> Scene:
    """Asked for on the worker's own telephone, whose line is kept or over."""
    scene = Scene(kind=Kind.DURESS, badge=None, connected=connected)
    if connected:
        scene.incident.kept_lines.add("device")
    return scene


@virtually
async def test_on_a_silent_alarm_whose_line_is_over_he_is_told_not_to_call_back_and_offered_no_call() -> None:
    scene = silent_alarm(connected=False)
    scene.take()
    await asyncio.sleep(1)
    await scene.press("0")
    await scene.press("1", 7)
    assert scene.said == [Says.LINE_OVER, Says.MENU_LISTENING, Says.UNAVAILABLE]
    assert scene.asked == []  # no call to the worker's telephone, nor a try that the timeline would tell of
    assert scene.session.member.voice is Voice.LISTEN


@virtually
async def test_on_the_line_of_a_silent_alarm_the_menu_offers_no_talk_and_its_end_no_call_back() -> None:
    scene = silent_alarm(connected=True)
    scene.take()
    await asyncio.sleep(1)
    await scene.press("01")
    scene.incident.device_calls.clear()
    scene.incident.room.leave(scene.device)
    await asyncio.sleep(1)
    scene.connect()  # he calls for help again, and the new call joins
    await asyncio.sleep(1)
    heard = [Says.WELCOME, Says.MENU_LISTENING, Says.UNAVAILABLE, Says.LINE_OVER, Says.WELCOME]
    assert (scene.said, scene.asked[1:], scene.gate_open) == (heard, [], False)


@virtually
async def test_where_there_is_no_device_no_call_back_is_offered() -> None:
    scene = Scene(kind=Kind.MISSED_CHECK_IN, badge=None, connected=False)
    scene.take()
    await scene.press("0")
    await scene.press("1", 7)
    assert scene.said == [Says.NOBODY, Says.MENU_LISTENING, Says.UNAVAILABLE]
    assert scene.asked == []


@virtually
async def test_4_plays_the_memo_or_says_that_there_is_none() -> None:
    scene = Scene()
    scene.take()
    await scene.press("4")
    scene.memo = marked_frame(77_777) * 50
    await scene.press("4", 2)
    assert scene.said[-2:] == [Says.NO_MEMO, Says.MEMO]
    assert len(marks(b"".join(scene.heard[-90:])).numbers) >= 50
    assert scene.kinds().count("memo_heard") == 1


@virtually
async def test_any_key_ends_the_memo() -> None:
    scene = Scene(memo=marked_frame(77_777) * 3000)
    scene.take()
    await scene.press("4", 3)
    await scene.press("0", 3)
    assert marks(b"".join(scene.heard[-25:])).numbers == []


@virtually
async def test_0_says_the_menu_and_an_unknown_key_says_so() -> None:
    scene = Scene()
    scene.take()
    await scene.press("0")
    await scene.press("7")
    assert scene.prompts_heard()[-2:] == [Says.MENU, Says.WRONG_KEY]


@virtually
async def test_every_key_of_the_menu_is_confirmed_by_voice() -> None:
    for key in ContactSession.KEYS:
        scene = Scene()
        scene.take()
        await asyncio.sleep(1)
        await scene.press(key)
        assert len(scene.prompts_heard()) == 2, key


@virtually
async def test_a_prompt_that_cannot_be_made_in_time_is_a_sound_and_the_key_counts() -> None:
    scene = Scene(slow=60.0)
    scene.take()
    await asyncio.sleep(SAY_PATIENCE + 1)
    await scene.press("1", 0.1)
    assert scene.session.member.voice is Voice.TALK
    await asyncio.sleep(SAY_PATIENCE + 1)
    assert any(frame != ALAW_SILENCE_FRAME for frame in scene.heard[-100:])


# -- with others ---------------------------------------------------------------------------------------------


@virtually
async def test_5_lets_the_operators_hear_him_and_the_device_not() -> None:
    scene = Scene()
    olga = scene.operator()
    scene.take()
    await asyncio.sleep(1)
    await scene.press("5")
    assert scene.session.member.voice is Voice.CONFER
    assert not scene.gate_open
    assert olga.tones.playing  # he hears that somebody wants to speak with him
    await scene.press("5")
    assert scene.session.member.voice is Voice.LISTEN
    assert scene.said[-2:] == [Says.CONFERRING, Says.ALONE]
    assert scene.asked == ["heard after 0 s"]


@virtually
async def test_5_rings_the_operators_when_none_is_there_and_tells_when_one_comes_and_goes() -> None:
    scene = Scene()
    scene.take()
    await asyncio.sleep(1)
    await scene.press("5")
    assert scene.asked[-1] == "operators for contact:carl"
    olga = scene.operator()
    await asyncio.sleep(1)
    scene.incident.room.leave(olga)
    await asyncio.sleep(1)
    assert scene.said[-3:] == [Says.OPERATORS, Says.OPERATOR_JOINED, Says.OPERATOR_LEFT]


@virtually
async def test_8_and_8_again_asks_for_the_emergency_services() -> None:
    scene = Scene()
    scene.take()
    await scene.press("8")
    assert "emergency for contact:carl" not in scene.asked
    await scene.press("8")
    assert scene.asked[-1] == "emergency for contact:carl"
    assert scene.said[-2:] == [Says.EMERGENCY_ASK, Says.EMERGENCY_CALLED]


@virtually
async def test_8_and_something_else_or_nothing_does_not() -> None:
    scene = Scene()
    scene.take()
    await scene.press("81")
    await scene.press("8", 20)
    assert "emergency for contact:carl" not in scene.asked
    assert scene.said.count(Says.EMERGENCY_NOT) == 2
    assert scene.session.member.voice is Voice.LISTEN


@virtually
async def test_8_without_a_way_to_call_them_says_so() -> None:
    scene = Scene(emergency_possible=False)
    scene.take()
    await scene.press("88")
    assert scene.said[-1] == Says.EMERGENCY_IMPOSSIBLE


@virtually
async def test_he_hears_at_once_that_the_emergency_call_failed_even_behind_another_key_and_may_ask_again() -> None:
    scene = Scene()
    scene.take()
    await scene.press("88", 0.1)
    scene.session.member.on_emergency_failed(True)
    await scene.press("3", 0.1)  # what was about to be said is replaced, but not lost
    await scene.press("0", 5)
    assert scene.prompts_heard()[-2:] == [Says.MENU, Says.EMERGENCY_IMPOSSIBLE]
    assert scene.prompts_heard().count(Says.EMERGENCY_CALLED) == 1
    await scene.press("88", 2)
    assert scene.asked.count("emergency for contact:carl") == 2
    assert scene.prompts_heard()[-1] == Says.EMERGENCY_CALLED
    scene.session.member.on_emergency_failed(False)
    await asyncio.sleep(2)
    assert scene.prompts_heard()[-1] == Says.EMERGENCY_NOT


@virtually
async def test_another_call_takes_the_place_of_the_news_that_one_failed() -> None:
    scene = Scene()
    scene.take()
    await scene.press("88", 2)
    scene.session.member.on_emergency_failed(True)
    await scene.press("88", 5)
    assert scene.said[-1] == Says.EMERGENCY_CALLED
    assert scene.prompts_heard()[-1] == Says.EMERGENCY_CALLED


@virtually
async def test_after_the_duress_word_no_failure_tells_a_bystander_that_somebody_was_called() -> None:
    scene = Scene()
    scene.take()
    await scene.press(f"#{FORCED}#")
    scene.session.member.on_emergency_failed(True)
    await asyncio.sleep(2)
    assert Says.EMERGENCY_IMPOSSIBLE not in scene.said


# -- the code word -------------------------------------------------------------------------------------------


@virtually
async def test_the_code_word_closes_the_alarm_with_a_reason() -> None:
    scene = Scene()
    session = scene.take()
    await scene.press(f"#{CLOSES}#")
    await scene.press("2", 3)
    assert await session is ContactEnd.CLOSED
    (resolved,) = [change for change in scene.changes if change["to"] is State.RESOLVED]
    assert (resolved["actor"], resolved["reason"]) == ("contact:carl", Reason.FALSE)
    assert resolved["detail"] == {"proof": "code word"}
    assert scene.prompts_heard()[-1] == Says.CLOSED
    assert scene.call.hung_up
    assert scene.note("contact_left")["detail"]["end"] == "closed"


@pytest.mark.parametrize("reason", ["4", "9", ""])
def test_without_a_reason_that_a_contact_may_give_the_alarm_stays_open(reason: str) -> None:
    @virtually
    async def story() -> None:
        scene = Scene()
        scene.take()
        await scene.press(f"#{CLOSES}#{reason}", 30)
        assert scene.incident.state is State.IN_PROGRESS
        assert scene.said[-1] == Says.STAYS_OPEN

    story()


async def _closing(word: str) -> Scene:
    scene = Scene()
    session = scene.take()
    await asyncio.sleep(1)
    await scene.press(f"#{word}#1", 4)
    assert session.done()
    return scene


@virtually
async def test_the_duress_word_sounds_the_same_to_the_byte_and_closes_nothing() -> None:
    closed, forced = await _closing(CLOSES), await _closing(FORCED)
    assert b"".join(forced.heard) == b"".join(closed.heard)
    assert forced.incident.state is State.IN_PROGRESS
    assert forced.asked[-1] == "duress of contact:carl"
    assert "duress of contact:carl" not in closed.asked
    assert await forced.ended is ContactEnd.DURESS
    assert await closed.ended is ContactEnd.CLOSED
    assert forced.note("contact_left")["detail"]["end"] == "duress"


@virtually
async def test_duress_is_raised_at_once_and_only_once_and_whatever_ends_the_call_is_duress() -> None:
    scene = Scene()
    session = scene.take()
    await scene.press(f"#{FORCED}#", 0.5)
    assert "duress of contact:carl" in scene.asked
    await scene.press("9")
    await scene.press(f"#{CLOSES}#9")
    assert scene.asked.count("duress of contact:carl") == 1
    scene.call.ends()
    assert await session is ContactEnd.DURESS
    assert scene.incident.state is State.IN_PROGRESS


@virtually
async def test_three_wrong_words_and_no_word_is_listened_to_any_more() -> None:
    scene = Scene()
    scene.take()
    for left in (2, 1, 0):
        await scene.press("#1234#")
        assert [n for n in scene.notes if n.get("kind") == "code_word_wrong"][-1]["detail"] == {"left": left}
    await scene.press(f"#{CLOSES}#1", 3)
    assert scene.incident.state is State.IN_PROGRESS
    assert scene.said.count(Says.WRONG_WORD) == 3
    assert scene.said.count(Says.CODE_WORD) == 3


@virtually
async def test_a_reason_that_was_keyed_ahead_of_a_wrong_word_does_not_open_the_way_to_the_worker() -> None:
    scene = Scene()
    scene.take()
    await scene.press("#1111#1", 5)
    assert scene.said[-1] == Says.WRONG_WORD
    assert "talk_on" not in scene.kinds()
    await scene.press("1")
    assert "talk_on" in scene.kinds()


@virtually
async def test_a_code_word_that_is_broken_off_costs_no_try() -> None:
    scene = Scene()
    scene.take()
    await scene.press("#88", 30)
    await scene.press("##")
    await scene.press("#" + "1" * 16, 10)
    assert scene.said[-1] == Says.STAYS_OPEN
    assert "code_word_wrong" not in scene.kinds()


@virtually
async def test_a_customer_without_words_has_his_alarms_closed_by_operators() -> None:
    for customer in (None, Customer(id="acme", name="Acme")):
        scene = Scene(customer=customer)
        scene.take()
        await scene.press(f"#{CLOSES}#1", 2)
        assert Says.UNAVAILABLE in scene.said
        assert scene.incident.state is not State.RESOLVED


# -- how it ends ---------------------------------------------------------------------------------------------


@virtually
async def test_6_passes_the_alarm_on_and_says_so_before_the_call_ends() -> None:
    scene = Scene()
    session = scene.take()
    await scene.press("1")
    await scene.press("6", 0.1)
    assert session.done()  # the next one is rung while this one is still spoken to
    assert not scene.call.hung_up
    assert not scene.gate_open
    await asyncio.sleep(2)
    assert await session is ContactEnd.PASSED_ON
    assert scene.call.hung_up
    assert scene.prompts_heard()[-1] == Says.PASSED_ON
    assert scene.session.member not in scene.incident.room.members


@pytest.mark.parametrize(
    ("ending", "end"),
    [
        (lambda scene: scene.call.ends(), ContactEnd.HUNG_UP),
        (lambda scene: scene.call.ends(EndCause.SESSION_EXPIRED, by_peer=True), ContactEnd.LOST),
        (lambda scene: scene.call.ends(EndCause.TRANSPORT, by_peer=False), ContactEnd.LOST),
        (lambda scene: scene.call.hang_up("service stops"), ContactEnd.LOST),
        (lambda scene: scene.incident.change(State.RESOLVED, actor="operator:olga", reason=Reason.FALSE),
         ContactEnd.RESOLVED),
        (lambda scene: scene.session.told(Says.TAKEN_BY, name="Dirk"), ContactEnd.LET_GO),
    ],
    ids=["hangs up", "session expires", "transport", "service stops", "resolved", "taken by"],
)  # fmt: skip
def test_how_it_ends(ending: Callable[[Scene], None], end: ContactEnd) -> None:
    @virtually
    async def story() -> None:
        scene = Scene()
        session = scene.take()
        await scene.press("1")
        ending(scene)
        assert await session is end
        await asyncio.sleep(3)
        assert not scene.call.up
        assert scene.incident.room.members == (scene.device,)
        assert not scene.gate_open
        assert scene.note("contact_left")["detail"]["end"] == end.value

    story()


@virtually
async def test_who_is_let_go_hears_by_whom_the_alarm_was_taken() -> None:
    scene = Scene()
    session = scene.take()
    await asyncio.sleep(1)
    scene.session.told(Says.TAKEN_BY, name="Dirk")
    scene.session.told(Says.TAKEN_BY, name="Els")
    assert await session is ContactEnd.LET_GO
    await asyncio.sleep(3)
    assert [prompt for prompt in scene.said if prompt.startswith(Says.TAKEN_BY)] == [f"{Says.TAKEN_BY} Dirk"]
    assert scene.prompts_heard()[-1] == Says.TAKEN_BY


@virtually
async def test_who_is_let_go_in_the_middle_of_a_question_does_not_wait_for_its_end() -> None:
    scene = Scene()
    session = scene.take()
    await scene.press("8")
    scene.session.told(Says.TAKEN)
    await asyncio.sleep(1)
    assert session.done()
    assert "emergency for contact:carl" not in scene.asked


@virtually
async def test_who_hangs_up_during_the_last_words_is_gone() -> None:
    scene = Scene()
    scene.take()
    await scene.press("6", 0.1)
    scene.call.ends()
    await asyncio.sleep(0.1)
    assert scene.incident.room.members == (scene.device,)


@virtually
async def test_a_phone_without_a_sign_of_life_is_lost() -> None:
    scene = Scene()
    session = scene.take()
    await asyncio.sleep(1)
    scene.call.lives, scene.call.media.quiet_for = False, 5.0
    scene.session.went_quiet()
    scene.session.went_quiet()
    assert await session is ContactEnd.LOST
    assert scene.kinds().count("no_sign_of_life") == 1


@virtually
async def test_a_network_that_has_forgotten_the_call_is_no_person_who_hung_up() -> None:
    scene = Scene()
    session = scene.take()
    await asyncio.sleep(1)
    scene.call.ends(EndCause.BYE, 481)
    assert await session is ContactEnd.LOST


@virtually
async def test_a_phone_that_is_muted_keeps_the_alarm() -> None:
    scene = Scene()
    session = scene.take()
    await asyncio.sleep(1)
    scene.call.media.quiet_for = 5.0
    scene.session.went_quiet()
    await asyncio.sleep(60)
    assert not session.done()


@virtually
async def test_a_session_that_is_stopped_leaves_the_room() -> None:
    scene = Scene()
    session = scene.take()
    await scene.press("1")
    session.cancel()
    await asyncio.gather(session, return_exceptions=True)
    assert scene.incident.room.members == (scene.device,)
    assert not scene.gate_open
