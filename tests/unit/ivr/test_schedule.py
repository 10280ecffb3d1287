"""When a worker is called, called again, and missed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.schedule import DIALOGUE, TRY_AGAIN, UNANSWERED, begin, decide
from ivr.session import (
    Answered,
    Call,
    CallFailed,
    Cancel,
    Command,
    Confirmed,
    DeviceSeen,
    Done,
    Due,
    Ended,
    Event,
    Extended,
    How,
    Lost,
    MemoLeft,
    NotConfirmed,
    Origin,
    Phase,
    PinChanged,
    RaiseMissed,
    Remind,
    Renewed,
    Rules,
    Session,
    TellLate,
    Warn,
    Why,
    offset,
    shifted,
)

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Talk:
    """A session in the making: time passes, events are told, commands are kept."""

    def __init__(self, rules: Rules | None = None, *, minutes: float = 480, **how: Any) -> None:
        self.now = START
        first = begin("s1", "anna", Origin.WORKER, rules or Rules(), now=START, ends_at=START + minutes * MINUTE, **how)
        self.session = first.session
        self.commands: list[Command] = []
        self.notes = [note.kind for note in first.notes]

    def tell(self, event: Event) -> list[Command]:
        decision = decide(self.session, event, self.now)
        self.session = Session.from_json(decision.session.to_json())
        self.commands += decision.commands
        self.notes += [note.kind for note in decision.notes]
        return list(decision.commands)

    def until(self, minutes: float) -> list[Command]:
        """Let time pass to so many minutes after the start; what is asked for in it."""
        end, since = START + minutes * MINUTE, len(self.commands)
        while self.session.wake_at is not None and self.session.wake_at <= end:
            self.now = max(self.now, self.session.wake_at)
            self.tell(Due())
        self.now = end
        return self.commands[since:]

    @property
    def key(self) -> str:
        assert self.session.attempt is not None
        return self.session.attempt.key

    def minutes(self, moment: datetime | None) -> float:
        assert moment is not None
        return (moment - START) / MINUTE


SILENT = Rules(warn_before=0.0)
"""Every 30 minutes, with a grace of one, called again after one and two."""


# -- on time --


def test_a_worker_is_called_an_interval_after_his_session_began() -> None:
    talk = Talk(SILENT)
    assert talk.until(29.99) == []
    assert talk.until(30) == [Call("1.1", 1, final=False)]
    assert talk.notes == ["began", "called"]


def test_a_confirmation_sets_the_next_due_time_an_interval_from_now() -> None:
    talk = Talk(SILENT)
    talk.until(30.5)
    assert talk.tell(Confirmed(How.KEY, talk.key)) == []
    assert talk.minutes(talk.session.due_at) == 60.5
    assert (talk.session.phase, talk.session.round, talk.session.attempt) == (Phase.WAITING, 2, None)
    assert talk.session.confirmed_at == talk.now


@pytest.mark.parametrize("how", list(How))
def test_nothing_that_follows_depends_on_how_he_confirmed(how: How) -> None:
    talk, other = Talk(SILENT), Talk(SILENT)
    for one, by in ((talk, how), (other, How.PIN)):
        one.until(30)
        one.tell(Answered(one.key))
        one.tell(Confirmed(by, one.key))
        one.until(200)
    assert talk.commands == other.commands
    assert replace(talk.session, confirmed_by=None) == replace(other.session, confirmed_by=None)
    assert talk.notes == other.notes


def test_he_is_warned_before_a_check_in_and_reminded_before_the_last() -> None:
    talk = Talk(Rules(warn_before=300.0), minutes=45)
    assert talk.until(29) == [Warn("s1:1:warn", talk.session.due_at)]
    talk.until(30)
    talk.tell(Confirmed(How.KEY, talk.key))
    assert talk.until(44) == [Remind("s1:2:remind", talk.session.ends_at)]
    assert talk.notes.count("warned") == talk.notes.count("reminded") == 1


def test_nobody_is_warned_right_after_he_confirmed() -> None:
    talk = Talk(Rules(interval=200.0, warn_before=300.0))
    assert talk.session.warn_at is None


def test_a_warning_that_came_too_late_is_dropped() -> None:
    talk = Talk(Rules(warn_before=300.0))
    talk.until(26)
    assert talk.session.pending != ()
    talk.until(30)
    assert talk.session.pending == ()


# -- missed --


def test_he_is_called_three_times_and_then_missed_once() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    for wait in (1, 2):
        talk.now += MINUTE / 2
        assert talk.tell(NotConfirmed(talk.key, "no answer")) == []
        assert talk.session.next_at == talk.now + wait * MINUTE
        again = talk.until(talk.minutes(talk.session.next_at))
        assert [type(command) for command in again] == [Call]
    talk.now += MINUTE / 2
    missed = RaiseMissed("s1:1:missed", START + 30 * MINUTE, Why.NOT_CONFIRMED)
    assert talk.tell(NotConfirmed(talk.key)) == [missed]
    assert talk.session.pending == (missed,)
    assert [call.number for call in talk.commands if isinstance(call, Call)] == [1, 2, 3]


def test_nothing_is_missed_within_the_grace() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=90.0))
    talk.until(30)
    assert talk.tell(NotConfirmed(talk.key, "declined")) == []
    assert talk.until(31.4) == []
    assert talk.tell(Confirmed(How.PIN)) == []
    assert talk.session.phase is Phase.WAITING


def test_no_call_follows_within_the_grace() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(10.0,), grace=90.0))
    talk.until(30)
    talk.tell(NotConfirmed(talk.key, "declined"))
    assert talk.minutes(talk.session.next_at) == 31.5


def test_after_a_miss_the_check_ins_go_on() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=0.0))
    talk.until(30)
    talk.tell(NotConfirmed(talk.key))
    assert talk.minutes(talk.session.due_at) == 60
    talk.until(60)
    assert talk.commands[-1] == Call("2.1", 1, final=False, late=True)
    talk.tell(NotConfirmed(talk.key))
    assert [alarm.key for alarm in talk.commands if isinstance(alarm, RaiseMissed)] == ["s1:1:missed", "s1:2:missed"]


def test_a_late_confirmation_is_told_once_of_the_latest_alarm() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=0.0))
    for minute in (30, 60):
        talk.until(minute)
        talk.tell(NotConfirmed(talk.key))
    assert talk.tell(Confirmed(How.PIN)) == [TellLate("s1:2:missed:late", "s1:2:missed", How.PIN, talk.now)]
    assert talk.tell(Confirmed(How.PIN)) == []


def test_a_call_whose_shell_says_nothing_is_given_up() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    assert talk.until(32) == [Cancel("1.1")]
    assert (talk.session.attempt, talk.session.counted) == (None, 1)
    assert timedelta(minutes=2) == UNANSWERED


def test_an_answered_call_has_the_time_of_its_dialogue_and_is_never_hung_up() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    talk.now += MINUTE
    talk.tell(Answered(talk.key))
    assert talk.session.wake_at == talk.now + DIALOGUE
    assert Cancel("1.1") not in talk.until(40)


def test_whoever_confirms_by_himself_is_not_rung_any_longer() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    assert talk.tell(Confirmed(How.PIN)) == [Cancel("1.1")]


def test_whoever_confirms_in_a_call_is_not_hung_up_on() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    assert talk.tell(Confirmed(How.KEY, talk.key)) == []


def test_whoever_confirms_elsewhere_while_he_is_in_a_call_is_not_hung_up_on() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    talk.tell(Answered(talk.key))
    assert talk.tell(Confirmed(How.PIN)) == []


# -- not reached --


@pytest.mark.parametrize(
    ("status", "rang", "reached"),
    [(486, False, True), (600, False, True), (603, False, True), (480, False, False), (480, True, True)]
    + [(status, False, False) for status in (403, 404, 408, 500, 503, None)],
)
def test_a_call_counts_only_if_it_came_as_far_as_his_telephone(status: int | None, rang: bool, reached: bool) -> None:
    talk = Talk(SILENT)
    talk.until(30)
    talk.tell(CallFailed(talk.key, status, rang=rang))
    assert talk.session.counted == (1 if reached else 0)
    assert talk.session.next_at == talk.now + (MINUTE if reached else TRY_AGAIN)


def test_a_trunk_that_is_down_at_the_due_time_is_no_miss_of_his() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    for _ in range(10):
        talk.now += timedelta(seconds=2)
        talk.tell(CallFailed(talk.key, 503))
        talk.until(talk.minutes(talk.session.next_at))
    assert not any(isinstance(command, RaiseMissed) for command in talk.commands)
    talk.tell(Confirmed(How.KEY, talk.key))
    assert talk.session.missed == ()


def test_a_worker_who_cannot_be_reached_is_missed_all_the_same() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    while not talk.session.missed:
        talk.now += timedelta(seconds=2)
        talk.tell(CallFailed(talk.key, None))
        talk.until(talk.minutes(talk.session.next_at or talk.now))
    assert talk.minutes(talk.now) == pytest.approx(35, abs=0.1)
    (missed,) = (command for command in talk.commands if isinstance(command, RaiseMissed))
    assert missed.why is Why.UNREACHABLE


def test_a_call_that_died_with_its_process_is_made_again_at_once() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    assert talk.tell(Lost(talk.key)) == [Call("1.2", 1, final=False)]


def test_a_service_that_dies_in_every_call_still_raises_the_alarm() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    while not talk.session.missed:
        talk.now += MINUTE / 2
        talk.tell(Lost(talk.key))
    assert talk.minutes(talk.now) == 35


def test_after_a_call_that_reached_him_the_time_without_any_begins_anew() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(400.0,)))
    talk.until(30)
    talk.tell(NotConfirmed(talk.key))
    talk.until(37)
    talk.tell(CallFailed(talk.key, 503))
    assert talk.session.missed == ()


def test_a_check_in_that_fell_due_while_nobody_was_there_is_called_first() -> None:
    talk = Talk(SILENT)
    talk.now = START + 200 * MINUTE
    assert talk.tell(Due()) == [Call("1.1", 1, final=False)]
    assert talk.tell(NotConfirmed(talk.key)) == []


# -- the end --


def test_the_last_check_in_asks_whether_he_is_still_working_and_a_confirmation_ends_the_session() -> None:
    talk = Talk(SILENT, minutes=20)
    assert talk.until(20) == [Call("1.1", 1, final=True)]
    talk.tell(Confirmed(How.KEY, talk.key))
    assert (talk.session.phase, talk.session.wake_at) == (Phase.ENDED, None)


def test_a_confirmation_before_the_end_does_not_end_it() -> None:
    talk = Talk(SILENT, minutes=20)
    talk.until(19)
    talk.tell(Confirmed(How.PIN))
    assert talk.session.open
    assert talk.session.due_at == talk.session.ends_at


def test_a_session_that_was_forgotten_raises_the_alarm_and_ends() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=0.0), minutes=20)
    talk.until(20)
    (missed,) = talk.tell(NotConfirmed(talk.key))
    assert isinstance(missed, RaiseMissed)
    assert not talk.session.open
    talk.tell(Done(missed.key))
    assert talk.session.pending == ()


def test_a_session_that_was_forgotten_ends_without_an_alarm_where_the_rules_say_so() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=0.0, forgotten="end"), minutes=20)
    talk.until(20)
    assert talk.tell(NotConfirmed(talk.key)) == []
    assert not talk.session.open
    assert talk.notes[-2:] == ["forgotten", "ended"]


def test_who_could_not_be_asked_at_the_end_has_not_been_silent() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), forgotten="end", unreachable_after=60.0), minutes=20)
    talk.until(20)
    talk.tell(CallFailed(talk.key, 503))
    talk.now += timedelta(seconds=90)
    while not any(isinstance(command, RaiseMissed) for command in talk.tell(Due())):
        talk.tell(CallFailed(talk.key, 503))
    assert not talk.session.open


def test_a_confirmation_after_the_alarm_of_the_last_check_in_is_told() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(), grace=0.0), minutes=20)
    talk.until(20)
    talk.tell(NotConfirmed(talk.key))
    assert [type(command) for command in talk.tell(Confirmed(How.PIN))] == [TellLate]
    assert not talk.session.open


def test_at_the_last_question_he_can_go_on() -> None:
    talk = Talk(SILENT, minutes=20)
    talk.until(20)
    talk.tell(Extended(how=How.KEY))
    assert talk.session.open
    assert talk.minutes(talk.session.ends_at) == talk.minutes(talk.session.due_at) == 35


def test_extending_with_a_proof_confirms_and_without_one_does_not() -> None:
    talk = Talk(SILENT)
    talk.until(10)
    talk.tell(Extended())
    assert (talk.minutes(talk.session.ends_at), talk.minutes(talk.session.due_at)) == (495, 30)
    talk.tell(Extended(by=60.0, how=How.PIN))
    assert (talk.minutes(talk.session.ends_at), talk.minutes(talk.session.due_at)) == (496, 40)


def test_no_session_lasts_longer_than_the_rules_say() -> None:
    talk = Talk(Rules(longest=36000.0, warn_before=0.0), minutes=10_000)
    assert talk.minutes(talk.session.ends_at) == 600
    talk.tell(Extended())
    assert talk.minutes(talk.session.ends_at) == 600


def test_a_session_can_be_made_to_last_until_a_roster_ends() -> None:
    talk = Talk(SILENT, minutes=60)
    talk.tell(Extended(until=START + 90 * MINUTE))
    talk.tell(Extended(until=START + 70 * MINUTE))
    assert talk.minutes(talk.session.ends_at) == 90


def test_beginning_again_takes_other_rules_and_another_end() -> None:
    talk = Talk(SILENT, minutes=60)
    talk.until(30)
    rules = Rules(interval=600.0)
    assert talk.tell(Renewed(rules, START + 50 * MINUTE, How.DURESS)) == [Cancel("1.1")]
    assert (talk.session.rules, talk.minutes(talk.session.due_at)) == (rules, 40)
    assert (talk.session.started_at, talk.minutes(talk.session.ends_at)) == (talk.now, 50)


def test_an_ended_session_stops_ringing_and_calls_nobody() -> None:
    talk = Talk(SILENT)
    talk.until(30)
    assert talk.tell(Ended("operator:olga")) == [Cancel("1.1")]
    assert talk.session.wake_at is None
    assert talk.tell(Due()) == talk.tell(Ended()) == talk.tell(Extended()) == []


def test_retries_that_outlast_the_session_end_it() -> None:
    talk = Talk(Rules(warn_before=0.0, retries=(1200.0,)), minutes=45)
    talk.until(30)
    talk.tell(NotConfirmed(talk.key))
    talk.until(50)
    talk.tell(Confirmed(How.KEY, talk.key))
    assert not talk.session.open


# -- what is known --


def test_a_memo_and_a_sign_of_life_are_kept_and_confirm_nothing() -> None:
    talk = Talk(SILENT)
    talk.tell(MemoLeft("m1"))
    talk.tell(PinChanged(How.PIN))
    for second in (1, 2, 70):
        talk.now = START + timedelta(seconds=second)
        talk.tell(DeviceSeen(talk.now))
    assert (talk.session.memo, talk.session.device_seen_at) == ("m1", START + timedelta(seconds=70))
    assert talk.session.decisions == 5, "a sign of life is written once a minute"
    assert (talk.session.confirmed_at, talk.minutes(talk.session.due_at)) == (None, 30)


@pytest.mark.parametrize(
    "event",
    [Due(), Answered("9.9"), NotConfirmed("9.9"), CallFailed("9.9"), Lost("9.9"), Done("nothing")],
    ids=lambda event: type(event).__name__,
)
def test_what_comes_late_twice_or_from_elsewhere_changes_nothing(event: Event) -> None:
    talk = Talk(SILENT)
    talk.until(30)
    before = talk.session
    assert decide(before, event, talk.now).session is before


def test_who_begins_a_session_by_a_pin_is_known_to_be_there() -> None:
    assert Talk(how=How.PIN).session.confirmed_at == START
    assert Talk().session.confirmed_at is None


# -- sessions that begin together --


def test_sessions_of_a_roster_are_spread_evenly_and_always_to_the_same_place() -> None:
    places = [offset(f"s{n}", 60.0) for n in range(6000)]
    assert places == [offset(f"s{n}", 60.0) for n in range(6000)]
    seconds = [int(place) for place in places]
    assert (min(seconds), max(seconds)) == (0, 59)
    assert max(seconds.count(second) for second in range(60)) < 150
    talk = Talk(SILENT, spread=60.0)
    aside = timedelta(seconds=offset("s1", 60.0))
    assert talk.session.due_at == START + 30 * MINUTE + aside
    assert talk.session.ends_at == START + 480 * MINUTE + aside


def test_a_roster_session_that_begins_late_is_due_at_once() -> None:
    talk = Talk(SILENT, started_at=START - 120 * MINUTE)
    assert talk.session.due_at == START
    early = Talk(SILENT, started_at=START - 10 * MINUTE)
    assert early.minutes(early.session.due_at) == 20


# -- clocks --


def test_a_clock_that_was_set_back_pushes_no_deadline_away() -> None:
    talk = Talk(SILENT)
    talk.until(10)
    talk.tell(MemoLeft("m"))
    back = timedelta(days=1)
    moved = decide(talk.session, MemoLeft("n"), talk.now - back).session
    assert moved.wake_at == START + 30 * MINUTE - back
    assert moved.ends_at == talk.session.ends_at - back


@given(st.timedeltas(timedelta(days=-9), timedelta(days=9)))
def test_a_session_on_another_clock_is_the_same(by: timedelta) -> None:
    talk = Talk(SILENT)
    talk.until(30)
    moved = shifted(talk.session, by)
    assert shifted(moved, -by) == talk.session
    assert moved.waits == talk.session.waits


# -- whatever happens --


def _a_happening(rng: Random, talk: Talk) -> Event:
    key = talk.session.attempt.key if talk.session.attempt and rng.random() < 0.8 else rng.choice(("1.1", "2.1", "9.9"))
    return rng.choice(
        (
            Answered(key),
            Confirmed(rng.choice(list(How)), rng.choice((None, key))),
            NotConfirmed(key),
            CallFailed(key, rng.choice((None, 480, 486, 503))),
            Lost(key),
            Extended(how=rng.choice((None, How.PIN))),
            Renewed(talk.session.rules, talk.now + rng.randint(-5, 90) * MINUTE, How.PIN),
            Ended() if rng.random() < 0.2 else Due(),
            MemoLeft("m"),
            DeviceSeen(talk.now),
            Done(rng.choice(talk.session.pending).key if talk.session.pending else "none"),
        )
    )


@given(st.integers(0, 2**32))
def test_an_open_session_always_has_a_deadline_and_each_round_is_missed_once_at_most(seed: int) -> None:
    rng = Random(seed)
    rules = Rules(
        interval=rng.choice((60.0, 1800.0)),
        grace=rng.choice((0.0, 60.0)),
        retries=tuple(rng.choice((0.0, 60.0)) for _ in range(rng.randint(0, 3))),
        warn_before=rng.choice((0.0, 300.0)),
        unreachable_after=rng.choice((0.0, 300.0)),
        forgotten=rng.choice(("alarm", "end")),
    )
    talk = Talk(rules, minutes=rng.choice((0, 1, 45, 480)), spread=rng.choice((0.0, 60.0)))
    missed: list[str] = []
    called: set[str] = set()
    for _ in range(60):
        if rng.random() < 0.6 and talk.session.wake_at is not None:
            talk.now = max(talk.now, talk.session.wake_at) + timedelta(seconds=rng.choice((0.0, 1.0, 4000.0)))
            commands = talk.tell(Due())
        else:
            talk.now += timedelta(seconds=rng.uniform(-5.0, 30.0))
            commands = talk.tell(_a_happening(rng, talk))
        session = talk.session
        assert session.open == (session.wake_at is not None)
        assert session.ends_at <= session.latest_end + timedelta(seconds=60.0)
        assert (session.attempt is not None) == (session.phase is Phase.CALLING)
        for command in commands:
            if isinstance(command, RaiseMissed):
                missed.append(command.key)
            if isinstance(command, Call):
                assert command.key not in called
                called.add(command.key)
    assert len(missed) == len(set(missed))
    assert all(f"{key.split(':')[1]}.1" in called for key in missed), "nobody is missed who was not called"
