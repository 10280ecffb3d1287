"""A plan in plain words, a sentence for each step: what a customer signs, and what an operator reads at night. Pure."""

from collections.abc import Iterator, Sequence

from config.freezing import everybody, members
from config.plans import Contact, EmergencyRoute, FrozenPlan, Step
from voice.escalation.phrases import counted, duration, hours, listed
from voice.escalation.steps import REMIND
from voice.escalation.targets import OPERATORS

_CHANNELS = {"sms": "a text message", "email": "an e-mail"}
_LINKS = {
    "none": "",
    "information": ", with a link by which they can say that they have read it",
    "proof": ", with a link; who follows it has taken the alarm",
}


def explain(frozen: FrozenPlan) -> list[str]:
    """The steps, numbered from 1; then what comes after the last one, and what holds for whoever takes the alarm."""
    steps = _Steps(frozen)
    told = [f"{number}. {steps.step(step)}" for number, step in enumerate(frozen.plan.steps, 1)]
    return [*told, _at_end(frozen), _follow_up(frozen)]


def title(frozen: FrozenPlan) -> str:
    """`plan 'night' (Guards, then the manager)`."""
    plan = frozen.plan
    return f"plan {plan.id!r}" + (f" ({plan.name})" if plan.name else "")


def called(route: EmergencyRoute) -> str:
    """`Police control room (sip:police@192.0.2.1)`."""
    return f"{route.name} ({route.number})"


def target_name(frozen: FrozenPlan, target: str) -> str:
    """Whom a target means, by name, without saying who that is today."""
    kind, _, id = target.partition(":")
    if kind == OPERATORS:
        return "the operators"
    found = frozen.teams.get(id) if kind == "team" else frozen.contacts.get(id)
    return found.name if found else id


class _Steps:
    """The steps one by one: who is in a team is said where it comes first."""

    def __init__(self, frozen: FrozenPlan) -> None:
        self._frozen = frozen
        self._told: set[str] = set()

    def step(self, step: Step) -> str:
        if step.ring:
            return " ".join(self._ring(step))
        if step.message:
            return " ".join(self._message(step))
        if step.emergency:
            return " ".join(self._emergency(step, step.emergency))
        return f"Waits {duration(step.wait or 0)}."

    def _ring(self, step: Step) -> Iterator[str]:
        contacts = everybody(self._frozen, step.ring)
        goes_on = OPERATORS in step.ring and OPERATORS not in self._told
        several = len(contacts) + (OPERATORS in step.ring) > 1
        how = "" if not several else ", all at once," if step.order == "all" else ", one after the other,"
        each = " each" if several else ""
        said = f"Rings {self._people(step.ring)}{how}{each} for {duration(step.seconds)}{_rounds(step)}"
        who = "the operators" if contacts else "they"
        yield said + (f"; {who} go on ringing from here on until somebody has the alarm." if goes_on else ".")
        yield from _about(contacts)

    def _message(self, step: Step) -> Iterator[str]:
        by = listed([_CHANNELS[channel] for channel in step.by])
        added = f", which adds “{step.text}”" if step.text else ""
        yield f"Sends {self._people(step.message)} {by}{added}{_LINKS[step.link]}; goes on at once."
        yield f"Not again before {duration(REMIND)} are over."

    def _emergency(self, step: Step, id: str) -> Iterator[str]:
        route = self._frozen.routes.get(id)
        room = called(route) if route else id
        if step.confirm == "automatic":
            since = f"{duration(step.after)} after the alarm" if step.after else "when the plan comes here"
            yield f"If nobody has taken it {since}, calls {room} by itself, as agreed in “{step.agreement}”."
            yield "If a person has had it before, asks for confirmation instead."
        else:
            yield f"Asks whether to call {room}, and waits {duration(step.seconds)} for an answer."
            yield "Operators, and whoever has taken the alarm, can have it called at any time."
        yield _doubt(step)

    def _people(self, targets: Sequence[str]) -> str:
        return listed([self._target(target) for target in targets])

    def _target(self, target: str) -> str:
        """By name; of a team also who is in it."""
        frozen, name = self._frozen, target_name(self._frozen, target)
        kind, _, id = target.partition(":")
        team = frozen.teams.get(id) if kind == "team" else None
        known = target in self._told
        self._told.add(target)
        if team is None or known:
            return name
        rota = frozen.rotas.get(team.rota) if team.rota else None
        if rota is None:
            return f"{name} ({listed(_names(frozen, team.members))})"
        return f"{name} (by the rota: {listed(_names(frozen, tuple(members(rota))), last='or')})"


def _rounds(step: Step) -> str:
    if step.rounds == 1:
        return ""
    return f"; {counted(step.rounds, 'round')}" + (f", {duration(step.pause)} between them" if step.pause else "")


def _about(contacts: Sequence[Contact]) -> Iterator[str]:
    """What is different with some of those who are rung."""
    for contact in contacts:
        if len(contact.numbers) > 1:
            yield f"{contact.name} has {len(contact.numbers)} numbers, which are tried in turn."
    for contact in contacts:
        if contact.hours:
            zone = f" ({contact.timezone})" if contact.timezone else ""
            yield f"{contact.name} is rung only {hours(contact.hours)}{zone}, unless nobody else is left."


def _names(frozen: FrozenPlan, ids: Sequence[str]) -> list[str]:
    return [frozen.contacts[id].name if id in frozen.contacts else id for id in dict.fromkeys(ids)]


def _doubt(step: Step) -> str:
    """What happens when nobody can know whether the control room has heard it."""
    doubt = "If it cannot be known whether somebody there was reached,"
    if step.indeterminate == "ask":
        return f"{doubt} a person decides whether to call again."
    return f"{doubt} calls again after {duration(step.again_after)}, {step.attempts} calls at most."


def _at_end(frozen: FrozenPlan) -> str:
    plan = frozen.plan
    if plan.at_end == "stop":
        return f"Then it ends without a human, as agreed in “{plan.agreement}”; the incident stays open, in red."
    return f"Then it starts again from the top after {duration(plan.lap_pause)}, until a person has the alarm."


def _follow_up(frozen: FrozenPlan) -> str:
    wait = duration(frozen.plan.follow_up)
    return f"Who takes the alarm and hangs up has {wait} to have it closed; then it starts again from the top."
