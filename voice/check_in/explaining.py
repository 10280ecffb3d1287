"""Check-ins in plain words: what a customer signs, and what a worker is told before his first shift. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from config.check_ins import CheckInRules, Roster
from config.models import EVERYBODYS, Settings, Worker
from voice.check_in.roster import beginnings
from voice.escalation.phrases import DAY_NAMES, duration, listed

LOOK = timedelta(days=366)
"""How far ahead the next sessions of a roster are looked for."""

SHOWN = 3
"""Sessions of a roster that are shown."""


def explained(settings: Settings, now: datetime) -> Iterator[str]:
    """Each way of asking that somebody has, and each roster that somebody follows."""
    for rules, workers in _asked(settings):
        yield title(rules)
        yield f"  for {listed([worker.name for worker in workers])}"
        yield from (f"  {line}" for line in explain(rules))
        yield ""
    for roster in settings.rosters:
        yield from _roster(roster, [worker for worker in settings.workers if roster.id in worker.roster], now)


def warnings(settings: Settings, now: datetime) -> Iterator[str]:
    """What is to be seen only on the calendar."""
    for roster in settings.rosters:
        if not beginnings(roster, now, now + LOOK):
            yield f"roster {roster.id!r}: no session begins within a year from now"


def title(rules: CheckInRules) -> str:
    return "Check-ins as they are without [[check_ins]]" if rules is EVERYBODYS else f"Check-ins {rules.id!r}"


def explain(rules: CheckInRules) -> list[str]:
    """One way of asking, a sentence for each thing that a worker should know."""
    by = "keys his PIN" if rules.confirm == "pin" else "presses the key that he is asked for, another one each time"
    told = [f"Each {duration(rules.interval)} the worker is called, and {by}. From then on the time counts anew."]
    if 0 < rules.warn_before < rules.interval:
        told.append(f"He is told {duration(rules.warn_before)} before.")
    told.append(_retries(rules))
    unreachable = duration(rules.unreachable_after)
    told.append(f"If no call comes as far as his telephone, it is missed {unreachable} after the first try.")
    told.append(
        f"A session lasts {duration(rules.longest)} at most, however often he extends it; each time by "
        f"{duration(rules.extend_by)}."
    )
    told.append(_at_the_end(rules))
    return told


def _retries(rules: CheckInRules) -> str:
    missed = rules.earliest_missed
    after = f"{duration(missed)} after it was due at the earliest" if missed else "at once"
    if not rules.retries:
        return f"He is called once. Without a confirmation the check-in is missed {after}, and an alarm rings."
    waits = listed([duration(wait) for wait in rules.retries], last="then")
    return (
        f"He is called again {waits} after a call that he did not confirm. After the last call the check-in is missed, "
        f"{after}, and an alarm rings."
    )


def _at_the_end(rules: CheckInRules) -> str:
    asked = "At the end of a session he is asked whether he is still working; if he does not answer, "
    if rules.forgotten == "alarm":
        return f"{asked}that is a missed check-in like any other."
    return f"{asked}it ends without an alarm, as agreed in “{rules.agreement}”."


def _asked(settings: Settings) -> Iterator[tuple[CheckInRules, Sequence[Worker]]]:
    """The rules that hold for somebody who is asked at all, and for whom."""
    for rules in (EVERYBODYS, *settings.check_ins):
        workers = [worker for worker in settings.workers if rules in _rules_of(worker, settings)]
        if workers:
            yield rules, workers


def _rules_of(worker: Worker, settings: Settings) -> list[CheckInRules]:
    """By which he may be asked: in sessions of rosters, and in those that he begins himself or somebody for him."""
    by_hand = [None] if worker.check_in or worker.pin else []
    return [settings.check_in_of(worker, roster) for roster in (*by_hand, *map(settings.roster, worker.roster))]


def _roster(roster: Roster, workers: Sequence[Worker], now: datetime) -> Iterator[str]:
    if not workers:
        return
    zone = ZoneInfo(roster.timezone)
    spans = beginnings(roster, now, now + LOOK)[:SHOWN]
    yield f"Roster {roster.id!r}"
    yield f"  for {listed([worker.name for worker in workers])}"
    yield f"  Sessions of {duration(roster.duration)} begin by themselves ({roster.timezone})."
    if spans:
        yield f"  The next ones: {listed([_dated(span.start, zone) for span in spans])}."
    yield ""


def _dated(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{DAY_NAMES[local.weekday()]} {local:%Y-%m-%d %H:%M}"
