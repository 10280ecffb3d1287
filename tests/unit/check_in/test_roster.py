"""Which sessions a roster begins: recurrence, holidays, time zones, summer time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.check_ins import CheckInRules, Roster
from config.models import Settings, Worker
from ivr.session import Rules
from voice.check_in.roster import Span, beginnings, due, name, rules_of, under_way


def roster(rrule: str = "FREQ=DAILY", start: str = "2026-01-05T07:00:00", hours: float = 8, **more: Any) -> Roster:
    return Roster(id="early", rrule=rrule, start=start, duration=int(hours * 3600), **more)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def unexpected(roster: Roster, error: Exception) -> None:
    raise AssertionError(roster.id) from error


def starts(found: Roster, since: str, until: str) -> list[str]:
    return [f"{span.start:%m-%d %H:%M}" for span in beginnings(found, utc(since), utc(until))]


def test_sessions_begin_by_the_rule_on_the_wall_clock() -> None:
    weekdays = roster("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")
    assert starts(weekdays, "2026-01-08", "2026-01-13") == ["01-08 06:00", "01-09 06:00", "01-12 06:00"]


def test_nothing_begins_before_the_start() -> None:
    assert starts(roster(), "2025-12-01", "2026-01-06") == ["01-05 06:00"]


def test_nothing_begins_after_the_last_of_the_rule() -> None:
    assert starts(roster("FREQ=DAILY;COUNT=2"), "2026-01-01", "2026-02-01") == ["01-05 06:00", "01-06 06:00"]
    assert starts(roster("FREQ=DAILY;UNTIL=20260106T070000"), "2026-01-01", "2026-02-01") == [
        "01-05 06:00",
        "01-06 06:00",
    ]


def test_nothing_begins_on_a_holiday_of_the_place() -> None:
    resting = roster(holidays=(date(2026, 1, 6),))
    assert starts(resting, "2026-01-05", "2026-01-08") == ["01-05 06:00", "01-07 06:00"]


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    night = roster(start="2026-01-05T22:00:00", holidays=(date(2026, 1, 6),))
    assert starts(night, "2026-01-05", "2026-01-08") == ["01-05 21:00", "01-07 21:00"]


def test_the_same_hour_on_the_clock_is_another_moment_in_summer() -> None:
    assert starts(roster(), "2026-03-28", "2026-03-30") == ["03-28 06:00", "03-29 05:00"]
    assert starts(roster(), "2026-10-24", "2026-10-26") == ["10-24 05:00", "10-25 06:00"]


def test_a_time_that_the_clock_jumps_over_is_the_moment_of_the_jump() -> None:
    assert starts(roster(start="2026-01-05T02:30:00"), "2026-03-28T12:00", "2026-03-29T12:00") == ["03-29 01:00"]


def test_a_time_that_the_clock_shows_twice_is_the_first_of_the_two() -> None:
    assert starts(roster(start="2026-01-05T02:30:00"), "2026-10-24T12:00", "2026-10-25T12:00") == ["10-25 00:30"]


def test_hours_that_the_clock_leaves_out_begin_one_session_and_not_two() -> None:
    hourly = roster("FREQ=DAILY;BYHOUR=2,3", hours=1)
    assert starts(hourly, "2026-03-28T12:00", "2026-03-29T12:00") == ["03-29 01:00"]


def test_a_session_lasts_its_seconds_whatever_the_clock_does() -> None:
    (span,) = beginnings(roster(start="2026-01-05T22:00:00"), utc("2026-03-28T12:00"), utc("2026-03-29T12:00"))
    assert span.end - span.start == timedelta(hours=8)


def test_a_session_is_under_way_from_its_first_moment_up_to_its_end() -> None:
    span = Span(utc("2026-01-05T06:00"), utc("2026-01-05T14:00"))
    hair = timedelta(microseconds=1)
    for at, there in ((span.start - hair, False), (span.start, True), (span.end - hair, True), (span.end, False)):
        assert under_way(roster(), at) == ([span] if there else [])


def test_sessions_of_one_roster_may_overlap() -> None:
    assert len(under_way(roster(hours=30), utc("2026-01-07T08:00"))) == 2


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_the_zone_of_the_roster_counts_and_not_that_of_the_service(zone: str) -> None:
    (span,) = beginnings(roster(timezone=zone), utc("2026-06-01"), utc("2026-06-02"))
    assert f"{span.start.astimezone(ZoneInfo(zone)):%H:%M}" == "07:00"


@given(st.integers(0, 400 * 24 * 60), st.integers(1, 3 * 24 * 60))
def test_whatever_is_looked_at_in_parts_is_the_whole(minute: int, length: int) -> None:
    since = utc("2026-01-01") + timedelta(minutes=minute)
    until = since + timedelta(minutes=length)
    middle = since + (until - since) / 3
    found = roster("FREQ=DAILY;BYHOUR=1,2,3,14;BYMINUTE=0,30", hours=1)
    assert beginnings(found, since, middle) + beginnings(found, middle, until) == beginnings(found, since, until)


def test_who_is_to_be_there_is_asked_as_the_roster_says() -> None:
    settings = Settings(
        check_ins=(CheckInRules(id="visits", interval=900), CheckInRules(id="own")),
        rosters=(roster(check_in="visits"), roster().model_copy(update={"id": "other"})),
        workers=(
            Worker(id="anna", name="Anna", roster=("early",), check_in="own"),
            Worker(id="bob", name="Bob", roster=("early", "other")),
            Worker(id="carl", name="Carl"),
        ),
    )
    found = due(settings, utc("2026-01-05T08:00"), unexpected)
    assert [(one.worker.id, one.rules.interval) for one in found] == [("anna", 900), ("bob", 900), ("bob", 1800)]
    assert len({one.id for one in found}) == 3
    assert {one.id for one in due(settings, utc("2026-01-05T09:00"), unexpected)} == {one.id for one in found}
    assert due(settings, utc("2026-01-05T14:00"), unexpected) == []


def test_a_roster_that_cannot_be_followed_stops_none_of_the_others() -> None:
    broken = roster().model_copy(update={"id": "broken", "rrule": "FREQ=HOURLY;BYMINUTE=75"})
    workers = tuple(Worker(id=id, name=id, roster=(id,)) for id in ("broken", "early"))
    settings = Settings(rosters=(roster(),), workers=workers[1:])
    settings = settings.model_copy(update={"rosters": (broken, roster()), "workers": workers})
    told: list[str] = []
    found = due(settings, utc("2026-01-05T08:00"), lambda roster, error: told.append(roster.id))
    assert [one.worker.id for one in found] == ["early"]
    assert told == ["broken"]


def test_each_day_has_a_session_of_its_own() -> None:
    anna = Worker(id="anna", name="Anna")
    days = beginnings(roster(), utc("2026-01-05"), utc("2026-01-08"))
    assert len({name(roster(), anna, day) for day in days}) == 3


def test_rules_of_the_configuration_are_those_of_the_schedule() -> None:
    assert rules_of(CheckInRules(id="a")) == Rules()
    assert rules_of(CheckInRules(id="a", retries=(), confirm="pin")) == Rules(retries=(), confirm="pin")
