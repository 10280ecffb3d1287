"""What an incident takes with it when it opens: a plan, and everything that the plan names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from config.plans import Contact, Customer, EmergencyRoute, FrozenPlan, Plan, Rota, Team


class Definitions(Protocol):
    """Where the plan's names lead: the settings."""

    @property
    def contacts(self) -> Sequence[Contact]: ...
    @property
    def teams(self) -> Sequence[Team]: ...
    @property
    def rotas(self) -> Sequence[Rota]: ...
    @property
    def emergency_routes(self) -> Sequence[EmergencyRoute]: ...


Named = TypeVar("Named", Contact, Team, Rota, EmergencyRoute)


def freeze(plan: Plan, customer: Customer | None, known: Definitions) -> FrozenPlan:
    """The plan with the contacts, teams, rotas and routes that it reaches, and nobody else's."""
    targets = [target for step in plan.steps for target in (*step.ring, *step.message)]
    teams = _named(known.teams, _of("team:", targets))
    rotas = _named(known.rotas, (team.rota for team in teams.values() if team.rota))
    people = [*_of("contact:", targets), *(name for team in teams.values() for name in team.members)]
    people += [name for rota in rotas.values() for name in members(rota)]
    return FrozenPlan(
        plan=plan,
        customer=customer,
        contacts=_named(known.contacts, people),
        teams=teams,
        rotas=rotas,
        routes=_named(known.emergency_routes, (step.emergency for step in plan.steps if step.emergency)),
    )


def members(rota: Rota) -> Iterator[str]:
    """Everybody who can ever be on duty by this rota; people may come twice."""
    yield from (name for shift in rota.shifts for name in shift.members)
    yield from (name for override in rota.overrides for name in override.members)


def everybody(frozen: FrozenPlan, targets: Iterable[str]) -> list[Contact]:
    """Whom targets can ever mean, whoever is on duty; in their order, nobody twice."""
    names: list[str] = []
    for target in targets:
        kind, _, name = target.partition(":")
        names += _ever_in(frozen, name) if kind == "team" else [name]
    return list(_named(frozen.contacts.values(), names).values())


def _ever_in(frozen: FrozenPlan, team_id: str) -> Iterator[str]:
    team = frozen.teams.get(team_id)
    rota = frozen.rotas.get(team.rota) if team and team.rota else None
    yield from team.members if team else ()
    yield from members(rota) if rota else ()


def _of(prefix: str, targets: Iterable[str]) -> list[str]:
    return [target.removeprefix(prefix) for target in targets if target.startswith(prefix)]


def _named(rows: Iterable[Named], wanted: Iterable[str]) -> Mapping[str, Named]:
    """Rows by id, in the order in which they are first named."""
    known = {row.id: row for row in rows}
    return {name: known[name] for name in wanted if name in known}
