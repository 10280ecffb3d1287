"""What a person who took an alarm may do, and what is said to him. The keys are obeyed by the room, not here."""

from enum import StrEnum

from ivr.menu import Choice, Dialogue, Digits, Ending, Question
from ivr.phone import Phone
from ivr.runner import say
from ivr.speech import Voice


class Key(StrEnum):
    """The keys of a taker, in the order in which the menu names them."""

    TALK = "1"
    BEGINNING = "2"
    LIVE = "3"
    MEMO = "4"
    OPERATORS = "5"
    PASS_ON = "6"
    EMERGENCY = "8"
    CLOSE = "#"
    MENU = "0"


class Says(StrEnum):
    """Prompts for people who take, took, or would have taken an alarm. Values in parentheses."""

    WELCOME = "taker.welcome"
    """You have the alarm; you hear the worker, he does not hear you; 0 for the menu."""
    MENU = "taker.menu"
    MENU_LISTENING = "taker.menu_listening"
    """The menu where the worker can never hear who took the alarm: without key 1."""
    TALK_ON = "taker.talk_on"
    TALK_OFF = "taker.talk_off"
    BEGINNING = "taker.beginning"
    LIVE = "taker.live"
    MEMO = "taker.memo"
    NO_MEMO = "taker.no_memo"
    OPERATORS = "taker.operators"
    """Operators are being called."""
    CONFERRING = "taker.conferring"
    """You speak with the operators; the worker does not hear you."""
    ALONE = "taker.alone"
    """Nobody hears you any more."""
    OPERATOR_JOINED = "taker.operator_joined"
    OPERATOR_LEFT = "taker.operator_left"
    NO_OPERATOR = "taker.no_operator"
    OTHER_JOINED = "taker.other_joined"
    """Another contact listens too (name)."""
    PASSED_ON = "taker.passed_on"
    EMERGENCY_ASK = "taker.emergency_ask"
    """Press 8 again to have the emergency services called."""
    EMERGENCY_NOT = "taker.emergency_not"
    """The second 8 did not come: they are not called."""
    EMERGENCY_CALLED = "taker.emergency_called"
    EMERGENCY_IMPOSSIBLE = "taker.emergency_impossible"
    EMERGENCY_CONFIRMED = "taker.emergency_confirmed"
    EMERGENCY_JOINED = "taker.emergency_joined"
    """The call taker of the control room is in the room."""
    CODE_WORD = "taker.code_word"
    """Key the code word, then hash."""
    WRONG_WORD = "taker.wrong_word"
    REASON = "taker.reason"
    """Press 1 for danger, 2 for a false alarm, 3 for a test."""
    STAYS_OPEN = "taker.stays_open"
    CLOSED = "taker.closed"
    """Thank you; the alarm is closed. The same for the duress word, to the letter."""
    DEVICE_GONE = "taker.device_gone"
    """The connection with the device is lost; 1 has it called back."""
    CALLING_BACK = "taker.calling_back"
    DEVICE_BACK = "taker.device_back"
    NOBODY = "taker.nobody"
    """No call is up, and there is no device that could be called back; 0 for the menu."""
    LINE_OVER = "taker.line_over"
    """The worker, who has asked for help in silence, is off the line: do not call him; 0 for the menu."""
    WRONG_KEY = "taker.wrong_key"
    UNAVAILABLE = "taker.unavailable"
    """That is not possible now."""
    TAKEN_BY = "taken.by"
    """To others: the alarm has been taken by (name)."""
    TAKEN = "taken.somebody"
    """The same, without a name."""
    INCIDENT_CLOSED = "taken.closed"
    """The incident is closed."""
    GOODBYE = "goodbye"


def _listening(*says: Says) -> Choice:
    return Choice("listening", says=says)


TAKER = Dialogue(
    name="taker",
    purpose="what a contact who took an alarm may do while he listens (led by the room, not by a conversation)",
    start="listening",
    steps={
        "listening": Question(
            asks=(Says.WELCOME,),
            keys={
                Key.TALK: _listening(Says.TALK_ON, Says.TALK_OFF),
                Key.BEGINNING: _listening(Says.BEGINNING),
                Key.LIVE: _listening(Says.LIVE),
                Key.MEMO: _listening(Says.MEMO, Says.NO_MEMO),
                Key.OPERATORS: _listening(Says.OPERATORS, Says.NO_OPERATOR),
                Key.PASS_ON: Choice("passed_on", says=(Says.PASSED_ON,)),
                Key.EMERGENCY: Choice("emergency"),
                Key.CLOSE: Choice("close"),
                Key.MENU: _listening(Says.MENU, Says.MENU_LISTENING),
            },
            wrong=(Says.WRONG_KEY,),
            silence="listening",
        ),
        "emergency": Question(
            asks=(Says.EMERGENCY_ASK,),
            keys={Key.EMERGENCY: _listening(Says.EMERGENCY_CALLED, Says.EMERGENCY_IMPOSSIBLE)},
            silence="listening",
        ),
        "close": Question(
            asks=(Says.CODE_WORD,),
            digits=Digits("closed", maximum=16),
            silence="listening",
        ),
        "passed_on": Ending("passed_on", says=(Says.GOODBYE,)),
        "closed": Ending("closed", says=(Says.CLOSED,)),
    },
    limit=float("inf"),
    at_limit="passed_on",
)
"""For the chart, and for tests of the texts."""


async def dismiss(phone: Phone, voice: Voice, taken_by: str | None, *, closed: bool = False) -> None:
    """Tell somebody who was asked, or listens, that he is not needed any more, and hang up.

    `taken_by` is the name of who has the alarm; None: it is not said. `closed`: nobody needs to have it.
    """
    if closed:
        await say(phone, voice, Says.INCIDENT_CLOSED, Says.GOODBYE)
    elif taken_by is None:
        await say(phone, voice, Says.TAKEN, Says.GOODBYE)
    else:
        await say(phone, voice, Says.TAKEN_BY, Says.GOODBYE, name=taken_by)
    await phone.hang_up()
