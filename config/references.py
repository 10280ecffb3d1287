"""What is wrong between the tables of a configuration: names that stand twice, names that nothing has."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from config.mistakes import Mistake
from config.models import Settings
from config.places import Place
from config.plans import Rota, Step

_IDENTIFIED = (
    "devices",
    "workers",
    "operators",
    "trunks",
    "customers",
    "contacts",
    "teams",
    "rotas",
    "plans",
    "emergency_routes",
    "check_ins",
    "rosters",
    "webhooks",
)
"""Tables whose rows have an id."""

_CALLED = {"emergency_routes": "emergency route", "check_ins": "check-in"}
"""What a row of a table is called, where that is not its table without the s."""

Reference = tuple[Place, str | None, str]
"""Where a name stands, the name, and the table whose row it must be the id of."""


def in_references(settings: Settings) -> list[Mistake]:
    """Names that stand twice, names that nothing has, files that are not there."""
    return [
        *(mistake for table in _IDENTIFIED for mistake in _twice(table, getattr(settings, table), "id")),
        *_users_twice(settings),
        *_numbers_twice("devices", settings.devices),
        *_numbers_twice("workers", settings.workers),
        *_codes_twice(settings),
        *_dangling(settings),
        *_no_pins(settings),
        *_cut_short(settings),
    ]


def _twice(table: str, rows: Sequence[BaseModel], key: str) -> Iterator[Mistake]:
    places: dict[str, int] = {}
    for number, row in enumerate(rows):
        value = getattr(row, key)
        first = places.setdefault(value, number)
        if first != number:
            yield Mistake((table, number, key), f"{value!r} is taken already by {table}[{first + 1}]")


def _users_twice(settings: Settings) -> Iterator[Mistake]:
    """Devices and operators register at one registrar: their user names are one name space."""
    taken: dict[str, str] = {}
    tables: tuple[tuple[str, Iterable[Any]], ...] = (
        ("devices", settings.devices),
        ("operators", settings.operators),
    )
    for table, rows in tables:
        for number, row in enumerate(rows):
            if row.username is None:
                continue
            place = f"{table}[{number + 1}]"
            first = taken.setdefault(row.username, place)
            if first != place:
                yield Mistake((table, number, "username"), f"{row.username!r} is taken already by {first}")


def _numbers_twice(table: str, rows: Iterable[Any]) -> Iterator[Mistake]:
    """A number that two of one kind have would identify neither."""
    holders: dict[str, set[int]] = defaultdict(set)
    for number, row in enumerate(rows):
        for telephone in row.numbers:
            first = min(holders[telephone], default=number)
            holders[telephone].add(number)
            if first != number:
                text = f"{telephone!r} is taken already by {table}[{first + 1}]"
                yield Mistake((table, number, "numbers"), text)


def _codes_twice(settings: Settings) -> Iterator[Mistake]:
    """A short code that two workers have would say who neither of them is."""
    holders: dict[str, int] = {}
    for number, worker in enumerate(settings.workers):
        if worker.code is not None:
            first = holders.setdefault(worker.code, number)
            if first != number:
                yield Mistake(("workers", number, "code"), f"{worker.code!r} is taken already by workers[{first + 1}]")


def _no_pins(settings: Settings) -> Iterator[Mistake]:
    """Workers who are asked for a PIN and have none: each of their check-ins would be missed."""
    for number, worker in enumerate(settings.workers):
        rosters = [settings.roster(id) for id in worker.roster]
        asked = (settings.check_in_of(worker, roster) for roster in (None, *rosters))
        asking = next((rules.id for rules in asked if rules.confirm == "pin"), None)
        if asking is not None and worker.pin is None:
            text = f"is needed: check-in {asking!r} asks for it; `earshot hash-pin` makes one"
            yield Mistake(("workers", number, "pin"), text)


def _cut_short(settings: Settings) -> Iterator[Mistake]:
    """Rosters whose sessions would end before their time, while whoever wrote them down relies on being asked."""
    places = {roster.id: number for number, roster in enumerate(settings.rosters)}
    told: set[str] = set()
    for worker in settings.workers:
        for roster in filter(None, map(settings.roster, worker.roster)):
            rules = settings.check_in_of(worker, roster)
            if rules.longest >= roster.duration or roster.id in told:
                continue
            told.add(roster.id)
            text = (
                f"is longer than check-in {rules.id!r} of worker {worker.id!r} lets a session last "
                f"({rules.longest:g} seconds): raise its longest, or shorten this"
            )
            yield Mistake(("rosters", places[roster.id], "duration"), text)


def _dangling(settings: Settings) -> Iterator[Mistake]:
    """Names of rows that are not there."""
    known = {table: dict.fromkeys(row.id for row in getattr(settings, table)) for table in _IDENTIFIED}
    for path, name, table in _references(settings):
        if name is not None and name not in known[table]:
            called = _CALLED.get(table, table.removesuffix("s"))
            allowed = f"allowed: {_some([*known[table]])}" if known[table] else f"there are no [[{table}]]"
            yield Mistake(path, f"no {called} has the id {name!r}; {allowed}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, and {len(names) - 12} more"


def _references(settings: Settings) -> Iterator[Reference]:
    """Every place that names a row of another table."""
    yield ("escalation", "default_plan"), settings.escalation.default_plan, "plans"
    yield from _each(("emergency", "armed"), settings.emergency.armed, "trunks")
    for table, keys in _BY_KEY.items():
        for number, row in enumerate(getattr(settings, table)):
            for key, wanted in keys.items():
                value = getattr(row, key)
                names = value if isinstance(value, tuple) else (value,)
                yield from (((table, number, key), name, wanted) for name in names)
    for number, customer in enumerate(settings.customers):
        yield from ((("customers", number, "plans", str(kind)), name, "plans") for kind, name in customer.plans.items())
    for number, rota in enumerate(settings.rotas):
        yield from _of_rota(("rotas", number), rota)
    for number, plan in enumerate(settings.plans):
        for count, step in enumerate(plan.steps):
            yield from _of_step(("plans", number, "steps", count), step)


_BY_KEY: Mapping[str, Mapping[str, str]] = {
    "devices": {"worker": "workers", "trunk": "trunks", "customer": "customers"},
    "workers": {"customer": "customers", "check_in": "check_ins", "roster": "rosters"},
    "rosters": {"check_in": "check_ins"},
    "customers": {"plan": "plans", "trunks": "trunks"},
    "teams": {"members": "contacts", "rota": "rotas"},
    "emergency_routes": {"trunks": "trunks"},
}
"""Keys that name rows of another table, or lists of them: table → key → the other table."""


def _of_rota(place: Place, rota: Rota) -> Iterator[Reference]:
    for number, shift in enumerate(rota.shifts):
        yield from _each((*place, "shifts", number, "members"), shift.members, "contacts")
    for number, override in enumerate(rota.overrides):
        yield from _each((*place, "overrides", number, "members"), override.members, "contacts")
        yield from _each((*place, "overrides", number, "replaces"), override.replaces, "contacts")


def _of_step(place: Place, step: Step) -> Iterator[Reference]:
    yield (*place, "emergency"), step.emergency, "emergency_routes"
    for key, targets in (("ring", step.ring), ("message", step.message)):
        for target in targets:
            kind, colon, name = target.partition(":")
            if colon:
                yield (*place, key), name, f"{kind}s"


def _each(path: Place, names: Iterable[str], table: str) -> Iterator[Reference]:
    return ((path, name, table) for name in names)
