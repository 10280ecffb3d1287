"""What a worker can do who calls the service: start, confirm, extend and end a session, leave a memo, and the rest.

First `SIGN_IN`: the number that calls is only a hint, so everybody keys his PIN. A wrong PIN, a worker that there is
not and silence end with the same words. Then `INBOUND`, the menu. As after a check-in (`ivr.checkin`) we never hang up
once a PIN was keyed, accepted or not: when nothing more is said, the line is silent and the caller's to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ivr.desk import INTERVALS, Desk
from ivr.menu import AGAIN, RECORDED, TONE, Act, Choice, Dialogue, Digits, Ending, Question, Recording
from ivr.phone import Phone
from ivr.prompts import LANGUAGES
from ivr.runner import converse
from ivr.runner import prepare as render
from ivr.speech import Voice


class Key(StrEnum):
    """The keys of a worker, in the order in which the menu names them."""

    START = "1"
    CONFIRM = "2"
    EXTEND = "3"
    MEMO = "4"
    END = "5"
    TEST = "6"
    NEXT = "7"
    PIN = "8"
    LANGUAGE = "9"
    MENU = "0"


LEFT = "left"
"""The worker has signed in and done what he wanted."""

_LANGUAGES = tuple(f"{language}:language.choose" for language in LANGUAGES)


def _languages(to: str) -> dict[str, Choice]:
    return {str(n): Choice(to, language=language) for n, language in enumerate(LANGUAGES, 1)}


def _pin(*asks: str, keys: dict[str, Choice] | None = None) -> Question:
    return Question(
        asks=asks,
        again=("worker.pin",),
        keys=keys or {},
        digits=Digits("verify", maximum=12, between=4.0),
        enters="entry",
        waits=8.0,
        repeats=2,
        mistakes=3,
        wrong=("check_in.again",),
        eager=True,
        silence="refused",
    )


SIGN_IN = Dialogue(
    name="sign_in",
    purpose="asks who calls",
    start="recognise",
    steps={
        "recognise": Act("recognise", ways={"known": Choice("greet"), "unknown": Choice("code")}),
        "greet": _pin("worker.hello", "worker.pin", "worker.somebody_else", keys={"*": Choice("code")}),
        "code": Question(
            asks=("worker.welcome", "worker.code", "en:worker.other_language"),
            again=("worker.code", "en:worker.other_language"),
            keys={"*": Choice("language")},
            digits=Digits("identify", maximum=12, between=4.0),
            enters="code",
            waits=8.0,
            repeats=2,
            mistakes=3,
            eager=True,
            silence="refused",
        ),
        "identify": Act("identify", takes=("code",), ways={"done": Choice("pin")}),
        "pin": _pin("worker.pin"),
        "verify": Act("verify", takes=("entry",), ways={"accepted": Choice("accepted"), "refused": Choice(AGAIN)}),
        "language": Question(asks=_LANGUAGES, keys=_languages("code"), repeats=1, eager=True, silence="code"),
        "accepted": Ending("accepted", hang_up=False),
        "refused": Ending("refused", says=("worker.refused",)),
    },
    limit=120.0,
    at_limit="refused",
)


def _menu(*asks: str) -> Question:
    return Question(
        asks=asks,
        again=("worker.menu",),
        keys={
            Key.START: Choice("may_start"),
            Key.CONFIRM: Choice("confirm"),
            Key.EXTEND: Choice("extend"),
            Key.MEMO: Choice("memo"),
            Key.END: Choice("may_end"),
            Key.TEST: Choice("test"),
            Key.NEXT: Choice("next"),
            Key.PIN: Choice("new_pin"),
            Key.LANGUAGE: Choice("language"),
            Key.MENU: Choice("menu"),
        },
        waits=8.0,
        repeats=2,
        mistakes=5,
        wrong=("worker.wrong_key",),
        eager=True,
        silence="left",
        late="left",
        left=LEFT,
    )


def _question(
    *asks: str,
    silence: str,
    keys: dict[str, Choice] | None = None,
    digits: Digits | None = None,
    enters: str = "",
    repeats: int = 1,
) -> Question:
    """A question of the menu: nothing in it can be lost by a wrong key, and whoever is silent is back in the menu."""
    return Question(
        asks=asks,
        keys=keys or {},
        digits=digits,
        enters=enters,
        waits=8.0,
        repeats=repeats,
        mistakes=3,
        wrong=("worker.wrong_key",),
        eager=True,
        silence=silence,
        late="left",
        left=LEFT,
    )


_NO_SESSION = Choice("more", says=("worker.no_session",))
_NOT_POSSIBLE = Choice("more", says=("worker.not_possible",))

INBOUND = Dialogue(
    name="inbound",
    purpose="what a worker who has signed in may do",
    start="standing",
    steps={
        "standing": Act("standing", ways={"running": Choice("status"), "none": Choice("status")}),
        "status": _menu("worker.status", "worker.menu"),
        "menu": _menu("worker.menu"),
        "more": _menu("worker.more"),
        # a session
        "may_start": Act(
            "standing",
            ways={"running": Choice("hours", says=("worker.already",)), "none": Choice("hours")},
        ),
        "hours": _question(
            "worker.hours",
            digits=Digits("interval", maximum=2, between=3.0, lowest=1, highest=12),
            enters="hours",
            silence="not_started",
        ),
        "interval": _question(
            "worker.interval",
            keys={key: Choice("start") for key in INTERVALS},
            enters="interval",
            silence="not_started",
        ),
        "start": Act(
            "start",
            takes=("hours", "interval"),
            ways={"started": Choice("more", says=("worker.started",)), "refused": Choice("not_started")},
        ),
        "not_started": _menu("worker.not_started", "worker.more"),
        "confirm": Act(
            "confirm",
            ways={
                "confirmed": Choice("more", says=("check_in.thanks",)),
                "over": Choice("more", says=("worker.over",)),
                "none": _NO_SESSION,
            },
        ),
        "extend": Act("extend", ways={"extended": Choice("more", says=("worker.extended",)), "refused": _NOT_POSSIBLE}),
        "may_end": Act("standing", ways={"running": Choice("sure"), "none": _NO_SESSION}),
        "sure": _question("worker.sure", keys={Key.END: Choice("end")}, silence="goes_on"),
        "goes_on": _menu("worker.goes_on", "worker.more"),
        "end": Act("end", ways={"ended": Choice("more", says=("worker.ended",)), "none": _NO_SESSION}),
        "next": Act("standing", ways={"running": Choice("more", says=("worker.next",)), "none": _NO_SESSION}),
        # the memo
        "memo": Recording(("worker.memo", TONE), to="keep", nothing="no_memo", late="left", left=LEFT),
        "keep": Act("leave_memo", ways={"kept": Choice("kept"), "refused": _NOT_POSSIBLE}),
        "kept": _question(
            "worker.memo_kept",
            keys={"1": Choice("hear"), "2": Choice("memo"), Key.MENU: Choice("menu")},
            silence="more",
            repeats=0,
        ),
        "hear": _question(
            RECORDED,
            "worker.memo_kept",
            keys={"1": Choice("hear"), "2": Choice("memo"), Key.MENU: Choice("menu")},
            silence="more",
            repeats=0,
        ),
        "no_memo": _menu("worker.no_memo", "worker.more"),
        # a test alarm
        "test": _question("worker.test", keys={Key.TEST: Choice("raise")}, silence="not_tested"),
        "raise": Act("test_alarm", ways={"raised": Choice("more", says=("worker.tested",)), "refused": _NOT_POSSIBLE}),
        "not_tested": _menu("worker.not_tested", "worker.more"),
        # the PIN
        "new_pin": _question(
            "worker.new_pin", digits=Digits("pin_again", maximum=12, between=4.0), enters="new", silence="pin_stays"
        ),
        "pin_again": _question(
            "worker.pin_again", digits=Digits("change", maximum=12, between=4.0), enters="again", silence="pin_stays"
        ),
        "change": Act(
            "change_pin",
            takes=("new", "again"),
            ways={
                "changed": Choice("more", says=("worker.pin_changed",)),
                "differs": Choice("new_pin", says=("worker.pin_differs",)),
                "refused": Choice("new_pin", says=("worker.pin_too_simple",)),
            },
        ),
        "pin_stays": _menu("worker.pin_stays", "worker.more"),
        # the language
        "language": _question(*_LANGUAGES, keys=_languages("menu"), silence="more"),
        "left": Ending(LEFT, hang_up=False),
    },
    limit=900.0,
    at_limit="left",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a worker's call. What he did, his desk knows."""

    signed_in: bool
    """An entry was accepted. If he has not hung up the call is up, and his to end; else we hung up, unless there were
    wrong entries."""
    hung_up: bool
    language: str
    """The last one that was spoken."""
    wrong_entries: int = 0


async def prepare(voice: Voice, worker: str = "") -> None:
    """Have everything ready that is said to everybody."""
    await render(voice, dict.fromkeys(SIGN_IN.prompts + INBOUND.prompts), {"worker": worker})


async def attend(
    phone: Phone, voice: Voice, desk: Desk, worker: str = "", *, known: Callable[[], Voice] | None = None
) -> Visit:
    """Lead a worker's call. `worker`: the name of who seems to call, for the greeting. `known`: asked how he is spoken
    to, once he has signed in; None: as before."""
    signed = await converse(SIGN_IN, phone, voice, values={"worker": worker}, desk=desk)
    if signed.outcome != "accepted" or signed.hung_up:
        return Visit(signed.outcome == "accepted", signed.hung_up, signed.language, signed.wrong_keys)
    spoken = (known() if known is not None else voice).in_language(signed.language)
    visit = await converse(INBOUND, phone, spoken, desk=desk)
    return Visit(True, visit.hung_up, visit.language, signed.wrong_keys)
