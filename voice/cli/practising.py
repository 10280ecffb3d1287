"""What is practised with `earshot call-me`, what is told of it, and what would have come of it in earnest."""

import asyncio
import random
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from config.models import Settings, Worker
from config.plans import Customer
from ivr import checkin
from ivr.checkin import CheckIn, random_key
from ivr.speech import Voice
from voice.check_in.pins import unsuitable
from voice.cli.practice import Practised, line_to, practise
from voice.cli.practice_desk import Practice, Proof
from voice.errors import ConfigurationError
from voice.logs import set_up_logging
from voice.outbound import Rung
from voice.ringing import Outcome
from voice.sip.reasons import REASONS
from voice.speaking import open_speech

NAME = "Anna Jansen"
"""Who is called if nobody is named."""

DURESS_KEYS = "00"
TIMEZONE = "Europe/Amsterdam"

EXIT_CONFIRMED, EXIT_DURESS, EXIT_NOT_CONFIRMED, EXIT_NOT_REACHED = 0, 3, 4, 5

LANGUAGE_NAMES = {"nl": "Dutch", "en": "English", "de": "German", "fr": "French"}

_G711 = "it takes neither A-law nor mu-law: switch PCMA on in its audio settings"
_PASSWORD = "it lets nobody in: give the address of the telephone itself, not of the server that it registers with"
_HINTS: Mapping[int, str] = {
    401: _PASSWORD,
    403: _PASSWORD,
    404: "it knows nobody of this name: look up the name of its account",
    407: _PASSWORD,
    415: _G711,
    480: "nobody can be reached there now: perhaps it does not want to be disturbed",
    486: "it is busy",
    488: _G711,
    600: "it is busy",
    603: "the call was declined",
    606: _G711,
}
_OUTCOMES: Mapping[checkin.Outcome, str] = {
    checkin.Outcome.NOT_CONFIRMED: "silence, or what did not count",
    checkin.Outcome.VOICEMAIL_SUSPECTED: "an answering machine, it seems",
    checkin.Outcome.HUNG_UP: "hung up before anything counted",
}


def run(options: Namespace, settings_of: Callable[[Namespace], Settings]) -> int:
    """Practise, tell line by line how it goes, and what would have come of it."""
    settings = settings_of(options)
    practice = practice_of(options, settings)
    speech = open_speech(settings.speech)
    for why in (*speech.mistakes, *([speech.why_mute] if speech.why_mute else [])):
        print(f"earshot: {why}", file=sys.stderr)
    stopped: list[int] = []
    try:
        voice = speech.voice(practice.language, practice.timezone)
        practised = asyncio.run(_practise(practice, settings, voice, stopped.append))
    except asyncio.CancelledError:
        return 128 + stopped[0]  # as a shell has it
    code, verdict = judged(practised, practice, settings.check_in_of(_worker(options, settings)).retries)
    print(f"\n{verdict}", flush=True)
    return code


async def _practise(
    practice: Practice, settings: Settings, voice: Voice, stopped: Callable[[int], object]
) -> Practised:
    """`stopped`: told by which signal. Ctrl-C counts even where a shell has this started with SIGINT ignored."""
    set_up_logging(level="error", json=False, personal_data=False)
    task = asyncio.current_task()

    def stop(number: int) -> None:
        stopped(number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    line = await line_to(practice.uri, settings)
    for words in introduced(practice):
        print(words, flush=True)
    return await practise(practice, line, settings, voice, _tell)


def _tell(what: str) -> None:
    print(f"{datetime.now():%H:%M:%S}  {what}", flush=True)


# -- what is practised --


def practice_of(options: Namespace, settings: Settings, dice: random.Random | None = None) -> Practice:
    """The worker and the customer may be those of the configuration, or any name. PINs and keys are never theirs."""
    dice = dice or random.SystemRandom()
    worker, customer = _worker(options, settings), _customer(options, settings)
    by_pin = options.pin is not None or settings.check_in_of(worker).confirm == "pin"
    pin = _pin(options.pin, dice) if by_pin else None
    asked = CheckIn(
        worker=worker.name,
        customer=customer.name if customer else options.customer or "",
        key=None if by_pin else random_key(dice, (DURESS_KEYS,)),
        entries=() if by_pin else (DURESS_KEYS,),
        is_repeated=bool(settings.check_in_of(worker).retries),
    )
    return Practice(
        options.to,
        asked,
        language=options.language or worker.language or (customer.language if customer else "en"),
        timezone=customer.timezone if customer else TIMEZONE,
        pin=pin,
        duress=(_other(pin, dice), DURESS_KEYS) if pin else (DURESS_KEYS,),
        rings=options.rings,
        interval=settings.check_in_of(worker).interval,
    )


def _worker(options: Namespace, settings: Settings) -> Worker:
    named = options.worker or NAME
    known = next((worker for worker in settings.workers if named in (worker.id, worker.name)), None)
    return known or Worker(id="practice", name=named)


def _customer(options: Namespace, settings: Settings) -> Customer | None:
    if options.customer is None:
        return settings.customer_of(None, _worker(options, settings))
    return next((one for one in settings.customers if options.customer in (one.id, one.name)), None)


def _pin(given: str, dice: random.Random) -> str:
    """`given`, or a new one if it is empty."""
    if given and (why := unsuitable(given)):
        raise ConfigurationError(f"--pin: this PIN will not do: {why}")
    return given or _other(None, dice)


def _other(pin: str | None, dice: random.Random) -> str:
    """A PIN that is another one."""
    while True:
        new = f"{dice.randrange(10_000):04d}"
        if new != pin and unsuitable(new) is None:
            return new


# -- what is told --


def introduced(practice: Practice) -> list[str]:
    """What whoever practises has to know before the telephone rings."""
    asked = practice.asked
    confirms = f"press {asked.key}" if asked.key else f"key in {practice.pin} and #"
    duress = " ".join(DURESS_KEYS) if asked.key else f"{practice.duress[0]} and #"
    return [
        f"A check-in for practice, in {LANGUAGE_NAMES[practice.language]}. "
        "Nothing is recorded, no alarm is raised, nobody else is called.",
        f"  you are well             {confirms}",
        f"  you are under duress     {'press' if asked.key else 'key in'} {duress}: to the ear it is the same",
        f"Calling {practice.uri}; Ctrl-C hangs up.",
    ]


def judged(practised: Practised, practice: Practice, retries: Sequence[float]) -> tuple[int, str]:
    """The exit code, and what would have come of this call in earnest."""
    checked = practised.checked
    if checked is None:
        return EXIT_NOT_REACHED, _why_not(practised.rung, practice)
    if practised.proof is Proof.DURESS:
        late = ", by what was keyed when the dialogue was over" if practised.is_late else ""
        return EXIT_DURESS, f"duress: a silent alarm would have been raised{late}; to the ear it was a confirmation"
    if checked.outcome.is_answered:
        return EXIT_CONFIRMED, f"confirmed, by {practised.proof}"
    why = f" ({_OUTCOMES[checked.outcome]}{f': {checked.why}' if checked.why else ''})"
    if not retries:
        return EXIT_NOT_CONFIRMED, f"not confirmed{why}: the check-in would be missed, and an alarm raised"
    return EXIT_NOT_CONFIRMED, f"not confirmed{why}: would be called again in {retries[0]:g} s"


def _why_not(rung: Rung, practice: Practice) -> str:
    """Why nobody was reached, and what can be done about it."""
    if rung.status is not None and rung.status >= 300:
        hint = _HINTS.get(rung.status)
        return f"the telephone refused the call: {rung.status} {REASONS.get(rung.status, '')}{_because(hint)}"
    if rung.status is not None:
        return f"it answered, but no sound can come of it: {_G711}"
    if rung.outcome is Outcome.NO_ANSWER:
        return f"nobody answered within {practice.rings:g} s"
    if rung.reason in ("does not answer", "no way to it"):
        return f"nothing answers at {practice.uri}: is the telephone on, and is this its address and port?"
    return f"not reached: {rung.reason}"


def _because(hint: str | None) -> str:
    return f" ({hint})" if hint else ""
