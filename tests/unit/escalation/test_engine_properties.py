"""Whatever happens in whatever order: a human has proven that he has it, or a deadline is pending.

Scripts are made from a seed: a plan, and events of shells that live and die, twice, late and in any order, on a clock
that is set back and forth. `EARSHOT_SCRIPTS` makes more of them; the seed of one that fails is in its message.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from config.plans import FrozenPlan, Step
from tests.unit.escalation.conversation import CONTACTS, Conversation, emergency, plan, ring
from voice.escalation import events as e
from voice.escalation.commands import CallEmergency, Cancel, RaiseTechnical, Ring, Send
from voice.escalation.engine import decide
from voice.escalation.events import Event
from voice.escalation.state import Decision, EmergencyStatus, Phase, State

SCRIPTS = int(os.environ.get("EARSHOT_SCRIPTS", "400"))
LENGTH = 60
"""Events of a script."""
BATCHES = 4

TARGETS = ("operators", "team:guards", "team:night", "team:ghosts", "contact:anna", "contact:bob", "contact:dora")
OPERATORS = ("olga", "otto")


def a_step(random: Random) -> Step:
    match random.choice(["ring", "ring", "ring", "message", "emergency", "wait"]):
        case "ring":
            return ring(
                *random.sample(TARGETS, random.randint(1, 3)),
                order=random.choice(["all", "sequence"]),
                rounds=random.randint(1, 3),
                pause=random.choice([0, 10]),
                seconds=random.choice([5, 30]),
            )
        case "message":
            link = random.choice(["none", "information", "proof"])
            return Step(message=("team:guards", "contact:mail"), by=("sms", "email"), link=link)  # type: ignore[arg-type]
        case "emergency":
            return emergency(
                random.choice(["police", "112", "mars"]),
                confirm=random.choice(["operator", "automatic"]),
                after=random.choice([0, 60, 600]),
                seconds=random.choice([5, 60]),
                indeterminate=random.choice(["ask", "call again"]),
                again_after=random.choice([10, 120]),
                attempts=random.randint(1, 3),
            )
        case _:
            return Step(wait=random.choice([1, 60]))


def a_plan(random: Random) -> FrozenPlan:
    steps = [a_step(random) for _ in range(random.randint(1, 4))]
    end = {"at_end": "stop", "agreement": "contract 7"} if random.random() < 0.2 else {}
    return plan(*steps, lap_pause=random.choice([1, 5]), follow_up=random.choice([30, 900]), **end)


class Script:
    """One escalation with everything that may befall it. Knows what is true beside what the engine was told."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.talk = Conversation(a_plan(self.random), kind=self.random.choice(["panic", "technical"]))
        self.told: list[Event] = []
        self.withheld: list[Event] = []
        self.named: set[str] = set()
        self.cancelled: set[str] = set()
        self.outcomes: dict[str, str] = {}
        """Of each emergency call: what its shell has told last."""
        self.on_it: dict[str, str] = {}
        """Operators who listen, by leg."""
        self.legs_of_operators = 0

    def run(self) -> None:
        self.tell(e.Opened())
        for _ in range(LENGTH):
            self.random.choices(
                [self.something, self.time, self.again, self.late, self.set_clock, self.crash],
                weights=[10, 8, 2, 2, 1, 1],
            )[0]()
        for event in self.withheld:
            self.tell(event)
        self.left_alone_it_goes_on()

    # -- what may happen --

    def something(self) -> None:
        event = self.random.choice([self.of_a_leg, self.of_a_leg, self.of_a_call, self.of_people])()
        if self.random.random() < 0.1:
            self.withheld.append(event)  # it comes late
        else:
            self.tell(event)

    def of_a_leg(self) -> Event:
        legs = [leg.id for leg in self.talk.state.legs] or sorted(self.named) or ["0.0"]
        leg = self.random.choice(legs if self.random.random() < 0.9 else [*sorted(self.named), "99.9"])
        makers: list[Callable[[], Event]] = [
            lambda: e.Rings(leg),
            lambda: e.Answered(leg),
            lambda: e.Taken(leg, "key"),
            lambda: e.Declined(leg),
            lambda: e.NoAnswer(leg, self.random.random() < 0.5),
            lambda: e.Busy(leg),
            lambda: e.Failed(leg, 503, "no trunk"),
            lambda: e.VoicemailSuspected(leg, "beep"),
            lambda: e.LegLost(leg),
            lambda: e.HungUp(leg),
            lambda: e.PassedOn(leg),
        ]
        return self.random.choice(makers)()

    def of_a_call(self) -> Event:
        calls = self.talk.state.emergency.calls
        call = self.random.choice([*calls, "99.9"])
        makers: list[Callable[[], Event]] = [
            lambda: e.EmergencyAsked("operator:olga", self.random.choice(["", "r1", "r2", "r3"])),
            lambda: e.EmergencyAnswered(call),
            lambda: e.EmergencyConfirmed(call, "key"),
            lambda: e.EmergencyFailed(call, 503),
            lambda: e.EmergencyIndeterminate(call, "lost"),
        ]
        return self.random.choice(makers)()

    def of_people(self) -> Event:
        if self.on_it and self.random.random() < 0.6:
            leg = self.random.choice(sorted(self.on_it))
            return e.OperatorLeft(self.on_it.pop(leg), self.random.random() < 0.5, leg)
        match self.random.randint(0, 9):
            case 0 | 1 | 2:
                self.legs_of_operators += 1
                leg, operator = f"op{self.legs_of_operators}", self.random.choice(OPERATORS)
                self.on_it[leg] = operator
                return e.OperatorJoined(operator, leg)
            case 3:
                return e.OperatorRings("olga")
            case 4 | 5:
                return e.Acknowledged(self.random.choice(sorted(CONTACTS)), self.random.random() < 0.5)
            case 6:
                return e.WorkerSafe(self.random.choice(["", "pin"]))
            case 7:
                self.nobody_listens()
                return e.Resolved("operator:olga")
            case 8:
                return e.Reopened("operator:olga")
            case _:
                return e.OperatorLeft(self.random.choice(OPERATORS))  # of nobody in particular

    def time(self) -> None:
        """To the deadline, over it, or not quite."""
        wait = self.talk.wait
        seconds = self.random.choice([1.0, 30.0, 0.0 if wait is None else max(wait, 0.0)])
        self.talk.now += timedelta(seconds=seconds)
        self.tell(e.Timer())

    def again(self) -> None:
        if self.told:
            self.tell(self.random.choice(self.told[-8:]))

    def late(self) -> None:
        if self.withheld:
            self.tell(self.withheld.pop(self.random.randrange(len(self.withheld))))

    def set_clock(self) -> None:
        before = self.talk.wait
        self.talk.now += timedelta(seconds=self.random.choice([-86_400, -60, -1, 60, 86_400]))
        self.tell(e.Timer())
        if before is not None and self.talk.state.phase is not Phase.DONE:
            assert self.talk.wait is None or self.talk.wait <= max(before, 86_400), "a deadline was pushed away"

    def crash(self) -> None:
        """Another process takes it up: what was on the old one is lost."""
        self.talk.crashes()
        self.nobody_listens()
        for event in (
            *(e.LegLost(leg.id) for leg in self.talk.state.legs),
            *(e.OperatorLeft(p.operator, leg=p.leg) for p in self.talk.state.presences),
        ):
            self.tell(event)
        if self.talk.state.emergency.under_way:
            self.tell(e.EmergencyIndeterminate(self.talk.state.emergency.call, "the process died"))

    def nobody_listens(self) -> None:
        """The sessions of operators are over; what they have not told is not told any more."""
        self.on_it.clear()
        self.withheld = [event for event in self.withheld if not isinstance(event, e.OperatorJoined)]

    # -- what has to hold --

    def tell(self, event: Event) -> None:
        before = self.talk.state
        decision = self.talk.tells(event)
        self.told.append(event)
        assert decide(self.talk.frozen, before, event, self.talk.now) == decision, "the same again differs"
        self.check_assured(decision)
        self.check_commands(before, event, decision)
        self.check_legs(decision.state)

    def check_assured(self, decision: Decision) -> None:
        state = decision.state
        assert "engine_fault" not in [note.kind for note in decision.notes]
        assert state.due_at == min(state.deadlines, default=None)
        match state.phase:
            case Phase.DONE:
                assert state.due_at is None
                assert not state.legs
            case Phase.TAKEN:
                assert state.presences or state.takers
                assert all(t.until or state.leg(t.leg) for t in state.takers), "who has it is there, or is waited for"
                assert not state.ringing
                assert state.rings_operators == state.unwatched
                assert not state.unwatched or (state.emergency.over and not state.presences)
            case Phase.ESCALATING:
                agreed = state.exhausted and self.talk.frozen.plan.at_end == "stop"
                assert state.due_at is not None or agreed

    def check_commands(self, before: State, event: Event, decision: Decision) -> None:
        if isinstance(event, e.Reopened) and before.phase is Phase.DONE:
            self.outcomes = dict.fromkeys(self.outcomes, "failed")  # a new escalation
        if self.fails_for_certain(before, event):
            self.outcomes[before.emergency.call] = "failed"
        for command in decision.commands:
            match command:
                case Ring(leg=name) | CallEmergency(call=name) | Send(key=name) | RaiseTechnical(key=name):
                    assert name not in self.named, "a name is given once"
                    self.named.add(name)
                    assert decision.state.phase is not Phase.DONE
                case Cancel(leg=name):
                    self.cancelled.add(name)
            if isinstance(command, CallEmergency):
                self.check_emergency(before, event, decision.state, command)

    def fails_for_certain(self, before: State, event: Event) -> bool:
        unanswered = before.emergency.status in (EmergencyStatus.PLACING, EmergencyStatus.INDETERMINATE)
        return isinstance(event, e.EmergencyFailed) and event.call == before.emergency.call and unanswered

    def check_emergency(self, before: State, event: Event, after: State, command: CallEmergency) -> None:
        """Never two at a time; by itself after one that may have reached somebody only by the plan's rule."""
        assert not before.emergency.under_way or self.fails_for_certain(before, event)
        assert command.asked_by != "plan" or not after.attended, "a human has it"
        by_rule = before.emergency.due_at is not None
        if not isinstance(event, e.EmergencyAsked) and not by_rule:
            doubtful = [call for call, outcome in self.outcomes.items() if outcome != "failed"]
            assert not doubtful, "blindly repeated"
            assert command.asked_by == "plan"
        self.outcomes[command.call] = "placed"

    def check_legs(self, state: State) -> None:
        contacts = [leg.contact for leg in state.legs]
        assert len(contacts) == len(set(contacts)), "nobody is rung twice at a time"
        assert len({leg.id for leg in state.legs}) == len(state.legs)
        assert not self.cancelled & {leg.id for leg in state.legs}, "a leg that was cancelled is forgotten"

    def left_alone_it_goes_on(self) -> None:
        """From here only time passes: each deadline moves, and somebody is called or rung within a few laps."""
        for leg, operator in list(self.on_it.items()):
            self.tell(e.OperatorLeft(operator, leg=leg))
        assert not self.talk.state.presences, "an operator who is gone still has it"
        for leg_id in [leg.id for leg in self.talk.state.legs]:
            self.tell(e.LegLost(leg_id))
        self.talk.commands()
        for _ in range(80):
            due_at = self.talk.state.due_at
            if due_at is None:
                break
            self.talk.now = max(self.talk.now, due_at)
            self.tell(e.Timer())
            after = self.talk.state.due_at
            assert after is None or after > self.talk.now, "a deadline that was there is there again"
        state = self.talk.state
        if state.phase is Phase.ESCALATING and not state.exhausted and self.reaches_somebody():
            assert state.rings_operators or any(
                isinstance(c, Ring | Send | CallEmergency) for c in self.talk.commands()
            )

    def reaches_somebody(self) -> bool:
        return any(set(step.ring) - {"team:ghosts"} for step in self.talk.frozen.plan.steps)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_always_a_human_has_it_or_a_deadline_is_pending(batch: int) -> None:
    for seed in range(batch, SCRIPTS, BATCHES):
        try:
            Script(seed).run()
        except Exception as error:
            error.add_note(f"the script of seed {seed}")
            raise


def test_events_of_one_moment_lose_no_taker_whatever_their_order() -> None:
    """Who presses the key on a leg that is up has it, or hears who has: whoever was quicker, whatever else comes."""
    for seed in range(300):
        random = Random(seed)
        talk = Conversation(plan(ring("operators", "team:guards"), emergency())).opens()
        legs = [leg.id for leg in talk.state.legs]
        events: list[Event] = [e.Taken(leg, "key") for leg in legs]
        events += [
            e.Rings(legs[0]),
            e.Answered(legs[0]),
            e.OperatorJoined("olga", "op1"),
            e.EmergencyAsked("contact:bob"),
        ]
        random.shuffle(events)
        talk.tells(*events)
        has_it = {leg.id for leg in talk.state.legs if leg.taken}
        told = {c.leg for c in talk.commands() if isinstance(c, Cancel) and c.taken_by}
        assert talk.taken, seed
        assert len(has_it) <= 1, seed
        assert has_it | told == set(legs), seed
        assert not has_it & told, seed


def test_the_last_rule_would_notice() -> None:
    """The property is worth something: a state that waits for ever is noticed."""
    script = Script(1)
    script.talk.state = replace(script.talk.state, phase=Phase.TAKEN, step_due=None, due_at=None)
    with pytest.raises(AssertionError):
        script.tell(e.Timer())
