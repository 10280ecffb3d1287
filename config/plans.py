"""Whom an alarm reaches, in which order: customers, contacts, teams, rotas, plans, routes to emergency services.

The same models serve the configuration file, the store and the incident: when an incident opens, everything that its
escalation may need is frozen into a `FrozenPlan`, so that what is edited later never changes an alarm under way.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from config.fields import (
    UNSET,
    AlarmKind,
    Email,
    Latitude,
    Longitude,
    Metres,
    Name,
    Number,
    PhoneNumber,
    Reference,
    References,
    Table,
    Whole,
    matching,
    one_or_more,
    whole_position,
)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES: tuple[str, ...] = DAYS
Language = Literal["nl", "en", "de", "fr"]
OptionalLanguage = Annotated[Language | None, UNSET]


def _days(value: object) -> object:
    """`"mon-fri"`, `"sat"`, `["mon", "wed-fri"]`: days of the week, in the order of the week."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        return value
    chosen: set[str] = set()
    for part in parts:
        first, dash, last = str(part).partition("-")
        if first not in _NAMES or (dash and last not in _NAMES):
            raise ValueError(f'{part!r} is no day; allowed: "mon" to "sun", or a span such as "mon-fri"')
        at, end = _NAMES.index(first), _NAMES.index(last or first)
        chosen |= {DAYS[(at + n) % 7] for n in range((end - at) % 7 + 1)}
    return tuple(day for day in DAYS if day in chosen)


def _clock_time(value: object) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    found = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)(:00)?", str(value))
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise ValueError(f'{value!r} is no time of day; allowed: "00:00" to "24:00"')
    return time(int(found[1]) % 24, int(found[2]))


def _local(value: object) -> datetime:
    """A moment on the wall clock of its rota: without a zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime) or moment.tzinfo is not None or not 1970 <= moment.year <= 9000:
        shown = value.isoformat() if isinstance(value, date) else repr(value)
        raise ValueError(f"{shown} is no local time; allowed: 2026-12-24T18:00:00 (in the time zone of the rota)")
    return moment


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{value!r} is no time zone; allowed: names such as "Europe/Amsterdam"') from None
    return value


Days = Annotated[tuple[Day, ...], BeforeValidator(_days), Field(min_length=1)]
TimeOfDay = Annotated[time, BeforeValidator(_clock_time)]
LocalTime = Annotated[datetime, BeforeValidator(_local)]
TimeZone = Annotated[str, AfterValidator(_zone)]
OptionalTimeZone = Annotated[TimeZone | None, UNSET]
Target = Annotated[
    str,
    matching(r"operators|(team|contact):[A-Za-z0-9._-]+", '"operators", "team:ID", "contact:ID", or a list of them'),
]
Targets = Annotated[tuple[Target, ...], BeforeValidator(one_or_more)]
OptionalNumber = Annotated[PhoneNumber | None, UNSET]
CodeWord = Annotated[
    Annotated[str, matching(r"[A-Za-z0-9]{3,16}", "3 to 16 letters and digits", secret=True)] | None,
    UNSET,
    Field(repr=False),
]
Country = Annotated[str, matching(r"[A-Z]{2}", "two capital letters, such as 'NL' (ISO 3166)")]


class Hours(Table):
    """A weekly span of time. `to` at or before `from` lies on the next day."""

    days: Days = DAYS
    from_: TimeOfDay = Field(time(0), alias="from")
    to: TimeOfDay = time(0)


class Contact(Table):
    """`[[contacts]]`: a person who can take an alarm by telephone."""

    id: Name
    name: str = Field(min_length=1)
    numbers: Annotated[tuple[PhoneNumber, ...], BeforeValidator(one_or_more)] = ()
    """In the order in which they are tried."""
    language: OptionalLanguage = None
    """None: the customer's."""
    email: Email = None
    sms: OptionalNumber = None
    """Where messages go; None: the first of `numbers` that is a telephone number."""
    hours: tuple[Hours, ...] = ()
    """When he may be rung, in `timezone`; empty: always."""
    timezone: OptionalTimeZone = None
    """None: the customer's."""

    @property
    def text_number(self) -> str | None:
        """Where text messages go; None: he has no telephone number."""
        return self.sms or next((number for number in self.numbers if number.lstrip("+").isdigit()), None)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not (self.numbers or self.email or self.sms):
            raise PydanticCustomError("contact", "needs numbers, sms or email, or he is never reached", {"key": "id"})
        return self


class Shift(Table):
    """`[[rotas.shifts]]`: who is on duty on these days, between these times on the wall clock."""

    days: Days = DAYS
    from_: TimeOfDay = Field(time(0), alias="from")
    to: TimeOfDay = time(0)
    """At or before `from`: on the next day. A shift belongs to the day on which it starts."""
    members: Annotated[References, Field(min_length=1)]
    every: Whole = Field(1, ge=1, le=52)
    """Every so many weeks, counted from the week of `starting`."""
    starting: Annotated[date | None, UNSET] = None
    """First day on which the shift counts."""
    holidays: Literal["as usual", "never", "only"] = "as usual"
    """Whether it holds on the rota's holidays."""

    @model_validator(mode="after")
    def _weeks_are_counted_from_somewhere(self) -> Self:
        if self.every > 1 and self.starting is None:
            raise PydanticCustomError("shift", "every needs starting: from which week to count", {"key": "every"})
        return self


class Override(Table):
    """`[[rotas.overrides]]`: somebody else, once."""

    from_: LocalTime = Field(alias="from")
    to: LocalTime
    members: References = ()
    """Who is on duty instead; empty: nobody in place of those who are replaced."""
    replaces: References = ()
    """Whom they stand in for; empty: everybody."""

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.to <= self.from_:
            raise PydanticCustomError("override", "to must be after from", {"key": "to"})
        return self


class Rota(Table):
    """`[[rotas]]`: who is on duty when."""

    id: Name
    timezone: TimeZone = "Europe/Amsterdam"
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    """Later ones win."""
    holidays: tuple[date, ...] = ()


class Team(Table):
    """`[[teams]]`: people who stand in for each other."""

    id: Name
    name: str = Field(min_length=1)
    members: References = ()
    """Everybody; also who is rung when the rota has nobody on duty."""
    rota: Reference = None

    @model_validator(mode="after")
    def _has_somebody(self) -> Self:
        if not (self.members or self.rota):
            raise PydanticCustomError("team", "needs members or a rota", {"key": "id"})
        return self


class Step(Table):
    """`[[plans.steps]]`: one of `ring`, `message`, `emergency`, `wait`."""

    ring: Targets = ()
    """`operators`, `team:ID`, `contact:ID`."""
    message: Targets = ()
    emergency: Reference = None
    """The route to the emergency services."""
    wait: Annotated[Annotated[Number, Field(ge=1, le=86400)] | None, UNSET] = None
    """Seconds in which nothing new begins."""

    seconds: Number = Field(30.0, ge=5, le=600)
    """`ring`: how long each telephone rings; operators go on ringing when it is over. `emergency`: how long a
    person is waited for who confirms it."""
    order: Literal["all", "sequence"] = "all"
    """All at once, or one person after the other."""
    rounds: Whole = Field(1, ge=1, le=20)
    pause: Number = Field(0.0, ge=0, le=3600)
    """Seconds between rounds."""

    by: tuple[Literal["sms", "email"], ...] = Field(("sms",), min_length=1)
    text: str = ""
    """What is added to the message."""
    link: Literal["none", "information", "proof"] = "none"
    """An acknowledgement link in the message, and whether following it counts as a person taking the alarm."""

    confirm: Literal["operator", "automatic"] = "operator"
    """Who decides that the emergency services are called: a person, or the plan after `after` seconds."""
    after: Number = Field(600.0, ge=0, le=86400)
    """Seconds since the alarm, without any human, after which the automatic call is made."""
    agreement: str = ""
    """Where the customer's consent to an automatic call is written down."""
    indeterminate: Literal["ask", "call again"] = "ask"
    """What to do when it is not known whether the control room was reached."""
    again_after: Number = Field(120.0, ge=10, le=3600)
    attempts: Whole = Field(2, ge=1, le=5)
    """How often the emergency call is placed at most, where `indeterminate` is `call again`."""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        things = [bool(self.ring), bool(self.message), self.emergency is not None, self.wait is not None]
        if sum(things) != 1:
            raise PydanticCustomError("step", "a step does one of: ring, message, emergency, wait", {"key": "ring"})
        if "operators" in self.message:
            raise PydanticCustomError(
                "step", "operators get no messages; allowed: team:ID, contact:ID", {"key": "message"}
            )
        if self.emergency and self.confirm == "automatic" and not self.agreement.strip():
            raise PydanticCustomError(
                "step",
                "an automatic emergency call needs the customer's consent: say where it is written",
                {"key": "agreement"},
            )
        return self


class Plan(Table):
    """`[[plans]]`: what happens with an alarm until a person has it."""

    id: Name
    name: str = ""
    steps: tuple[Step, ...] = Field(min_length=1)
    at_end: Literal["start again", "stop"] = "start again"
    agreement: str = ""
    """Where it is written that the plan may end without a human."""
    lap_pause: Number = Field(5.0, ge=1, le=3600)
    """Seconds before the plan starts again from the top."""
    follow_up: Number = Field(900.0, ge=30, le=86400)
    """Seconds after which a contact who took the alarm and hung up is held to have forgotten it: the plan goes on."""

    @model_validator(mode="after")
    def _ends_only_in_writing(self) -> Self:
        if self.at_end == "stop" and not self.agreement.strip():
            raise PydanticCustomError(
                "plan",
                "a plan that may end without a human needs an agreement: say where it is written",
                {"key": "at_end"},
            )
        return self


class EmergencyRoute(Table):
    """`[[emergency_routes]]`: how a control room is called."""

    id: Name
    name: str = Field(min_length=1)
    number: PhoneNumber
    """`112`, a control room's own number, `urn:service:sos`, or a SIP address."""
    trunks: References = ()
    """In the order in which they are tried; empty: all."""
    country: Country = "NL"
    language: Language = "nl"
    location: Literal["header", "spoken"] = "spoken"
    """`header`: the trunk takes PIDF-LO (RFC 6442); it is spoken in any case."""
    caller_id: OptionalNumber = None
    """None: the customer's."""


class Customer(Table):
    """`[[customers]]`: an account: whose workers, which plan, how it is called and calls."""

    id: Name
    name: str = Field(min_length=1)
    country: Country = "NL"
    timezone: TimeZone = "Europe/Amsterdam"
    language: Language = "nl"
    plan: Reference = None
    """None: `[escalation] default_plan`."""
    plans: Mapping[AlarmKind, Name] = Field(default_factory=dict)
    """Another plan for a kind of alarm."""
    caller_id: OptionalNumber = None
    """The number that contacts see."""
    trunks: References = ()
    """Through which its contacts are called, in order; empty: all, in the order of the file."""
    instructions: str = ""
    """What an operator is to do, in the customer's words."""
    close_word: CodeWord = None
    """With it a contact closes an alarm, keyed as on a telephone (TULP = 8857)."""
    duress_word: CodeWord = None
    """Sounds as if it closed the alarm, and does the opposite."""
    address: str = ""
    """Where its workers are when nothing better is known."""
    latitude: Latitude = None
    longitude: Longitude = None
    uncertainty_m: Metres = None
    callback_number: OptionalNumber = None
    """Which number a control room is told to call back."""

    @model_validator(mode="after")
    def _has_a_whole_position(self) -> Self:
        whole_position(self, "customer")
        return self

    @model_validator(mode="after")
    def _words_differ(self) -> Self:
        if self.close_word and self.duress_word and keyed(self.close_word) == keyed(self.duress_word):
            raise PydanticCustomError(
                "customer", "is keyed like close_word; the two must differ on the keypad", {"key": "duress_word"}
            )
        return self


_KEYPAD = {letter: key for key, letters in {
    "2": "ABC", "3": "DEF", "4": "GHI", "5": "JKL", "6": "MNO", "7": "PQRS", "8": "TUV", "9": "WXYZ",
}.items() for letter in letters}  # fmt: skip


def keyed(word: str) -> str:
    """A code word as it is keyed on a telephone (ITU-T E.161)."""
    return "".join(_KEYPAD.get(letter, letter) for letter in word.upper())


class FrozenPlan(Table):
    """Everything of the configuration that one escalation may need, as it was when the incident opened.

    Contacts, teams, rotas and routes are those that the plan names, directly or by one another.
    """

    plan: Plan
    customer: Customer | None = None
    contacts: Mapping[str, Contact] = Field(default_factory=dict)
    teams: Mapping[str, Team] = Field(default_factory=dict)
    rotas: Mapping[str, Rota] = Field(default_factory=dict)
    routes: Mapping[str, EmergencyRoute] = Field(default_factory=dict)


OPERATORS_ONLY = Plan(id="operators-only", name="operators, until one takes it", steps=(Step(ring=("operators",)),))
"""The plan of whoever has none."""
