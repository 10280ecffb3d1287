"""Who is on duty: wall clocks that jump, weeks that alternate, people who stand in."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plans import DAYS, Hours, Rota
from voice.escalation.rota import Duty, duties, gaps, instant, on_duty, within

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def rota(*shifts: Mapping[str, Any], timezone: str = "Europe/Amsterdam", **more: Any) -> Rota:
    return Rota.model_validate({"id": "rota", "timezone": timezone, "shifts": shifts, **more})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shift(members: str, start: str = "00:00", end: str = "00:00", days: str = "mon-sun", **more: Any) -> dict[str, Any]:
    return {"members": members.split(), "from": start, "to": end, "days": days, **more}


DAY_AND_NIGHT = rota(shift("day", "08:00", "18:00"), shift("night", "18:00", "08:00"))


# -- weeks --


@pytest.mark.parametrize(
    ("local", "who"),
    [
        ("2026-06-05T08:00", "day"),  # Friday
        ("2026-06-05T17:59:59.999999", "day"),
        ("2026-06-05T18:00", "night"),
        ("2026-06-06T07:59", "night"),  # the shift of Friday
        ("2026-06-06T08:00", ""),  # Saturday has none
        ("2026-06-06T18:00", ""),
        ("2026-06-07T23:00", ""),
        ("2026-06-08T07:59", ""),  # nor has the night before Monday
        ("2026-06-08T08:00", "day"),
    ],
)
def test_a_shift_past_midnight_belongs_to_the_day_on_which_it_starts(local: str, who: str) -> None:
    working_week = rota(shift("day", "08:00", "18:00", "mon-fri"), shift("night", "18:00", "08:00", "mon-fri"))
    at = datetime.fromisoformat(local).replace(tzinfo=AMSTERDAM)
    assert on_duty(working_week, at) == tuple(who.split())


def test_a_shift_that_ends_when_it_begins_lasts_the_whole_day() -> None:
    changing_at_eight = rota(shift("a", "08:00", "08:00", "mon"), shift("b", "08:00", "08:00", "tue"))
    at = datetime(2026, 6, 8, 8, tzinfo=AMSTERDAM)
    assert [on_duty(changing_at_eight, at + timedelta(hours=h)) for h in (0, 23.99, 24, 47.99, 48)] == [
        ("a",), ("a",), ("b",), ("b",), (),
    ]  # fmt: skip


def test_twenty_four_o_clock_is_the_end_of_the_day() -> None:
    assert rota(shift("a", "00:00", "24:00")) == rota(shift("a", "00:00", "00:00"))


def test_a_span_of_days_may_run_over_the_weekend() -> None:
    weekend = rota(shift("a", days="fri-mon"))
    friday = datetime(2026, 6, 5, 12, tzinfo=AMSTERDAM)
    assert [bool(on_duty(weekend, friday + timedelta(days=n))) for n in range(-1, 6)] == [
        False, True, True, True, True, False, False,
    ]  # fmt: skip


def test_people_come_in_the_order_of_the_rota_and_nobody_twice() -> None:
    """Whoever began first does not come first for that."""
    both = rota(shift("late anna", "16:00", "00:00"), shift("anna early", "08:00", "18:00"))
    assert on_duty(both, datetime(2026, 6, 5, 17, tzinfo=AMSTERDAM)) == ("late", "anna", "early")


def test_the_moment_may_be_given_in_any_time_zone() -> None:
    assert on_duty(DAY_AND_NIGHT, datetime(2026, 6, 5, 23, 30, tzinfo=ZoneInfo("Asia/Tokyo"))) == ("day",)


# -- every so many weeks --


@pytest.mark.parametrize(
    ("day", "on"),
    [
        ("2025-12-29", False),  # before `starting`
        ("2025-12-31", True),  # `starting`, a Wednesday
        ("2026-01-04", True),  # the Sunday of its week
        ("2026-01-05", False),  # the Monday of the next
        ("2026-01-11", False),
        ("2026-01-12", True),  # weeks are counted through, whatever number the year gives them
        ("2026-12-27", False),
        ("2026-12-28", True),
        ("2027-01-03", True),
        ("2027-01-04", False),
    ],
)
def test_every_other_week_is_counted_from_the_week_of_starting(day: str, on: bool) -> None:
    alternating = rota(shift("a", every=2, starting="2025-12-31"))
    assert bool(on_duty(alternating, datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=AMSTERDAM))) is on


def test_three_teams_in_turn_leave_no_hole_in_five_years() -> None:
    """Over the 53rd week of 2026, over leap days, over every change of the clock."""
    first = date(2026, 1, 5)
    turns = [shift(name, every=3, starting=first + timedelta(weeks=n)) for n, name in enumerate("abc")]
    assert gaps(rota(*turns), utc("2026-01-19"), utc("2031-01-19")) == []


# -- leap days and holidays --


@pytest.mark.parametrize("night", ["2028-02-28", "2028-02-29"])
def test_a_night_shift_holds_into_and_out_of_a_leap_day(night: str) -> None:
    at = datetime.fromisoformat(f"{night}T18:00").replace(tzinfo=AMSTERDAM)
    assert [on_duty(DAY_AND_NIGHT, at + timedelta(hours=h)) for h in (-0.5, 0, 6, 13.5, 14)] == [
        ("day",), ("night",), ("night",), ("night",), ("day",),
    ]  # fmt: skip


def test_what_starts_on_a_leap_day_counts_its_weeks_from_it() -> None:
    alternating = rota(shift("a", days="tue", every=2, starting="2028-02-29"))
    tuesdays = [datetime(2028, 2, 29, 12, tzinfo=AMSTERDAM) + timedelta(weeks=n) for n in range(-1, 4)]
    assert [bool(on_duty(alternating, tuesday)) for tuesday in tuesdays] == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("local", "who"),
    [
        ("2026-12-24T12:00", "usual office"),
        ("2026-12-25T07:59", "usual office"),  # the shift of the 24th goes on into the holiday
        ("2026-12-25T08:00", "usual holiday"),
        ("2026-12-26T07:59", "usual holiday"),
        ("2026-12-26T08:00", "usual office"),
    ],
)
def test_a_shift_may_leave_out_holidays_or_hold_on_them_alone(local: str, who: str) -> None:
    christmas = rota(
        shift("usual"),
        shift("office", "08:00", "08:00", holidays="never"),
        shift("holiday", "08:00", "08:00", holidays="only"),
        holidays=["2026-12-25"],
    )
    assert on_duty(christmas, datetime.fromisoformat(local).replace(tzinfo=AMSTERDAM)) == tuple(who.split())


# -- somebody else, once --


def override(start: str, end: str, members: str = "", replaces: str = "") -> dict[str, Any]:
    return {"from": start, "to": end, "members": members.split(), "replaces": replaces.split()}


def with_overrides(*overrides: Mapping[str, Any]) -> Rota:
    return rota(shift("anna bert chris"), overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "who"),
    [
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "dirk")], "dirk"),
        ([override("2026-06-05T10:00", "2026-06-05T14:00")], ""),
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "dirk eva", "bert")], "anna dirk eva chris"),
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "", "bert")], "anna chris"),
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "chris", "anna")], "chris bert"),
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "dirk", "chris anna")], "dirk bert"),
        ([override("2026-06-05T10:00", "2026-06-05T14:00", "dirk", "fred")], "anna bert chris"),
        ([override("2026-06-05T10:00", "2026-06-05T12:00", "dirk")], "anna bert chris"),
        ([override("2026-06-05T12:00", "2026-06-05T12:01", "dirk")], "dirk"),
    ],
    ids=[
        "for everybody",
        "nobody",
        "for one",
        "for one nobody",
        "one who is on duty anyway",
        "for two",
        "for one who is not on duty",
        "over",
        "just begun",
    ],
)
def test_an_override_stands_in_for_those_it_replaces(overrides: list[Mapping[str, Any]], who: str) -> None:
    assert on_duty(with_overrides(*overrides), datetime(2026, 6, 5, 12, tzinfo=AMSTERDAM)) == tuple(who.split())


def test_of_two_overrides_the_later_one_wins_and_may_replace_who_stands_in() -> None:
    week = override("2026-06-01T00:00", "2026-06-08T00:00", "dirk", "bert")
    friday = override("2026-06-05T00:00", "2026-06-06T00:00", "eva", "dirk")
    at = datetime(2026, 6, 5, 12, tzinfo=AMSTERDAM)
    assert on_duty(with_overrides(week, friday), at) == ("anna", "eva", "chris")
    assert on_duty(with_overrides(friday, week), at) == ("anna", "dirk", "chris")


def test_an_override_fills_a_gap() -> None:
    alone = rota(overrides=[override("2026-06-05T10:00", "2026-06-05T14:00", "dirk")])
    assert on_duty(alone, datetime(2026, 6, 5, 12, tzinfo=AMSTERDAM)) == ("dirk",)


# -- the clock is changed --

SUMMER, WINTER = "2026-03-29", "2026-10-25"
"""At 02:00 the clock goes to 03:00, at 03:00 back to 02:00 (01:00 UTC both times)."""


@pytest.mark.parametrize(
    ("zone", "local", "moment"),
    [
        ("Europe/Amsterdam", f"{SUMMER}T01:59", "2026-03-29T00:59"),
        ("Europe/Amsterdam", f"{SUMMER}T02:00", "2026-03-29T01:00"),
        ("Europe/Amsterdam", f"{SUMMER}T02:30", "2026-03-29T01:00"),
        ("Europe/Amsterdam", f"{SUMMER}T03:00", "2026-03-29T01:00"),
        ("Europe/Amsterdam", f"{SUMMER}T03:01", "2026-03-29T01:01"),
        ("Europe/Amsterdam", f"{WINTER}T01:59", "2026-10-24T23:59"),
        ("Europe/Amsterdam", f"{WINTER}T02:30", "2026-10-25T00:30"),
        ("Europe/Amsterdam", f"{WINTER}T03:00", "2026-10-25T02:00"),
        ("America/St_Johns", "2026-03-08T02:30", "2026-03-08T05:30"),  # 3:30 behind, jumps at 02:00
        ("America/St_Johns", "2026-11-01T01:30", "2026-11-01T04:00"),
        ("America/St_Johns", "2011-03-13T00:30", "2011-03-13T03:31"),  # jumped at 00:01 then
        ("America/St_Johns", "2010-11-06T23:30", "2010-11-07T02:00"),  # and fell back into the day before
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),  # half an hour
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Asia/Kathmandu", "2026-03-29T02:30", "2026-03-28T20:45"),
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23T22:00"),  # midnight is left out
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),  # a whole day is left out
    ],
)
def test_a_wall_clock_time_means_one_instant(zone: str, local: str, moment: str) -> None:
    assert instant(datetime.fromisoformat(local), ZoneInfo(zone)) == utc(moment)


ZONES = ("Europe/Amsterdam", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "UTC")


@given(
    zone=st.sampled_from(ZONES),
    local=st.datetimes(datetime(2009, 1, 1), datetime(2035, 1, 1)),
    later=st.timedeltas(timedelta(0), timedelta(hours=30)),
)
def test_a_later_time_on_the_wall_clock_is_never_an_earlier_instant(
    zone: str, local: datetime, later: timedelta
) -> None:
    assert instant(local, ZoneInfo(zone)) <= instant(local + later, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("evening", "lasts"), [("2026-03-28", 13), ("2026-03-29", 14), ("2026-10-24", 15), ("2026-10-25", 14)]
)
def test_the_night_shift_lasts_13_or_15_hours_when_the_clock_changes(evening: str, lasts: int) -> None:
    start = datetime.fromisoformat(f"{evening}T18:00").replace(tzinfo=AMSTERDAM).astimezone(UTC)
    found = duties(DAY_AND_NIGHT, start, start + timedelta(hours=20))
    assert found[0] == Duty(start, start + timedelta(hours=lasts), ("night",))
    assert found[1].members == ("day",)


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        ("2026-03-29T00:59:59", "a"),
        ("2026-03-29T01:00", "b"),  # 02:30 is jumped over: at the jump, 03:00
        ("2026-10-25T00:29", "a"),
        ("2026-10-25T00:30", "b"),  # 02:30 for the first time
        ("2026-10-25T01:15", "b"),  # 02:15 for the second time
        ("2026-10-25T01:45", "b"),
    ],
)
def test_a_handover_at_half_past_two_takes_place_once_each_night(moment: str, who: str) -> None:
    handover = rota(shift("a", "12:00", "02:30"), shift("b", "02:30", "12:00"))
    assert on_duty(handover, utc(moment)) == (who,)


def test_a_shift_within_the_hour_that_is_left_out_does_not_take_place() -> None:
    short = rota(shift("a", "02:15", "02:45"))
    since = utc("2026-03-28T00:00")
    assert [duty.start for duty in duties(short, since, since + timedelta(days=3)) if duty.members] == [
        utc("2026-03-28T01:15"), utc("2026-03-30T00:15"),
    ]  # fmt: skip


def test_a_shift_within_the_hour_that_comes_twice_takes_place_once_and_one_around_it_lasts_both() -> None:
    since = utc("2026-10-24T22:00")
    short = duties(rota(shift("a", "02:15", "02:45")), since, since + timedelta(hours=12))
    around = duties(rota(shift("a", "02:00", "03:00")), since, since + timedelta(hours=12))
    assert [(d.start, d.end) for d in short if d.members] == [(utc("2026-10-25T00:15"), utc("2026-10-25T00:45"))]
    assert [(d.start, d.end) for d in around if d.members] == [(utc("2026-10-25T00:00"), utc("2026-10-25T02:00"))]


def test_an_override_that_begins_in_the_hour_left_out_begins_at_the_jump() -> None:
    stand_in = with_overrides(override(f"{SUMMER}T02:30", f"{SUMMER}T12:00", "dirk"))
    assert on_duty(stand_in, utc("2026-03-29T00:59:59"))[0] == "anna"
    assert on_duty(stand_in, utc("2026-03-29T01:00")) == ("dirk",)


@pytest.mark.parametrize(
    ("timezone", "moment", "who"),
    [
        ("Asia/Kathmandu", "2026-06-05T02:14", "night"),  # 07:59, 5:45 ahead
        ("Asia/Kathmandu", "2026-06-05T02:15", "day"),
        ("America/St_Johns", "2026-06-05T10:29", "night"),  # 07:59, 2:30 behind in summer
        ("America/St_Johns", "2026-06-05T10:30", "day"),
        ("America/St_Johns", "2026-12-04T11:29", "night"),  # 3:30 behind in winter
        ("America/St_Johns", "2026-12-04T11:30", "day"),
        ("Pacific/Kiritimati", "2026-06-04T17:59", "night"),  # 14 hours ahead: tomorrow
        ("Pacific/Kiritimati", "2026-06-04T18:00", "day"),
        ("UTC", "2026-06-05T08:00", "day"),
    ],
)
def test_shifts_stand_on_the_clock_of_their_own_zone(timezone: str, moment: str, who: str) -> None:
    there = rota(shift("day", "08:00", "18:00"), shift("night", "18:00", "08:00"), timezone=timezone)
    assert on_duty(there, utc(moment)) == (who,)


@pytest.mark.parametrize("timezone", [*ZONES, "Pacific/Apia"])
@pytest.mark.parametrize("handover", ["00:00", "00:30", "02:00", "02:30", "03:00", "23:30"])
def test_shifts_that_follow_each_other_leave_no_hole_and_no_double(timezone: str, handover: str) -> None:
    round_the_clock = rota(shift("a", handover, "12:00"), shift("b", "12:00", handover), timezone=timezone)
    for year in (2010, 2011, 2028):
        found = duties(round_the_clock, utc(f"{year}-01-01"), utc(f"{year + 1}-01-01"))
        assert {duty.members for duty in found} == {("a",), ("b",)}


# -- gaps --


def test_the_night_before_monday_is_found_when_nobody_has_it() -> None:
    without = rota(shift("a", days="mon-sat"), shift("b", "00:00", "20:00", "sun"))
    assert gaps(without, utc("2026-06-01"), utc("2026-06-15")) == [
        (utc("2026-06-07T18:00"), utc("2026-06-07T22:00")),
        (utc("2026-06-14T18:00"), utc("2026-06-14T22:00")),
    ]


def test_without_shifts_everything_is_one_gap() -> None:
    assert gaps(rota(), utc("2026-06-01"), utc("2026-06-15")) == [(utc("2026-06-01"), utc("2026-06-15"))]


def test_gaps_that_touch_are_one() -> None:
    """Two overrides that follow each other leave nobody."""
    away = with_overrides(
        override("2026-06-05T10:00", "2026-06-05T12:00"), override("2026-06-05T12:00", "2026-06-05T14:00")
    )
    assert gaps(away, utc("2026-06-01"), utc("2026-06-15")) == [(utc("2026-06-05T08:00"), utc("2026-06-05T12:00"))]


def test_an_override_by_itself_closes_a_gap_in_part() -> None:
    filled = rota(overrides=[override("2026-06-05T10:00", "2026-06-05T14:00", "dirk")])
    assert gaps(filled, utc("2026-06-05"), utc("2026-06-06")) == [
        (utc("2026-06-05"), utc("2026-06-05T08:00")),
        (utc("2026-06-05T12:00"), utc("2026-06-06")),
    ]


def test_no_time_has_no_gap() -> None:
    assert gaps(rota(), utc("2026-06-01"), utc("2026-06-01")) == []


_CLOCK = st.sampled_from([f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 30)])
_SHIFTS = st.lists(
    st.fixed_dictionaries(
        {
            "members": st.lists(st.sampled_from("abcd"), min_size=1, max_size=2),
            "from": _CLOCK,
            "to": _CLOCK,
            "days": st.lists(st.sampled_from(DAYS), min_size=1),
            "every": st.integers(1, 3),
            "starting": st.dates(date(2026, 3, 1), date(2026, 3, 20)),
            "holidays": st.sampled_from(["as usual", "never", "only"]),
        }
    ),
    max_size=4,
)


@given(
    shifts=_SHIFTS,
    timezone=st.sampled_from(ZONES),
    minutes=st.integers(0, 28 * 24 * 60 - 1),
    away=st.booleans(),
)
def test_duties_tell_of_every_moment_what_on_duty_tells(
    shifts: list[Mapping[str, Any]], timezone: str, minutes: int, away: bool
) -> None:
    overrides = [override("2026-03-20T00:30", "2026-03-29T02:30", "e", "a"), override("2026-03-28", "2026-04-02", "f")]
    made = rota(*shifts, timezone=timezone, overrides=overrides if away else [], holidays=["2026-03-30"])
    since = utc("2026-03-10")
    at, until = since + timedelta(minutes=minutes), since + timedelta(days=28)
    found = duties(made, since, until)
    assert [duty.end for duty in found] == [*(duty.start for duty in found[1:]), until]
    (duty,) = [duty for duty in found if duty.start <= at < duty.end]
    assert duty.members == on_duty(made, at)


# -- hours of a person --


@pytest.mark.parametrize(
    ("timezone", "moment", "inside"),
    [
        ("Europe/Amsterdam", "2026-06-05T05:59", False),
        ("Europe/Amsterdam", "2026-06-05T06:00", True),
        ("Europe/Amsterdam", "2026-06-05T15:59", True),
        ("Europe/Amsterdam", "2026-06-05T16:00", False),
        ("Europe/Amsterdam", "2026-06-06T12:00", False),  # Saturday by day
        ("Europe/Amsterdam", "2026-06-06T21:00", True),  # Saturday evening
        ("Europe/Amsterdam", "2026-06-06T23:30", True),  # and past midnight
        ("Europe/Amsterdam", "2026-06-07T00:00", False),
        ("Asia/Kathmandu", "2026-06-05T02:15", True),
        ("Asia/Kathmandu", "2026-06-05T02:14", False),
    ],
)
def test_hours_are_weekly_spans_on_the_clock_of_their_zone(timezone: str, moment: str, inside: bool) -> None:
    hours = (
        Hours.model_validate({"days": "mon-fri", "from": "08:00", "to": "18:00"}),
        Hours.model_validate({"days": "sat", "from": "22:00", "to": "02:00"}),
    )
    assert within(hours, timezone, utc(moment)) is inside


def test_without_hours_a_person_may_always_be_rung() -> None:
    assert within((), "Europe/Amsterdam", utc("2026-06-07T03:00"))
