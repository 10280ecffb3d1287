"""Holes in plans: what is allowed, and would leave somebody without help one night; each with what to do about it.

Pure: `now` is an argument, for rotas are looked at for the fortnight that begins with it. What can be said of a
configuration without a plan, or of one row of it, is `config.advice`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from config.freezing import everybody
from config.models import SPECIAL_KINDS, Settings
from config.plans import FrozenPlan, Plan, Step, Team
from voice.escalation import absences, dead_ends
from voice.escalation.phrases import duration, listed
from voice.escalation.targets import OPERATORS
from voice.incidents.kinds import Kind

SHORT_RING = 15.0
"""Seconds. Mobile networks take up to ten before a telephone rings at all."""
LONG_RING = 90.0
"""Seconds. After 20 to 30 a voicemail has picked up; whoever does not answer in this time will not."""
LONG_STEP = 600.0
"""Seconds that one step may take when nobody answers."""
LONG_ALONE = 300.0
"""Seconds without anybody new before an automatic emergency call."""
LONG_WAIT = 900.0
LONG_PAUSE = 120.0
"""Seconds between two laps, and between two rounds."""
LONG_FOLLOW_UP = 3600.0


def holes(frozen: FrozenPlan, settings: Settings, now: datetime, kinds: Sequence[Kind] = tuple(Kind)) -> list[str]:
    """Warnings about a plan as it is for its customer (`frozen.customer`; None: for callers who have none).

    `kinds` of alarm follow it: of a plan for tests or technical alarms only less is asked.
    """
    about_persons = bool(set(kinds) - SPECIAL_KINDS)
    found = [*of_plan(frozen, now, about_persons=about_persons), *of_customer(frozen, settings)]
    return list(dict.fromkeys(found))


def of_plan(frozen: FrozenPlan, now: datetime, *, about_persons: bool) -> Iterator[str]:
    """What is the same for all customers on one clock."""
    yield from _of_steps(frozen, now)
    yield from _of_teams(frozen, now)
    if about_persons:
        yield from _of_course(frozen.plan)
        yield from _of_hours(frozen, now)
    yield from _of_end(frozen.plan)


def of_customer(frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    """What depends on whose alarms they are."""
    yield from _of_words(frozen, settings)
    yield from dead_ends.of_contacts(frozen, settings)
    yield from dead_ends.of_routes(frozen, settings)


def without_plan(settings: Settings) -> Iterator[str]:
    """Customers whose alarms ring operators only, because nobody has said otherwise."""
    if settings.escalation.default_plan is None:
        for customer in settings.customers:
            if customer.plan is None:
                yield (
                    f"customer {customer.id!r} has no plan, and there is no escalation.default_plan: "
                    "its alarms ring operators only"
                )


def longest(step: Step, frozen: FrozenPlan) -> float:
    """Seconds that a step takes at most when nobody answers. An emergency call that is placed is not counted."""
    if step.wait is not None:
        return step.wait
    if step.emergency is not None:
        return step.seconds if step.confirm == "operator" else 0.0
    if not step.ring:
        return 0.0
    calls = [step.seconds * len(contact.numbers) for contact in everybody(frozen, step.ring)]
    people = sum(calls) if step.order == "sequence" else max(calls, default=0.0)
    operators = step.seconds if OPERATORS in step.ring else 0.0
    return max(people, operators) * step.rounds + step.pause * (step.rounds - 1)


# -- step by step --


def _of_steps(frozen: FrozenPlan, now: datetime) -> Iterator[str]:
    for number, step in enumerate(frozen.plan.steps, 1):
        if step.ring:
            yield from (f"step {number}: {line}" for line in _of_ring(step, frozen))
            yield from (f"step {number}: {line}" for line in _of_people(step.ring, frozen, now))
        if step.emergency and step.confirm == "automatic":
            yield from (f"step {number}: {line}" for line in _of_automatic(number, step, frozen))


def _of_ring(step: Step, frozen: FrozenPlan) -> Iterator[str]:
    people = everybody(frozen, step.ring)
    if people and step.seconds < SHORT_RING:
        yield f"{duration(step.seconds)} are short: a mobile telephone may not have begun to ring; take 25 or more"
    if people and step.seconds > LONG_RING:
        yield f"rings each telephone for {duration(step.seconds)}: a voicemail answers after half a minute; take 45"
    if longest(step, frozen) > LONG_STEP:
        yield (
            f"takes up to {duration(longest(step, frozen))} when nobody answers, and nobody else is rung: "
            "ring all at once, or in fewer rounds"
        )
    if step.rounds > 1 and step.pause > LONG_PAUSE:
        yield f"pauses {duration(step.pause)} between rounds, in which no telephone of it rings: ring others meanwhile"


def _of_people(targets: Sequence[str], frozen: FrozenPlan, now: datetime) -> Iterator[str]:
    if set(targets) == {OPERATORS}:
        return
    contacts = tuple(target for target in targets if target != OPERATORS)
    zone = absences.zone_of(frozen)
    if nobody := absences.in_words(absences.rung_nobody(frozen, contacts, now), zone, now):
        yield f"rings nobody: {nobody}; give its team members, or its rota a shift"


def _of_automatic(number: int, step: Step, frozen: FrozenPlan) -> Iterator[str]:
    before = sum(longest(earlier, frozen) for earlier in frozen.plan.steps[: number - 1])
    if before > step.after:
        yield (
            f"is to call {duration(step.after)} after the alarm, and the steps before it can take {duration(before)}: "
            "it may call that late; shorten them, or move it up"
        )
    elif step.after - before > LONG_ALONE:
        yield (
            f"waits until {duration(step.after)} after the alarm, and the steps before it take {duration(before)} at "
            f"most: nobody new is rung for {duration(step.after - before)}; give them more rounds"
        )


# -- rotas --


def _of_teams(frozen: FrozenPlan, now: datetime) -> Iterator[str]:
    for team in frozen.teams.values():
        rota = frozen.rotas.get(team.rota) if team.rota else None
        if rota is None:
            continue
        if gaps := absences.in_words(absences.off_duty(rota, now), rota.timezone, now):
            yield f"rota {rota.id!r}: nobody is on duty: {gaps}; {_instead(team)}"
        seasonal = any(shift.holidays != "as usual" for shift in rota.shifts)
        if seasonal and not any(day >= now.date() for day in rota.holidays):
            yield f"rota {rota.id!r} has shifts for holidays, and no holiday that is still to come: write the next ones"


def _instead(team: Team) -> str:
    if team.members:
        return f"all members of team {team.id!r} are rung then; add a shift"
    return f"and team {team.id!r} has no members, so nobody of it is rung then; add a shift, or members"


# -- the course of the plan --


def _of_course(plan: Plan) -> Iterator[str]:
    targets = [target for step in plan.steps for target in step.ring]
    if not targets:
        yield "nobody is ever rung: it only waits and sends messages; add a step that rings people"
    elif set(targets) == {OPERATORS}:
        yield "only operators are rung: when none of them is there, nobody is; add a step that rings contacts"
    for number, step in enumerate(plan.steps, 1):
        if step.wait is not None and step.wait > LONG_WAIT:
            yield f"step {number}: waits {duration(step.wait)}, in which nobody else is rung; ring somebody meanwhile"
        if step.emergency and step.confirm == "operator" and OPERATORS not in targets:
            yield f"step {number}: asks for a confirmation, and no step rings operators: nobody is there to give it"
    if plan.lap_pause > LONG_PAUSE:
        yield f"lap_pause: nobody else is rung for {duration(plan.lap_pause)} before it starts again; take 5 seconds"
    if plan.follow_up > LONG_FOLLOW_UP:
        yield f"follow_up: who takes an alarm and forgets it is found out after {duration(plan.follow_up)} only"


def _of_end(plan: Plan) -> Iterator[str]:
    if plan.at_end == "stop":
        yield (
            f"can end without a human (agreed in “{plan.agreement}”): after the last step nobody new is rung; "
            'if that is not meant, at_end = "start again"'
        )


def _of_hours(frozen: FrozenPlan, now: datetime) -> Iterator[str]:
    for number, step in enumerate(frozen.plan.steps, 1):
        out = absences.in_words(absences.out_of_hours(frozen, step.ring, now), absences.zone_of(frozen), now)
        if out:
            names = listed([contact.name for contact in everybody(frozen, step.ring) if contact.hours])
            yield f"step {number}: outside the hours of {names}: {out}; they are rung all the same, add somebody else"


def _of_words(frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    """Whether somebody can be reached, and end it."""
    targets = [target for step in frozen.plan.steps for target in step.ring]
    people, customer = everybody(frozen, targets), frozen.customer
    if len(people) == 1 and not (OPERATORS in targets and settings.operators):
        yield f"only {people[0].name} is ever rung: when that telephone is off, nobody is; add somebody else"
    if customer and people and not (settings.operators or customer.close_word):
        yield f"customer {customer.id!r} has no close_word, and there are no operators: no contact can close an alarm"
    if customer and customer.close_word and not customer.duress_word:
        yield f"customer {customer.id!r} has no duress_word: who is forced to close an alarm has nothing to say"
