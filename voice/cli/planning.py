"""Plans on the command line: explained and drawn by `check-config`, played in virtual time by `simulate`."""

import json
import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.freezing import freeze
from config.models import SPECIAL_KINDS, Worker
from config.plans import DAYS, OPERATORS_ONLY, Contact, FrozenPlan
from config.settings import Settings
from voice.cli import showing
from voice.cli.defined import everything
from voice.errors import ConfigurationError
from voice.escalation import holes
from voice.escalation.absences import zone_of
from voice.escalation.dead_ends import of_routes
from voice.escalation.drawing import mermaid
from voice.escalation.explaining import explain, title
from voice.escalation.phrases import DAY_NAMES, duration, listed
from voice.escalation.rota import instant
from voice.escalation.simulating import Behaviour, End, Moment, Story
from voice.escalation.simulating import simulate as play
from voice.escalation.sparing import own_lines
from voice.incidents.kinds import Kind
from voice.incidents.timeline import timestamp
from voice.incidents.wording import ALARMING, Names, said, who

SettingsOf = Callable[[Namespace], Settings]

LIMIT = timedelta(minutes=30)
LONGEST = timedelta(days=2)
NOBODY = "callers who belong to no customer"


# -- what check-config tells --


def drawn(settings: Settings, plan_id: str) -> str:
    """A plan as a Mermaid flow chart."""
    return mermaid(_frozen(settings, plan_id, None))


def explained(settings: Settings) -> Iterator[str]:
    """Each plan that somebody has, for whom it holds, and what it does."""
    groups: dict[tuple[str, ...], list[tuple[str, frozenset[Kind]]]] = {}
    for frozen, kinds in _followed(settings):
        whose = frozen.customer.name if frozen.customer else NOBODY
        groups.setdefault((title(frozen), *explain(frozen)), []).append((whose, kinds))
    for (name, *lines), owners in groups.items():
        yield ""
        yield name[:1].upper() + name[1:]
        yield from (f"  {line}" for line in (*_owners(owners), *lines))
    if groups:
        yield ""


def warnings(settings: Settings, now: datetime) -> Iterator[str]:
    """Holes, each once, whoever has them in common."""
    seen: set[tuple[str, str, bool]] = set()
    found: list[str] = []
    for frozen, kinds in _followed(settings):
        about_persons = bool(kinds - SPECIAL_KINDS)
        lines = list(holes.of_customer(frozen, settings))
        key = (frozen.plan.id, zone_of(frozen), about_persons)
        if key not in seen:
            seen.add(key)
            lines = [*holes.of_plan(frozen, now, about_persons=about_persons), *lines]
        found += [f"plan {frozen.plan.id!r}: {line}" for line in lines]
    yield from dict.fromkeys(found)
    yield from holes.without_plan(settings)


def _followed(settings: Settings) -> Iterator[tuple[FrozenPlan, frozenset[Kind]]]:
    """Each plan of each customer, and of callers who have none, with the kinds of alarm that follow it."""
    for customer in (*settings.customers, None):
        id = customer.id if customer else None
        kinds: dict[str, set[Kind]] = {}
        for kind in Kind:
            kinds.setdefault(settings.plan_for(id, kind).id, set()).add(kind)
        for of_plan in kinds.values():
            frozen = settings.frozen_plan(id, next(iter(of_plan)))
            if frozen.plan is not OPERATORS_ONLY:
                yield frozen, frozenset(of_plan)


def _owners(owners: Iterable[tuple[str, frozenset[Kind]]]) -> Iterator[str]:
    by_kinds: dict[str, list[str]] = {}
    for whose, kinds in owners:
        by_kinds.setdefault(_kinds(kinds), []).append(whose)
    for alarms, names in by_kinds.items():
        yield f"for {alarms} of {listed(names)}"


def _kinds(kinds: frozenset[Kind]) -> str:
    others = [kind for kind in Kind if kind not in kinds]
    if not others:
        return "every alarm"
    if len(others) <= 3:
        return f"every alarm but {listed([_kind(kind) for kind in others])}"
    return f"{listed([_kind(kind) for kind in Kind if kind in kinds])} alarms"


def _kind(kind: Kind) -> str:
    return kind.value.replace("_", " ")


# -- simulate --


def simulate(options: Namespace, settings_of: SettingsOf) -> int:
    """Play a plan in virtual time, and tell it as a table. Nothing is called and nothing is sent."""
    settings = everything(options, settings_of)
    worker = _worker(settings, options.worker)
    frozen = _frozen(settings, options.plan, options.customer or (worker.customer if worker else None))
    zone = ZoneInfo(zone_of(frozen))
    named = [*options.busy, *([options.taken_by] if options.taken_by else [])]
    for contact in named:
        _one_of(frozen.contacts, contact, "contact", f"contacts in plan {options.plan!r}")
    limit = span(options.lasting) if options.lasting else LIMIT
    opened_at = _moment(options.since, zone, datetime.now(UTC))
    own = own_lines(worker, None, settings.devices)
    behaviour = Behaviour(options.taken_by, frozenset(options.busy), operators=bool(settings.operators))
    story = play(frozen, opened_at, behaviour, limit, stops=options.lasting is None, own_lines=own)
    names = _names(settings, zone)
    comes_to_it = any(moment.note.kind in _OF_CONTROL_ROOMS for moment in story.moments)
    faults = list(of_routes(frozen, settings)) if comes_to_it else []
    if options.json:
        print(json.dumps(_plain(story, frozen, names) | {"warnings": faults}, indent=2))
    else:
        _tell(Console(highlight=False), story, frozen, names, zone)
        for line in faults:
            print(f"warning: {line}")
    return 0


_OF_CONTROL_ROOMS = {"would_call", "emergency_awaits_confirmation"}


def _tell(console: Console, story: Story, frozen: FrozenPlan, names: Names, zone: ZoneInfo) -> None:
    whose = frozen.customer.name if frozen.customer else NOBODY
    heading = title(frozen)
    console.print(f"{heading[:1].upper()}{heading[1:]}, alarm of {whose}", style="bold", soft_wrap=True, markup=False)
    since = f"{_dated(story.opened_at, zone)} ({zone.key})"
    console.print(f"{since}. Nothing is called and nothing is sent.", soft_wrap=True, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("time", "after", "what"):
        table.add_column(column, no_wrap=column != "what", overflow="fold")
    for moment in story.moments:
        words = Text(_words(moment, names), "bold red" if moment.note.kind in _RED else "")
        table.add_row(f"{moment.at.astimezone(zone):%H:%M:%S}", f"+{_after(moment, story)}", words)
    console.print(table)
    console.print(_ending(story, frozen), soft_wrap=True, markup=False)


_RED = ALARMING | {"would_call"}


def _words(moment: Moment, names: Names) -> str:
    note = moment.note
    by = "" if note.actor == "system" else f"{who(note.actor, names)} "
    return by + said(note.kind, note.detail, names)


def _after(moment: Moment, story: Story) -> str:
    minutes, seconds = divmod(round((moment.at - story.opened_at).total_seconds()), 60)
    return f"{minutes}:{seconds:02d}"


def _dated(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{DAY_NAMES[local.weekday()]} {local:%Y-%m-%d %H:%M:%S}"


def _ending(story: Story, frozen: FrozenPlan) -> str:
    lasted = duration((story.ended_at - story.opened_at).total_seconds())
    match story.end:
        case End.TAKEN:
            return f"After {lasted} a person has the alarm: nobody else is rung. {explain(frozen)[-1]}"
        case End.LAP:
            return f"After {lasted} the plan starts again from the top, and so on until a person has the alarm."
        case End.EMERGENCY:
            return f"After {lasted} the control room would be called. The rest depends on who answers there."
        case End.WITHOUT_HUMAN:
            return f"After {lasted} the plan ends without a human, as agreed in “{frozen.plan.agreement}”."
        case End.TIME:
            return f"After {lasted} the simulation ends: no person has the alarm, and the plan goes on."


def _plain(story: Story, frozen: FrozenPlan, names: Names) -> dict[str, Any]:
    return {
        "plan": frozen.plan.id,
        "customer": frozen.customer.id if frozen.customer else None,
        "opened_at": timestamp(story.opened_at),
        "moments": [
            {
                "at": timestamp(moment.at),
                "after_s": (moment.at - story.opened_at).total_seconds(),
                "kind": moment.note.kind,
                "detail": dict(moment.note.detail),
                "actor": moment.note.actor,
                "what": _words(moment, names),
            }
            for moment in story.moments
        ],
        "end": story.end.value,
        "ended_at": timestamp(story.ended_at),
    }


def _names(settings: Settings, zone: ZoneInfo) -> Names:
    names = showing.names_of(settings, ())
    return Names(operators=names.operators, contacts=names.contacts, routes=names.routes, zone=zone)


# -- what is asked for --


def _frozen(settings: Settings, plan_id: str, customer_id: str | None) -> FrozenPlan:
    """A plan as its customer has it: the one that is named, else the first who has it."""
    plans = {plan.id: plan for plan in (OPERATORS_ONLY, *settings.plans)}
    _one_of(plans, plan_id, "plan", "plans")
    customers = {customer.id: customer for customer in settings.customers}
    if customer_id is not None:
        _one_of(customers, customer_id, "customer", "customers")
    having = [c.id for c in settings.customers if plan_id in (c.plan, *c.plans.values())]
    chosen = customer_id or next(iter(having), None)
    return freeze(plans[plan_id], customers[chosen] if chosen else None, settings)


def _worker(settings: Settings, worker_id: str | None) -> Worker | None:
    if worker_id is None:
        return None
    workers = {worker.id: worker for worker in settings.workers}
    _one_of(workers, worker_id, "worker", "workers")
    return workers[worker_id]


def _one_of(known: Mapping[str, Any] | Mapping[str, Contact], id: str, one: str, several: str) -> None:
    if id not in known:
        there = f"{several}: {listed(list(known), most=20)}" if known else f"there are no {several}"
        raise ConfigurationError(f"there is no {one} {id!r}; {there}")


_SPAN = re.compile(r"(\d{1,6})(s|m|h)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def span(text: str) -> timedelta:
    """A duration as one types it: `90s`, `30m`, `2h`."""
    found = _SPAN.fullmatch(text)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < span <= LONGEST:
        raise ConfigurationError(f"{text!r} is no duration; allowed: 90s, 30m, 2h, up to {duration(172800)}")
    return span


_YEARS = range(1970, 2200)
_WEEKLY = re.compile(r"(?:([A-Za-z]{2,9})\s+)?(\d{1,2}:\d{2})")


def _moment(text: str | None, zone: ZoneInfo, now: datetime) -> datetime:
    """`2026-03-08T03:00` on the clock of the zone, with an offset on any; `Sunday 03:00`, `03:00`: the next one."""
    if text is None:
        return now
    found = _WEEKLY.fullmatch(text.strip())
    try:
        if found is not None:
            return _next(_weekdays(found[1]), time.fromisoformat(found[2].zfill(5)), zone, now)
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(f'{text!r} is no time; allowed: 2026-03-08T03:00, "Sunday 03:00", 03:00') from None
    if not _YEARS.start <= moment.year < _YEARS.stop:
        raise ConfigurationError(f"{text!r} is no time of an alarm; allowed: {_YEARS.start} to {_YEARS.stop - 1}")
    return instant(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def _weekdays(name: str | None) -> Sequence[int]:
    """The day that a name means, by its beginning; without one, every day."""
    if name is None:
        return range(len(DAYS))
    found = [number for number, day in enumerate(DAY_NAMES) if day.lower().startswith(name.lower())]
    if len(found) != 1:
        raise ValueError(f"{name!r} is no day of the week")
    return found


def _next(weekdays: Sequence[int], at: time, zone: ZoneInfo, now: datetime) -> datetime:
    today: date = now.astimezone(zone).date()
    days = (today + timedelta(days=count) for count in range(9))
    moments = (instant(datetime.combine(day, at), zone) for day in days if day.weekday() in weekdays)
    return next(moment for moment in moments if moment >= now)
