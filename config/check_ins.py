"""Who is asked whether he is well, when, and how he proves that it is he: check-ins, rosters, PINs."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from config.fields import (
    UNSET,
    Name,
    Number,
    Numbers,
    OptionalWebUrl,
    Reference,
    Secret,
    Table,
    Whole,
    matching,
    one_or_more,
)
from config.plans import LocalTime, TimeZone
from config.recurrence import first, recurrence

_HASH = r"\$argon2id\$v=19\$m=\d{1,8},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}"

Recurrence = Annotated[str, AfterValidator(recurrence)]
PinHash = Annotated[
    Annotated[str, matching(_HASH, "what `earshot hash-pin` prints: never the PIN itself", secret=True)] | None,
    UNSET,
    Field(repr=False),
]
ShortCode = Annotated[Annotated[str, matching(r"\d{2,10}", "2 to 10 digits")] | None, UNSET]
DuressKeys = Annotated[
    Annotated[str, matching(r"0\d{1,7}", "2 to 8 digits, the first of which is 0", secret=True)] | None,
    UNSET,
    Field(repr=False),
]
"""The key that a worker is asked for is never 0: so these cannot be keyed by mistake, nor be asked for."""


def _seconds(value: object) -> object:
    """A list of seconds may be written as its only element."""
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


Waits = Annotated[tuple[Annotated[Number, Field(ge=5, le=3600)], ...], BeforeValidator(_seconds), Field(max_length=10)]


Button = Literal["begin", "confirm", "end"]


class CheckIn(Table):
    """`[check_in]`: what holds for all check-ins."""

    numbers: Numbers = ()
    """Numbers of ours that workers dial."""
    buttons: Mapping[str, Button] = Field(default_factory=dict)
    """Numbers that a device dials by itself when a button of it is pressed, and what that does to its worker's
    session. It hears nothing."""
    spread_seconds: Number = Field(60.0, ge=0, le=600)
    """Over how many seconds those are spread that a roster makes due at one moment."""
    memo_hours: Number = Field(12.0, ge=0.5, le=168)
    """How long what a worker has said before he went in is kept, unless there is an alarm."""
    transcriber: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """A program and its arguments, one of which holds `{file}`: it writes what is said there to its output."""
    hook: OptionalWebUrl = Field(None, repr=False)
    """Where an app hears of check-ins to come; may hold a secret of its own. None: nowhere."""
    hook_secret: Secret = None
    """With which what is sent there is signed."""

    @field_validator("transcriber")
    @classmethod
    def _names_the_file(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not any("{file}" in argument for argument in command[1:]):
            raise ValueError("has no {file} among its arguments: that is where the path of the sound goes")
        return command

    @model_validator(mode="after")
    def _signs_what_it_sends(self) -> Self:
        if (self.hook is None) != (self.hook_secret is None):
            missing = "hook" if self.hook is None else "hook_secret"
            raise PydanticCustomError("check_in", "hook and hook_secret belong together", {"key": missing})
        return self


class CheckInRules(Table):
    """`[[check_ins]]`: how a worker is asked whether he is well."""

    id: Name
    confirm: Literal["key", "pin"] = "key"
    """What he is asked for: a key that is another one in each call, or his PIN."""
    interval: Number = Field(1800.0, ge=60, le=86400)
    grace: Number = Field(60.0, ge=0, le=3600)
    """After the due time, in which he is called once only, and nothing is missed."""
    retries: Waits = (60.0, 120.0)
    """Seconds after a call that did not confirm. After the last of them the check-in is missed."""
    warn_before: Number = Field(300.0, ge=0, le=7200)
    """0: never."""
    unreachable_after: Number = Field(300.0, ge=30, le=3600)
    """After how long without any call that came as far as his telephone it is missed all the same."""
    longest: Number = Field(43200.0, ge=600, le=604800)
    """No session lasts longer, however often it is extended."""
    extend_by: Number = Field(900.0, ge=60, le=14400)
    forgotten: Literal["alarm", "end"] = "alarm"
    """What follows when nobody answers the last question of a session, whether he is still working."""
    agreement: str = ""
    """Where it is written that a forgotten session may end without an alarm."""

    @property
    def earliest_missed(self) -> float:
        """Seconds after its due time at which a check-in is missed, if every call is over at once."""
        at = 0.0
        for wait in (*self.retries, 0.0):
            at = max(at + wait, self.grace)
        return at

    @model_validator(mode="after")
    def _ends_silently_only_in_writing(self) -> Self:
        if self.forgotten == "end" and not self.agreement.strip():
            raise PydanticCustomError(
                "check_in",
                "a session that may end although nobody answers needs an agreement: say where it is written",
                {"key": "forgotten"},
            )
        return self


class Roster(Table):
    """`[[rosters]]`: sessions that begin by themselves."""

    id: Name
    rrule: Recurrence
    """RFC 5545, in local time, counted from `start`."""
    start: LocalTime
    """When the first session begins, on the wall clock of `timezone`; all begin at this time unless the rule says
    otherwise (BYHOUR)."""
    duration: Whole = Field(ge=600, le=604800)
    """Seconds that a session lasts."""
    timezone: TimeZone = "Europe/Amsterdam"
    holidays: tuple[date, ...] = ()
    """Days on which no session begins."""
    check_in: Reference = None
    """None: that of the worker."""

    @model_validator(mode="after")
    def _begins_sometime(self) -> Self:
        if first(self.rrule, self.start) is None:
            raise PydanticCustomError(
                "check_in",
                "{rule} has no day within eight years of start, or none before its UNTIL: no session would ever begin",
                {"key": "rrule", "rule": repr(self.rrule)},
            )
        return self
