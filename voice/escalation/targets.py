"""Whom the targets of a step mean at a moment: `team:ID` and `contact:ID`, expanded to contacts."""

from collections.abc import Iterable
from datetime import datetime

from config.plans import Contact, FrozenPlan
from voice.escalation.rota import on_duty, within
from voice.escalation.sparing import reach

OPERATORS = "operators"
TIME_ZONE = "Europe/Amsterdam"
"""Of a contact who has none, and whose customer is not known."""


def callable_now(
    frozen: FrozenPlan, targets: Iterable[str], at: datetime, own: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Who is rung: those with a number, without those outside their hours unless nobody would be left.

    `own`: what leads to the worker himself, and is no number of anybody in his alarm.
    """
    everybody = tuple(who for who in people(frozen, targets, at) if reach(frozen.contacts[who], own).numbers)
    return tuple(who for who in everybody if _in_hours(frozen, frozen.contacts[who], at)) or everybody


def people(frozen: FrozenPlan, targets: Iterable[str], at: datetime) -> tuple[str, ...]:
    """Contacts whom the targets mean, in their order, nobody twice."""
    found: dict[str, None] = {}
    for target in targets:
        kind, _, name = target.partition(":")
        found |= dict.fromkeys(_team(frozen, name, at) if kind == "team" else _known(frozen, (name,)))
    return tuple(found)


def _team(frozen: FrozenPlan, team_id: str, at: datetime) -> tuple[str, ...]:
    """Who of the team is on duty; everybody when the rota has a gap."""
    team = frozen.teams.get(team_id)
    if team is None:
        return ()
    rota = frozen.rotas.get(team.rota) if team.rota else None
    return (_known(frozen, on_duty(rota, at)) if rota else ()) or _known(frozen, team.members)


def _known(frozen: FrozenPlan, contacts: Iterable[str]) -> tuple[str, ...]:
    return tuple(who for who in contacts if who in frozen.contacts)


def _in_hours(frozen: FrozenPlan, contact: Contact, at: datetime) -> bool:
    zone = contact.timezone or (frozen.customer.timezone if frozen.customer else TIME_ZONE)
    return not contact.hours or within(contact.hours, zone, at)
