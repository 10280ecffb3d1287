"""Whom random scripts of escalations meet: plans, telephones, control rooms, operators."""

from random import Random

from config.plans import Contact, EmergencyRoute, FrozenPlan, Plan, Step
from voice.escalation.events import (
    Acknowledged,
    Answered,
    Busy,
    Declined,
    EmergencyAnswered,
    EmergencyAsked,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    OperatorJoined,
    OperatorLeft,
    OperatorRings,
    PassedOn,
    Reopened,
    Resolved,
    Rings,
    Taken,
    Timer,
    VoicemailSuspected,
    WorkerSafe,
)

CONTACTS = {
    "anna": Contact(id="anna", name="Anna", numbers=("+31611111111", "+31711111111")),
    "bob": Contact(id="bob", name="Bob", numbers=("+31622222222",)),
    "chris": Contact(id="chris", name="Chris", numbers=("+31633333333",), email="chris@example.org"),
}
ROUTES = {"room": EmergencyRoute(id="room", name="Room", number="112")}


def a_plan(rng: Random) -> FrozenPlan:
    """A plan of one to four steps."""
    steps = tuple(_step(rng) for _ in range(rng.randint(1, 4)))
    stops = rng.random() < 0.1
    plan = Plan(
        id="plan",
        steps=steps,
        at_end="stop" if stops else "start again",
        agreement="contract 7" if stops else "",
        lap_pause=rng.choice((5, 10)),
        follow_up=30,
    )
    return FrozenPlan(plan=plan, contacts=CONTACTS, routes=ROUTES)


def _step(rng: Random) -> Step:
    match rng.choice(("ring", "ring", "operators", "emergency", "emergency", "message", "wait")):
        case "ring":
            return Step(
                ring=tuple(f"contact:{who}" for who in rng.sample(list(CONTACTS), rng.randint(1, 3))),
                seconds=rng.choice((5, 10, 20)),
                order=rng.choice(("all", "sequence")),
                rounds=rng.choice((1, 1, 2)),
                pause=rng.choice((0, 5)),
            )
        case "operators":
            return Step(ring=("operators", *rng.choice(((), ("contact:bob",)))), seconds=rng.choice((5, 15)))
        case "emergency":
            return Step(
                emergency="room",
                seconds=rng.choice((5, 15)),
                confirm=rng.choice(("operator", "automatic", "automatic")),
                agreement="contract 7",
                after=rng.choice((0, 10, 25)),
                indeterminate=rng.choice(("ask", "call again")),
                again_after=rng.choice((10, 20)),
                attempts=rng.randint(1, 3),
            )
        case "message":
            return Step(
                message=("contact:chris", "contact:anna"), by=("sms", "email"), link=rng.choice(("none", "proof"))
            )
        case _:
            return Step(wait=rng.choice((2, 10)))


def a_phone(rng: Random, leg: str) -> list[Event]:
    """What comes of ringing it: now and then nothing at all."""
    picked_up: list[Event] = [Rings(leg), Answered(leg)]
    events = picked_up[: rng.randint(0, 2)]
    if rng.random() < 0.25:
        after: tuple[Event, ...] = (HungUp(leg), PassedOn(leg), LegLost(leg), Rings(leg))
        events += [Taken(leg, "key"), rng.choice(after)]
    elif rng.random() < 0.8:
        events.append(_in_vain(rng, leg))
    return events


def a_phone_in_vain(rng: Random, leg: str) -> list[Event]:
    """Nobody takes it, and that is told."""
    return [Rings(leg), _in_vain(rng, leg)]


def a_helpful_phone(leg: str) -> list[Event]:
    return [Rings(leg), Answered(leg), Taken(leg, "key")]


def _in_vain(rng: Random, leg: str) -> Event:
    ends: tuple[Event, ...] = (
        Busy(leg),
        Declined(leg),
        Failed(leg, 503),
        NoAnswer(leg, answered=True),
        VoicemailSuspected(leg),
        LegLost(leg),
    )
    return rng.choice(ends)


def a_control_room(rng: Random, call: str) -> list[Event]:
    """What comes of calling it: now and then nothing at all, or nothing more."""
    ways: tuple[list[Event], ...] = (
        a_control_room_in_vain(rng, call),
        a_control_room_in_vain(rng, call),
        [EmergencyAnswered(call), EmergencyConfirmed(call, "key"), HungUp(call)],
        [EmergencyAnswered(call)],
        [],
    )
    return rng.choice(ways)


def a_control_room_in_vain(rng: Random, call: str) -> list[Event]:
    hung_up = EmergencyIndeterminate(call, "hung up")
    ways: tuple[list[Event], ...] = ([EmergencyFailed(call, 503)], [EmergencyAnswered(call), hung_up], [hung_up])
    return rng.choice(ways)


def a_helpful_control_room(call: str) -> list[Event]:
    return [EmergencyAnswered(call), EmergencyConfirmed(call, "key")]


def an_act(rng: Random, name: str) -> Event:
    """Something that a person does, with a name for those acts that have one."""
    operator = rng.choice(("olga", "otto"))
    acts: tuple[Event, ...] = (
        OperatorRings(operator),
        OperatorJoined(operator, f"{operator}-{name}"),
        OperatorLeft(operator, rng.random() < 0.5, f"{operator}-{name}"),
        OperatorLeft(operator),
        EmergencyAsked(f"operator:{operator}", name),
        EmergencyAsked(f"operator:{operator}"),
        Acknowledged("chris"),
        WorkerSafe("PIN" if rng.random() < 0.5 else ""),
        Resolved(f"operator:{operator}"),
        Reopened(f"operator:{operator}"),
    )
    return rng.choices(acts, weights=(2, 4, 3, 3, 3, 2, 1, 1, 1, 2))[0]


def a_stray(rng: Random) -> Event:
    """Something late, early or wrong."""
    leg = f"{rng.randint(1, 9)}.{rng.randint(0, 3)}"
    strays: tuple[Event, ...] = (
        Timer(),
        Taken(leg, "key"),
        Rings(leg),
        HungUp(leg),
        EmergencyFailed(f"0.{leg[0]}"),
        Busy(leg),
    )
    return rng.choice(strays)
